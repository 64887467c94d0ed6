"""Reading encoded images without Deep Lake: out of local files, or whole chunks out of a bucket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deeplake_mmdet.lake.calls.faults import is_local
from deeplake_mmdet.lake.direct.chunk_files import ChunkFiles, chunk_files
from deeplake_mmdet.lake.direct.chunk_objects import ChunkObjects, chunk_objects
from deeplake_mmdet.lake.images.cells import encoded_cells
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.pinning import newest_credentials
from deeplake_mmdet.lake.source.source import ResolvedSource

__all__ = ["direct_reader"]


def direct_reader(
    source: ResolvedSource,
    column: str,
    handle: Callable[[], Any],
    credentials: CredentialRef,
    *,
    checked: bool = False,
) -> ChunkFiles | ChunkObjects | None:
    """What reads like a column of encoded images; None if all of it is Deep Lake's business.

    Args:
        source: The pinned lake.
        column: Column name.
        handle: Gives the open lake.
        credentials: What opens it, unless this process has had others for it.
        checked: What comes over a network is compared with checksums, as it is to be kept.
    """

    def read(rows: Sequence[int]) -> list[Any]:
        return encoded_cells(handle()[column], rows)

    if is_local(source.url):
        return chunk_files(handle(), column, read)
    return chunk_objects(
        handle(),
        column,
        read,
        source,
        lambda: newest_credentials(source, credentials),
        (lambda: handle().close()) if checked else None,
    )
