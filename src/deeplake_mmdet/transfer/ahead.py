"""Work in threads, ahead of who needs it: in order, in blocks, and with a bounded amount held."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from deeplake_mmdet.environment import available_cores
from deeplake_mmdet.lake.images.regular_files import size_of

__all__ = ["blocks_of_files", "read_ahead"]

_AHEAD = 2  # items held per thread
_BLOCK_FILES, _BLOCK_BYTES = 32, 2**20

In = TypeVar("In")
Out = TypeVar("Out")


def blocks_of_files(items: Iterable[In], path_of: Callable[[In], Path | None]) -> Iterator[list[In]]:
    """Cut items into blocks, each of few files that have a megabyte together, or of one larger file.

    A block is what threads are handed: one image at a time would keep them waiting for the interpreter.

    Args:
        items: In order.
        path_of: The file of an item; None if it has none. Files that are not there have no bytes.
    """
    block: list[In] = []
    size = 0
    for item in items:
        block.append(item)
        path = path_of(item)
        if path is not None:
            with contextlib.suppress(OSError, ValueError):  # ValueError: a zero byte in the name
                size += size_of(path)
        if len(block) == _BLOCK_FILES or size >= _BLOCK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


def read_ahead(
    items: Iterable[In], read: Callable[[In], Out], workers: int | None = None
) -> Generator[tuple[In, Out], None, None]:
    """Apply ``read`` in threads; results come in the order of ``items`` and a bounded number is held.

    Args:
        items: Drawn from in the calling thread only.
        read: What to apply; it must be safe to call in several threads.
        workers: The number of threads; None for one per core. They end when the generator is closed.

    Yields:
        Each item with its result. What ``read`` raises is raised here, in the item's turn.
    """
    workers = workers or available_cores()
    source = iter(items)
    waiting: deque[tuple[In, Future[Out]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="image-reader") as pool:
        try:
            while True:
                while len(waiting) <= workers * _AHEAD:
                    try:
                        item = next(source)
                    except StopIteration:
                        break
                    waiting.append((item, pool.submit(read, item)))
                if not waiting:
                    return
                item, future = waiting.popleft()
                yield item, future.result()
        finally:
            for _, future in waiting:
                future.cancel()
