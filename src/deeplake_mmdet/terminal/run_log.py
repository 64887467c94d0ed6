"""What this package's rooms log, in the log of the run: on the terminal and in its file."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable

__all__ = ["begin_run_log", "join_run_log", "put_early_lines"]

_LOGGER = logging.getLogger("deeplake_mmdet")
_MOST_EARLY = 200  # lines that are kept until there is a file


class _RunLog(logging.Handler):
    """Hands lines on to MMEngine's current logger, as `mmengine.logging.print_log` does.

    So all rooms log by Python's own means, also those that know no MMEngine.

    Attributes:
        early: Lines of a run that has no file yet.
        waits: Whether there is such a run; the current logger is an earlier one's then, or nobody's.
    """

    def __init__(self) -> None:
        super().__init__()
        self.early: deque[logging.LogRecord] = deque(maxlen=_MOST_EARLY)
        self.waits = False

    def emit(self, record: logging.LogRecord) -> None:
        """Show a line, and write it into the run's file."""
        from mmengine.logging import MMLogger  # loads torch

        logger = MMLogger.get_current_instance()
        if not self.waits:
            logger.handle(record)
            return
        self.early.append(record)
        if logger.filter(record):
            for handler in logger.handlers:
                if record.levelno >= handler.level and not isinstance(handler, logging.FileHandler):
                    handler.handle(record)


_handler = _RunLog()


def join_run_log() -> None:
    """Show what is logged under ``deeplake_mmdet`` where MMEngine shows its own lines, from INFO on."""
    if _handler not in _LOGGER.handlers:
        _LOGGER.addHandler(_handler)
    if _LOGGER.level == logging.NOTSET:
        _LOGGER.setLevel(logging.INFO)


def begin_run_log() -> None:
    """Keep what is logged from now on for the file of a run; `put_early_lines` follows when that is there."""
    join_run_log()
    _handler.waits = True
    _handler.early.clear()


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
    _handler.waits = False
