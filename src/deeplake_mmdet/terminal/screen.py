"""Lines of logs on the screen: short ones, on standard error, above what is drawn there."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from deeplake_mmdet.errors import readable
from deeplake_mmdet.terminal.noise import is_noise, shown_text
from deeplake_mmdet.terminal.text import console, plain
from deeplake_mmdet.terminal.verbosity import verbosity

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["ScreenHandler", "drawing", "is_first_process", "say", "screen_can_be_drawn_on"]

_RANKS = (  # and what says that there are several processes
    ("RANK", "WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
)
_drawn: tuple[int, Console] | None = None  # process, and the console that something is drawn on just now


def is_first_process() -> bool:
    """Whether this is the first process of a run, or the only one, by what launchers set."""
    return all(os.environ.get(rank, "0") == "0" or size not in os.environ for rank, size in _RANKS)


def screen_can_be_drawn_on() -> bool:
    """Whether standard error is a terminal on which lines can be drawn anew; else lines follow each other."""
    return sys.stderr is not None and sys.stderr.isatty() and not console(stderr=True).is_dumb_terminal


@contextmanager
def drawing(screen: Console) -> Iterator[None]:
    """Have lines appear above what is drawn on a console.

    Args:
        screen: A live display or progress bar is drawn on it meanwhile.
    """
    global _drawn
    before, _drawn = _drawn, (os.getpid(), screen)
    try:
        yield
    finally:
        _drawn = before


def say(text: object, style: str = "") -> None:
    """Show a line, or lines, on standard error; nothing in it is markup.

    Args:
        text: Anything; its ``str`` counts.
        style: Of rich, for terminals.
    """
    shown = readable(text, lines=True)
    if _drawn is None:
        if style and sys.stderr.isatty():
            console(stderr=True).print(_styled(shown, style))
        else:
            print(shown, file=sys.stderr, flush=True)
    elif _drawn[0] == os.getpid():
        _drawn[1].print(_styled(shown, style), soft_wrap=True)
    else:  # a worker process: the drawing, and the lock on it, are its parent's
        print(shown, file=sys.__stderr__, flush=True)


def _styled(text: str, style: str) -> Any:
    shown = plain("", style)
    shown.append(text)
    return shown


class ScreenHandler(logging.StreamHandler[TextIO]):
    """Shows this package's own lines, warnings that somebody can act on, and errors of any process."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """Standard error as it is now; MMEngine looks at the streams of a run's handlers."""
        return sys.stderr

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is for the screen.

        Args:
            record: The line.
        """
        if record.levelno >= logging.ERROR:
            return True
        if not is_first_process():
            return False
        level = verbosity()
        if level == "verbose":
            return record.levelno >= logging.INFO
        if record.levelno >= logging.WARNING:
            return not is_noise(record)
        own = record.name.partition(".")[0] == "deeplake_mmdet" and not getattr(record, "detail", False)
        return own and record.levelno >= logging.INFO and level == "normal"

    def emit(self, record: logging.LogRecord) -> None:
        """Show a line.

        Args:
            record: The line.
        """
        try:
            text = shown_text(record)
            if record.exc_info:
                text = f"{text}\n{logging.Formatter().formatException(record.exc_info)}"
            if record.levelno >= logging.ERROR:
                say(f"Error: {text}", "bold red")
            elif record.levelno >= logging.WARNING:
                say(f"Warning: {text}", "yellow")
            else:
                say(text)
        except Exception:  # as all handlers do: a log line ends no run
            self.handleError(record)
