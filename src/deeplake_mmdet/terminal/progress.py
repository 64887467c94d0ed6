"""How far something has come: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from deeplake_mmdet.terminal.screen import drawing, is_first_process, say, screen_can_be_drawn_on
from deeplake_mmdet.terminal.text import console
from deeplake_mmdet.terminal.verbosity import verbosity

__all__ = ["Progress", "duration"]

_PAUSE = 10.0  # seconds between two lines
_REDRAWN = 0.1  # seconds between two drawings; no thread draws, as processes are forked meanwhile


def duration(seconds: float) -> str:
    """Seconds as ``0:42``, ``12:05`` or ``3:07:00``.

    Args:
        seconds: How many; fractions are rounded.
    """
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


class Progress:
    """Shown on standard error; to be used as a context. By ``--quiet`` nothing is shown.

    Args:
        title: What is being done, e.g. ``'Importing'``.
        total: Number of things; None if it is not known yet.
        shown: False to show nothing.
        unit: What is counted.
        transient: Take the bar off the terminal in the end.
    """

    def __init__(
        self,
        title: str,
        total: int | None,
        *,
        shown: bool = True,
        unit: str = "images",
        transient: bool = False,
    ) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._done = 0
        self._stack = ExitStack()
        self._bar: Any = None
        shown = shown and verbosity() != "quiet" and is_first_process()
        self._draws = shown and screen_can_be_drawn_on()
        self._lines = shown and not self._draws
        self._transient = transient

    def __enter__(self) -> Progress:
        self._begun = self._told = time.monotonic()
        if self._draws:
            self._stack.enter_context(self._drawn_bar())
        return self

    def _drawn_bar(self) -> Any:
        from rich import progress

        screen = console(stderr=True, soft_wrap=False)
        columns = [progress.TextColumn("{task.description}", markup=False)]
        wide = screen.width >= 60
        columns += [progress.BarColumn(bar_width=None if wide else 10), progress.MofNCompleteColumn()]  # type: ignore[list-item]
        if wide:
            columns.append(progress.TextColumn("{task.fields[rate]}", markup=False))
            columns.append(progress.TimeRemainingColumn(compact=True))  # type: ignore[arg-type]
        self._bar = progress.Progress(
            *columns,
            console=screen,
            auto_refresh=False,
            transient=self._transient,
            redirect_stdout=sys.stdout.isatty(),
            expand=wide,
        )
        self._task = self._bar.add_task(self._title, total=self._total, rate="")
        self._stack.enter_context(drawing(screen))
        return self._bar

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None and kind is None:
            self._bar.refresh()
        self._stack.close()

    def advance(self, count: int = 1) -> None:
        """Count things that are done.

        Args:
            count: How many more.
        """
        self.move(self._done + count)

    def move(self, done: int, total: int | None = None) -> None:
        """Say how far it has come.

        Args:
            done: How many things are done.
            total: How many there are; None if that was said before.
        """
        self._total = self._total if total is None else total
        self._done = done if self._total is None else min(done, self._total)
        if self._bar is None and not self._lines:
            return
        now = time.monotonic()
        rate = self._done / max(now - self._begun, 1e-9)
        ended = self._total is not None and self._done >= self._total
        if self._bar is not None:
            told = f"{rate:,.1f} {self._unit}/s"
            self._bar.update(self._task, completed=self._done, total=self._total, rate=told)
            if ended or now - self._told >= _REDRAWN:
                self._told = now
                self._bar.refresh()
        elif now - self._told >= _PAUSE and not ended:
            self._told = now
            say(f"{self._title}: {self._count()}, {rate:,.1f}/s{self._left(rate)}")

    def _count(self) -> str:
        return f"{self._done:,}" + (f" of {self._total:,}" if self._total else "") + f" {self._unit}"

    def _left(self, rate: float) -> str:
        if not self._total or not rate:
            return ""
        return f", about {duration((self._total - self._done) / rate)} left"
