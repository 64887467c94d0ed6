"""Finding the image file that an annotation means, however its name is written there."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from urllib.parse import parse_qs, unquote

from deeplake_mmdet.errors import without_secrets
from deeplake_mmdet.formats.file_names import FileNames, is_file, split_extension
from deeplake_mmdet.lake.archives.mounts import archive_at
from deeplake_mmdet.transfer.image_claims import Claims

__all__ = ["EXTENSIONS", "FoundImage", "ImageFolder", "NamedImages", "shown"]

# In order of preference; MMDetection's XMLDataset reads .jpg alone.
EXTENSIONS = (
    *(".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".jpe", ".jfif", ".gif"),
    *(".dib", ".jp2", ".avif", ".ppm", ".pgm", ".pbm", ".pnm"),
)
_SAME = {".jpeg": ".jpg", ".jpe": ".jpg", ".jfif": ".jpg", ".tiff": ".tif"}
_SERVER = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://[^/\\]*")
_COCO_SERVER = re.compile(r"^https?://images\.cocodataset\.org/")
_COCO_2014 = re.compile(r"^COCO_(?:train|val|test)2014_(\d{12}\.jpg)$")
_DRIVE = re.compile(r"[A-Za-z]:")
_EXACT, _ALIKE, _FOLDER_DROPPED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class FoundImage:
    """The file that was found for a name.

    Attributes:
        path: The file; where it was expected, if there is a fault.
        name: What the lake calls it: the name as stated where that led to the file, else the file's path
            relative to the image folder, with ``/``.
        rank: 0 where the whole name fits, more the less of it does.
        changes: ``(kind, reason, detail)`` where it was found otherwise than as stated.
        fault: ``(reason, detail)`` why there is no file to use, or ``None``.
    """

    path: Path
    name: str
    rank: int = _EXACT
    changes: tuple[tuple[str, str, str], ...] = ()
    fault: tuple[str, str] | None = None

    @property
    def shown(self) -> str:
        """The path for messages, printable whatever the bytes of the name."""
        return shown(self.path)


class ImageFolder:
    """A folder of images; listed once, and only when a name does not lead to a file by itself.

    Args:
        folder: The folder; it is not looked at yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._linked: dict[Path, bool] = {}
        self._archived = archive_at(folder) is not None
        # What may stand in front of a name although it is part of the folder's own path.
        self._own_parts = [part.casefold() for part in _absolute(folder).parts[1:]]

    @cached_property
    def names(self) -> FileNames:
        """The image files."""
        return FileNames(self.folder, EXTENSIONS)

    @cached_property
    def _resolved(self) -> Path:
        return self.folder.resolve()

    def _leads_out(self, exact: Path) -> bool:
        """Whether a file lies elsewhere by a link; each folder is looked up once."""
        parent = exact.parent
        if parent not in self._linked:
            self._linked[parent] = not parent.resolve().is_relative_to(self._resolved)
        if self._linked[parent]:
            return True
        try:
            is_link = exact.is_symlink()
        except OSError:  # for want of permission: reading it tells
            return False
        return is_link and not exact.resolve().is_relative_to(self._resolved)

    def by_id(self, image_id: str) -> FoundImage:
        """Find the image called ``<id>.*`` with any of `EXTENSIONS`, in any letter case.

        Of several, the first in the order of `EXTENSIONS` is taken, lower case before upper case, and the
        others are named in ``changes``. If there is none, the name may differ in letter case, Unicode form
        and URL quoting; where several such names exist, none is taken.

        Args:
            image_id: The image's name without extension, relative to the folder.

        Returns:
            What was found; its ``fault`` tells if there is no file to use.
        """
        files = self.names.like(image_id)
        own = [file for file in files if _stem(file) == image_id]
        if own:
            own.sort(key=_preference)
            changes: tuple[tuple[str, str, str], ...] = ()
            if len(own) > 1:
                detail = f"{own[0]!r} taken, not {_listing(own[1:])}"
                changes = (("image", "several image files have the annotation file's name", detail),)
            return FoundImage(self.folder / own[0], own[0], changes=changes)
        if len({_stem(file) for file in files}) == 1:
            return self._found(image_id, min(files, key=_preference), _ALIKE)
        expected = f"{image_id}.jpg"
        return FoundImage(self.folder / expected, expected, fault=_fault(files))

    def by_name(self, name: str, *, anywhere: bool = False) -> FoundImage:
        """The file that a name means. The first of these that exists is taken:

        1. the name as it stands, relative to the folder or absolute, as MMDetection joins it, and without
           COCO's own server, as it reads LVIS's ``coco_url``. A file outside the folder is taken, too, and
           noted, also where a link leads to it; not where the folder is one of an archive;
        2. with ``/`` for backslashes and without drive letter, server, spaces around it, ``.`` and ``..``;
        3. with URL quoting (``%20``) decoded;
        4. the file alike but for letter case, Unicode form, URL quoting and ``.jpeg`` for ``.jpg``; a name
           without extension gets that of the file. Of files that are equally alike, none is taken;
        5. 2 to 4 without the first folder, then the first two, and so on: as long as what is dropped ends
           with the name of the image folder itself, and all the way where the name was absolute, an
           address, or may be ``anywhere``;
        6. COCO's name of 2017 for that of 2014 (``COCO_val2014_000000000139.jpg``), as in LVIS 0.5.

        Args:
            name: The name; a path of Windows or an address will do.
            anywhere: Its folders do not matter, and it may not lead outside.
        """
        name = _COCO_SERVER.sub("", name)
        exact = self.folder / name
        if is_file(exact) and not ((anywhere or self._archived) and self._inside(exact) is None):
            return self._as_stated(name, exact)
        free = anywhere
        variants: list[list[str]] = []
        for text in (name, unquote(name)):
            parts, absolute = _parts(text)
            free |= absolute
            if parts and parts not in variants:
                variants.append(parts)
        for dropped in range(max(map(len, variants), default=0)):
            tails = [v for v in variants if dropped < len(v) and (free or self._ours(v[:dropped]))]
            for parts in tails:
                file = "/".join(parts[dropped:])
                if is_file(self.folder / file):
                    return self._found(name, file, self._rank(parts[:dropped]))
            for parts in tails:
                files = self._alike("/".join(parts[dropped:]))
                if len(files) == 1:
                    return self._found(name, files[0], max(self._rank(parts[:dropped]), _ALIKE))
                if files:
                    return FoundImage(exact, name, fault=_fault(files))
        if (old := _COCO_2014.search(name)) and is_file(self.folder / old[1]):
            return self._found(name, old[1], _FOLDER_DROPPED)
        return FoundImage(exact, name, fault=_fault([]))

    def checked(self, found: FoundImage) -> FoundImage:
        """Refuse a file whose name is no Unicode text; of one that is missing, tell the nearest name.

        Args:
            found: From `by_id` or `by_name`.

        Returns:
            ``found`` itself if there is nothing to say, else with another ``fault``.
        """
        if found.fault is None:
            if _is_text(found.name):
                return found
            return replace(found, fault=("name of the image file is not Unicode text", ascii(found.name)))
        if found.fault[1]:
            return found
        near = self.names.nearest(found.name)
        detail = f"nearest name there: {near!r}" if near else "no name there is like it"
        if not len(self.names):
            detail = "the folder has no image files"
        return replace(found, fault=(found.fault[0], detail))

    def _as_stated(self, name: str, exact: Path) -> FoundImage:
        outside = self._leads_out(exact)
        if name.startswith("/") or ".." in name:
            inside = self._inside(exact)
            outside |= inside is None
            if inside not in (None, name):
                return self._found(name, str(inside), _EXACT)
        if not outside:
            return FoundImage(exact, name)
        change = ("image", "image file lies outside the image folder", shown(exact.resolve()))
        return FoundImage(exact, name, changes=(change,))

    def _found(self, name: str, file: str, rank: int) -> FoundImage:
        change = ("image", "image file found under another name", f"{name!r} stated, {file!r} taken")
        return FoundImage(self.folder / file, file, rank, (change,))

    def _alike(self, name: str) -> list[str]:
        """The files closest to this name; more than one are equally close."""
        stem, extension = split_extension(name, EXTENSIONS)
        best: dict[int, list[str]] = {}
        for file in self.names.like(stem):
            other, other_extension = split_extension(file, EXTENSIONS)
            distance = 0 if other == stem else 1 if _plain(other) == _plain(stem) else 2
            if extension and extension.lower() != other_extension.lower():
                if _kind(extension) != _kind(other_extension):
                    continue
                distance += 3
            best.setdefault(distance, []).append(file)
        return best[min(best)] if best else []

    def _ours(self, dropped: list[str]) -> bool:
        """Whether these leading parts end with the folder's own name."""
        return not dropped or dropped[-1].casefold() in self._own_parts[-1:]

    def _rank(self, dropped: list[str]) -> int:
        """Nothing is lost with leading parts that the folder's own path ends with."""
        own = self._own_parts[-len(dropped) :]
        return _FOLDER_DROPPED if dropped and own != [part.casefold() for part in dropped] else _EXACT

    def _inside(self, path: Path) -> str | None:
        """The path relative to the folder, or ``None`` where it leads outside."""
        for resolve in (_absolute, Path.resolve):
            if resolve(path).is_relative_to(resolve(self.folder)):
                return resolve(path).relative_to(resolve(self.folder)).as_posix()
        return None


