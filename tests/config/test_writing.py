"""Configs as files: mmengine reads back what was written."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config

from deeplake_mmdet.config.writing import config_text
from deeplake_mmdet.errors import ConfigError

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    # mmengine puts other texts in for {{ ... }}
    | st.text(st.characters(codec="utf-8", exclude_characters="{}"), max_size=60)
)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
KEYS = NAMES | st.sampled_from(["class", "a b", "type", "0", "_delete_"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=5).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=5)
    ),
    max_leaves=25,
)
# Without mmengine's own keys, and those that change how a file is read.
TOPS = NAMES.filter(lambda key: key not in ("filename", "text", "pretty_text", "env_variables", "and"))


def read(text):
    return Config.fromstring(text, ".py").to_dict()


def run(text):
    space = {}
    exec(text, space)
    del space["__builtins__"]
    return space


def same(one, other):
    """Equal, and of the same types throughout: 1, 1.0 and True are three things."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(NAMES.map(lambda name: f"k_{name}"), VALUES, max_size=6))
def test_the_code_says_the_content(content):
    assert same(run(config_text(content)), content)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(TOPS.map(lambda name: f"k_{name}"), VALUES, max_size=4))
def test_mmengine_reads_the_content(content):
    path = config_text(content)
    assert Config(read(path)).to_dict() == Config(content).to_dict()


def test_repeated_parts_are_written_once():
    steps = [{"type": "LoadImageFromFile"}, {"type": "PackDetInputs", "meta_keys": ("img_id",)}]
    loader = {"batch_size": 1, "dataset": {"type": "CocoDataset", "pipeline": steps}}
    content = {"test_dataloader": loader, "val_dataloader": loader}
    text = config_text(content)
    assert text.count("LoadImageFromFile") == 1
    assert "test_dataloader = val_dataloader" in text
    assert "pipeline=test_pipeline" in text
    assert read(text) == {**content, "test_pipeline": steps}


def test_pipelines_keep_other_variables_apart():
    mine = [{"type": "Resize", "scale": (1, 2), "keep_ratio": True}]
    content = {
        "train_pipeline": [{"type": "Other"}],
        "train_dataloader": {"dataset": {"dataset": {"pipeline": mine}}},
    }
    assert read(config_text(content)) == content


def test_equal_numbers_of_other_types_are_no_repetition():
    one = {"a": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]}
    content = {"a": one, "b": {"a": [float(number) for number in one["a"]]}}
    assert same(run(config_text(content)), content)


def test_what_others_make_is_written_as_python():
    content = {"a": np.float64(0.1), "b": np.int64(3), "c": [float("inf"), float("nan")], "d": torch.nn.ReLU}
    found = run(config_text(content | {"e": range(2), "f": {"y", "x"}, "g": np.array(2.5)}))
    assert (found["a"], found["b"], found["c"][0]) == (0.1, 3, math.inf)
    assert math.isnan(found["c"][1])
    assert found["d"] == "torch.nn.modules.activation.ReLU"
    assert (found["e"], found["f"], found["g"]) == (range(2), {"x", "y"}, 2.5)


@pytest.mark.parametrize("value", [object(), np.zeros(3), lambda: 0])
def test_what_no_config_can_hold_is_told(value):
    with pytest.raises(ConfigError, match="cannot be written") as caught:
        config_text({"model": {"head": [{"x": value}]}})
    assert "model.head[0].x" in caught.value.where


def test_lines_are_short_enough_to_read():
    content = {
        "model": {"type": "X" * 20, "anchors": list(range(100)), "sub": {"a": {"b": list("abcdef" * 9)}}}
    }
    assert max(map(len, config_text(content).splitlines())) <= 90
