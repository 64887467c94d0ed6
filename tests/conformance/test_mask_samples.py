"""Masks out of a lake, however it stores them, are those of stock `CocoDataset` on the same annotations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import deeplake
import numpy as np
import pytest
from deeplake import types
from mmdet.utils import register_all_modules
from mmengine.registry import DATASETS
from pycocotools import mask as coco_mask

from deeplake_mmdet import import_coco
from deeplake_mmdet.lake import Source, open_view

SIZE = (48, 64)  # height, width
STAR = [10.5, 3, 13, 10.25, 21, 10, 14.125, 15, 17, 23, 10, 18, 3, 23, 6.75, 15, 1, 10, 8, 10]
CORNER = [40, 30, 63.5, 30, 63.5, 47, 40.25, 47]
SLIVER = [30, 5, 33, 5, 33, 9]


@pytest.fixture(scope="module", autouse=True)
def mmdet_scope() -> None:
    register_all_modules(init_default_scope=True)


def pixels(seed: int) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[5 + seed : 30, 8 : 40 + seed] = np.random.default_rng(seed).random((25 - seed, 32 + seed)) < 0.7
    return mask


def run_lengths(mask: np.ndarray, compressed: bool) -> dict[str, Any]:
    if compressed:
        run = coco_mask.encode(np.asfortranarray(mask))
        return {"size": list(SIZE), "counts": run["counts"].decode()}
    flat = mask.flatten(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *edges.tolist(), flat.size]).tolist()
    return {"size": list(SIZE), "counts": [0, *counts] if flat[0] else counts}


# By image: segmentation and iscrowd of each object.
MIXED = [
    [([STAR], 0), ([STAR, CORNER, SLIVER], 0), (run_lengths(pixels(1), compressed=False), 1)],
    [(run_lengths(pixels(2), compressed=True), 1), ([CORNER], 0)],
    [],
    [([SLIVER], 0), (run_lengths(pixels(3), compressed=True), 0)],
]
PIXELS = [[(run_lengths(pixels(s), compressed=True), 0) for s in range(n)] for n in (2, 0, 3, 1)]
POLYGONS = [[([STAR], 0), ([SLIVER], 0)], [], [([CORNER], 0), ([CORNER[::-1]], 0)], [([STAR], 0)]]


def write_coco(folder: Path, rows: list[list[tuple[Any, int]]]) -> dict[str, Any]:
    folder.mkdir()
    images, annotations = [], []
    for number, objects in enumerate(rows):
        name = f"{number}.png"
        noise = np.random.default_rng(number).integers(0, 255, (*SIZE, 3), np.uint8)
        cv2.imwrite(str(folder / name), noise)
        images.append({"id": 10 + number, "file_name": name, "height": SIZE[0], "width": SIZE[1]})
        for shape, crowd in objects:
            box = {"bbox": [2.25, 3, 40.5, 30], "area": 300.5, "category_id": 7, "iscrowd": crowd}
            annotations.append(
                {"id": 1 + len(annotations), "image_id": 10 + number, "segmentation": shape, **box}
            )
    categories = [{"id": 7, "name": "thing"}]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(document))
    return document


def stock(folder: Path, pipeline: list[dict[str, Any]]) -> Any:
    return DATASETS.build(
        {
            "type": "CocoDataset",
            "ann_file": str(folder / "instances.json"),
            "data_prefix": {"img": str(folder)},
            "metainfo": {"classes": ("thing",)},
            "pipeline": pipeline,
        }
    )


def pipeline(poly2mask: bool) -> list[dict[str, Any]]:
    return [
        {"type": "LoadImageFromFile"},
        {"type": "LoadAnnotations", "with_bbox": True, "with_mask": True, "poly2mask": poly2mask},
        {"type": "PackDetInputs"},
    ]


def assert_same_masks(ours: Any, theirs: Any) -> None:
    assert len(ours) == len(theirs) > 0
    for index in range(len(theirs)):
        mine, other = ours[index]["data_samples"], theirs[index]["data_samples"]
        for name in ("gt_instances", "ignored_instances"):
            a, b = getattr(mine, name), getattr(other, name)
            assert len(a) == len(b), (index, name)
            assert type(a.masks) is type(b.masks)
            assert (a.bboxes.tensor == b.bboxes.tensor).all()
            assert np.array_equal(a.masks.to_ndarray(), b.masks.to_ndarray()), (index, name)
            if hasattr(b.masks, "masks") and isinstance(b.masks.masks, list):
                flat = [[part.tolist() for part in parts] for parts in b.masks.masks]
                assert [[part.tolist() for part in parts] for parts in a.masks.masks] == flat


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("masks") / "coco"
    document = write_coco(folder, MIXED)
    lake = folder.with_name("lake")
    import_coco(folder / "instances.json", lake, images=folder, progress=False)
    return folder, lake, document


@pytest.mark.parametrize("poly2mask", [True, False])
def test_imported_polygons_and_crowds(imported: tuple[Path, Path, Any], poly2mask: bool) -> None:
    folder, lake, _ = imported
    ours = DATASETS.build(
        {"type": "deeplake_mmdet.DeepLakeDataset", "path": str(lake), "pipeline": pipeline(poly2mask)}
    )
    assert_same_masks(ours, stock(folder, pipeline(poly2mask)))


def test_import_loses_no_segmentation(imported: tuple[Path, Path, dict[str, Any]]) -> None:
    _, lake, document = imported
    view = open_view(Source(str(lake)))
    assert view.table.img_ids is not None
    for row, image in enumerate(view.table.img_ids.tolist()):
        objects = [item for item in document["annotations"] if item["image_id"] == image]
        expected = [item["segmentation"] for item in objects]
        assert json.dumps(view.segmentations(row)) == json.dumps(expected)


def write_lake(path: Path, folder: Path, kind: Any, rows: list[list[Any]], cells: list[Any]) -> str:
    lake = deeplake.create(
        str(path),
        schema={
            "images": types.Image(sample_compression="png"),
            "boxes": types.BoundingBox("float64", format="ltwh", bbox_type="pixel"),
            "labels": types.ClassLabel(types.Array("uint32", 1)),
            "masks": kind,
        },
    )
    box = [2.25, 3, 40.5, 30]
    lake.append(
        {
            "images": [(folder / f"{number}.png").read_bytes() for number in range(len(rows))],
            "boxes": [np.array([box] * len(row)).reshape(-1, 4) for row in rows],
            "labels": [np.zeros(len(row), np.uint32) for row in rows],
            "masks": cells,
        }
    )
    lake["labels"].metadata["class_names"] = ["thing"]
    lake.commit()
    return str(path)


@pytest.mark.parametrize("compression", ["lz4", None])
def test_binary_masks(tmp_path: Path, compression: str | None) -> None:
    write_coco(tmp_path / "coco", PIXELS)
    cells = [
        np.stack([pixels(s) for s in range(len(row))], axis=-1).astype(bool)
        if row
        else np.zeros((*SIZE, 0), bool)
        for row in PIXELS
    ]
    kind = types.BinaryMask(sample_compression=compression)
    path = write_lake(tmp_path / "lake", tmp_path / "coco", kind, PIXELS, cells)
    ours = DATASETS.build(
        {"type": "deeplake_mmdet.DeepLakeDataset", "path": path, "pipeline": pipeline(poly2mask=True)}
    )
    assert_same_masks(ours, stock(tmp_path / "coco", pipeline(poly2mask=True)))


@pytest.mark.parametrize("poly2mask", [True, False])
def test_polygon_columns(tmp_path: Path, poly2mask: bool) -> None:
    write_coco(tmp_path / "coco", POLYGONS)
    cells = [[np.array(shape[0], np.float32).reshape(-1, 2) for shape, _ in row] for row in POLYGONS]
    path = write_lake(tmp_path / "lake", tmp_path / "coco", types.Polygon(), POLYGONS, cells)
    ours = DATASETS.build(
        {"type": "deeplake_mmdet.DeepLakeDataset", "path": path, "pipeline": pipeline(poly2mask)}
    )
    assert_same_masks(ours, stock(tmp_path / "coco", pipeline(poly2mask)))


@pytest.mark.parametrize("several", [False, True])
def test_polygon_columns_of_several_parts(tmp_path: Path, several: bool) -> None:
    """Deep Lake stores several parts only if all objects have as many, of as many points."""
    first, second = CORNER, [5, 5, 20, 5, 20, 20, 5, 20.5]
    rows: list[list[Any]] = [[([first, second], 0), ([second, first], 0)]] * 2
    write_coco(tmp_path / "coco", rows)
    cells = [
        [[np.array(part, np.float32).reshape(-1, 2) for part in shape] for shape, _ in row] for row in rows
    ]
    kind = types.Sequence(types.Polygon())
    path = write_lake(tmp_path / "lake", tmp_path / "coco", kind, rows, cells)
    ours = DATASETS.build(
        {"type": "deeplake_mmdet.DeepLakeDataset", "path": path, "pipeline": pipeline(not several)}
    )
    assert_same_masks(ours, stock(tmp_path / "coco", pipeline(not several)))
