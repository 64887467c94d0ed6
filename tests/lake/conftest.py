import io
import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from PIL import Image

_numbers = itertools.count()


@dataclass
class Lake:
    url: str
    dataset: Any  # open for writing; also what keeps a mem:// lake alive
    versions: dict[str, str] = field(default_factory=dict)

    def append(self, **columns):
        self.dataset.append(columns)
        self.dataset.commit("more")
        return self.dataset.version


@pytest.fixture(scope="session")
def encode():
    def make(width=32, height=24, encoding="jpeg", seed=0, mode="RGB", **options):
        pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
        out = io.BytesIO()
        Image.fromarray(pixels).convert(mode).save(out, encoding, **options)
        return out.getvalue()

    return make


@pytest.fixture(scope="session")
def make_lake(encode):
    """Create a lake by deeplake itself, with cells by column name.

    Images default to a JPEG for each row; the schema to float64 boxes in pixels (left, top, width, height),
    uint32 labels, and arrays of float64 for other columns.
    """

    def make(path=None, classes=("a", "b"), schema=None, creds=None, **columns):
        import deeplake
        from deeplake import types

        kinds = {
            "images": types.Image(sample_compression="jpeg"),
            "boxes": types.BoundingBox("float64", format="ltwh", bbox_type="pixel"),
            "labels": types.ClassLabel(types.Array("uint32", 1)),
        }
        kinds.update({name: types.Array("float64", 1) for name in columns if name not in kinds})
        kinds.update(schema or {})
        if columns:
            columns.setdefault("images", [encode()] * len(next(iter(columns.values()))))
        url = str(path) if path else f"mem://tests-{next(_numbers)}"
        lake = deeplake.create(
            url, schema={name: kind for name, kind in kinds.items() if kind is not None}, creds=creds
        )
        if classes:
            lake["labels"].metadata["class_names"] = list(classes)
        if columns:
            lake.append(columns)
        lake.commit("first")
        return Lake(url, lake)

    return make


@pytest.fixture(scope="session")
def rows():
    """Cells of ``count`` rows with ``boxes`` boxes each, for ``make_lake`` and ``Lake.append``."""

    def make(count=3, boxes=2, labels=None):
        return {
            "boxes": [np.arange(4.0 * boxes).reshape(boxes, 4) + row + 1 for row in range(count)],
            "labels": [np.zeros(boxes, np.uint32) if labels is None else labels for _ in range(count)],
        }

    return make
