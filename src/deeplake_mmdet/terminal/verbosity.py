"""How much is told on the terminal: by commands, and by trainings and tests of this process."""

from __future__ import annotations

import os
from typing import Literal

__all__ = ["CHILD", "DETAIL", "VARIABLE", "set_verbosity", "verbosity"]

Verbosity = Literal["quiet", "normal", "verbose"]

#: The environment variable that says so; processes that are started find it there.
VARIABLE = "DEEPLAKE_MMDET_VERBOSITY"
#: Set in processes that a run of ours starts, which are ours alone, from their first import on.
CHILD = "DEEPLAKE_MMDET_CHILD"
#: For ``extra`` of a log line: it is written into the log file, and shown by ``--verbose`` only.
DETAIL = {"detail": True}
_LEVELS: tuple[Verbosity, ...] = ("quiet", "normal", "verbose")


def verbosity() -> Verbosity:
    """What is told: ``'quiet'``, ``'normal'`` or ``'verbose'``, by the environment's word for it."""
    told = os.environ.get(VARIABLE, "normal").strip().lower()
    return next((level for level in _LEVELS if level == told), "normal")


def set_verbosity(level: Verbosity) -> None:
    """Choose how much is told on the terminal from now on, as the commands' --quiet and --verbose do.

    The log file of a run holds everything whatever is chosen here.

    Args:
        level: ``'quiet'``: warnings, errors and results; ``'normal'``: progress and the few lines that say
            something, too; ``'verbose'``: all that MMEngine and this package log.

    Raises:
        ConfigError: There is no such level.
    """
    if level not in _LEVELS:
        from deeplake_mmdet.errors import ConfigError

        raise ConfigError(
            f"There is no verbosity {level!r}",
            where="argument level",
            advice=f"use one of {', '.join(_LEVELS)}",
        )
    os.environ[VARIABLE] = level
