"""The variables of all of MMDetection 2.x's configs, against those that are given in their place."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from deeplake_mmdet.config.base_variables import old_variables
from deeplake_mmdet.legacy import counterpart
from deeplake_mmdet.legacy.notes import Notebook
from deeplake_mmdet.legacy.pipelines.pipeline import convert_pipeline

sys.path.append(str(Path(__file__).resolve().parents[1] / "legacy"))

import zoo

# Where 3.x itself says something else: other data, another port, the weights' host.
DIFFERENT = {
    "data_root": ("objects365",),
    "dataset_type": ("objects365",),
    "dist_params": ("legacy_1.x",),
    "img_norm_cfg": ("faster_rcnn",),
}
HOSTS = ("https://download.openmmlab.com", "http://download.openmmlab.com")
# Files that are half 2.x, or whose annotations or keys 3.x names in the pipeline and 2.x did not.
APART = ("centernet", "openimages", "guided_anchoring")


@pytest.fixture(scope="module")
def pairs():
    """Name, 2.x content and 3.x content of all that both versions have, the bases too."""
    try:
        root = zoo.folder()
    except zoo.NoIndexError as error:
        pytest.skip(f"MMDetection 2.28.2's wheel cannot be had: {error}")
    names = [str(path.relative_to(root)) for path in sorted(root.rglob("*.py"))]
    both = [(name, new) for name in names if (new := counterpart(name)) and (zoo.OFFICIAL / new).is_file()]
    assert len(both) > 600
    return [(name, zoo.old(name), zoo.official(new)) for name, new in both]


@pytest.mark.slow
def test_every_variable_that_is_given_is_that_of_2x(pairs):
    wrong = []
    for name, old, new in pairs:
        given = old_variables(new)
        for key in sorted(old.keys() & given.keys()):
            if key in ("model", "custom_hooks", "auto_scale_lr", "train_dataset", "custom_imports"):
                continue  # the converted model and hooks; a dataset is compared by its pipeline
            if key.endswith("_pipeline") or name.partition("/")[0] in DIFFERENT.get(key, ()):
                continue
            if isinstance(old[key], str) and old[key].startswith(HOSTS):
                continue
            if old[key] != given[key]:
                wrong.append((name, key, old[key], given[key]))
    assert wrong == []
    for key in ("data_root", "img_norm_cfg", "dataset_type", "train_pipeline", "test_pipeline"):
        assert sum(key in old_variables(new) for _, old, new in pairs if key in old) > 600, key


@pytest.mark.slow
def test_the_pipelines_mean_what_those_of_3x_mean(pairs):
    wrong = []
    for name, _, new in pairs:
        if any(part in name for part in APART):
            continue
        given = old_variables(new)
        for key in {"train_pipeline", "test_pipeline"} & given.keys():
            train = key == "train_pipeline"
            done = convert_pipeline(given[key], key, Notebook(), train=train)
            wanted = _bare(new[key], loads=train)
            if _bare(done.steps, loads=train) != wanted:
                wrong.append((name, key, done.steps, wanted))
            preprocessor = (new.get("model") or {}).get("data_preprocessor") or {}
            if done.facts.normalize and preprocessor:
                assert done.facts.normalize["mean"] == list(preprocessor["mean"]), name
                assert done.facts.normalize["to_rgb"] == preprocessor.get("bgr_to_rgb", False), name
            assert (
                bool(done.facts.normalize) == ("img_norm_cfg" in given) or "PackDetInputs" in done.facts.seen
            )
    assert wrong == []


def _bare(node, *, loads):
    """Without settings that say the default, and what loads annotations to test."""
    if isinstance(node, dict):
        return {
            key: _bare(value, loads=loads)
            for key, value in node.items()
            if not (key == "backend_args" and value is None) and (key, value) != ("resize_type", "Resize")
        }
    if isinstance(node, (list, tuple)):
        steps = [
            item
            for item in node
            if loads or not (isinstance(item, dict) and str(item.get("type")).endswith("Annotations"))
        ]
        return type(node)(_bare(item, loads=loads) for item in steps)
    return node
