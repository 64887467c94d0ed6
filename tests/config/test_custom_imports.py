"""``custom_imports``: converting imports nothing; using a config imports, or says what it cannot."""

from __future__ import annotations

import sys

import pytest

from deeplake_mmdet import Config, convert, load_config
from deeplake_mmdet.errors import ConfigError

DATA = "data = dict(train=dict(type='CocoDataset', ann_file='a.json', img_prefix='d/', pipeline=[]))\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)

    def make(text, name="config.py"):
        path = tmp_path / name
        path.write_text(text)
        return path

    yield make
    for name in [name for name in sys.modules if name.startswith("told_of_")]:
        del sys.modules[name]


@pytest.mark.parametrize("base", [False, True])
def test_converting_imports_nothing(write, base):
    write("raise SystemExit('imported')\n", "told_of_2x.py")
    imports = "custom_imports = dict(imports=['told_of_2x'], allow_failed_imports=False)\n"
    if base:
        write(imports, "base.py")
    path = write(("_base_ = './base.py'\n" if base else imports) + DATA)
    done = convert(path, path.with_name("new.py"))
    assert done.content["custom_imports"]["imports"] == ["told_of_2x"]
    assert "told_of_2x" not in sys.modules
    assert [note.severity for note in done.notes if note.key == "custom_imports.imports"] == ["info"]


def test_modules_of_mmcls_are_mmpretrains(write):
    path = write(
        "custom_imports = dict(imports=['mmcls.models', 'mmcls'], allow_failed_imports=False)\n"
        "model = dict(type='FCOS', backbone=dict(type='mmcls.ConvNeXt', plugins=[dict(type='mmcls.X')]))\n"
        "custom_hooks = [dict(type='mmcls.SomeHook')]\n" + DATA
    )
    done = convert(path)
    assert done.content["custom_imports"]["imports"] == ["mmpretrain.models", "mmpretrain"]
    assert done.content["model"]["backbone"]["type"] == "mmpretrain.ConvNeXt"
    assert done.content["model"]["backbone"]["plugins"] == [{"type": "mmpretrain.X"}]
    assert done.content["custom_hooks"] == [{"type": "mmpretrain.SomeHook"}]
    noted = {note.key for note in done.notes}
    assert {"custom_imports.imports", "model.backbone.type", "custom_hooks[0].type"} <= noted


@pytest.mark.parametrize("read", [load_config, Config.fromfile])
def test_what_is_there_is_imported_when_a_config_is_used(write, read):
    write("", "told_of_mine.py")
    read(write("custom_imports = dict(imports='told_of_mine')\n" + DATA))
    assert "told_of_mine" in sys.modules


@pytest.mark.parametrize("read", [load_config, Config.fromfile])
@pytest.mark.parametrize(
    ("name", "module", "what", "advice"),
    [
        ("told_of_nothing", None, "'told_of_nothing', which is not there", "PYTHONPATH"),
        ("told_of_old", "from mmdet.core import bbox2roi\n", "No module named 'mmdet.core'", "3.x"),
        ("told_of_names", "from mmdet.datasets import PIPELINES\n", "PIPELINES", "3.x"),
        ("told_of_faults", "1 / 0\n", "ZeroDivisionError", "3.x"),
        ("mmcls.models", None, "'mmpretrain.models', which is not there", "pip install onedl-mmpretrain"),
    ],
)
def test_what_cannot_be_imported_is_one_error(write, read, name, module, what, advice):
    if module is not None:
        write(module, f"{name}.py")
    path = write(f"custom_imports = dict(imports=['{name}'], allow_failed_imports=False)\n" + DATA)
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert what in caught.value.what
    assert "custom_imports.imports" in caught.value.where
    assert advice in caught.value.advice


def test_a_failed_import_may_be_allowed(write):
    path = write("custom_imports = dict(imports=['told_of_nothing'], allow_failed_imports=True)\n" + DATA)
    assert load_config(path).custom_imports.imports == ["told_of_nothing"]


def test_imports_that_are_no_names_are_told(write):
    with pytest.raises(ConfigError, match="does not name modules"):
        load_config(write("custom_imports = dict(imports=[3])\nmodel = dict()\n"))
