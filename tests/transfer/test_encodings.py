"""The encoding of a new lake, and files that are none."""

import os
import threading
from pathlib import Path

import pytest
from PIL import Image

from deeplake_mmdet.errors import ConfigError, ImageError
from deeplake_mmdet.transfer.encodings import choose_encoding, detect_format, read_file


@pytest.fixture
def folder(tmp_path, make_image):
    def make(**kinds):
        paths = []
        for name, content in kinds.items():
            path = tmp_path / name
            path.write_bytes(content if isinstance(content, bytes) else make_image(encoding=content))
            paths.append(path)
        return paths

    return make


@pytest.mark.parametrize("encoding", ["jpeg", "png", "bmp", "gif", "tiff", "webp", "avif"])
def test_formats_are_told_by_signature(make_image, encoding):
    assert detect_format(make_image(encoding=encoding)[:12]) == encoding


def test_jpeg_where_any_is(folder):
    assert choose_encoding(folder(a="jpeg", b="jpeg")).format == "jpeg"
    assert choose_encoding(folder(a="png", b="png")).format == "png"
    assert choose_encoding(folder(a="bmp", b="webp")).format == "png"
    assert choose_encoding([]).format == "jpeg"
    mixed = choose_encoding(folder(a="jpeg", b="jpeg", c="bmp", d="png"))
    assert (mixed.format, mixed.convert, mixed.because_of) == ("jpeg", True, 0)


def test_few_jpegs_among_many_pngs_are_converted(folder):
    pngs = {f"{n}.png": "png" for n in range(10)}
    assert choose_encoding(folder(a="jpeg", **pngs)).format == "jpeg"
    few = choose_encoding(folder(a="jpeg", b="bmp", **pngs, c="png"))
    assert (few.format, few.convert, few.because_of) == ("png", True, 12)
    assert [name.rsplit("/", 1)[1] for name in few.because[:2]] == ["b", "0.png"]


def test_files_that_cannot_be_decoded_have_no_say(folder, make_image, tmp_path):
    broken = make_image(encoding="png")[:-50]
    paths = folder(a="jpeg", b=broken, c=b"some text", d=b"", e=b"BM and no more")
    assert choose_encoding([*paths, tmp_path / "none", tmp_path]).format == "jpeg"


def test_without_conversion_the_more_frequent_one(folder):
    paths = folder(a="jpeg", b="png", c="png", d="bmp", e="bmp", f="bmp")
    encoding = choose_encoding(paths, "never")
    assert (encoding.format, encoding.convert) == ("png", False)
    assert choose_encoding(paths[:2], "never").format == "jpeg"
    with pytest.raises(ConfigError, match="convert"):
        choose_encoding(paths, "perhaps")


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    seen = []

    def look():
        for name in ("pipe.jpg", "folder.jpg", "loop.jpg", "a\0b.jpg", "x" * 300):
            with pytest.raises(ImageError, match="cannot be read"):
                read_file(tmp_path / name)
            seen.append(name)
        with pytest.raises(ImageError, match="cannot be read"):
            read_file(Path("/dev/zero"))
        choose_encoding([tmp_path / "pipe.jpg"])
        seen.append("all")

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(20)
    assert seen[-1:] == ["all"]


def test_a_link_to_a_file_is_a_file(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "b.jpg").symlink_to(tmp_path / "a.png")
    assert read_file(tmp_path / "b.jpg") == (tmp_path / "a.png").read_bytes()
