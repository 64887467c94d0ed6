"""Images that are too large, or none, and lakes that are odd."""

from __future__ import annotations

import io
import json
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image
from shown_lakes import jpeg

from deeplake_mmdet.browsing import open_gallery
from deeplake_mmdet.browsing.pictures import as_picture, notice
from deeplake_mmdet.errors import ImageError
from deeplake_mmdet.lake import ImageRecord, LakeWriter

NO_BOXES = np.zeros((0, 4)), np.zeros(0, np.int64)


def sides(picture) -> tuple[int, int]:
    assert picture.kind == "image/jpeg"
    shown = cv2.imdecode(np.frombuffer(picture.content, np.uint8), cv2.IMREAD_COLOR)
    return shown.shape[1], shown.shape[0]


def large_jpeg(width: int, height: int) -> bytes:
    """One that takes little memory to make: rows of grey blocks, each the same."""
    out = io.BytesIO()
    Image.new("L", (width, height), 90).save(out, "JPEG", quality=30)
    return out.getvalue()


def test_an_image_of_180_megapixels_is_decoded_in_a_smaller_size():
    assert max(sides(as_picture(large_jpeg(18_000, 10_000), 360))) == 360


def png_header(width: int, height: int) -> bytes:
    """A PNG of that many pixels, all of them zero."""

    def part(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    body = zlib.compress(bytes((width + 1) * 64), 1)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", body) + part(b"IEND", b"")


def test_what_cannot_be_decoded_in_a_smaller_size_is_told_not_tried():
    picture = as_picture(png_header(18_000, 10_000), 360)
    assert picture.kind == "image/svg+xml"
    assert b"18000 x 10000" in picture.content
    assert b"too large" in picture.content


@pytest.mark.parametrize("encoded", [b"", b"nothing", jpeg(1)[:60], b"\xff\xd8\xff" + bytes(40)])
def test_what_is_no_image_is_a_picture_that_says_so(encoded):
    picture = as_picture(encoded, 360)
    assert picture.kind == "image/svg+xml"
    assert b"cannot be decoded" in picture.content


def test_a_text_in_a_picture_is_no_markup():
    picture = notice('<script>alert(1)</script> & "q" \x1b[31m')
    assert b"<script" not in picture.content
    assert b"\x1b" not in picture.content
    assert as_picture(ImageError("<b>x</b>"), 10).content.count(b"<b>") == 0


def test_a_lake_with_a_damaged_and_a_huge_image_is_shown(tmp_path):
    lake = tmp_path / "lake"
    with LakeWriter(str(lake), class_names=("a",), box_format="ltrb", image_format="jpeg") as writer:
        writer.append(ImageRecord(jpeg(1), 200, 150, "a.jpg", np.array([[1.0, 1, 50, 50]]), np.array([0])))
        writer.append(ImageRecord(jpeg(2)[:100], 200, 150, "b.jpg", *NO_BOXES))
        writer.append(ImageRecord(large_jpeg(18_000, 10_000), 18_000, 10_000, "c.jpg", *NO_BOXES))
    gallery = open_gallery(lake)
    try:
        found = gallery.page({}, 0, 10)
        assert [item["name"] for item in found["items"]] == ["a.jpg", "b.jpg", "c.jpg"]
        pictures = [gallery.picture(str(row), False) for row in range(3)]
        assert [picture.kind for picture in pictures] == ["image/jpeg", "image/svg+xml", "image/jpeg"]
        assert max(sides(pictures[2])) == 320
        assert max(sides(gallery.picture("2", True))) == 2400
    finally:
        gallery.close()


def test_a_million_classes_are_searched_not_sent(tmp_path):
    lake = tmp_path / "lake"
    names = tuple(f"class {number}" for number in range(1_000_000))
    with LakeWriter(str(lake), class_names=names, box_format="ltrb", image_format="jpeg") as writer:
        for row in range(3):
            labels = np.array([999_999 - row])
            writer.append(ImageRecord(jpeg(row), 200, 150, "a.jpg", np.array([[1.0, 1, 50, 50]]), labels))
    gallery = open_gallery(lake)
    try:
        for told in (gallery.facts(), gallery.page({}, 0, 10), {"classes": gallery.classes("")}):
            assert len(json.dumps(told)) < 20_000
        assert gallery.classes("")[0]["objects"] == 1
        assert [one["label"] for one in gallery.classes("class 999998")] == [999_998]
        assert [item["row"] for item in gallery.page({"class": ["999998"]}, 0, 10)["items"]] == [1]
    finally:
        gallery.close()


def test_a_lake_whose_boxes_cannot_be_read_is_shown_without_them(tmp_path):
    import deeplake
    from deeplake import types

    lake = deeplake.create(str(tmp_path / "lake"))
    lake.add_column("images", types.Image(sample_compression="jpeg"))
    lake.add_column("boxes", types.BoundingBox("float64"))  # of no format
    lake.append({"images": [jpeg(1)], "boxes": [np.array([[1.0, 1, 50, 50]])]})
    lake.commit()
    gallery = open_gallery(tmp_path / "lake")
    try:
        assert "No boxes are shown" in gallery.facts()["note"]
        assert gallery.page({}, 0, 10)["items"][0]["truth"]["boxes"] == []
        assert gallery.picture("0", False).kind == "image/jpeg"
    finally:
        gallery.close()