class NamedImages:
    """The image files of records that name them, such as those of a COCO file.

    A file that the name of one record fits better than that of another belongs to the former; the other
    is refused. So are all of several that fit equally. Records with the same name share their image.

    Args:
        folder: The image folder.
        names: The name of each record.

    Attributes:
        all_exact: Whether every name is that of a file, just as it stands.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder = ImageFolder(folder)
        self._names = names
        self._claims = Claims()
        self.all_exact = True
        for name in names:
            found = self._folder.by_name(name)
            self.all_exact &= found == FoundImage(folder / name, name)
            if found.fault is None:
                self._claims.add(str(found.path), name, found.rank)
        self._claims.settle()

    def paths(self) -> Iterator[Path]:
        """The files that were found, in the order of the records."""
        return (found.path for found in map(self._look_up, self._names) if found.fault is None)

    def find(self, name: str) -> FoundImage:
        """The file of a record; see `ImageFolder.by_name` for how it is looked for.

        Args:
            name: One of the names that the records have.
        """
        return self._folder.checked(self._look_up(name))

    def _look_up(self, name: str) -> FoundImage:
        if self.all_exact:
            return FoundImage(self._folder.folder / name, name)
        found = self._folder.by_name(name)
        if found.fault is None and (why := self._claims.refusal(str(found.path), name, found.rank)):
            return replace(found, fault=(why, f"{name!r} stated, {found.name!r} found"))
        return found


def shown(path: Path) -> str:
    """A path for messages, printable whatever the bytes of the name.

    Args:
        path: The path.
    """
    return without_secrets(str(path)).encode("utf-8", "backslashreplace").decode("utf-8")


def _parts(text: str) -> tuple[list[str], bool]:
    """The parts of a path or address, and whether it was absolute."""
    text = text.strip()
    served = "/local-files/?" in text  # Label Studio's way to name a file below a folder of its own
    if served:
        text = parse_qs(text.partition("?")[2]).get("d", [""])[0]
    address = _SERVER.match(text)
    if address:
        text = re.split(r"[?#]", text[address.end() :])[0]
    text = text.replace("\\", "/")
    drive = _DRIVE.match(text)
    if drive:
        text = text[drive.end() :]
    parts: list[str] = []
    for part in text.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return parts, bool(served or address or drive) or text.startswith("/")


def _absolute(path: Path) -> Path:
    return Path(os.path.normpath(path.absolute()))


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:  # bytes of another encoding, as Python hands them over
        return False
    return True


def _stem(file: str) -> str:
    return split_extension(file, EXTENSIONS)[0]


def _preference(file: str) -> tuple[int, bool, str]:
    extension = split_extension(file, EXTENSIONS)[1]
    return EXTENSIONS.index(extension.lower()), extension != extension.lower(), file


def _kind(extension: str) -> str:
    return _SAME.get(extension.lower(), extension.lower())


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", unquote(name))


def _listing(files: list[str]) -> str:
    return ", ".join(map(repr, files[:5])) + f" and {len(files) - 5} more" * (len(files) > 5)


def _fault(files: list[str]) -> tuple[str, str]:
    if files:
        return "several image files fit the name equally", _listing(files)
    return "image file is missing", ""
