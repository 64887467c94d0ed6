"""What an import kept of its source beside the columns: JSON, from which an export writes it again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from deeplake_mmdet.lake.schema.columns import read_metadata
from deeplake_mmdet.lake.schema.role_rules import COCO_REMAINDERS
from deeplake_mmdet.lake.views import LakeView

__all__ = ["COCO_FACTS", "IMAGE_REMAINDER", "facts_of_source", "image_remainders", "read_json"]

COCO_FACTS = "coco"  # key in the metadata of the images' column
IMAGE_REMAINDER = "image_remainder"


def facts_of_source(view: LakeView) -> Mapping[str, Any]:
    """What the source's file says as a whole: ``others`` and ``categories``, by stored label; empty without.

    Args:
        view: The lake.
    """
    stored = view.handle[view.roles.img].metadata
    found = read_json(read_metadata(stored, (COCO_FACTS,)).get(COCO_FACTS))
    return found if isinstance(found, dict) else {}


def image_remainders(view: LakeView, rows: Sequence[int]) -> list[Any] | None:
    """What the source says of some images beyond the columns, see `Remainders`; None if the lake has it not.

    Args:
        view: The lake.
        rows: Row numbers; at least one.
    """
    column = view.columns.get(IMAGE_REMAINDER)
    if column is None or column.metadata.get("format") != COCO_REMAINDERS:
        return None
    return [read_json(cell) for cell in view.handle[IMAGE_REMAINDER][list(map(int, rows))]]


def read_json(text: Any) -> Any:
    """A value out of its JSON; None where there is none.

    Args:
        text: JSON, or whatever stands in its place.
    """
    try:
        return json.loads(text) if text else None
    except (TypeError, ValueError, RecursionError):
        return None
