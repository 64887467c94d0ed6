"""``deeplake-mmdet run``: old scripts as ``python SCRIPT`` would run them."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys

import pytest

import deeplake_mmdet
from deeplake_mmdet.cli.old_scripts import OLD_NAMES, OTHERS_MEANING, old_names
from deeplake_mmdet.cli.run import run_script
from deeplake_mmdet.errors import SourceNotFoundError

IMPORTS = """
import os
from mmcv import Config
import mmcv
from mmcv.utils import DictAction
from mmcv.runner import get_dist_info
from deeplake.integrations import mmdet as mmdet_deeplake
"""


@pytest.fixture
def write(tmp_path):
    def make(text, name="old.py"):
        path = tmp_path / "scripts" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return make


def command(*args, cwd):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*map(str, args)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )


def ours(*args, cwd):
    return command(sys.executable, "-m", "deeplake_mmdet.cli", "run", *args, cwd=cwd)


def test_old_names_mean_our_functions(write):
    found = run_script(write(IMPORTS + "config, make = mmcv.Config, mmcv.mkdir_or_exist\n"))
    assert found["Config"] is deeplake_mmdet.Config
    assert found["config"] is deeplake_mmdet.Config
    assert found["make"] is deeplake_mmdet.mkdir_or_exist
    assert found["mmdet_deeplake"].train_detector is deeplake_mmdet.train_detector
    assert found["mmdet_deeplake"].build_detector is deeplake_mmdet.build_detector
    assert found["get_dist_info"]() == (0, 1)


@pytest.mark.parametrize("module", sorted(OLD_NAMES))
def test_every_old_name_can_be_had_and_is_gone_again(module):
    with old_names():
        old = importlib.import_module(module)
        for name in OLD_NAMES[module]:
            assert getattr(old, name) is not None
        with pytest.raises(AttributeError, match="no_such_name"):
            _ = old.no_such_name
        ours = "deeplake-mmdet run" in str(old.__spec__.origin)
    assert ours == (module in MADE)
    if ours:
        assert sys.modules.get(module) is not old
        parent, _, name = module.rpartition(".")
        assert parent in MADE or not hasattr(importlib.import_module(parent), name)
    else:
        left = {(module, name) for name in OLD_NAMES[module] if hasattr(old, name)}
        assert left == {pair for pair in OTHERS_MEANING if pair[0] == module}


MADE = {
    *("mmcv.runner", "mmcv.parallel", "deeplake.integrations.mmdet", "mmdet.core", "mmdet.apis.train"),
    *("mmcv.runner.hooks", "mmdet.core.bbox", "mmdet.core.mask", "mmdet.core.evaluation"),
    *("mmdet.apis.test", "mmdet.datasets.builder", "mmdet.models.builder"),
}


def test_names_that_a_package_has_are_its_own_but_for_those_that_know_no_old_config():
    import mmcv
    import mmdet.apis

    before = mmcv.imread, mmdet.apis.DetInferencer, mmdet.apis.init_detector
    with old_names():
        assert (mmcv.imread, mmdet.apis.DetInferencer) == before[:2]
        assert mmdet.apis.init_detector is not before[2]
    assert (mmcv.imread, mmdet.apis.DetInferencer, mmdet.apis.init_detector) == before


def test_nothing_heavy_is_imported_before_it_is_asked_for(write, tmp_path):
    script = write(
        "import sys\nprint([m for m in ('torch', 'mmcv', 'deeplake', 'cv2') if m in sys.modules])\n"
    )
    assert ours(script, cwd=tmp_path).stdout.strip() == "[]"


STATE = """
import json, sys
import helper
print(json.dumps([sys.argv, __name__, __file__, sys.path[0], helper.X, sys.modules['__main__'].__file__]))
"""


def test_the_script_finds_itself_as_under_python(write, tmp_path):
    write("X = 5\n", "helper.py")
    script = write(STATE)
    args = ("scripts/old.py", "--flag", "-h", "a b", "--", "-x")
    plain, run = command(sys.executable, *args, cwd=tmp_path), ours(*args, cwd=tmp_path)
    assert json.loads(run.stdout) == json.loads(plain.stdout)
    assert json.loads(run.stdout)[0][1:] == ["--flag", "-h", "a b", "--", "-x"]
    assert json.loads(run.stdout)[3] == str(script.parent)


@pytest.mark.parametrize(
    "text",
    [
        "import sys\nsys.exit(7)\n",
        "import sys\nsys.exit('words')\n",
        "raise SystemExit\n",
        "def f(n):\n    return 1 / n\n\nf(0)\n",
        "class Mine(BaseException):\n    pass\n\nraise Mine('x')\n",
        "a = {'b': 'c}\n",
        "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise KeyError('x') from error\n",
        "import nowhere_at_all\n",
    ],
)
def test_exit_codes_and_tracebacks_are_pythons(write, tmp_path, text):
    write(text)
    plain = command(sys.executable, "scripts/old.py", cwd=tmp_path)
    run = ours("scripts/old.py", cwd=tmp_path)
    assert run.returncode == plain.returncode
    assert run.stderr == plain.stderr


@pytest.mark.parametrize(
    ("text", "python", "hint"),
    [
        (
            "from mmcv.runner import EpochBasedRunner\n",
            "cannot import name 'EpochBasedRunner'",
            ("mmcv.runner has no 'EpochBasedRunner'", "train_detector(model, cfg)", "load_checkpoint"),
        ),
        (
            "from mmdet.datasets import build_datasets\n",
            "cannot import name 'build_datasets'",
            ("mmdet.datasets has no 'build_datasets'", "perhaps 'build_dataset' is meant"),
        ),
        (
            "from mmdet.datasets import CustomDataset\n",
            "cannot import name 'CustomDataset'",
            ("mmdet.datasets has no 'CustomDataset'", "BaseDetDataset"),
        ),
        (
            "from mmdet.utils import build_dataset\n",
            "cannot import name 'build_dataset'",
            ("it is supplied by mmdet.datasets",),
        ),
        (
            "import mmcv\nmmcv.imshow_det_bboxez\n",
            "module 'mmcv' has no attribute 'imshow_det_bboxez'",
            ("mmcv has no 'imshow_det_bboxez'",),
        ),
        (
            "from mmcv.runner.fp16_utils import auto_fp16\n",
            "No module named 'mmcv.runner.fp16_utils'",
            ("no module mmcv.runner.fp16_utils", "of mmcv.runner these are supplied", "Hook"),
        ),
        (
            "from mmdet.datasets.custom import CustomDataset\n",
            "No module named 'mmdet.datasets.custom'",
            ("no module mmdet.datasets.custom", "BaseDetDataset"),
        ),
        (
            "from mmdet.datasets import *\nclass Own(CustomDataset):\n    pass\n",
            "name 'CustomDataset' is not defined",
            ("BaseDetDataset",),
        ),
        (
            "from mmcv.parallel import DataContainer as DC\n",
            "cannot import name 'DataContainer'",
            ("mmcv.parallel has no 'DataContainer'", "dict(inputs=[...], data_samples=[...])"),
        ),
        (
            "import mmcv.parallel.data_container\n",
            "No module named 'mmcv.parallel.data_container'",
            ("dict(inputs=[...], data_samples=[...])",),
        ),
    ],
)
def test_a_name_that_is_not_supplied_is_told_with_the_way_on(
    command_in_copy, write, tmp_path, text, python, hint
):
    run = command_in_copy("run", write(text), cwd=tmp_path)
    assert run.returncode == 1
    assert python in run.stderr
    for words in hint:
        assert words in run.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "python", "hint"),
    [
        (
            "import mmdet\nmmdet.datasets.build_dataset\n",
            "has no attribute 'datasets'",
            ("write 'import mmdet.datasets'",),
        ),
        (
            "import mmdet.dataset\n",
            "No module named 'mmdet.dataset'",
            ("no module mmdet.dataset", "perhaps mmdet.datasets is meant"),
        ),
    ],
)
def test_so_it_is_where_little_is_imported_yet(write, tmp_path, text, python, hint):
    run = ours(write(text), cwd=tmp_path)
    assert run.returncode == 1
    assert python in run.stderr
    for words in hint:
        assert words in run.stderr.splitlines()[-1]


def test_wrong_usage(tmp_path):
    assert ours(cwd=tmp_path).returncode == 2
    run = ours("none.py", cwd=tmp_path)
    assert run.returncode == 1
    assert "There is no such script" in run.stderr
    assert "Traceback" not in run.stderr


def test_the_process_is_as_before_after_the_function(write):
    before = sys.modules["__main__"], sys.argv[:], sys.path[:], sys.meta_path[:]
    script = write("import sys\nsys.path.append('x')\nvalue = __name__, sys.argv[1:]\n")
    assert run_script(script, ["a"])["value"] == ("__main__", ["a"])
    assert (sys.modules["__main__"], sys.argv, sys.path, sys.meta_path) == before
    with pytest.raises(ZeroDivisionError):
        run_script(write("1 / 0\n"))
    assert (sys.modules["__main__"], sys.argv, sys.path, sys.meta_path) == before
    with pytest.raises(SourceNotFoundError):
        run_script(script.parent)


CHILDREN = """
import multiprocessing, sys
from mmcv import Config

