"""What is to be predicted on: a lake, or images and videos out of files, folders, patterns and lists.

Files are known by what they hold, not by their names. Nothing is decoded yet.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from deeplake_mmdet.config import leads_to_lake
from deeplake_mmdet.errors import ConfigError, ImageError, SourceNotFoundError
from deeplake_mmdet.lake import image_format
from deeplake_mmdet.loop.predicting.listing import LeftOut, Listing
from deeplake_mmdet.loop.predicting.videos import count_frames

__all__ = ["Inputs", "find_inputs"]

_SHOWN = 5
_HEAD = 4096  # bytes
_LISTS = (".txt", ".lst", ".list", "")
# Whose signatures are so short that a text may begin with them.
_WEAK = ("bmp", "netpbm", "radiance hdr", "jpeg xl")


@dataclass(frozen=True)
class Inputs:
    """What was found.

    Attributes:
        lake: Path or address of the one lake; empty if there is none.
        listing: The images and videos otherwise.
        left_out: Files that are neither.
    """

    lake: str
    listing: Listing
    left_out: LeftOut


def find_inputs(inputs: Sequence[str | Path], *, limit: int | None = None) -> Inputs:
    """Find out what each input is.

    A folder stands for the images in it and in its folders, sorted by name; a pattern for what it matches; a
    text file for the paths in it, one a line, as seen from here or else from its folder. Images of one single
    folder are called by their path in it, all others by the path as it was given.

    Args:
        inputs: Lake, files, folders, patterns.
        limit: Number of images that are enough.

    Returns:
        The lake, or the images in the order of the inputs.

    Raises:
        ConfigError: There is no input, or a lake beside others.
        SourceNotFoundError: There is nothing at a path, or nothing that a pattern matches.
        ImageError: There is no image and no video.
    """
    texts = [str(one) for one in inputs]
    if not texts or not all(text.strip() for text in texts):
        raise ConfigError(
            "There is nothing to predict on",
            where="INPUT (argument inputs)",
            advice="name a lake, image files, a folder, a pattern, a text file of paths or a video",
        )
    lakes = [text for text in texts if _is_lake(text)]
    if lakes and len(texts) > 1:
        raise ConfigError(
            "A lake is predicted on by itself",
            where=f"INPUT {lakes[0]}, beside {len(texts) - 1} others",
            advice="give one lake for each run, and files in another",
        )
    left_out = LeftOut()
    if lakes:
        return Inputs(lakes[0], Listing.of([]), left_out)
    found: list[tuple[str, str, int]] = []
    count = 0
    for path, name, named in _candidates(texts, left_out):
        frames = _frames_of(path, name, named, left_out, None if limit is None else limit - count)
        if frames is None:
            continue
        found.append((path, name, frames))
        count += max(frames, 1)
        if limit is not None and count >= limit:
            break
    if not found:
        raise ImageError(
            "There is no image and no video" + (f": {left_out}" if left_out.counts else ""),
            where=f"INPUT {', '.join(texts[:_SHOWN])}",
            advice="name image files, a folder with images, a video or a lake",
        )
    return Inputs("", Listing.of(found), left_out)


def _is_lake(text: str) -> bool:
    return "://" in text or "/.queries/" in text or leads_to_lake(text)


def _candidates(texts: Sequence[str], left_out: LeftOut) -> Iterator[tuple[str, str, bool]]:
    """Files with their names, and whether the user has named each himself."""
    for text in texts:
        path = Path(text).expanduser()
        if path.is_dir():
            for file in _walk(path, left_out, set()):
                yield str(file), str(file.relative_to(path) if len(texts) == 1 else file), False
        elif path.exists():
            yield from _named(path, left_out)
        elif glob.has_magic(text):
            matches = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - as the user wrote it
            if not matches:
                raise SourceNotFoundError(
                    "Nothing matches the pattern", where=f"INPUT {text!r}", advice="check the path"
                )
            for match in map(Path, matches):
                if match.is_dir():
                    # With **, what is in the folder has been matched as well.
                    if "**" not in text:
                        yield from ((str(file), str(file), False) for file in _walk(match, left_out, set()))
                else:
                    yield from _named(match, left_out)
        else:
            raise SourceNotFoundError(
                "There is nothing at this path",
                where=f"INPUT {text!r}",
                advice=_near(path) + "check the path",
            )


def _named(file: Path, left_out: LeftOut) -> Iterator[tuple[str, str, bool]]:
    paths = _listed_in(file)
    if paths is None:
        yield str(file), str(file), True
        return
    for line in paths:
        here, beside = Path(line).expanduser(), file.parent / line
        found = next((place for place in (here, beside) if place.is_file()), None)
        if found is None:
            left_out.add("not there", line)
        else:
            yield str(found), line, True


def _listed_in(file: Path) -> list[str] | None:
    """The paths in a text file; None if it is none, or if none of them leads to a file."""
    if file.suffix.lower() not in _LISTS or not file.is_file():
        return None
    try:
        with file.open("rb") as stream:
            head = stream.read(_HEAD)
            if b"\0" in head or image_format(head) is not None:
                return None
            lines = (head + stream.read()).decode("utf-8-sig", "surrogateescape").splitlines()
    except OSError:
        return None
    paths = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    places = ((Path(path).expanduser(), file.parent / path) for path in paths)
    try:
        return paths if any(place.is_file() for pair in places for place in pair) else None
    except (OSError, ValueError):  # of lines that are no paths
        return None


def _walk(folder: Path, left_out: LeftOut, above: set[tuple[int, int]]) -> Iterator[Path]:
    """All files, sorted; linked folders too, but not in circles. A lake inside is named, not entered."""
    state = folder.stat()
    here = state.st_dev, state.st_ino
    if here in above:
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        left_out.add(f"cannot be read: {error.strerror}", str(folder))
        return
    for entry in entries:
        if not entry.is_dir():
            yield Path(entry.path)
        elif leads_to_lake(entry.path):
            left_out.add("lakes inside a folder", entry.path)
        else:
            yield from _walk(Path(entry.path), left_out, above | {here})


def _frames_of(path: str, name: str, named: bool, left_out: LeftOut, limit: int | None) -> int | None:
    """0 for an image, the number of frames for a video that was named, None for anything else."""
    try:
        if not Path(path).is_file():
            left_out.add("no regular files", name)
            return None
        with Path(path).open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        left_out.add(f"cannot be read: {error.strerror}", name)
        return None
    kind = image_format(head)
    if kind is not None and not (kind in _WEAK and _is_text(head)):
        return 0
    if named and head and not _is_text(head):
        frames, stated = count_frames(path, limit)
        if frames:
            if frames < stated and (limit is None or frames < limit):
                left_out.add("frames that a video states and does not hold", name, count=stated - frames)
            return frames
    left_out.add("no images" if not named else "neither images nor videos", name)
    return None


def _is_text(head: bytes) -> bool:
    """Whether a file begins as a text does; a whole picture of text is no picture that anybody has."""
    if b"\0" in head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4
    return not head.startswith((b"P1", b"P2", b"P3"))


def _near(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return ""
    near = get_close_matches(path.name, names, n=1)
    return f"perhaps {str(path.parent / near[0])!r} is meant; " if near else ""
