"""Which stock config a file is built on, and in what two configs differ."""

from __future__ import annotations

import pytest

from deeplake_mmdet.config.bases import installed_configs
from deeplake_mmdet.config.comparison import compared, stock_base

TINY = "rtmdet/rtmdet_tiny_8xb32-300e_coco.py"


@pytest.mark.parametrize(
    ("text", "stock"),
    [
        (f"_base_ = 'mmdet::{TINY}'", TINY),
        (f"_base_ = ['{installed_configs()}/{TINY}']", TINY),
        ("_base_ = 'middle.py'", TINY),
        ("_base_ = 'mmdet::no/such.py'", None),
        ("_base_ = 'nowhere.py'", None),
        (f"_base_ = '{installed_configs()}/_base_/default_runtime.py'", None),
        ("model = dict()", None),
    ],
)
def test_the_stock_config_beneath_is_found(tmp_path, text, stock):
    (tmp_path / "middle.py").write_text(f"_base_ = 'mmdet::{TINY}'\n")
    (tmp_path / "config.py").write_text(f"{text}\n")
    assert stock_base(tmp_path / "config.py") == stock


def test_only_settings_that_differ_are_told():
    first = {"model": {"type": "A", "size": (1, 2)}, "own_variable": 3, "train_cfg": {"max_epochs": 3}}
    second = {
        "model": {"type": "A", "size": [1, 2]},
        "own_variable": 4,
        "train_cfg": {"max_epochs": 5, "x": 1},
    }
    found = {one.key: (one.ours, one.theirs) for one in compared(first, second)}
    assert found == {"train_cfg.max_epochs": ("3", "5"), "train_cfg.x": ("", "1")}