class Mine:
    pass

def work(queue, thing):
    import mmcv.runner
    queue.put((type(thing).__name__, Config.__module__, mmcv.runner.get_dist_info()))

def main():
    context = multiprocessing.get_context('spawn')
    queue = context.SimpleQueue()
    process = context.Process(target=work, args=(queue, Mine()))
    process.start()
    process.join()
    print(process.exitcode, queue.get() if process.exitcode == 0 else None)

if __name__ == '__main__':
    main()
"""


def test_processes_that_a_script_starts_know_the_old_names_too(write, tmp_path):
    run = ours(write(CHILDREN), cwd=tmp_path)
    assert run.stdout.splitlines()[-1] == "0 ('Mine', 'deeplake_mmdet.config.old_config', (0, 1))", run.stderr


def test_a_script_without_guard_is_not_run_again_by_its_processes(write, tmp_path):
    text = "from multiprocessing import get_context\nprint('once')\np = get_context('spawn').Process()\n"
    text += "p.start()\np.join()\nprint(p.exitcode)\n"
    run = ours(write(text), cwd=tmp_path)
    assert run.stdout.split() == ["once", "0"], run.stderr


LATER = """
import atexit, threading, time
import mmcv, mmcv.utils

def later():
    time.sleep(0.5)
    from mmcv import Config
    import __main__
    print('thread', Config.__name__, __main__.__file__)

threading.Thread(target=later).start()
atexit.register(lambda: print('exit', mmcv.utils.DictAction.__name__))
raise SystemExit(3)
"""


def test_what_outlives_the_script_finds_the_names_still_and_the_exit_is_clean(write, tmp_path):
    script = write(LATER)
    run = ours(script, cwd=tmp_path)
    assert run.stdout.splitlines() == [f"thread Config {script}", "exit DictAction"]
    assert (run.returncode, run.stderr) == (3, "")
