"""The progress bar of an export."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from deeplake_mmdet.terminal import console

__all__ = ["bar"]


@contextlib.contextmanager
def bar(total: int, shown: bool) -> Iterator[Callable[[int], None]]:
    """Draw a progress bar on stderr.

    Args:
        total: Number of images.
        shown: Whether to draw it.

    Yields:
        To be called with the number of images that are done.
    """
    columns = (TextColumn("Exporting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    screen = console(stderr=True, soft_wrap=False)
    with Progress(*columns, console=screen, disable=not shown) as progress:
        task = progress.add_task("", total=total)
        yield lambda count: progress.advance(task, count)
