"""What this package's rooms log: on the screen and in the run's file, or where MMEngine shows its own lines.

In a command, and while a training or test of ours runs, lines for people go to the screen (see `screen`) and
everything goes to the run's log file. Elsewhere, as in MMDetection's own tools, our lines go MMEngine's way.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from deeplake_mmdet.terminal.noise import ignore_noise
from deeplake_mmdet.terminal.outputs import leave_out_noise
from deeplake_mmdet.terminal.screen import ScreenHandler
from deeplake_mmdet.terminal.verbosity import verbosity

__all__ = [
    "begin_child",
    "begin_run_log",
    "command_log",
    "join_run_log",
    "own_screen",
    "put_early_lines",
    "run_log",
]

_LOGGER = logging.getLogger("deeplake_mmdet")
_MOST_EARLY = 500  # lines that are kept until there is a file


class _RunLog(logging.Handler):
    """Hands lines on to the screen and the run's logger, or as `mmengine.logging.print_log` does.

    So all rooms log by Python's own means, also those that know no MMEngine.

    Attributes:
        depth: How many commands and runs of ours are under way, one inside the other.
        early: Lines of a run that has no file yet.
        waits: Whether there is such a run.
        run: MMEngine's logger of the run that is under way.
        streams: What `own_screen` has taken out: logger and stream.
    """

    def __init__(self) -> None:
        super().__init__()
        self.depth = 0
        self.early: deque[logging.LogRecord] = deque(maxlen=_MOST_EARLY)
        self.waits = False
        self.run: logging.Logger | None = None
        self.screen = ScreenHandler()
        self.streams: list[tuple[logging.Logger, logging.Handler]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Show a line, and write it into the run's file.

        Args:
            record: The line.
        """
        if self.run is not None:
            self.run.handle(record)
        elif self.depth:
            self.screen.handle(record)
            if self.waits:
                self.early.append(record)
        else:
            from mmengine.logging import MMLogger  # loads torch

            MMLogger.get_current_instance().handle(record)


class _OfOthers(logging.Handler):
    """The root's, in commands: hands on what other packages warn of."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line has not come by this package's own logger.

        Args:
            record: The line.
        """
        return record.name.partition(".")[0] != "deeplake_mmdet"

    def emit(self, record: logging.LogRecord) -> None:
        """Show a line, and write it into the run's file.

        Args:
            record: The line.
        """
        _handler.emit(record)


_handler = _RunLog()
_others = _OfOthers(logging.WARNING)


def join_run_log() -> None:
    """Show what is logged under ``deeplake_mmdet`` where it belongs, from INFO on."""
    if _handler not in _LOGGER.handlers:
        _LOGGER.addHandler(_handler)
    if _LOGGER.level == logging.NOTSET:
        _LOGGER.setLevel(logging.INFO)


@contextmanager
def command_log() -> Iterator[None]:
    """For a command's process: logs and Python's warnings go to the screen and to the file of the run."""
    root = logging.getLogger()
    root.addHandler(_others)
    logging.captureWarnings(True)
    try:
        with _under_way():
            _handler.waits = True
            yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(_others)


def begin_child() -> None:
    """For a process that a run of ours has started: as in a command, until it ends."""
    join_run_log()
    logging.getLogger().addHandler(_others)
    logging.captureWarnings(True)
    _handler.depth, _handler.waits = 1, True
    leave_out_noise()


@contextmanager
def run_log() -> Iterator[None]:
    """For a training, a test or the like, also one that a program has started.

    MMEngine's stream of lines is for the run's log file. Noise among Python's warnings is left out, where no
    command takes them into the log.
    """
    from mmengine.logging import MMLogger

    with _under_way():
        own_screen(MMLogger.get_current_instance())  # of before there is a run's own
        if _handler.depth > 1:
            yield
            return
        with warnings.catch_warnings():
            ignore_noise()
            yield


@contextmanager
def _under_way() -> Iterator[None]:
    join_run_log()
    _handler.depth += 1
    try:
        yield
    finally:
        _handler.depth -= 1
        if not _handler.depth:
            _handler.waits, _handler.run = False, None
            _handler.early.clear()
            for logger, stream in _handler.streams:
                logger.removeHandler(_handler.screen)
                logger.addHandler(stream)
            _handler.streams.clear()


def own_screen(logger: Any) -> None:
    """Put our screen in the place of a logger's stream while a run is under way; its files stay.

    Args:
        logger: MMEngine's; changed in place. By ``--verbose`` its stream stays, on standard error.
    """
    for handler in list(logger.handlers) if _handler.depth else ():
        others = isinstance(handler, (logging.FileHandler, ScreenHandler))
        if others or not isinstance(handler, logging.StreamHandler):
            continue
        if verbosity() == "verbose":
            handler.setStream(sys.stderr)
            continue
        _handler.streams.append((logger, handler))
        logger.removeHandler(handler)
        if _handler.screen not in logger.handlers:
            logger.addHandler(_handler.screen)


def begin_run_log() -> None:
    """Keep what is logged from now on for the file of a run; `put_early_lines` follows when that is there."""
    join_run_log()
    if not _handler.waits:
        _handler.early.clear()
    _handler.waits, _handler.run = _handler.depth > 0, None


def put_early_lines(logger: logging.Logger, notes: Iterable[tuple[int, str]]) -> None:
    """Write into a run's log file what was logged since `begin_run_log`, and the notes of a conversion.

    Args:
        logger: MMEngine's logger of the run.
        notes: Logging level and text of each note.
    """
    made = (
        logger.makeRecord(logger.name, level, __file__, 0, "2.x config: %s", (note,), None)
        for level, note in notes
    )
    files = [handler for handler in logger.handlers if isinstance(handler, logging.FileHandler)]
    for record in (*_handler.early, *made):
        for file in files:
            file.handle(record)
    _handler.early.clear()
    _handler.waits, _handler.run = False, logger if _handler.depth else None
