"""``python -m deeplake_mmdet.cli``."""

import sys

from deeplake_mmdet.cli import main

sys.exit(main())
