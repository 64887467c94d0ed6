"""What one could do about findings: queries that leave out rows, and settings. Nothing is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.checking.kinds import KINDS
from deeplake_mmdet.lake import Source
from deeplake_mmdet.lake.source.queries import is_random

if TYPE_CHECKING:
    from deeplake_mmdet.checking.result import Finding

__all__ = ["ALL_ERRORS", "FixStep", "leave_out", "plan_of"]

ALL_ERRORS = "all errors"
_MOST_ROWS = 10_000  # in one query, of about 60 kB


@dataclass(frozen=True)
class FixStep:
    """A way to deal with one finding.

    Attributes:
        kind: Kind of the finding; ``'all errors'`` for the query that deals with all errors at once.
        lake: 0 for the lake, 1 for the second one.
        text: What it does, in words.
        query: TQL for ``DeepLakeDataset(query=...)`` and ``--query``, in place of the query that the lake was
            checked with, if any, and beside the same version or view; None if a query does not help.
    """

    kind: str
    lake: int
    text: str
    query: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The step as plain JSON values."""
        return {"kind": self.kind, "lake": self.lake, "text": self.text, "query": self.query}


def leave_out(rows: NDArray[np.int64], query: str | None = None) -> str:
    """A TQL query that leaves out rows.

    Args:
        rows: Numbers of rows in the query's result, shape (k,), at least one.
        query: The query that they are numbers in; None for the lake's own rows.

    Returns:
        The query. Its result has one column more, ``row_number``: the number of each row before.
    """
    inner = f" FROM ({query.strip().rstrip(';')})" if query else ""
    listed = ", ".join(map(str, rows.tolist()))
    return f"SELECT * FROM (SELECT *, ROW_NUMBER() AS row_number{inner}) WHERE row_number NOT IN ({listed})"


def plan_of(source: Source, lake: int, findings: Sequence[Finding]) -> list[FixStep]:
    """What one could do about the findings of one lake.

    Args:
        source: The lake as the user named it.
        lake: 0, or 1 if it is the second one.
        findings: Its findings.

    Returns:
        One step for each finding that something can be done about, and at the end one for all errors.
    """
    steps = []
    errors: NDArray[np.int64] = np.zeros(0, np.int64)
    for finding in findings:
        drops = KINDS[finding.kind].drops and len(finding.rows)
        if drops and finding.severity == "error":
            errors = np.union1d(errors, finding.rows).astype(np.int64)
        if finding.severity == "note":
            continue
        text = f"{finding.what} ({finding.count}). {_sentence(finding.advice)}"
        steps.append(_step(finding.kind, source, lake, text, finding.rows if drops else errors[:0]))
    if len(errors):
        text = f"all rows that have an error ({len(errors)})."
        steps.append(_step(ALL_ERRORS, source, lake, text, errors))
    return steps


def _step(kind: str, source: Source, lake: int, text: str, rows: NDArray[np.int64]) -> FixStep:
    if not len(rows):
        return FixStep(kind, lake, text)
    if len(rows) > _MOST_ROWS:
        text += f" {len(rows)} rows are too many for one query: Python's check() gives their numbers."
    elif source.query and is_random(source.query):
        text += " No query can name these rows: their order is random."
    else:
        query = leave_out(rows, source.query)
        return FixStep(kind, lake, f"{text} Without {_rows(len(rows))}:", query)
    return FixStep(kind, lake, text)


def _rows(count: int) -> str:
    return "this row" if count == 1 else f"these {count} rows"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
