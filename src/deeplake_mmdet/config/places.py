"""Where in a config file, or in a base of it, something failed."""

from __future__ import annotations

import ast
import traceback
from pathlib import Path

from deeplake_mmdet.config.bases import all_files
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake import masked

__all__ = ["failure", "named", "place_of"]


def failure(error: BaseException, where: str) -> ConfigError:
    """Make this package's error of whatever a config, which is a program, ended with.

    Args:
        error: What it raised; its message may hold secrets.
        where: The file and line, as `place_of` finds them.

    Returns:
        The error, with secrets masked.
    """
    message = error.msg if isinstance(error, SyntaxError) else (str(error).splitlines() or ["no message"])[0]
    if "U+FEFF" in message:
        message, advice = "the file begins with a byte order mark", "save it as UTF-8 without one"
    elif isinstance(error, UnicodeDecodeError):
        advice = "save the file as UTF-8"
    elif isinstance(error, SyntaxError):
        advice = "correct the file at this line, or just before it"
    elif isinstance(error, FileNotFoundError):
        advice = "check the paths of '_base_'"
    else:
        advice = "correct the file there: a config is a program in Python"
    return ConfigError(
        f"The config cannot be loaded: {type(error).__name__}: {masked(message)}",
        where=where,
        advice=advice,
    )


def place_of(error: BaseException, file: Path) -> str:
    """Find the line of a config, or of a base of it, that failed.

    Args:
        error: What was raised.
        file: The config.

    Returns:
        File and line, as far as they can be known.
    """
    files = all_files(file.resolve())
    if isinstance(error, SyntaxError):
        for part in files:
            try:
                ast.parse(part.read_text(encoding="utf-8"))
            except SyntaxError as found:
                return named(part, found.lineno, file)
            except (OSError, ValueError):
                continue
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        for part in files:
            if Path(frame.filename).resolve() == part:
                return named(part, frame.lineno, file)
    return str(file)


def named(part: Path, line: int | None, file: Path) -> str:
    """Name a line for a message.

    Args:
        part: The file that it stands in.
        line: Its number from 1; None if it is not known.
        file: The config that was to be loaded: ``part`` itself, or one that has it for a base.

    Returns:
        E.g. ``base.py, line 3 (a base of config.py)``.
    """
    own = part == file.resolve()
    place = "" if line is None else f", line {line}"
    return f"{file if own else part}{place}" + ("" if own else f" (a base of {file})")
