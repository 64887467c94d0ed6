"""``poly2mask=False`` of a 2.x config over a lake: pixels stay pixels, as in the old integration."""

from __future__ import annotations

import pytest

from deeplake_mmdet.legacy import convert_config_dict

MASKS = {"type": "LoadAnnotations", "with_bbox": True, "with_mask": True}
LAKE = {"deeplake_path": "lakes/train"}
FILES = {"type": "CocoDataset", "ann_file": "a.json", "img_prefix": "img/"}


def converted(data, **options):
    pipeline = [{"type": "LoadImageFromFile"}, {**MASKS, **options}]
    wrapped = {"type": "RepeatDataset", "times": 2, "dataset": {**data, "pipeline": pipeline}}
    content = {"data": {"train": wrapped}, "runner": {"max_epochs": 1}, "optimizer": {"type": "SGD", "lr": 1}}
    new, notes = convert_config_dict(content)
    return new["train_dataloader"]["dataset"], [note for note in notes if "bitmaps" in note.what]


def innermost(node):
    return innermost(node["dataset"]) if "dataset" in node else node


@pytest.mark.parametrize(
    ("data", "options", "kept"),
    [
        (LAKE, {"poly2mask": False}, True),
        (LAKE, {"poly2mask": True}, False),
        (LAKE, {}, False),
        (LAKE, {"poly2mask": False, "with_mask": False}, False),
        (FILES, {"poly2mask": False}, False),
    ],
)
def test_lakes_keep_pixels_and_a_note_says_so(data, options, kept):
    dataset, notes = converted(data, **options)
    assert innermost(dataset).get("masks_as_stored", False) is kept
    assert [note.key for note in notes] == (["data.train"] if kept else [])


def test_pipelines_of_wrappers_and_of_hooks_count():
    load = [{"type": "LoadImageFromFile"}, MASKS]
    asking = [load[0], {**MASKS, "poly2mask": False}]
    content = {"runner": {"max_epochs": 3}, "optimizer": {"type": "SGD", "lr": 1}}
    lake = {**LAKE, "pipeline": load}
    wrapped = {"type": "Tiles", "dataset": {**LAKE, "pipeline": []}, "pipeline": asking}
    switch = [{"type": "PipelineSwitchHook", "switch_epoch": 2, "switch_pipeline": asking}]
    for train, hooks, kept in ((lake, [], False), (wrapped, [], True), (lake, switch, True)):
        new, _ = convert_config_dict({**content, "data": {"train": train}, "custom_hooks": hooks})
        dataset = innermost(new["train_dataloader"]["dataset"])
        assert dataset.get("masks_as_stored", False) is kept
