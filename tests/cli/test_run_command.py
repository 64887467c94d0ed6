"""``deeplake-mmdet run``: old scripts as ``python SCRIPT`` would run them."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys

import pytest

import deeplake_mmdet
from deeplake_mmdet.cli.old_names import OLD_NAMES, old_names
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
    if module in ("mmcv.runner", "deeplake.integrations.mmdet"):  # made by us
        assert sys.modules.get(module) is not old
        assert not hasattr(importlib.import_module(module.rpartition(".")[0]), module.rpartition(".")[2])
    else:
        assert [name for name in OLD_NAMES[module] if hasattr(old, name)] == []


def test_names_that_a_package_has_are_its_own():
    import mmcv
    import mmdet.apis

    before = mmcv.imread, mmdet.apis.init_detector
    with old_names():
        assert (mmcv.imread, mmdet.apis.init_detector) == before


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


def test_a_name_that_is_not_supplied_is_told_with_those_that_are(write, tmp_path):
    script = write("from mmcv.runner import EpochBasedRunner\n")
    run = ours(script, cwd=tmp_path)
    assert run.returncode == 1
    assert "cannot import name 'EpochBasedRunner'" in run.stderr
    assert "load_checkpoint" in run.stderr.splitlines()[-1]
    run = ours(write("from mmcv.parallel import MMDataParallel\n"), cwd=tmp_path)
    assert "No module named 'mmcv.parallel'" in run.stderr
    assert "mmcv.runner" in run.stderr.splitlines()[-1]


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
