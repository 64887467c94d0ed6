"""Images of every kind come out of a lake as stock MMDetection decodes the same files, to the last pixel."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deeplake
import mmcv
import numpy as np
import pytest
from deeplake import types
from mmcv.transforms import LoadImageFromFile
from PIL import Image

import deeplake_mmdet.dataset.backend  # noqa: F401 - registers deeplake://
from deeplake_mmdet.lake import LakeView, Source, open_view

FLAGS = ("color", "grayscale", "unchanged", "color_ignore_orientation", "grayscale_ignore_orientation")
WIDTH, HEIGHT = 37, 23
_numbers = itertools.count()
_lakes = []  # a lake in memory goes with its handle


def picture(mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Smooth colours with some noise, so that JPEG has something to lose."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 7, 4), np.uint8), "RGBA")
    image = coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    return image.quantize(40) if mode == "P" else image.convert(mode)


def sixteen_bit(*channels: int) -> bytes:
    import cv2

    pixels = np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH, *channels), np.uint16)
    return bytes(cv2.imencode(".png", pixels)[1])


def encoded(image: Image.Image, encoding: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, encoding, **options)
    return out.getvalue()


JPEGS: dict[str, Callable[[], bytes]] = {
    "colour": lambda: encoded(picture(), "jpeg"),
    "grey": lambda: encoded(picture("L"), "jpeg"),
    "cmyk": lambda: encoded(picture("CMYK"), "jpeg"),
    "progressive": lambda: encoded(picture(), "jpeg", progressive=True),
    "full chroma": lambda: encoded(picture(), "jpeg", quality=98, subsampling=0),
    "jfif with comment": lambda: encoded(picture(), "jpeg", comment=b"a remark"),
}
PNGS: dict[str, Callable[[], bytes]] = {
    **{
        mode: lambda mode=mode: encoded(picture(mode), "png") for mode in ("RGB", "L", "LA", "RGBA", "P", "1")
    },
    "palette with transparency": lambda: encoded(picture("P"), "png", transparency=3),
    "16-bit grey": sixteen_bit,
    "16-bit colour": lambda: sixteen_bit(3),
    "16-bit alpha": lambda: sixteen_bit(4),
}


def view_of(kind: Any, cells: list[Any]) -> LakeView:
    path = f"mem://conformance-{next(_numbers)}"
    box = types.BoundingBox("float32", format="ltwh", bbox_type="pixel")
    lake = deeplake.create(path, schema={"images": kind, "boxes": box, "labels": types.ClassLabel("uint32")})
    boxes = [np.ones((1, 4), np.float32)] * len(cells)
    lake.append({"images": cells, "boxes": boxes, "labels": [0] * len(cells)})
    lake["labels"].metadata["class_names"] = ["thing"]
    lake.commit()
    _lakes.append(lake)
    return open_view(Source(path), tensors={"img": "images"})


def load(path: str, flag: str) -> Any:
    return LoadImageFromFile(color_type=flag)({"img_path": path})


def assert_loaded_alike(ours: str, stock: Path) -> None:
    for flag in FLAGS:
        mine, theirs = load(ours, flag), load(str(stock), flag)
        assert mine["img"].dtype == theirs["img"].dtype, flag
        assert mine["img_shape"] == theirs["img_shape"], flag
        assert np.array_equal(mine["img"], theirs["img"]), flag


@pytest.mark.parametrize(("kind", "files"), [("jpeg", JPEGS), ("png", PNGS)])
def test_files_load_as_from_disk(tmp_path: Path, kind: str, files: dict[str, Callable[[], bytes]]) -> None:
    cells = [make() for make in files.values()]
    view = view_of(types.Image(sample_compression=kind), cells)
    for row, data in enumerate(cells):
        path = tmp_path / f"{row}.{kind}"
        path.write_bytes(data)
        assert_loaded_alike(view.uri(row), path)
    sizes = list(zip(view.table.widths.tolist(), view.table.heights.tolist(), strict=True))
    assert sizes == [(WIDTH, HEIGHT)] * len(cells)


def test_sixteen_bit_columns_load_as_from_disk(tmp_path: Path) -> None:
    cells = [sixteen_bit(), sixteen_bit(3)]
    view = view_of(types.Image("uint16", sample_compression="png"), cells)
    for row, data in enumerate(cells):
        path = tmp_path / f"{row}.png"
        path.write_bytes(data)
        assert_loaded_alike(view.uri(row), path)
        assert load(view.uri(row), "unchanged")["img"].dtype == np.uint16


@pytest.mark.parametrize("encoding", ["jpeg", "png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_changes_nothing(tmp_path: Path, encoding: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = encoded(picture(), encoding, exif=exif.tobytes())
    view = view_of(types.Image(sample_compression=encoding), [turned])
    path = tmp_path / f"plain.{encoding}"
    path.write_bytes(encoded(picture(), encoding))
    assert_loaded_alike(view.uri(0), path)
    path.write_bytes(turned)
    stock = load(str(path), "color_ignore_orientation")
    assert np.array_equal(load(view.uri(0), "color")["img"], stock["img"])


@pytest.mark.parametrize("as_image", [True, False], ids=["image", "array"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_arrays_load_as_the_same_pixels_in_a_png_file(tmp_path: Path, as_image: bool, dtype: Any) -> None:
    import cv2

    name = np.dtype(dtype).name
    kind = types.Image(name, sample_compression="null") if as_image else types.Array(name, 3)
    rng = np.random.default_rng(3)
    limit = np.iinfo(dtype).max
    cells = [rng.integers(0, limit, (HEIGHT, WIDTH, n), dtype, endpoint=True) for n in (3, 1, 4)]
    view = view_of(kind, cells)
    for row, pixels in enumerate(cells):
        path = tmp_path / f"{row}.png"
        order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[pixels.shape[2]]
        cv2.imwrite(str(path), pixels[:, :, order])
        for flag in ("color", "unchanged", "color_ignore_orientation"):
            mine, theirs = load(view.uri(row), flag)["img"], load(str(path), flag)["img"]
            assert mine.dtype == theirs.dtype
            assert np.array_equal(mine, theirs)


def test_linked_files_load_as_from_disk(tmp_path: Path) -> None:
    paths = []
    for number, (encoding, make) in enumerate(
        [("jpeg", make) for make in JPEGS.values()] + [("png", make) for make in PNGS.values()]
    ):
        paths.append(tmp_path / f"{number}.{encoding}")
        paths[-1].write_bytes(make())
    view = view_of(types.Link(types.Image(sample_compression="jpeg")), [str(path) for path in paths])
    for row, path in enumerate(paths):
        assert_loaded_alike(view.uri(row), path)


def test_to_float32_is_the_loaders_business(tmp_path: Path) -> None:
    data = JPEGS["colour"]()
    view = view_of(types.Image(sample_compression="jpeg"), [data])
    found = LoadImageFromFile(to_float32=True)({"img_path": view.uri(0)})["img"]
    assert found.dtype == np.float32
    assert np.array_equal(found, mmcv.imfrombytes(data).astype(np.float32))
