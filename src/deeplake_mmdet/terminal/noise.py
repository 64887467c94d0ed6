"""Warnings and lines of other packages that are nobody's to act on: a run's log file has them, no screen."""

from __future__ import annotations

import logging
import re
import warnings

__all__ = ["ignore_noise", "is_noise", "is_noise_text", "shown_text"]

# Of Python's `warnings`: for whoever writes the code that warns.
_CATEGORIES = (
    *("DeprecationWarning", "PendingDeprecationWarning", "FutureWarning", "ImportWarning"),
    *("ResourceWarning", "SyntaxWarning", "PytestUnraisableExceptionWarning"),
)
# What they begin with; of stock code about stock code.
_BEGINNINGS = (
    "Could not import OneDL",
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias of',
    "torch.meshgrid: in an upcoming release",
    "faster_coco_eval is not installed",
    "To copy construct from a tensor",
    "Default ``avg_non_ignore``",
    "Sparse invariant checks",
    "Multi-processing start method",
    "Detected call of `scheduler.step()` before",
    "Detected pickle protocol",
    "Warning: The bbox is out of bounds",
    "Warning: The polygon is out of bounds",
    "Warning: The text is out of bounds",
    "Failed to search registry with scope",
    "The prefix is not set in metric class",
    "The HOOKS registry in",
    "Using a non-full backward hook",
    "pkg_resources is deprecated",
    "Setting OMP_NUM_THREADS environment variable",
    "Setting MKL_NUM_THREADS environment variable",
    "Please make sure that the mlflow server is running",  # none is, of a database in a folder
)
_ANYWHERE = (
    "is duplicate. It is skipped since bypass_duplicate=True",
    "has been created, the method `get_instance` should not accept any other arguments",
    "instance named of",
    "is deprecated",
    "will be deprecated",
)
# As `warnings.formatwarning` writes them: file, line, category, message and the line of code.
_FORMATTED = re.compile(
    r"(?P<file>.*?):(?P<line>\d+): (?P<category>\w+): (?P<text>.*?)(?:\n  .*)?\n?", re.DOTALL
)


def is_noise_text(text: str) -> bool:
    """Whether a text is one of the known ones that nobody can act on.

    Args:
        text: A message, without its time and level.
    """
    stripped = text.strip()
    return stripped.startswith(_BEGINNINGS) or any(part in stripped for part in _ANYWHERE)


def is_noise(record: logging.LogRecord) -> bool:
    """Whether a line of a log is nobody's to act on; what this package says never is, and no error is.

    Args:
        record: The line.
    """
    if record.levelno >= logging.ERROR or record.name.partition(".")[0] == "deeplake_mmdet":
        return False
    text = record.getMessage()
    if record.name == "py.warnings" and (match := _FORMATTED.fullmatch(text)):
        own = "/deeplake_mmdet/" in match["file"].replace("\\", "/")
        return not own and (match["category"] in _CATEGORIES or is_noise_text(match["text"]))
    return is_noise_text(text)


def shown_text(record: logging.LogRecord) -> str:
    """A line as a person is to read it: a Python warning without the line of code that it comes from.

    Args:
        record: The line.
    """
    text = record.getMessage()
    if record.name == "py.warnings" and (match := _FORMATTED.fullmatch(text)):
        return match["text"].strip()
    return text


def ignore_noise() -> None:
    """Have Python ignore the warnings that are noise: for a block of ``warnings.catch_warnings``."""
    for text in _BEGINNINGS:
        warnings.filterwarnings("ignore", re.escape(text), UserWarning)
