"""``results.csv`` of a run: one row for each epoch or validation, written as the run goes."""

from __future__ import annotations

import csv
import io
import logging
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from deeplake_mmdet.errors import SourceFormatError, SourceNotFoundError

__all__ = ["RESULTS_NAME", "ResultsTable", "read_results"]

RESULTS_NAME = "results.csv"
_KEY, _FIRST = "iteration", ("epoch", "iteration", "elapsed")
_log = logging.getLogger("deeplake_mmdet")


def read_results(path: str | os.PathLike[str]) -> list[dict[str, float]]:
    """Read the rows of a ``results.csv``.

    Args:
        path: The file.

    Returns:
        Numbers by column; columns that a row leaves empty are not in it.

    Raises:
        SourceNotFoundError: There is no such file.
        SourceFormatError: It is another kind of file.
    """
    file = Path(path)
    try:
        with file.open(newline="", encoding="utf-8") as opened:
            reader = csv.DictReader(opened, strict=True)
            if _KEY not in (reader.fieldnames or [_KEY]):
                raise ValueError(f"it has no column {_KEY!r}")
            rows = [{name: float(value) for name, value in row.items() if value != ""} for row in reader]
        _ = [row[_KEY] for row in rows]
    except FileNotFoundError:
        raise SourceNotFoundError("There are no results of a run here", where=str(file)) from None
    except (OSError, ValueError, TypeError, KeyError, csv.Error) as error:
        raise SourceFormatError(
            f"This file does not hold the results of a run: {type(error).__name__}: {error}", where=str(file)
        ) from None
    return rows


class ResultsTable:
    """The rows of a run's table, and the file that holds them: at any time whole, as before or as after.

    Args:
        path: The file.
        iteration: Where this start of the run begins: rows of later iterations, which did not lead here, are
            left out; with 0, all.
    """

    def __init__(self, path: Path, iteration: int = 0) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []
        if not iteration:
            return
        try:
            self.rows = [row for row in read_results(path) if row[_KEY] <= iteration]
        except SourceNotFoundError:
            pass
        except SourceFormatError as error:
            kept = path.with_name(f"{path.name}.old")
            path.replace(kept)
            _log.warning("%s A new one is begun; the old one is now %s", error, kept.name)

    @property
    def elapsed(self) -> float:
        """Seconds of training so far, by the last row; 0 without any."""
        return self.rows[-1].get("elapsed", 0.0) if self.rows else 0.0

    @property
    def iteration(self) -> int:
        """Iteration of the last row; 0 without any."""
        return int(self.rows[-1][_KEY]) if self.rows else 0

    def add(self, values: Mapping[str, float]) -> None:
        """Add a row, or to the last one if it is of the same iteration, and write the file.

        Args:
            values: With ``epoch`` and ``iteration``.

        Raises:
            OSError: The file cannot be written; the old one stays.
        """
        if self.rows and self.rows[-1][_KEY] == values[_KEY]:
            self.rows[-1] |= values
        else:
            self.rows.append(dict(values))
        found = dict.fromkeys(name for row in self.rows for name in row)
        names = [*(name for name in _FIRST if name in found), *(name for name in found if name not in _FIRST)]
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
        writer.writeheader()
        for row in self.rows:
            writer.writerow({name: _shown(value) for name, value in row.items()})
        beside = self.path.with_name(f".{self.path.name}.{secrets.token_hex(6)}")
        try:
            beside.write_text(text.getvalue(), encoding="utf-8")
            beside.replace(self.path)
        finally:
            beside.unlink(missing_ok=True)


def _shown(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else f"{value:.6g}"
