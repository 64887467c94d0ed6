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
    """The error of this package for whatever a config, which is a program, ended with."""
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
    """The file, or the base of it, and the line that failed, as far as they can be known."""
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
    """A line of a file, which may be a base of the one that was to be loaded."""
    own = part == file.resolve()
    place = "" if line is None else f", line {line}"
    return f"{file if own else part}{place}" + ("" if own else f" (a base of {file})")
