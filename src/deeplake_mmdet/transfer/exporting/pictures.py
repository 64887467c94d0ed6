"""The image files of an export: their bytes, or links, under the names that they had."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from deeplake_mmdet.errors import ConfigError, ImageError
from deeplake_mmdet.lake.calls.faults import is_local
from deeplake_mmdet.lake.images.cells import holds_files, image_extension, images_of, unencoded_cells
from deeplake_mmdet.lake.images.links import read_addresses
from deeplake_mmdet.lake.images.signatures import JPEG_START, LOSSLESS_JPEG, PNG
from deeplake_mmdet.lake.views import LakeView

__all__ = ["IMAGE_MODES", "Pictures", "check_images", "usable_name"]

IMAGE_MODES = ("copy", "link", "none")
_LONGEST = 200  # bytes of one part of a path; file systems take 255, and a mark may be added
_JPEG_ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif")


def check_images(view: LakeView, mode: str) -> None:
    """Refuse a mode that does not exist, or that this lake does not allow.

    Args:
        view: The lake.
        mode: One of `IMAGE_MODES`.

    Raises:
        ConfigError: It is none of them; or links are asked for, and the lake holds the images itself.
    """
    if mode not in IMAGE_MODES:
        raise ConfigError(
            f"'images' is {mode!r}", where="images", advice=f"Choose from {', '.join(IMAGE_MODES)}"
        )
    column = view.columns[view.roles.img]
    if mode == "link" and not column.is_link:
        raise ConfigError(
            f"Images of this lake cannot be linked: its column {column.name!r} holds them itself",
            where=f"lake {view.source.url}",
            advice="use --images copy; links lead to local files, of lakes that hold links to them",
        )


class Pictures:
    """Writes the image files of an export.

    ``copy`` writes the very bytes of the lake (of columns of arrays: PNG). Only where boxes belong to the
    stored pixels although the file's EXIF orientation turns it, that tag is set to upright: readers turn
    images by it. Lossless JPEGs, which imports make of other kinds and few readers take, become PNG.
    ``link`` makes symbolic links to the local files that the lake's links lead to, and copies where the tag
    must be changed.

    Args:
        view: The lake.
        mode: One of `IMAGE_MODES`.
        folder: Folder of the images; names are relative to it.

    Raises:
        ConfigError: See `check_images`.
    """

    def __init__(self, view: LakeView, mode: str, folder: Path) -> None:
        check_images(view, mode)
        self._view, self._mode, self._folder = view, mode, folder
        self._column = view.columns[view.roles.img]
        self.ending = f".{image_extension(self._column)}"
        self.upright = 0  # files whose tag was set to upright
        self.unpacked = 0  # lossless JPEGs that are PNG now
        self._made: set[Path] = set()

    @property
    def are_written(self) -> bool:
        """Whether there are files at all."""
        return self._mode != "none"

    def read(self, rows: range) -> list[tuple[bytes, Path | None] | ImageError]:
        """The files of neighbouring rows, and where each is to be linked to, if anywhere.

        Args:
            rows: Row numbers.

        Returns:
            For each row its bytes and a path or None; or why there is no file, not raised.

        Raises:
            DeepLakeMMDetError: The storage failed.
        """
        view, column = self._view, self._column
        read = view.cell_reader().get_bytes if holds_files(column) else unencoded_cells(view.handle, column)
        cells = read(rows)
        images = images_of(lambda _: cells, column, rows, apply_exif=view.turning)
        links: list[Path | None] = [None] * len(rows)
        if self._mode == "link":
            links = [self._target(row, text) for row, text in zip(rows, self._addresses(rows), strict=True)]
        found: list[tuple[bytes, Path | None] | ImageError] = []
        for cell, image, link in zip(cells, images, links, strict=True):
            if isinstance(image, ImageError):
                found.append(image)
                continue
            same = not isinstance(cell, bytes) or cell == image
            self.upright += not same
            if image.startswith(LOSSLESS_JPEG) and link is None:
                png = _as_png(image)
                self.unpacked += png is not image
                image = png
            found.append((image, link if same else None))
        return found

    def _addresses(self, rows: range) -> list[str]:
        return read_addresses(self._view.handle, self._column.name, list(rows))

    def _target(self, row: int, address: str) -> Path | None:
        if not address:
            return None
        if not is_local(address):
            raise ConfigError(
                f"The image of row {row} cannot be linked: it is not on this machine",
                where=f"lake {self._view.source.url}, column {self._column.name!r}",
                advice="use --images copy",
            )
        return Path(address.removeprefix("file://")).expanduser().absolute()

    def write(self, row: int, name: str, data: bytes, link: Path | None, *, shared: bool) -> str:
        """Write one file.

        Args:
            row: The row, for a name that is taken.
            name: Its name, from `usable_name`.
            data: Its bytes.
            link: Where it is to be linked to; None for a copy.
            shared: Whether it may be the same file as one of the same name with the same bytes.

        Returns:
            The name that it has: another one if the name was taken.

        Raises:
            OSError: The disk refuses.
        """
        for other in _names(name, row):
            path = self._folder / other
            try:
                if path.parent not in self._made:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    self._made.add(path.parent)
                if link is not None:
                    path.symlink_to(link)
                else:
                    with path.open("xb") as file:
                        file.write(data)
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                if shared and path.is_file() and path.read_bytes() == data:
                    return other
                continue
            return other
        raise AssertionError("there is no end of names")


def _as_png(data: bytes) -> bytes:
    """A lossless JPEG as PNG of the same pixels, which every reader takes."""
    import cv2

    pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return data if pixels is None else cv2.imencode(".png", pixels)[1].tobytes()


def _names(name: str, row: int) -> Iterator[str]:
    yield name
    stem, dot, ending = name.rpartition(".")
    if not dot or "/" in ending:
        stem, ending = name, ""
    for number in count():
        mark = f"_{row}" if not number else f"_{row}_{number}"
        yield f"{stem}{mark}{dot and '.'}{ending}"


def usable_name(name: str | None, row: int, data: bytes | None, ending: str, *, fitting: bool = False) -> str:
    """A name under which a row's image can be written, relative to the folder of images.

    A sound name comes back as it is. Folders that lead out of the folder, the root and drive letters are
    left away, what no file system takes is replaced, too long parts are cut.

    Args:
        name: The name that it had; None if it had none.
        row: The row, which names it then.
        data: Its bytes, which tell the ending; None if they are not at hand.
        ending: Of images that have no name, if their bytes do not tell it; with the dot.
        fitting: Whether the ending must be that of the bytes' kind, and control characters replaced.
    """
    if name is not None and not fitting and _is_sound(name):
        return name
    parts = []
    text = re.sub(r"^([A-Za-z]:|[A-Za-z][\w+.-]*://[^/]*)", "", name or "").replace("\\", "/")
    for part in text.split("/"):
        part = re.sub(r"[\x00-\x1f\x7f]", "_", part).encode("utf-8", "replace").decode()
        part = part.strip() if fitting else part
        if part not in ("", ".", ".."):
            parts.append(_cut(part))
    kind = "" if data is None else _kind(data)
    if not parts:
        return f"{row:08d}{kind or ending}"
    if fitting:
        stem, dot, old = parts[-1].rpartition(".")
        old = (dot + old).lower()
        if not stem:
            parts[-1] += kind or ending
        elif kind and old != kind and not (kind == ".jpg" and old in _JPEG_ENDINGS[:2]):
            known = old in (*_JPEG_ENDINGS, ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".jp2")
            parts[-1] = (stem if known else parts[-1]) + kind
    return "/".join(parts)


def _is_sound(name: str) -> bool:
    if not name or "\0" in name or re.match(r"/|[A-Za-z]:[\\/]|[A-Za-z][\w+.-]*://", name):
        return False
    if ".." in re.split(r"[\\/]", name) or name.rpartition("/")[2] in ("", "."):
        return False
    try:
        return all(len(part.encode()) <= _LONGEST for part in name.split("/"))
    except UnicodeEncodeError:
        return False


def _cut(part: str) -> str:
    if len(part.encode()) <= _LONGEST:
        return part
    stem, dot, ending = part.rpartition(".")
    if not dot or len(ending) > 10:
        stem, dot, ending = part, "", ""
    return stem.encode()[: _LONGEST - 12].decode("utf-8", "ignore") + dot + ending


def _kind(data: bytes) -> str:
    return ".jpg" if data.startswith(JPEG_START) else ".png" if data.startswith(PNG) else ""
