"""The room of legacy configs needs neither models nor lakes."""

from __future__ import annotations

import subprocess
import sys


def test_converting_imports_nothing_heavy():
    code = (
        "import sys, deeplake_mmdet.legacy as legacy; legacy.counterpart('yolo/x.py'); "
        "legacy.convert_config_dict({'data': {}, 'runner': {'max_epochs': 1}}); "
        "heavy = ('torch', 'mmdet', 'mmcv', 'mmengine', 'deeplake', 'numpy'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
