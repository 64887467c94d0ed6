"""The limit of pixels: told from headers of all kinds, for every door, before memory is asked for."""

import io
import resource
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deeplake_mmdet.errors import ConfigError, ImageError
from deeplake_mmdet.lake.images.headers import check_stated_size, most_pixels, stated_size
from deeplake_mmdet.lake.images.regular_files import read_regular

PILLOWS = {
    "jpeg": {}, "jpeg progressive": {"progressive": True}, "png": {}, "gif": {}, "bmp": {}, "ppm": {},
    "webp": {}, "webp lossless": {"lossless": True}, "tiff": {}, "tiff big": {"big_tiff": True},
    "jpeg2000": {}, "webp exif": {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"},
}  # fmt: skip


def encoded(kind, width=64, height=48):
    out = io.BytesIO()
    Image.new("RGB", (width, height), (9, 99, 199)).save(out, kind.split()[0], **PILLOWS[kind])
    return out.getvalue()


@pytest.mark.parametrize("kind", PILLOWS)
@settings(max_examples=15, deadline=None)
@given(width=st.integers(1, 300), height=st.integers(1, 300))
def test_sizes_are_those_of_the_decoders(kind, width, height):
    data = encoded(kind, width, height)
    assert stated_size(data) == (width, height)
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded is None or decoded.shape[:2] == (height, width)


@pytest.mark.parametrize("extension", ["avif", "pgm", "pbm", "ras", "jp2", "hdr"])
def test_sizes_of_what_opencv_alone_writes(extension):
    image = np.zeros((48, 64) if extension in ("pgm", "pbm") else (48, 64, 3), np.uint8)
    image = image.astype(np.float32) if extension == "hdr" else image
    try:
        data = cv2.imencode(f".{extension}", image)[1].tobytes()
    except cv2.error:
        pytest.skip(f"this OpenCV writes no {extension}")
    assert sorted(stated_size(data)) == [48, 64]


@settings(max_examples=300, deadline=None)
@given(kind=st.sampled_from(sorted(PILLOWS)), cut=st.integers(0, 200), flips=st.binary(max_size=4))
def test_damaged_headers_are_no_crash(kind, cut, flips):
    data = bytearray(encoded(kind)[:cut])
    for number, value in enumerate(flips):
        if data:
            data[(value * 7 + number) % len(data)] ^= value
    stated_size(bytes(data))


def test_a_claim_before_the_end_of_the_file_counts():
    data = huge("jpeg", 50000, 50000)
    assert stated_size(data[: data.index(b"\xff\xc0") + 9] + b"\xff\xc2\0") == (50000, 50000)


def test_many_markers_take_no_time():
    assert stated_size(b"\xff\xd8" + b"\xff" * 50_000_000) is None
    assert stated_size(b"\xff\xd8" + b"\xff\x01" * 20_000_000) is None


def huge(kind, width=60000, height=60000):
    """A small file whose header claims much."""
    data = bytearray(encoded("jpeg progressive" if kind == "jpeg progressive" else kind.split()[0]))
    if kind.startswith("jpeg"):
        at = data.index(b"\xff\xc2" if kind == "jpeg progressive" else b"\xff\xc0") + 5
        struct.pack_into(">HH", data, at, height, width)
    elif kind == "png":
        struct.pack_into(">II", data, 16, width, height)
        struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    elif kind == "gif":
        struct.pack_into("<HH", data, 6, width, height)
    elif kind == "bmp":
        struct.pack_into("<ii", data, 18, width, -height)
    else:
        directory = struct.unpack_from("<I", data, 4)[0]
        for entry in range(directory + 2, len(data) - 11, 12):
            if struct.unpack_from("<H", data, entry)[0] in (256, 257):
                struct.pack_into("<HII", data, entry + 2, 4, 1, width)
    return bytes(data)


HUGE = ("jpeg", "jpeg progressive", "png", "gif", "bmp", "tiff")


@pytest.mark.parametrize("kind", HUGE)
def test_claims_beyond_the_limit_are_refused(kind):
    with pytest.raises(ImageError, match=r"more pixels than the limit.*60000 x 60000 by its header"):
        check_stated_size(huge(kind), "here")


def test_the_limit_is_a_setting(monkeypatch):
    data = encoded("png")
    check_stated_size(data, "here")
    monkeypatch.setenv("OPENCV_IO_MAX_IMAGE_PIXELS", "3000")
    assert most_pixels() == 3000
    monkeypatch.setenv("DEEPLAKE_MMDET_MAX_PIXELS", str(64 * 48))
    check_stated_size(data, "here")
    monkeypatch.setenv("DEEPLAKE_MMDET_MAX_PIXELS", str(64 * 48 - 1))
    with pytest.raises(ImageError, match="DEEPLAKE_MMDET_MAX_PIXELS"):
        check_stated_size(data, "here")
    for wrong in ("0", "-1", "many", "1.5", "²"):
        monkeypatch.setenv("DEEPLAKE_MMDET_MAX_PIXELS", wrong)
        with pytest.raises(ConfigError, match="DEEPLAKE_MMDET_MAX_PIXELS"):
            most_pixels()


CHILD = """
import pathlib, sys
import cv2
from deeplake_mmdet.errors import ImageError
from deeplake_mmdet.transfer.encodings import choose_encoding
from deeplake_mmdet.transfer.images import read_image
import resource
resource.setrlimit(resource.RLIMIT_AS, (2 * 10**9, 2 * 10**9))
files = sorted(pathlib.Path(sys.argv[1]).iterdir())
choose_encoding(files)
for file in files:
    try:
        read_image(file, "png", convert=True)
    except ImageError as error:
        print(file.name, error.what)
"""


def bomb(width, height):
    """A PNG of a few kilobytes that is what it says."""
    packer, line = zlib.compressobj(1), bytes(width + 1)
    pixels = b"".join(packer.compress(line) for _ in range(height)) + packer.flush()

    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_importing_hostile_images_stays_below_two_gigabytes(tmp_path):
    for kind in HUGE:
        (tmp_path / kind).write_bytes(huge(kind))
        (tmp_path / f"{kind} 65500").write_bytes(huge(kind, 65500, 65500))
        if kind != "gif":  # of which OpenCV fills such a canvas, in 15 s
            (tmp_path / f"{kind} below").write_bytes(huge(kind, 13900, 13900))
    (tmp_path / "bomb").write_bytes(bomb(20000, 12000))
    found = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], capture_output=True, text=True, timeout=120, check=True
    )
    told = dict(line.split(" image ", 1) for line in found.stdout.splitlines())
    assert len(told) >= 2 * len(HUGE) + 1
    for name, why in told.items():
        assert "cannot be decoded" in why if "below" in name else "more pixels than the limit" in why


def test_what_is_no_file_is_not_waited_for(tmp_path):
    import os

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to("/dev/zero")
    (tmp_path / "empty").touch()
    for path in (pipe, tmp_path / "link", tmp_path):
        with pytest.raises(OSError, match=r"pipe|device|folder"):
            read_regular(path)
    assert read_regular(tmp_path / "empty") == b""
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(OSError, match="more than"):
        read_regular(tmp_path / "sparse", most=2**30)
    assert read_regular(tmp_path / "sparse", 10, most=2**41) == bytes(10)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4 * 2**20
