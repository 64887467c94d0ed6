"""Bad input stops a `DeepLakeDataset` before training, with one error that names key, column and row."""

from __future__ import annotations

import io
import multiprocessing
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import deeplake
import mmcv
import numpy as np
import pytest
from deeplake import types
from mmdet.utils import register_all_modules
from PIL import Image
from torch.utils.data import DataLoader

from deeplake_mmdet import DeepLakeDataset, Feed
from deeplake_mmdet.errors import (
    AnnotationError,
    BoxFormatError,
    ColumnError,
    ConfigError,
    CredentialError,
    ImageError,
    SourceFormatError,
    SourceNotFoundError,
)

PIPELINE = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_bbox": True},
    {"type": "PackDetInputs"},
]
NAMES = ["cat", "dog"]


@pytest.fixture(scope="module", autouse=True)
def mmdet_scope() -> None:
    register_all_modules(init_default_scope=True)


def jpeg(width: int = 64, height: int = 48) -> bytes:
    pixels = np.random.default_rng(width).integers(0, 255, (height, width, 3), np.uint8)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def schema(**changes: Any) -> dict[str, Any]:
    columns = {
        "images": types.Image(sample_compression="jpeg"),
        "boxes": types.BoundingBox("float32", format="ltwh", bbox_type="pixel"),
        "labels": types.ClassLabel(types.Array("uint32", 1)),
    }
    columns.update(changes)
    return {name: kind for name, kind in columns.items() if kind is not None}


def rows(count: int = 3, **changes: Any) -> dict[str, list[Any]]:
    return {
        "images": [jpeg(64 + row) for row in range(count)],
        "boxes": [np.array([[1, 2, 10, 20], [5, 5, 8, 9]], np.float32)] * count,
        "labels": [np.array([0, 1], np.uint32)] * count,
        **changes,
    }


Make = Callable[..., str]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def write(columns: dict[str, Any], data: dict[str, list[Any]], names: list[str] | None = NAMES) -> str:
        path = str(tmp_path / f"lake-{len(list(tmp_path.iterdir()))}")
        lake = deeplake.create(path, schema=columns)
        if data:
            lake.append(data)
        if names is not None and "labels" in columns:
            lake["labels"].metadata["class_names"] = names
        lake.commit("test")
        return path

    return write


def test_reads_a_plain_lake(make: Make) -> None:
    dataset = DeepLakeDataset(make(schema(), rows()), pipeline=PIPELINE)
    info = dataset.get_data_info(1)
    assert dataset.metainfo["classes"] == ("cat", "dog")
    assert (info["width"], info["height"], info["img_id"], info["sample_idx"]) == (65, 48, 1, 1)
    assert info["instances"][0] == {"bbox": [1.0, 2.0, 11.0, 22.0], "bbox_label": 0, "ignore_flag": 0}
    assert dataset[1]["inputs"].shape == (3, 48, 65)
    assert dataset.get_data_info(-1)["sample_idx"] == 2


def bad(make: Make, **kwargs: Any) -> DeepLakeDataset:
    return DeepLakeDataset(make(schema(), rows()), pipeline=PIPELINE, **kwargs)


def test_missing_path(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match=r"nothing at this path.*'path'=.*nowhere.*What to do"):
        DeepLakeDataset(str(tmp_path / "nowhere"))


def test_no_path() -> None:
    with pytest.raises(ConfigError, match="'path'"):
        DeepLakeDataset(pipeline=[])


