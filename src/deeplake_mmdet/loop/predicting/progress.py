"""How far a run has come: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from deeplake_mmdet.terminal import console

__all__ = ["Progress"]

_PAUSE = 10.0  # seconds between two lines


class Progress:
    """Shown on standard error; to be used as a context.

    Args:
        title: What is being done.
        total: Number of images.
        shown: False to show nothing.
    """

    def __init__(self, title: str, total: int, *, shown: bool = True) -> None:
        self._title, self._total, self._done = title, total, 0
        screen = console(stderr=True, soft_wrap=False)
        self._bar: Any = None
        self._lines = shown and not screen.is_terminal
        if shown and screen.is_terminal:
            from rich import progress

            self._bar = progress.Progress(
                *(progress.TextColumn("{task.description}", markup=False), progress.BarColumn()),
                *(progress.MofNCompleteColumn(), progress.TextColumn("{task.fields[rate]}", markup=False)),
                progress.TimeRemainingColumn(),
                console=screen,
            )
            self._task = self._bar.add_task(title, total=total, rate="")

    def __enter__(self) -> Progress:
        self._begun = self._told = time.monotonic()
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, count: int) -> None:
        """Count images.

        Args:
            count: How many more are done.
        """
        self._done = min(self._done + count, self._total)
        now = time.monotonic()
        rate = self._done / max(now - self._begun, 1e-9)
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, rate=f"{rate:.1f} images/s")
        elif self._lines and now - self._told >= _PAUSE and self._done < self._total:
            self._told = now
            left = (self._total - self._done) / rate
            text = (
                f"{self._title}: {self._done} of {self._total} images, {rate:.1f}/s, about {left:.0f} s left"
            )
            print(text, file=sys.stderr, flush=True)
