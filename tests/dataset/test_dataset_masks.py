"""Masks of a lake as a `DeepLakeDataset` hands them to the pipeline."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from deeplake import types
from mmcv.transforms import Compose
from pycocotools import mask as coco_mask
from test_dataset import PIPELINE, Make, jpeg, make, mmdet_scope, rows, schema

from deeplake_mmdet import DeepLakeDataset
from deeplake_mmdet.errors import AnnotationError, ConfigError

__all__ = ["make", "mmdet_scope"]  # fixtures

LOAD_MASKS = {"type": "LoadAnnotations", "with_bbox": True, "with_mask": True}


def with_masks(**options: Any) -> list[dict[str, Any]]:
    return [PIPELINE[0], {**LOAD_MASKS, **options}, PIPELINE[2]]


def test_masks_asked_of_a_lake_without_masks(make: Make) -> None:
    with pytest.raises(ConfigError, match=r"with_mask=True.*no mask column"):
        DeepLakeDataset(make(schema(), rows()), pipeline=with_masks())


def test_masks_asked_for_inside_other_transforms_are_noticed(make: Make) -> None:
    inner = {"type": "RandomApply", "transforms": [LOAD_MASKS], "prob": 1.0}
    with pytest.raises(ConfigError, match="with_mask=True"):
        DeepLakeDataset(make(schema(), rows()), pipeline=[PIPELINE[0], inner, PIPELINE[2]])


def mask_lake(make: Make, kind: Any, cells: list[Any], name: str = "masks") -> str:
    return make(schema(**{name: kind}), rows(len(cells), images=[jpeg(64)] * len(cells), **{name: cells}))


def test_binary_masks_reach_the_pipeline(make: Make) -> None:
    pixels = np.random.default_rng(0).random((48, 64, 2)) < 0.5
    path = mask_lake(make, types.BinaryMask(sample_compression="lz4"), [pixels])
    sample = DeepLakeDataset(path, pipeline=with_masks())[0]["data_samples"]
    assert (sample.gt_instances.masks.masks == pixels.transpose(2, 0, 1)).all()
    with pytest.raises(ConfigError, match=r"poly2mask=False.*'masks' of type binarymask.*poly2mask=True"):
        DeepLakeDataset(path, pipeline=with_masks(poly2mask=False))
    kept = DeepLakeDataset(path, pipeline=with_masks(poly2mask=False), masks_as_stored=True)
    assert (kept[0]["data_samples"].gt_instances.masks.masks == pixels.transpose(2, 0, 1)).all()


def test_masks_of_a_pipeline_that_a_hook_gives_later(make: Make) -> None:
    """As PipelineSwitchHook does it; pixels where polygons are asked for would ignore all objects."""
    pixels = np.random.default_rng(0).random((48, 64, 2)) < 0.5
    path = mask_lake(make, types.BinaryMask(sample_compression="lz4"), [pixels])
    for as_stored in (True, False):
        dataset = DeepLakeDataset(path, pipeline=with_masks(), masks_as_stored=as_stored)
        dataset.pipeline = Compose(with_masks(poly2mask=False))
        if as_stored:
            found = dataset[0]["data_samples"].gt_instances.masks.masks
            assert (found == pixels.transpose(2, 0, 1)).all()
        else:
            with pytest.raises(ConfigError, match="poly2mask=False"):
                dataset[0]


@pytest.mark.parametrize("poly2mask", [True, False])
def test_polygons_reach_the_pipeline(make: Make, poly2mask: bool) -> None:
    cell = [np.array([[1, 2], [20, 3], [12, 17.25]]), np.array([[5, 5], [9, 5], [9, 9], [5.5, 9]])]
    path = mask_lake(make, types.Polygon(), [[polygon.astype(np.float32) for polygon in cell]])
    found = DeepLakeDataset(path, pipeline=with_masks(poly2mask=poly2mask))[0]["data_samples"].gt_instances
    flat = [polygon.reshape(-1) for polygon in cell]
    if poly2mask:
        expected = [coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects([p], 48, 64))) for p in flat]
        assert (found.masks.masks == np.stack(expected)).all()
    else:
        assert [[part.tolist() for part in parts] for parts in found.masks.masks] == [
            [p.tolist()] for p in flat
        ]


@pytest.mark.parametrize("poly2mask", [True, False])
def test_objects_without_a_usable_mask_are_ignored_as_in_coco_dataset_and_counted(
    make: Make, poly2mask: bool
) -> None:
    good, run = [[1, 2, 20, 3, 12, 17]], {"size": [48, 64], "counts": [48 * 64]}
    cells = [[good, good], [[[1, 2, 3, 4]], good], [None, good], [run, good], [[], good]]
    path = mask_lake(make, "text", [json.dumps(cell) for cell in cells], name="segmentations")
    dataset = DeepLakeDataset(path, pipeline=with_masks(poly2mask=poly2mask))
    ignored = [len(dataset[i]["data_samples"].ignored_instances) for i in range(5)]
    assert ignored == [0, 1, 1, int(not poly2mask), 1]
    assert dataset.rows_without_usable_masks == [row for row in range(5) if ignored[row]]


def test_masks_are_fetched_only_if_the_pipeline_asks_for_them(make: Make) -> None:
    pixels = [np.zeros((48, 64, 1), bool)]  # one mask for two boxes
    path = mask_lake(make, types.BinaryMask(sample_compression="lz4"), pixels)
    assert DeepLakeDataset(path, pipeline=PIPELINE)[0]
    with pytest.raises(AnnotationError, match=r"2 boxes.*\(48, 64, 1\).*'masks', row 0"):
        DeepLakeDataset(path, pipeline=with_masks())[0]


BAD_CELLS = {
    "a flat list": json.dumps([[1, 2, 20, 3, 12, 17], None]),
    "points": json.dumps([[[[1, 2], [20, 3], [12, 17]]], None]),
    "far away": json.dumps([[[1, 2, 20, 3, 1e300, 17]], None]),
    "not a number": json.dumps([[[1, 2, 20, 3, float("nan"), 17]], None]),
    "a list of run lengths": json.dumps([[{"size": [48, 64], "counts": [48 * 64]}], None]),
    "another size": json.dumps([{"size": [64, 48], "counts": [48 * 64]}, None]),
    "too few pixels": json.dumps([{"size": [48, 64], "counts": [10]}, None]),
    "corrupt": json.dumps([{"size": [48, 64], "counts": "abc"}, None]),
    "text": json.dumps(["[[1, 2, 20, 3, 12, 17]]", None]),
    "too few": json.dumps([None]),
    "no JSON": "[",
}


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_a_mask_cell_that_does_not_fit_stops_with_its_row(make: Make, on_error: str) -> None:
    good = json.dumps([[[1, 2, 20, 3, 12, 17]], None])
    cells = [good, *BAD_CELLS.values()]
    path = mask_lake(make, "text", cells, name="segmentations")
    for poly2mask in (True, False):
        dataset = DeepLakeDataset(path, pipeline=with_masks(poly2mask=poly2mask), on_error=on_error)
        assert dataset[0]
        for row in range(1, len(cells)):
            with pytest.raises(AnnotationError, match=rf"column 'segmentations', row {row}\."):
                dataset[row]
        assert dataset.skipped_rows["at_first_sight"] == []


def test_a_mask_cell_that_does_not_fit_stops_workers_by_its_name(make: Make) -> None:
    from torch.utils.data import DataLoader

    path = mask_lake(make, "text", [BAD_CELLS["far away"]] * 2, name="segmentations")
    dataset = DeepLakeDataset(path, pipeline=with_masks())
    dataset.full_init()
    loader = DataLoader(dataset, num_workers=1, multiprocessing_context="spawn", collate_fn=list)
    with pytest.raises(AnnotationError, match=r"a million pixels.*'segmentations', row 0"):
        next(iter(loader))
