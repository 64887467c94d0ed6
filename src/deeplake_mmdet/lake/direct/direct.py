"""Reading encoded images without Deep Lake: out of local files, or whole chunks out of a bucket."""

from __future__ import annotations

from collections.abc import Callable

from deeplake_mmdet.lake.calls.faults import is_local
from deeplake_mmdet.lake.calls.handle import LakeHandle
from deeplake_mmdet.lake.calls.protocols import OpenLake
from deeplake_mmdet.lake.direct.chunk_files import chunk_files
from deeplake_mmdet.lake.direct.chunk_objects import chunk_objects
from deeplake_mmdet.lake.images.cell_reader import CellReader
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.source import ResolvedSource

__all__ = ["read_directly"]


def read_directly(
    under: CellReader,
    lake: OpenLake,
    source: ResolvedSource,
    column: str,
    credentials: Callable[[], CredentialRef],
    *,
    checked: bool = False,
) -> CellReader:
    """A reader of encoded cells over Deep Lake's own; the latter if all of it is Deep Lake's business.

    Args:
        under: Reads the column through Deep Lake.
        lake: The open lake.
        source: What it was pinned to.
        column: Column name.
        credentials: Gives what opens it at present.
        checked: What comes over a network is compared with checksums, as it is to be kept.
    """
    if not isinstance(lake, LakeHandle):  # one with a row order of its own
        return under
    if is_local(source.url):
        return chunk_files(lake, column, under) or under
    return chunk_objects(lake, column, under, source, credentials, checked=checked) or under