def test_not_a_lake(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(SourceFormatError, match="not a Deep Lake dataset"):
        DeepLakeDataset(str(tmp_path))


def test_missing_column(make: Make) -> None:
    data = rows()
    del data["boxes"]
    path = make(schema(boxes=None), data)
    with pytest.raises(ColumnError, match=r"no column for 'gt_bboxes'.*images \(image\).*tensors=dict"):
        DeepLakeDataset(path)


def test_ambiguous_column(make: Make) -> None:
    box = types.BoundingBox("float32", format="ltwh", bbox_type="pixel")
    data = rows()
    path = make(
        schema(boxes=None, left=box, right=box),
        {"images": data["images"], "labels": data["labels"], "left": data["boxes"], "right": data["boxes"]},
    )
    with pytest.raises(ColumnError, match=r"'left', 'right'.*tensors=dict\(gt_bboxes='left'\)"):
        DeepLakeDataset(path)
    assert len(DeepLakeDataset(path, tensors={"gt_bboxes": "right"})) == 3


def test_named_column_does_not_exist(make: Make) -> None:
    with pytest.raises(ColumnError, match=r"no column 'boxs'.*role 'gt_bboxes'.*did you mean 'boxes'"):
        bad(make, tensors={"gt_bboxes": "boxs"})


def test_named_column_has_the_wrong_type(make: Make) -> None:
    with pytest.raises(ColumnError, match=r"'labels' is of type classlabel.*cannot serve as 'img'"):
        bad(make, tensors={"img": "labels"})


def test_unspecified_box_format(make: Make) -> None:
    path = make(schema(boxes=types.BoundingBox("float32")), rows())
    with pytest.raises(BoxFormatError, match=r"'boxes' does not say.*box_format='ltwh'"):
        DeepLakeDataset(path)
    assert DeepLakeDataset(path, box_format="ltrb").get_data_info(0)["instances"][0]["bbox"] == [1, 2, 10, 20]


def test_label_outside_the_class_names(make: Make) -> None:
    labels = [np.array([0, 1], np.uint32), np.array([0, 7], np.uint32), np.array([0, 1], np.uint32)]
    with pytest.raises(AnnotationError, match=r"Label 7 lies outside the 2 class names.*'labels', row 1"):
        DeepLakeDataset(make(schema(), rows(labels=labels)))


def test_boxes_and_labels_of_unequal_length(make: Make) -> None:
    labels = [np.array([0, 1], np.uint32), np.array([0, 1], np.uint32), np.array([0], np.uint32)]
    with pytest.raises(AnnotationError, match=r"Row 2 has 2 boxes but 1 values in 'labels'.*'boxes' and"):
        DeepLakeDataset(make(schema(), rows(labels=labels)))


def test_empty_lake(make: Make) -> None:
    with pytest.raises(AnnotationError, match="no rows"):
        DeepLakeDataset(make(schema(), {}))


def test_undecodable_image(make: Make) -> None:
    images = [jpeg(), b"this is no image", jpeg()]
    with pytest.raises(ImageError, match=r"1 of 3 images cannot be decoded.*'images', row"):
        DeepLakeDataset(make(schema(), rows(images=images)))


def exif_jpeg(width: int, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    pixels = np.random.default_rng(width).integers(0, 255, (48, width, 3), np.uint8)
    Image.fromarray(pixels).save(out, "jpeg", exif=exif.tobytes())
    return out.getvalue()


def test_orientations_are_ignored_unless_asked_for(make: Make) -> None:
    images = [exif_jpeg(64, orientation) for orientation in (1, 3, 6, 8)]
    path = make(schema(), rows(4, images=images))
    plain, turned = (DeepLakeDataset(path, pipeline=PIPELINE, apply_exif=on) for on in (False, True))
    assert plain.view.key != turned.view.key
    for dataset, widths in ((plain, [64] * 4), (turned, [64, 64, 48, 48])):
        infos = [dataset.get_data_info(index) for index in range(4)]
        assert [info["width"] for info in infos] == widths
        for index, info in enumerate(infos):
            assert dataset[index]["inputs"].shape == (3, info["height"], info["width"])
    stock = [mmcv.imfrombytes(image) for image in images]
    fed = Feed(turned).__getitems__([(0, index) for index in range(4)])
    for samples in ([turned[index] for index in range(4)], fed):
        ours = [sample["inputs"].numpy().transpose(1, 2, 0) for sample in samples]
        assert all(np.array_equal(a, b) for a, b in zip(ours, stock, strict=True))


def test_a_record_of_ones_own_says_row_by_row_what_is_turned(make: Make) -> None:
    data = rows(4, images=[exif_jpeg(64, orientation) for orientation in (6, 6, 3, 1)], mine=[1, 0, 1, 1])
    path = make(schema(mine="uint8"), data)
    dataset = DeepLakeDataset(path, pipeline=PIPELINE, tensors={"exif_turned": "mine"})
    assert [dataset.get_data_info(index)["width"] for index in range(4)] == [48, 64, 64, 64]
    for index, turned in enumerate(data["mine"]):
        flag = "color" if turned else "color_ignore_orientation"
        expected = mmcv.imfrombytes(data["images"][index], flag=flag)
        assert np.array_equal(dataset[index]["inputs"].numpy().transpose(1, 2, 0), expected)
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy[0]["inputs"].shape == (3, 64, 48)


def test_named_size_columns_spare_the_look_at_turned_images(make: Make) -> None:
    sizes = {"width": [48, 64], "height": [64, 48]}
    data = rows(2, images=[exif_jpeg(64, 6), exif_jpeg(64, 3)], **sizes)
    path = make(schema(width="int32", height="int32"), data)
    dataset = DeepLakeDataset(path, apply_exif=True, tensors={name: name for name in sizes})
    assert dataset.get_data_info(0)["width"] == 48


@pytest.mark.parametrize("mode", ["ltwh", "ltrb", "ccwh"])
@pytest.mark.parametrize("unit", ["pixel", "fractional"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8", "uint32", "int64"])
def test_every_box_format_and_element_type_reaches_the_pipeline_exactly(
    make: Make, mode: str, unit: str, dtype: str
) -> None:
    if unit == "fractional" and not dtype.startswith("f"):
        stored = np.array([[0, 0, 1, 1]], dtype)  # the one fractional box that whole numbers can tell
    else:
        stored = np.array([[11, 13, 21, 19], [30, 20, 40, 35]])
        stored = stored.astype(dtype) if unit == "pixel" else (stored / 97).astype(dtype)
    kind = types.BoundingBox(dtype, format=mode, bbox_type=unit)
    labels = [np.zeros(len(stored), np.uint32)]
    data = rows(1, images=[jpeg(64)], boxes=[stored], labels=labels)
    for dataset in (
        DeepLakeDataset(make(schema(boxes=kind), data)),
        DeepLakeDataset(make(schema(boxes=types.BoundingBox(dtype)), data), box_format=f"{mode}_{unit}"),
    ):
        found = [box["bbox"] for box in dataset.get_data_info(0)["instances"]]
        expected = []
        for a, b, c, d in stored.astype(float).tolist():
            if unit == "fractional":
                a, b, c, d = a * 64, b * 48, c * 64, d * 48
            box = {
                "ltwh": [a, b, a + c, b + d],
                "ltrb": [a, b, c, d],
                "ccwh": [a - c / 2, b - d / 2, a + c / 2, b + d / 2],
            }[mode]
            expected.append(box)
        assert found == [box for box in expected if box[2] > box[0] and box[3] > box[1]]


def test_the_choice_of_columns_is_logged_once(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    from mmengine.logging import MMLogger

    MMLogger.get_instance("roles-test")
    dataset = bad(make)
    dataset[0], dataset.get_data_info(1)
    text = capsys.readouterr()
    assert (text.out + text.err).count("roles: img=images (only image column)") == 1


def test_class_that_the_lake_lacks(make: Make) -> None:
    with pytest.raises(ConfigError, match=r"no class 'bird'.*'metainfo'.*cat, dog"):
        bad(make, metainfo={"classes": ("cat", "bird")})


def test_classes_as_text(make: Make) -> None:
    with pytest.raises(ConfigError, match="must be a list"):
        bad(make, metainfo={"classes": "cat"})


def test_lake_without_class_names(make: Make) -> None:
    path = make(schema(), rows(), names=None)
    with pytest.raises(AnnotationError, match=r"does not name its classes.*'labels'.*metainfo"):
        DeepLakeDataset(path)
    assert DeepLakeDataset(path, metainfo={"classes": ("a", "b")}).metainfo["classes"] == ("a", "b")


def test_nothing_left_after_filtering(make: Make) -> None:
    with pytest.raises(ConfigError, match=r"No image is left.*filter_cfg"):
        bad(make, filter_cfg={"min_size": 1000})


def test_literal_secret_is_refused_and_not_repeated(make: Make) -> None:
    with pytest.raises(CredentialError, match="renew") as caught:
        bad(make, credentials={"token": "canary-4711"})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("key", ["proposal_file", "backend_args"])
def test_keys_that_name_files_are_refused(make: Make, key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        bad(make, **{key: {"backend": "local"}})


def test_keys_of_stock_datasets_are_tolerated(make: Make) -> None:
    stock = {
        "ann_file": "a.json",
        "data_root": "data/coco/",
        "data_prefix": {"img": "train/"},
        "backend_args": None,
    }
    assert len(bad(make, **stock)) == 3


def test_pinned_while_the_lake_moves_on(make: Make) -> None:
    path = make(schema(), rows())
    dataset = DeepLakeDataset(path, pipeline=PIPELINE)
    writer = deeplake.open(path)
    writer.append(rows(2))
    writer.commit("more")
    again = pickle.loads(pickle.dumps(dataset))
    assert len(again) == 3
    assert again.view.source.version == dataset.view.source.version
    assert len(DeepLakeDataset(path)) == 5
    assert len(DeepLakeDataset(path, commit=dataset.view.source.version)) == 3


def test_boxes_are_cleaned_as_in_coco_dataset(make: Make) -> None:
    boxes = np.array([[1, 1, 0.5, 9], [-20, 5, 10, 10], [60, 40, 30, 30], [2, 2, 5, 5]], np.float32)
    data = rows(1, boxes=[boxes], labels=[np.array([0, 0, 1, 0], np.uint32)])
    instances = DeepLakeDataset(make(schema(), data)).get_data_info(0)["instances"]
    assert [box["bbox"] for box in instances] == [[60, 40, 90, 70], [2, 2, 7, 7]]


# A worker that is spawned imports for seconds: one will do.
@pytest.mark.parametrize(("start", "workers"), [("fork", 2), ("spawn", 1)])
def test_workers_give_the_same_samples(make: Make, start: str, workers: int) -> None:
    dataset = DeepLakeDataset(make(schema(), rows(4)), pipeline=PIPELINE)
    direct = [dataset[index]["inputs"] for index in range(4)]
    loader = DataLoader(
        dataset,
        batch_size=1,
        num_workers=workers,
        collate_fn=list,
        multiprocessing_context=multiprocessing.get_context(start),
    )
    loaded = [batch[0]["inputs"] for batch in loader]
    assert all(bool((a == b).all()) for a, b in zip(direct, loaded, strict=True))


def test_no_lake_access_for_metadata(make: Make) -> None:
    import shutil

    path = make(schema(), rows())
    dataset = DeepLakeDataset(path, pipeline=PIPELINE)
    shutil.rmtree(path)
    assert len(dataset.get_data_info(2)["instances"]) == 2
    assert dataset.get_cat_ids(0) == [0, 1]
