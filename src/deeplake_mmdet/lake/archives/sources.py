"""What users name as the source of an import: a folder or file, a zip file, or an address of a bucket."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from deeplake_mmdet.lake.archives.mounts import Archive, mount
from deeplake_mmdet.lake.archives.zip_files import ZipFiles, looks_like_zip

__all__ = ["Sources"]


class Sources:
    """Opens the archives among an import's sources; they stay open as long as this object lives.

    Args:
        creds: Storage options for addresses, as Deep Lake takes them; None for the environment's.
    """

    def __init__(self, creds: Mapping[str, str] | None = None) -> None:
        self._creds = creds
        self._held: list[Archive] = []

    def path(self, given: str | Path) -> Path:
        """The path by which to look for and read what was given.

        Args:
            given: A path, which may be that of a zip file or lead on into one (``set.zip/train``).

        Raises:
            SourceNotFoundError, SourceFormatError: A zip file cannot be read, or cannot be trusted.
        """
        path = Path(given)
        archive = next((place for place in (path, *path.parents) if _is_archive(place)), None)
        if archive is not None:
            self._held.append(mount(archive, lambda: ZipFiles(archive)))
        return path


def _is_archive(path: Path) -> bool:
    try:
        return path.is_file() and looks_like_zip(path)
    except (OSError, ValueError):  # ValueError: a zero byte in the name
        return False
