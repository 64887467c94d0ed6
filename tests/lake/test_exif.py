import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from deeplake_mmdet.lake.images.headers import neutralise_orientation, read_orientation

SETTINGS = settings(deadline=None, max_examples=200)
ENCODINGS = ("jpeg", "png")
LONG, SHORT = 4, 3


def tiff(orientation, order="<", kind=SHORT, extra=()):
    """A TIFF directory as EXIF has it; ``extra`` are further (tag, type, count, value) entries, put first."""
    entries = b"".join(struct.pack(order + "HHII", *entry) for entry in extra)
    value = struct.pack(order + ("I" if kind == LONG else "H"), orientation).ljust(4, b"\0")
    entries += struct.pack(order + "HHI", 0x0112, kind, 1) + value
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    return head + struct.pack(order + "H", len(extra) + 1) + entries + bytes(4)


def with_exif(data, content):
    if data[:2] == b"\xff\xd8":
        content = b"Exif\0\0" + content
        return data[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + data[2:]
    body = b"eXIf" + content
    chunk = struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
    return data[:33] + chunk + data[33:]  # after the header chunk


def pixels(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


@pytest.mark.parametrize("kind", [SHORT, LONG])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_image_decodes_as_if_it_had_no_orientation(encode, encoding, orientation, order, kind):
    plain = encode(encoding=encoding)
    turned = with_exif(plain, tiff(orientation, order, kind, extra=[(0x0100, LONG, 1, 32)]))
    upright = neutralise_orientation(turned)
    # cv2 reads two bytes even where the entry has four; of a big-endian one it sees nothing.
    seen = 1 if (order, kind) == (">", LONG) else orientation
    assert (pixels(turned).shape == pixels(plain).shape) == (seen < 5)
    assert [read_orientation(data) for data in (turned, upright, plain)] == [seen, 1, 1]
    assert (pixels(upright) == pixels(plain)).all()
    assert len(upright) == len(turned)
    start = turned.index(tiff(orientation, order, kind, extra=[(0x0100, LONG, 1, 32)]))
    changed = [at for at, (old, new) in enumerate(zip(turned, upright, strict=True)) if old != new]
    value = range(start + 30, start + 34)  # header 8, count 2, first entry 12, tag, type and count 8
    check = range(start + 38, start + 42) if encoding == "png" else range(0)
    assert all(at in value or at in check for at in changed)
    assert upright == neutralise_orientation(upright)


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_images_as_pillow_writes_them_decode_upright(encode, encoding, orientation):
    exif = Image.Exif()
    exif[0x010F] = "A Maker"
    exif[0x0112] = orientation
    turned = encode(encoding=encoding, exif=exif.tobytes())
    assert (pixels(neutralise_orientation(turned)) == pixels(encode(encoding=encoding))).all()


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_cv2_turns_images_by_their_tag(encode, encoding, orientation):
    # Why all this is needed; a cv2 that stopped doing so would make it harmless.
    plain = encode(encoding=encoding)
    turned = pixels(with_exif(plain, tiff(orientation)))
    assert turned.shape != pixels(plain).shape or (turned != pixels(plain)).any()


def test_the_check_sum_of_the_png_chunk_is_right(encode):
    upright = neutralise_orientation(with_exif(encode(encoding="png"), tiff(6)))
    at = upright.index(b"eXIf")
    size = struct.unpack(">I", upright[at - 4 : at])[0]
    stated = struct.unpack(">I", upright[at + 4 + size : at + 8 + size])[0]
    assert stated == zlib.crc32(upright[at : at + 4 + size])


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_upright_images_come_back_as_the_same_object(encode, encoding):
    for data in (encode(encoding=encoding), with_exif(encode(encoding=encoding), tiff(1))):
        assert neutralise_orientation(data) is data


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"\xff\xd8", b"GIF89a" + tiff(6), b"RIFF", b"\x89PNG\r\n\x1a\n"]
)
def test_what_is_no_jpeg_or_png_is_left_alone(data):
    assert neutralise_orientation(data) == data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"II",
        b"XX" + tiff(6)[2:],
        tiff(6)[:12],
        b"II*\0" + struct.pack("<I", 2**32 - 1) + tiff(6)[8:],
        tiff(6)[:8] + struct.pack("<H", 65535),
    ],
)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_malformed_exif_is_left_alone(encode, encoding, content):
    data = with_exif(encode(encoding=encoding), content)
    assert neutralise_orientation(data) == data


@SETTINGS
@given(content=st.binary(max_size=80), cut=st.integers(0, 120), png=st.booleans())
@example(content=tiff(6)[:14], cut=20, png=False)
def test_damaged_files_never_raise_and_keep_their_length(content, cut, png):
    start = b"\x89PNG\r\n\x1a\n" + bytes(25) if png else b"\xff\xd8"
    data = with_exif(start, tiff(6)[:10] + content)[: 20 + cut]
    assert len(neutralise_orientation(data)) == len(data)


@SETTINGS
@given(at=st.integers(0, 150), value=st.integers(0, 255), cut=st.integers(2, 200), png=st.booleans())
def test_files_with_a_wrong_byte_never_raise_and_keep_their_length(encode, at, value, cut, png):
    data = bytearray(with_exif(encode(8, 8, encoding="png" if png else "jpeg"), tiff(6)))
    data[at] = value
    data = bytes(data[:-cut])
    assert len(neutralise_orientation(data)) == len(data)


def test_an_orientation_after_other_segments_and_fill_is_found(encode):
    plain = encode()
    comment = b"\xff\xfe" + struct.pack(">H", 8) + b"remark"
    turned = with_exif(plain, tiff(6))
    turned = turned[:2] + comment + turned[2:]
    assert (pixels(neutralise_orientation(turned)) == pixels(plain)).all()


@pytest.mark.parametrize("orientations", [(6, 1), (1, 6), (3, 6)])
def test_of_several_exif_segments_cv2_heeds_the_first_and_so_do_we(encode, orientations):
    plain = encode()
    first, second = orientations
    turned = with_exif(with_exif(plain, tiff(second)), tiff(first))
    assert read_orientation(turned) == first
    assert (pixels(turned) == pixels(with_exif(plain, tiff(first)))).all()
    assert (pixels(neutralise_orientation(turned)) == pixels(plain)).all()


def test_a_png_chunk_behind_the_pixels_is_found(encode):
    plain = encode(encoding="png")
    end = plain.index(b"IEND") - 4
    body = b"eXIf" + tiff(6)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    turned = plain[:end] + chunk + plain[end:]
    assert pixels(turned).shape != pixels(plain).shape  # cv2 heeds it there, too
    assert (pixels(neutralise_orientation(turned)) == pixels(plain)).all()


@pytest.mark.parametrize("value", [0, 9, 255])
def test_an_orientation_that_does_not_exist_is_upright(encode, value):
    turned = with_exif(encode(), tiff(value))
    assert read_orientation(turned) == 1
    assert (pixels(turned) == pixels(encode())).all()


def test_orientations_of_what_is_no_image_are_upright():
    assert [read_orientation(data) for data in (b"", b"GIF89a", b"\xff\xd8", b"BM")] == [1] * 4
