"""What counts as a whole image: all that OpenCV decodes and that lacks no pixels."""

import contextlib
import io
import resource
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from deeplake_mmdet.errors import ImageError
from deeplake_mmdet.transfer import decoder
from deeplake_mmdet.transfer.decoder import check_image, decode, examine_image, read_header

WIDTH, HEIGHT = 80, 56


def picture(mode="RGB"):
    coarse = np.random.default_rng(3).integers(0, 255, (7, 10, 4), np.uint8)
    return Image.fromarray(np.kron(coarse, np.ones((8, 8, 1), np.uint8)), "RGBA").convert(mode)


def encoded(encoding, mode="RGB", **options):
    out = io.BytesIO()
    picture(mode).save(out, encoding, **options)
    return out.getvalue()


def png_of(*chunks, start=None):
    """A PNG file of (type, content) or (type, content, checksum) chunks."""
    plain = start or encoded("png")
    out = plain[:8]
    for kind, content, *crc in chunks:
        check = crc[0] if crc else zlib.crc32(kind + content)
        out += struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
    return out


def parts(data):
    at, found = 8, {}
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        found[kind] = found.get(kind, b"") + data[at + 8 : at + 8 + size]
        at += 12 + size
    return found


def app1(data, payload):
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + data[2:]


def mpo():
    out = io.BytesIO()
    picture().save(out, "MPO", save_all=True, append_images=[picture()])
    return out.getvalue()


def png_with_long_text():
    info = PngImagePlugin.PngInfo()
    info.add_text("c", "x" * 3_000_000, zip=True)
    return encoded("png", pnginfo=info)


JPEG = encoded("jpeg")
PNG = parts(encoded("png"))
IHDR, IDAT, IEND = (b"IHDR", PNG[b"IHDR"]), (b"IDAT", PNG[b"IDAT"]), (b"IEND", b"")

SOUND = {
    "jpeg": JPEG,
    "progressive": encoded("jpeg", progressive=True),
    "grey": encoded("jpeg", "L"),
    "cmyk": encoded("jpeg", "CMYK"),
    "bytes after the image": JPEG + b"\0" * 500 + b"junk",
    "bytes before the end": JPEG[:-2] + b"\0" * 9 + JPEG[-2:],
    "unknown revision": JPEG.replace(b"JFIF\0\1\1", b"JFIF\0\7\1"),
    "empty exif": app1(JPEG, b"Exif\0\0"),
    "exif that points nowhere": app1(JPEG, b"Exif\0\0II*\0\xff\xff\xff\xff"),
    "mpo": mpo(),
    "png": encoded("png"),
    "palette": encoded("png", "P"),
    "png with a tail": encoded("png") + b"junk" * 9,
    "long text": png_with_long_text(),
    "text checksum": png_of(IHDR, (b"tEXt", b"a\0b", 7), IDAT, IEND),
    "end checksum": png_of(IHDR, IDAT, (*IEND, 7)),
    **{name: encoded(name) for name in ("bmp", "tiff", "webp", "gif", "ppm")},
}
BROKEN = {
    "half": (JPEG[:-300], "the file ends before the image does"),
    "without end": (JPEG[:-2], "the file ends before the image does"),
    "progressive half": (encoded("jpeg", progressive=True)[:-200], "cannot be decoded"),
    "cmyk half": (encoded("jpeg", "CMYK")[:-300], "cannot be decoded"),
    "headers only": (JPEG[:200], "the file ends before the image does"),
    "hole": (JPEG[:-300] + b"\xff\xd9", "damaged"),
    "no pixels": (JPEG[: JPEG.index(b"\xff\xda") + 14] + b"\xff\xd9", "damaged"),
    "png half": (encoded("png")[:-60], "cannot be decoded"),
    "png without end": (png_of(IHDR, IDAT), "the file ends before the image does"),
    "png pixels checksum": (png_of(IHDR, (*IDAT, 7), IEND), "cannot be decoded"),
    "png few rows": (
        png_of(IHDR, (b"IDAT", zlib.compress(zlib.decompress(IDAT[1])[:500])), IEND),
        "cannot be decoded",
    ),
    "text": (b"this is no image", "cannot be decoded"),
    **{f"{name} half": (encoded(name)[:-90], "cannot be decoded") for name in ("bmp", "tiff", "webp")},
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_images(name):
    assert check_image(SOUND[name]) == (WIDTH, HEIGHT)
    assert cv2.imdecode(np.frombuffer(SOUND[name], np.uint8), cv2.IMREAD_COLOR) is not None


@pytest.mark.parametrize("name", BROKEN)
def test_broken_images(name):
    data, reason = BROKEN[name]
    with pytest.raises(ImageError, match=reason):
        check_image(data)


KINDS = [
    cv2.imencode(
        ".jpg",
        cv2.resize(np.asarray(picture("L" if grey else "RGB")), (61, 47)),
        [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive, cv2.IMWRITE_JPEG_RST_INTERVAL, restarts]
        + [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor] * (not grey),
    )[1].tobytes()
    for grey in (False, True)
    for progressive in (0, 1)
    for restarts in (0, 2)
    for factor in (0x111111, 0x211111, 0x221111)
]


def verdict(check, *args):
    """What a check says of a file; OpenCV's own errors are in other words each time."""
    try:
        check(*args)
    except ImageError as error:
        return error.what
    return None


def check_in_full(data):
    """The check with all pixels made of the coded data."""
    size, libjpeg = None, simplejpeg.decode_jpeg
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        libjpeg(data, "BGR")
        size = (width, height) if colours in ("YCbCr", "Gray") else None
    except ValueError as error:
        if "Premature end" in str(error):
            raise ImageError("image cannot be decoded") from None
        if any(mark in str(error) for mark in ("premature end", "bad Huffman code", "instead of RST")):
            raise ImageError("image is damaged") from None
    if size is None:
        decode(data, ignore_orientation=True)


@settings(max_examples=150, deadline=None)
@given(
    data=st.sampled_from(KINDS),
    cut=st.floats(0.01, 1),
    changes=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6), st.integers(0, 20)), max_size=3),
)
def test_small_pixels_say_the_same_as_all_of_them(data, cut, changes):
    for place, inserted, removed in changes:
        at = 2 + int(place * (len(data) - 2))
        data = data[:at] + inserted + data[at + removed :]
    data = data[: max(3, int(cut * len(data)))]
    with contextlib.suppress(ValueError):
        height, width, *_ = simplejpeg.decode_jpeg_header(data)
        assume(height * width < 10**6)  # what a header claims is another matter
    assert verdict(check_image, data) == verdict(check_in_full, data)


