"""The cache of annotation tables: built once for each resolved source, then mapped by every process.

Folder: ``$DEEPLAKE_MMDET_CACHE``, else ``$XDG_CACHE_HOME/deeplake-mmdet``, else ``~/.cache/deeplake-mmdet``.
It holds annotations and addresses, no credentials. Nothing is ever removed from it by itself but damaged
tables: see `cached_tables` and `clear_cache`.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deeplake_mmdet.errors import DeepLakeMMDetError, StorageError
from deeplake_mmdet.lake.cache.own_files import locked, make_folder
from deeplake_mmdet.lake.calls.protocols import OpenLake
from deeplake_mmdet.lake.schema.boxes import BoxFormat
from deeplake_mmdet.lake.schema.labels import LabelCoding
from deeplake_mmdet.lake.schema.roles import Roles
from deeplake_mmdet.lake.source.source import ResolvedSource, short_hash
from deeplake_mmdet.lake.table.build import BaseRows, build_table, fill_table
from deeplake_mmdet.lake.table.files import DamagedError, FileSink, read_arrays
from deeplake_mmdet.lake.table.table import AnnotationTable

__all__ = ["CACHE_VARIABLE", "cache_folder", "cached_tables", "clear_cache", "load_table", "table_of"]

CACHE_VARIABLE = "DEEPLAKE_MMDET_CACHE"
_LOCK_PATIENCE = 1800.0  # seconds to wait for another process that builds the same table
_NOT_READ = ("gt_masks", "file_name")  # roles whose columns are no part of the table

_log = logging.getLogger("deeplake_mmdet")


class _CachedTable(AnnotationTable):
    """A table whose arrays are mapped from the cache: it pickles as the name of its folder."""

    def __reduce__(self) -> Any:
        return load_table, (self.folder,)


def cache_folder() -> Path:
    """Where tables are kept; it need not exist."""
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "deeplake-mmdet"


def table_of(
    source: ResolvedSource,
    handle: OpenLake,
    roles: Roles,
    box_format: BoxFormat,
    coding: LabelCoding,
    *,
    inferred: Sequence[str] = (),
    allow_bad_images: bool = False,
    apply_exif: bool | None = False,
    base_rows: BaseRows | None = None,
) -> AnnotationTable:
    """The annotation table of a pinned lake: from the cache, or built and put there.

    Of several processes that ask at once one builds, and the others wait for it. Lakes that exist in this
    process only are built in memory, and so is any table if the cache cannot be written, which is logged.

    Args:
        source: What ``handle`` was pinned to.
        handle: Open lake.
        roles: Column names.
        box_format: How the lake stores boxes.
        coding: What the labels are.
        inferred: Extra roles whose columns nobody named, see `build_table`.
        allow_bad_images: Give images that cannot be decoded the size 0 x 0, instead of raising.
        apply_exif: Whether sizes mean images as turned by their EXIF orientation, see `build_table`.
        base_rows: Of a view, see `build_table`.

    Raises:
        AnnotationError: Annotations cannot be used, see `build_table`.
        ImageError: An image cannot be decoded, as far as ``SHAPE()`` shows it.
    """
    options: dict[str, Any] = {"allow_bad_images": allow_bad_images, "apply_exif": apply_exif}
    options["inferred"] = sorted(role for role in inferred if role not in _NOT_READ)

    def in_memory() -> AnnotationTable:
        return build_table(
            handle, roles, box_format, coding.count, coding=coding, base_rows=base_rows, **options
        )

    if source.is_local_process:
        return in_memory()
    columns = {role: name for role, name in asdict(roles).items() if name and role not in _NOT_READ}
    facts = {"source": source.facts(), "columns": columns, "box_format": str(box_format), **options}
    facts["labels"] = [coding.count, list(coding.names), list(coding.ids)]
    if base_rows is not None:
        facts["base_rows"] = True  # which tables of views did not have at first
    tables = cache_folder() / "tables"
    folder = tables / short_hash(facts)
    try:
        make_folder(tables)
        if (found := _existing(folder)) is not None:
            return found
        # Without the lock, tables are built beside each other and the first to finish is kept.
        with locked(tables / f".{folder.name}.lock", _LOCK_PATIENCE) as alone:
            if (found := _existing(folder)) is None:
                if alone:
                    _sweep(folder)
                _build(
                    folder,
                    lambda sink: fill_table(sink, handle, roles, coding, base_rows=base_rows, **options),
                    facts,
                )
        return found or load_table(folder)
    except DeepLakeMMDetError:
        raise
    except OSError as error:
        _log.warning(
            "The annotation table is kept in memory, in each process anew: the cache %s cannot be used (%s); "
            "%s names another folder",
            tables,
            error.strerror or error,
            CACHE_VARIABLE,
        )
        return in_memory()


def load_table(folder: Path) -> AnnotationTable:
    """Map a cached table.

    Args:
        folder: The table's folder.

    Raises:
        StorageError: It is not there any more, or damaged.
    """
    try:
        return _load(folder)
    except DamagedError as error:
        raise StorageError(
            f"The cached annotation table cannot be used ({error})",
            where=str(folder),
            advice="start again: it is built anew when a dataset is made",
        ) from None


def cached_tables() -> list[tuple[Path, int]]:
    """The tables in the cache: folder and size in bytes."""
    found = [
        path
        for path in sorted((cache_folder() / "tables").glob("*"))
        if path.is_dir() and not path.is_symlink()
    ]
    return [(path, sum(file.stat().st_size for file in path.iterdir())) for path in found]


def clear_cache() -> int:
    """Remove all cached tables; processes that use one keep it until they end. Gives the bytes freed."""
    freed = 0
    for path, size in cached_tables():
        shutil.rmtree(path)
        freed += size
    return freed


def _load(folder: Path) -> AnnotationTable:
    arrays, facts = read_arrays(folder)
    try:
        table = _CachedTable(
            box_format=BoxFormat.parse(facts["box_format"]),
            folder=folder,
            left_out=facts["left_out"],
            **arrays,
        )
        if int(table.offsets[-1]) != len(table.boxes) or len(table.offsets) != len(table) + 1:
            raise DamagedError("its arrays do not belong together")
    except (TypeError, KeyError, ValueError, IndexError) as error:
        raise DamagedError(f"{type(error).__name__}: {error}") from None
    return table


def _existing(folder: Path) -> AnnotationTable | None:
    if not folder.exists():
        return None
    try:
        return _load(folder)
    except DamagedError as error:
        _log.warning("The cached annotation table %s is damaged and is built anew: %s", folder, error)
        return None


def _build(folder: Path, fill: Callable[[FileSink], None], facts: dict[str, Any]) -> None:
    part = _sibling(folder, "building")
    part.mkdir(mode=0o700)
    try:
        with FileSink(part) as sink:
            fill(sink)
            sink.finish(facts)
        _put(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _put(part: Path, folder: Path) -> None:
    """Rename a complete table to its place. Where a good one has come to be meanwhile, that one stays."""
    try:
        part.rename(folder)
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    with contextlib.suppress(DamagedError):
        _load(folder)
        return
    aside = _sibling(folder, "damaged")
    folder.rename(aside)
    try:
        part.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _sibling(folder: Path, state: str) -> Path:
    return folder.with_name(f".{folder.name}.{state}-{os.getpid()}-{secrets.token_hex(4)}")


def _sweep(folder: Path) -> None:
    """Remove what killed builds of this table left; only while no other can be under way."""
    for left in folder.parent.glob(f".{folder.name}.*-*"):
        shutil.rmtree(left, ignore_errors=True)
