"""Files of predictions: COCO results as JSON, or the table that ``test --out`` writes."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deeplake_mmdet.errors import AnnotationError, InstallError, SourceNotFoundError

__all__ = ["Entries", "need_pyarrow", "read_entries"]

Entries = Sequence[Mapping[str, Any]]


def read_entries(file: Path) -> Entries:
    """The entries of a file; see `deeplake_mmdet.evaluation.evaluate_predictions`.

    Args:
        file: A ``.json`` or ``.parquet`` file.

    Raises:
        SourceNotFoundError: There is no such file.
        AnnotationError: It is no list of COCO results.
        InstallError: It is Parquet and pyarrow is not installed.
    """
    if not file.is_file():
        raise SourceNotFoundError("There is no such file of predictions", where=str(file))
    if file.suffix == ".parquet":
        return _read_parquet(file)
    try:
        content = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"The file is not JSON: {error}", where=str(file)) from None
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise AnnotationError(
            "The file is no list of COCO results",
            where=str(file),
            advice="write [{'image_id': ..., 'category_id': ..., 'bbox': [...], 'score': ...}, ...]",
        )
    return content


def _read_parquet(file: Path) -> Entries:
    need_pyarrow(file)
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(file)
    needed = ("image_id", "category_id", "x", "y", "width", "height", "score")
    if missing := [name for name in needed if name not in table.column_names]:
        raise AnnotationError(f"The file has no column {', '.join(missing)}", where=str(file))
    lists = [table[name].to_pylist() for name in needed]
    counts, names = (
        table[name].to_pylist() if name in table.column_names else [None] * table.num_rows
        for name in ("counts", "category_name")
    )
    return [
        {"image_id": image, "category_id": category, "bbox": box, "score": score, "category_name": name}
        | ({} if mask is None else {"segmentation": {"counts": mask}})
        for image, category, *box, score, mask, name in zip(*lists, counts, names, strict=True)
    ]


def need_pyarrow(file: str | Path) -> None:
    """Refuse a Parquet file without pyarrow.

    Args:
        file: The file.

    Raises:
        InstallError: It is not installed.
    """
    if sys.modules.get("pyarrow", "") is None or find_spec("pyarrow") is None:
        raise InstallError(
            "Parquet files need pyarrow, which is not installed",
            where=str(file),
            advice="pip install 'deeplake-mmdet[parquet]', or choose a .json file",
        )