@pytest.mark.parametrize("data", KINDS)
def test_files_cut_anywhere_are_refused(data):
    assert check_image(data) == (61, 47)
    for tenth in range(1, 10):
        with pytest.raises(ImageError):
            check_image(data[: len(data) * tenth // 10])


def test_headers_alone():
    for name, data in SOUND.items():
        plain = data[:3] in (b"\xff\xd8\xff", b"\x89PN") and name != "unknown revision"
        assert read_header(data) == ((WIDTH, HEIGHT) if plain else None), name
    assert read_header(JPEG[:-300]) == read_header(encoded("png")[:-60]) == (WIDTH, HEIGHT)
    for cut in range(30):
        assert read_header(JPEG[:cut]) is None
        assert read_header(encoded("png")[:cut]) is None
    with pytest.raises(ImageError, match="more pixels than the limit"):
        read_header(png_of((b"IHDR", struct.pack(">II", 65500, 65500) + IHDR[1][8:]), IDAT, IEND))


def test_threads_share_out_a_bounded_number_of_pixels(monkeypatch):
    size = 12000, 9000  # two of them are beyond what is decoded at once
    header = struct.pack(">II", *size) + IHDR[1][8:]
    files = encoded("png"), png_of((b"IHDR", header), IDAT, IEND)
    at_once, most = [0], []
    imdecode = cv2.imdecode

    def watched(data, flags):
        if bytes(data) != files[1]:
            return imdecode(data, flags)
        at_once[0] += 1
        most.append(at_once[0])
        time.sleep(0.005)
        at_once[0] -= 1
        return np.broadcast_to(np.uint8(0), (*size[::-1], 3))  # without their memory

    monkeypatch.setattr(decoder.cv2, "imdecode", watched)
    with ThreadPoolExecutor(8) as pool:
        sizes = list(pool.map(check_image, files * 12))
    assert sizes == [(WIDTH, HEIGHT), size] * 12
    assert max(most) == 1


@pytest.mark.parametrize("sides", [(65500, 65500), (65500, 20000)])
@pytest.mark.parametrize("encoding", ["jpeg", "png"])
def test_headers_that_claim_more_than_the_limit_cost_no_memory(encoding, sides):
    if encoding == "jpeg":
        at = JPEG.index(b"\xff\xc0") + 5
        data = JPEG[:at] + struct.pack(">HH", *sides[::-1]) + JPEG[at + 4 :]
    else:
        data = png_of((b"IHDR", struct.pack(">II", *sides) + IHDR[1][8:]), IDAT, IEND)
    with pytest.raises(ImageError, match="more pixels than the limit") as caught:
        check_image(data)
    assert caught.value.where == f"{sides[0]} x {sides[1]} by its header"


@pytest.mark.parametrize("progressive", [False, True])
def test_a_short_file_that_claims_much_is_not_given_memory(progressive):
    data = encoded("jpeg", progressive=progressive)
    at = data.index(b"\xff\xc2" if progressive else b"\xff\xc0") + 5
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ImageError, match="too short for 14000 x 13000 pixels"):
        check_image(data[:at] + struct.pack(">HH", 13000, 14000) + data[at + 4 :])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 500 * 1024  # kilobytes


def test_images_beyond_other_readers_limits():
    wide = cv2.imencode(".png", np.zeros((13500, 13500), np.uint8), [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(wide.tobytes()))
    assert check_image(wide.tobytes()) == (13500, 13500)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_are_left_to_the_caller(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for encoding in ("jpeg", "png"):
        data = encoded(encoding, exif=exif.tobytes())
        assert check_image(data) == (WIDTH, HEIGHT)
        assert decode(data, ignore_orientation=True).shape == (HEIGHT, WIDTH, 3)
        assert (decode(data) == cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)).all()


@pytest.mark.parametrize("size", [(80, 56), (20, 10), (1200, 900)])
@pytest.mark.parametrize("encoding", ["jpeg", "png"])
def test_the_small_image_is_the_image(size, encoding):
    out = io.BytesIO()
    picture().resize(size, Image.Resampling.BICUBIC).save(out, encoding)
    found, grey = examine_image(out.getvalue())
    assert found == size == check_image(out.getvalue())
    assert grey.shape >= (min(32, size[1]), min(36, size[0]))
    whole = cv2.cvtColor(decode(out.getvalue()), cv2.COLOR_BGR2GRAY)
    fields = [
        cv2.resize(image.astype(np.float32), (9, 8), interpolation=cv2.INTER_AREA) for image in (grey, whole)
    ]
    assert np.abs(fields[0] - fields[1]).mean() < 1
