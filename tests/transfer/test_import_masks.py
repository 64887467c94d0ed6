"""Objects keep their boxes whatever their masks are; what is done with a mask is counted and named."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from mmdet.utils import register_all_modules
from mmengine.registry import DATASETS

from deeplake_mmdet.lake import Source, open_view
from deeplake_mmdet.transfer import import_coco

SQUARE = [3, 4, 20, 4, 20, 15, 3, 15]
COUNTS = [100, 20, 648]
GIVEN: list[Any] = [
    [SQUARE],  # as it is
    SQUARE,
    json.dumps([SQUARE]),
    [[5, 6, 25, 6]],
    {"size": [32, 24], "counts": COUNTS},
    {"counts": COUNTS},
    [[1, 2, 3, 1e300, 5, 6]],
    None,
    {"size": [24, 32], "counts": COUNTS},
]
PIPELINE = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_bbox": True, "with_mask": True},
    {"type": "PackDetInputs"},
]


@pytest.fixture(scope="module", autouse=True)
def mmdet_scope() -> None:
    register_all_modules(init_default_scope=True)


@pytest.fixture
def file_with(make_coco):
    """A COCO file whose first image has an object for each mask."""

    def make(masks):
        def change(data):
            box = {"image_id": 0, "category_id": 4, "bbox": [3, 4, 17, 11], "area": 187}
            for number, mask in enumerate(masks, 100):
                data["annotations"].append({**box, "id": number, "segmentation": mask})
            data["annotations"] = data["annotations"][3:]

        return make_coco(change=change)

    return make


def test_masks_are_taken_converted_or_refused_one_by_one(file_with, tmp_path):
    file, images = file_with(GIVEN)
    summary = import_coco(file, tmp_path / "lake", images=images, progress=False)
    assert (summary.boxes, summary.refused) == (len(GIVEN), [])
    counts = {reason: count for (kind, reason), count in summary.changes.counts.items() if kind == "mask"}
    assert counts == {
        "mask converted: one polygon without its list": 1,
        "mask converted: written as text": 1,
        "mask cannot be used: a polygon has less than three points": 1,
        "mask cannot be used: its run lengths are of another size than the image": 1,
        "mask converted: run lengths without a size that fill the image": 1,
        "mask cannot be used: a coordinate is more than a million pixels away": 1,
    }
    named = {finding.detail.split(",")[0] for finding in summary.changes.kept}
    assert named == {f"annotation {100 + place}" for place in (1, 2, 3, 4, 5, 6)}
    assert "Imported with a change: 6 masks" in str(summary)
    view = open_view(Source(str(tmp_path / "lake")))
    run = {"size": [24, 32], "counts": COUNTS}
    assert view.segmentations(0) == [
        *([[SQUARE]] * 3),
        None,
        None,
        {"counts": COUNTS, "size": [24, 32]},
        None,
        None,
        run,
    ]


def test_training_equals_stock_wherever_stock_can_read(file_with, tmp_path):
    readable = [GIVEN[place] for place in (0, 3, 8)] + [[SQUARE, [1, 2, 3]], [[1, 2, 3, 4, 5, 6, 7]], [[]]]
    file, images = file_with(readable)
    import_coco(file, tmp_path / "lake", images=images, progress=False)
    stock = DATASETS.build(
        {
            "type": "CocoDataset", "ann_file": str(file), "data_prefix": {"img": str(images)},
            "metainfo": {"classes": ("a", "b")}, "pipeline": PIPELINE,
        }
    )  # fmt: skip
    ours = DATASETS.build(
        {"type": "deeplake_mmdet.DeepLakeDataset", "path": str(tmp_path / "lake"), "pipeline": PIPELINE}
    )
    mine, other = ours[0]["data_samples"], stock[0]["data_samples"]
    assert (len(mine.gt_instances), len(mine.ignored_instances)) == (3, 3)
    assert len(other.gt_instances) == 3
    assert np.array_equal(mine.gt_instances.masks.to_ndarray(), other.gt_instances.masks.to_ndarray())
    assert ours.rows_without_usable_masks == [0]
