"""The folder of an export: nothing in it looks whole before it is."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from deeplake_mmdet.errors import ConfigError, DeepLakeMMDetError, ImportRefusedError, StorageError
from deeplake_mmdet.lake.calls.faults import is_local
from deeplake_mmdet.lake.writing.targets import host_name, is_alive

__all__ = ["ExportFolder", "writing"]

_LEFT = re.compile(r"\.exporting-(.+)-(\d+)-[0-9a-f]{8}")


class ExportFolder:
    """Context manager for a folder that an export fills: everything is made in a hidden folder inside it.

    Leaving it normally moves the files to their places, the one by which readers open the data set last; an
    exception removes everything that was made. What a killed export has left is removed by the next.

    Args:
        folder: The folder: absent or empty.
        lake: The lake that is exported, in which it must not lie.
        last: Name of the file or folder that is moved last.

    Attributes:
        path: The hidden folder, once the manager has been entered.
        notes: What was tidied up, for the user to read.

    Raises:
        ConfigError: The folder is an address, or lies in the lake.
        ImportRefusedError: Something is in the folder, or it is a file.
        StorageError: It cannot be made, or not be written to.
    """

    def __init__(self, folder: str | Path, lake: str, last: str) -> None:
        if "\0" in str(folder):
            raise ConfigError("This is no name of a folder", where=repr(str(folder)))
        if not is_local(str(folder)):
            raise ConfigError(
                "An export is written to a local folder",
                where=str(folder),
                advice="export to this machine, and copy the folder there",
            )
        self.folder = Path(str(folder).removeprefix("file://")).expanduser()
        self.notes: list[str] = []
        self._last = last
        mark = secrets.token_hex(4)
        self.path = self.folder / f".exporting-{host_name()}-{os.getpid()}-{mark}"
        self._made: list[Path] = []
        with writing(self.folder):
            real, inside = self.folder.resolve(), Path(lake.removeprefix("file://")).expanduser()
            if is_local(lake) and real.is_relative_to(inside.resolve()):
                raise ConfigError(
                    "The folder lies in the lake", where=str(folder), advice="Give one outside the lake"
                )
            self._left = self._look()

    def _look(self) -> list[Path]:
        """What dead exports have left in the folder, which else is empty or absent."""
        if not os.path.lexists(self.folder):
            return []
        if not self.folder.is_dir():
            raise ImportRefusedError(
                "There is a file, not a folder", where=str(self.folder), advice="Give another folder"
            )
        left = []
        for entry in self.folder.iterdir():
            match = _LEFT.fullmatch(entry.name)
            if match is None:
                raise ImportRefusedError(
                    f"The folder is not empty: it holds {entry.name!r}",
                    where=str(self.folder),
                    advice="Give a folder that is empty or does not exist; an export replaces nothing",
                )
            if match[1] != host_name() or is_alive(int(match[2])) or int(match[2]) == os.getpid():
                raise ImportRefusedError(
                    f"Another export to this folder seems to be under way: {entry.name}",
                    where=str(self.folder),
                    advice="Wait for it; if it is dead, remove what it has left",
                )
            left.append(entry)
        return left

    def __enter__(self) -> ExportFolder:
        with writing(self.folder):
            for old in self._left:
                shutil.rmtree(old)
                self.notes.append(f"Removed what an interrupted export had left: {old.name}")
            place = self.folder
            while not place.exists():
                self._made.append(place)
                place = place.parent
            self.path.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._discard(self.path)
            return
        moved: list[Path] = []
        try:
            with writing(self.folder):
                for entry in sorted(self.path.iterdir(), key=lambda entry: entry.name == self._last):
                    entry.rename(self.folder / entry.name)
                    moved.append(self.folder / entry.name)
                self.path.rmdir()
        except BaseException:
            self._discard(*moved, self.path)
            raise

    def _discard(self, *paths: Path) -> None:
        for path in paths:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty: another has written into it
            for made in self._made:
                made.rmdir()


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Raise what the disk refuses as an error of ours.

    Args:
        folder: Named in the message.

    Raises:
        StorageError: The disk is full, may not be written to, or fails.
    """
    try:
        yield
    except DeepLakeMMDetError:
        raise
    except OSError as error:
        name = f" ({error.filename})" if error.filename else ""
        raise StorageError(
            f"The export cannot be written: {error.strerror or error}{name}",
            where=f"folder {folder}",
            advice="Nothing is left behind; see to room and permissions, and export again",
        ) from error
