"""What a process that an old script starts imports in place of that script: the same, with old names."""

from __future__ import annotations

import os
import runpy

#: The variable that tells the script's path; runpy has put this file's into sys.argv by now.
SCRIPT = "DEEPLAKE_MMDET_OLD_SCRIPT"

if __name__ == "__mp_main__":  # so multiprocessing calls it
    from deeplake_mmdet.cli.old_scripts import supply

    # For as long as this process lives: functions of the script may import later.
    supply()
    globals().update(runpy.run_path(os.environ[SCRIPT], run_name="__mp_main__"))
