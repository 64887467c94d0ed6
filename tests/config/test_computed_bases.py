"""``_base_`` that a config computes: MMCV 1.x ran the file to know it."""

from __future__ import annotations

import pytest

from deeplake_mmdet import Config, convert, load_config
from deeplake_mmdet.errors import ConfigError

BASE = "optimizer = dict(type='SGD', lr=0.01)\nvalues = [1, 2]\n"
DATA = "data = dict(train=dict(type='CocoDataset', ann_file='a.json', img_prefix='d/', pipeline=[]))\n"


@pytest.fixture
def write(tmp_path):
    def make(text, name="config.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return make


@pytest.mark.parametrize(
    "text",
    [
        "root = '.'\n_base_ = [f'{root}/base.py']\n",
        "root = '.'\n_base_ = f'{root}/' + 'base.py'\n",
        "names = ['base']\n_base_ = ['./%s.py' % name for name in names]\n",
        "_base_ = []\nfor name in ('base',):\n    _base_.append(f'./{name}.py')\n",
        "_base_ = []\n_base_ += ['./base.py']\n",
        "if True:\n    _base_ = './base.py'\nelse:\n    _base_ = './other.py'\n",
        "import os\nroot = os.environ.get('NO_SUCH_VARIABLE', '.')\n_base_ = os.path.join(root, 'base.py')\n",
        "from pathlib import Path\n_base_ = [str(Path('.') / 'base.py')]\n",
        "_base_ = ['{{ fileDirname }}/base.py']\n",
        "def base(name):\n    return f'./{name}.py'\n_base_ = [base('base')]\n",
        "_base_: list = ['./base.py']\n",
        "_base_ = './other.py'\n_base_ = './base.py'\n",  # Python's meaning
        "_base_ = [f'./{part}.py' for part in ['base']]\nvalues = {{_base_.values}} + [3]\n",
        "first = {{_base_.values}}\nroot = '.'\nä = 'ü'; _base_ = [f'{root}/base.py']\n",
    ],
)
def test_a_computed_base_is_read(write, text):
    write(BASE, "base.py")
    path = write(text + DATA)
    for _ in range(2):
        assert load_config(path).optim_wrapper.optimizer.lr == 0.01
    old = Config.fromfile(path)
    assert old.optimizer.lr == 0.01
    assert old["values"] == ([1, 2, 3] if "[3]" in text else [1, 2])
    assert not any("_base_" in str(key) for key in old)


def test_a_base_may_compute_its_own(write):
    write(BASE, "deep/base.py")
    write("where = 'deep'\n_base_ = f'{where}/base.py'\n", "middle.py")
    assert load_config(write("_base_ = './middle.py'\n" + DATA)).optim_wrapper.optimizer.lr == 0.01


def test_an_environments_variable_names_the_base(write, monkeypatch):
    write(BASE, "base.py")
    path = write("import os\n_base_ = os.environ['OF_THE_TEST'] + '/base.py'\n" + DATA)
    with pytest.raises(ConfigError, match="KeyError: 'OF_THE_TEST'") as caught:
        load_config(path)
    assert "line 2" in caught.value.where
    monkeypatch.setenv("OF_THE_TEST", ".")
    assert load_config(path).optim_wrapper.optimizer.lr == 0.01


def test_a_computed_base_may_be_missing_here(write):
    text = "root = '../mmdetection/configs'\n_base_ = [f'{root}/retinanet/retinanet_r50_fpn_1x_coco.py']\n"
    path = write(text + "optimizer = dict(lr=0.005)\n")
    done = convert(path)
    assert done.content["model"]["type"] == "RetinaNet"
    assert done.content["optim_wrapper"]["optimizer"]["lr"] == 0.005
    with pytest.raises(ConfigError, match="a base of it exists nowhere"):
        load_config(write("root = '.'\n_base_ = f'{root}/none.py'\n"))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("_base_ = [f'{unknown}/base.py']\n", "name 'unknown' is not defined"),
        ("_base_ = 3 + 4\n", "its _base_ is 7"),
        ("import sys\nsys.exit(2)\nroot = '.'\n_base_ = f'{root}/base.py'\n", "SystemExit: 2"),
    ],
)
def test_a_base_that_cannot_be_computed_is_told(write, text, what):
    for read in (load_config, Config.fromfile, convert):
        with pytest.raises(ConfigError) as caught:
            read(write(text + DATA))
        assert what in caught.value.what
        assert "config.py, line" in caught.value.where


def test_bases_of_each_other_are_told_when_they_are_computed(write):
    write("root = '.'\n_base_ = f'{root}/config.py'\n", "other.py")
    with pytest.raises(ConfigError, match="bases of each other"):
        load_config(write("root = '.'\n_base_ = f'{root}/other.py'\n"))


BOTH = "optimizer = dict(type='SGD', lr=0.02)\n"


@pytest.mark.parametrize(
    "bases",
    [
        "_base_ = ['./base.py', './other.py']\n",
        "root = '.'\n_base_ = [f'{root}/base.py', f'{root}/other.py']\n",
        "_base_ = ['./base.py', './other.py', '../_base_/default_runtime.py']\n",  # which is missing
        "_base_ = ['./base.py', '../_base_/schedules/schedule_1x.py']\n",
        "_base_ = ['../_base_/schedules/schedule_1x.py', '../_base_/schedules/schedule_2x.py']\n",
    ],
)
def test_bases_side_by_side_may_not_say_the_same(write, bases):
    write(BASE, "base.py"), write(BOTH, "other.py")
    with pytest.raises(ConfigError, match=r"two of its bases have.*'optimizer'") as caught:
        load_config(write(bases + DATA))
    first, second = [part for part in ("base.py", "other.py", "_1x.py", "_2x.py") if part in bases][:2]
    assert first in caught.value.where
    assert second in caught.value.where


def test_bases_of_missing_bases_are_no_twins(write):
    """The same default_runtime.py below two files is no key of two bases."""
    write("_base_ = '../_base_/schedules/schedule_1x.py'\n", "one.py")
    write("_base_ = '../_base_/models/retinanet_r50_fpn.py'\n", "two.py")
    assert load_config(write("_base_ = ['./one.py', './two.py']\n" + DATA)).model.type == "RetinaNet"
