"""Lakes with faults at known places."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Lake = Callable[..., str]
W, H = 96, 64
GOOD = ((5.0, 5.0, 20.0, 20.0), (40.0, 10.0, 30.0, 30.0))
_numbers = itertools.count()
_kept: list[Any] = []  # lakes in memory go with their handles


def photo(
    seed: int = 0,
    size: tuple[int, int] = (W, H),
    encoding: str = "jpeg",
    orientation: int = 1,
    **options: Any,
) -> bytes:
    """A picture of coloured fields, another one for each seed."""
    fields = np.random.default_rng(seed).integers(0, 255, (8, 12, 3), np.uint8)
    picture = Image.fromarray(fields).resize(size, Image.Resampling.BICUBIC)
    if orientation != 1:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    out = io.BytesIO()
    picture.save(out, encoding, **options)
    return out.getvalue()


@pytest.fixture
def make_lake() -> Lake:
    """Writes a lake of rows (image, boxes, labels) and gives its address; in memory without a path."""

    def make(
        rows: Sequence[tuple[bytes, Any, Any]] = (),
        path: Path | None = None,
        classes: Sequence[str] | None = ("a", "b"),
        kinds: dict[str, Any] | None = None,
        **columns: Sequence[Any],
    ) -> str:
        import deeplake
        from deeplake import types

        url = f"mem://checking-{next(_numbers)}" if path is None else str(path)
        schema = {
            "images": types.Image(sample_compression="jpeg"),
            "boxes": types.BoundingBox("float64", format="ltwh", bbox_type="pixel"),
            "labels": types.ClassLabel(types.Array("uint32", 1)),
            **(kinds or {}),
        }
        lake = deeplake.create(url, schema={name: kind for name, kind in schema.items() if kind is not None})
        if classes is not None and schema["labels"] is not None:
            lake["labels"].metadata["class_names"] = list(classes)
        if rows:
            cells = {
                "images": [image for image, _, _ in rows],
                "boxes": [np.asarray(boxes, np.float64).reshape(-1, 4) for _, boxes, _ in rows],
                "labels": [np.asarray(labels).astype(np.uint32) for _, _, labels in rows],
                **columns,
            }
            lake.append({name: values for name, values in cells.items() if schema.get(name) is not None})
        lake.commit("first")
        _kept.append(lake)
        return url

    return make


def sound(count: int, start: int = 0) -> list[tuple[bytes, Any, Any]]:
    """Rows without a fault."""
    return [(photo(start + number), GOOD, (0, 1)) for number in range(count)]


def kinds_of(result: Any, severity: str | None = None) -> dict[str, list[int]]:
    """The rows of all findings of a lake, by kind."""
    return {
        finding.kind: finding.rows.tolist()
        for finding in result.findings
        if severity in (None, finding.severity)
    }
