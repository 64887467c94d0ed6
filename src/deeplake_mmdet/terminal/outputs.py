"""What a command prints: results on standard output and nothing else there, as JSON one document."""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, is_dataclass
from pathlib import PurePath
from typing import Any

from deeplake_mmdet.terminal.noise import is_noise_text

__all__ = ["leave_out_noise", "print_json", "results_apart"]

_results: list[str] | None = None  # documents of a command that prints JSON, while it runs


class _WithoutNoise:
    """A stream that leaves out lines which other packages print and nobody can act on.

    Args:
        stream: Gets everything else.
    """

    def __init__(self, stream: Any) -> None:
        self._stream, self._ends = stream, False

    def write(self, text: str) -> int:
        """Write a text; `print` writes a line and its end one after the other."""
        ends, self._ends = self._ends, False
        if ends and text == "\n":
            return 1
        if text.strip() and is_noise_text(text):
            self._ends = not text.endswith("\n")
            return len(text)
        written: int = self._stream.write(text)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def leave_out_noise() -> None:
    """Keep what other packages print and nobody can act on off this process's standard output, for good."""
    sys.stdout = _WithoutNoise(sys.stdout)


@contextmanager
def results_apart(*, as_json: bool) -> Iterator[None]:
    """Keep what other packages print out of a command's results.

    Args:
        as_json: Standard output gets what `print_json` is given and nothing else: everything that is printed
            goes to standard error in the end.
    """
    global _results
    if not as_json:
        stream: Any = _WithoutNoise(sys.stdout)
        with redirect_stdout(stream):
            yield
        return
    before, _results = _results, []
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            yield
    finally:
        documents, _results = _results, before
        text = "".join(line for line in printed.getvalue().splitlines(True) if not is_noise_text(line))
        # Without a document, what was printed is what the command has to say.
        (sys.stderr if documents else sys.stdout).write(text)
        sys.stdout.write("".join(documents))


def print_json(facts: Any) -> None:
    """Print the one JSON document of a command on standard output; NaN and infinity become null.

    Args:
        facts: Plain data; NumPy's numbers and arrays, paths and data classes become such.
    """
    text = json.dumps(_plain(facts), indent=1, allow_nan=False)
    if _results is None:
        print(text)
    else:
        _results.append(f"{text}\n")


def _plain(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, (list, tuple, set, frozenset)):
        return [_plain(value) for value in node]
    if is_dataclass(node) and not isinstance(node, type):
        return _plain(asdict(node))
    if isinstance(node, PurePath):
        return str(node)
    if isinstance(node, float):
        return node if math.isfinite(node) else None
    if hasattr(node, "tolist") and not isinstance(node, str):
        return _plain(node.tolist())
    return node
