"""By what rows are ranked: one formula each, in Deep Lake's TQL over the columns that a run has written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deeplake_mmdet.errors import ColumnError

__all__ = ["RANKINGS", "SIMILARITY", "Ranking", "ranking_query", "refuse_missing"]

_COUNTS = ("pred/tp", "pred/fp", "pred/missed")


@dataclass(frozen=True)
class Ranking:
    """A ranking of rows; the highest value first, of equal ones the lower row number.

    Attributes:
        formula: TQL of a row's value. Rows of 0 and below are not listed: they have nothing to show.
        needs: Columns that it is computed from.
        shows: Further columns that explain it, shown where the run has them.
        heading: What the value is, for people.
    """

    formula: str
    needs: tuple[str, ...]
    shows: tuple[str, ...]
    heading: str


# Of a row without truth the counts are -1, and AP50 is of an image without objects: such terms count 0.
_HARD = (
    '("pred/tp" >= 0) * (("pred/missed" + "pred/fp") / (1.0 + "pred/tp" + "pred/missed" + "pred/fp")'
    ' + ("pred/ap50" >= 0) * (1 - "pred/ap50"))'
)
_UNCERTAIN = 'SUM(4 * "pred/scores" * (1 - "pred/scores") * ("pred/scores" >= {score_thr}))'

RANKINGS: dict[str, Ranking] = {
    "missed": Ranking('"pred/missed"', ("pred/missed",), _COUNTS, "objects missed"),
    "false": Ranking('"pred/fp"', ("pred/fp",), _COUNTS, "false detections"),
    "confused": Ranking('"pred/confused"', ("pred/confused",), _COUNTS, "taken for another class"),
    "localisation": Ranking('"pred/localisation"', ("pred/localisation",), _COUNTS, "badly placed boxes"),
    "uncertain": Ranking(_UNCERTAIN, ("pred/scores",), ("pred/lowest_score",), "sum of 4 s (1 - s)"),
    "label-errors": Ranking(
        '"pred/label_error"', ("pred/label_error",), ("pred/disagreement",), "likelihood of a wrong label"
    ),
    "hard": Ranking(_HARD, (*_COUNTS, "pred/ap50"), (), "errors' share + 1 - AP50"),
}
SIMILARITY = Ranking(
    'COSINE_SIMILARITY("pred/embedding", ARRAY[{vector}])', ("pred/embedding",), (), "cosine similarity"
)


def ranking_query(ranking: Ranking, columns: Sequence[str], top: int, values: Mapping[str, object]) -> str:
    """TQL that gives the first rows of a ranking: ``row``, ``negative`` (its value times -1) and numbers.

    The last may have nothing to show: to leave them out Deep Lake would compute the formula once more.

    Args:
        ranking: The ranking.
        columns: What the run has.
        top: How many rows.
        values: What stands in the formula's braces.
    """
    formula = ranking.formula.format(**values)
    shown = [name for name in dict.fromkeys((*ranking.needs, *ranking.shows)) if name in columns]
    # Columns of one number a row; of several keys of an order, Deep Lake 4.7 turns all by one DESC.
    numbers = "".join(f', "{name}"' for name in shown if name not in ("pred/scores", "pred/embedding"))
    return (
        f"SELECT * FROM (SELECT ROW_NUMBER() AS row, 0 - {formula} AS negative{numbers}) "
        f"ORDER BY negative, row LIMIT {top}"
    )


def refuse_missing(by: str, needs: Sequence[str], columns: Sequence[str], where: str) -> None:
    """Refuse a ranking whose columns a run lacks.

    Args:
        by: Name of the ranking.
        needs: The columns.
        columns: What the run has.
        where: The run, for the message.

    Raises:
        ColumnError: It lacks some.
    """
    lacking = [name for name in needs if name not in columns]
    if not lacking:
        return
    if lacking == ["pred/embedding"]:
        why, advice = "embeddings", "predict with --write-back --embed"
    else:
        why = "numbers that need truth: its lake has no labels"
        advice = "uncertain works without labels, near and duplicates with embeddings or images"
    raise ColumnError(
        f"Rows cannot be ranked by {by!r}: the run has no {why} ({', '.join(lacking)})",
        where=where,
        advice=advice,
    )
