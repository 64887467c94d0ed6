import io
import itertools

import numpy as np
import pytest
from PIL import Image

COLUMNS = {"images", "boxes", "labels"}
_numbers = itertools.count()


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
    """Create a lake by deeplake itself; return the open dataset, which keeps a mem:// lake alive.

    ``columns`` maps column names to lists of cells; images default to one JPEG for each row, and the
    schema to boxes in float64 pixels (left, top, width, height) and uint32 labels.
    """

    def make(path=None, classes=("a", "b"), schema=None, **columns):
        import deeplake
        from deeplake import types

        types_of = {
            "images": types.Image(sample_compression="jpeg"),
            "boxes": types.BoundingBox("float64", format="ltwh", bbox_type="pixel"),
            "labels": types.ClassLabel(types.Array("uint32", 1)),
            **{name: types.Array("float64", 1) for name in columns if name not in COLUMNS},
            **(schema or {}),
        }
        if columns:
            columns.setdefault("images", [encode()] * len(next(iter(columns.values()))))
        lake = deeplake.create(
            str(path) if path else f"mem://tests-{next(_numbers)}",
            schema={name: kind for name, kind in types_of.items() if kind is not None},
        )
        if classes:
            lake["labels"].metadata["class_names"] = list(classes)
        if columns:
            lake.append(columns)
        lake.commit("first")
        return lake

    return make


@pytest.fixture(scope="session")
def url_of():
    """The address of a lake that ``make_lake`` made, as `Source` takes it."""

    def find(lake):
        import json

        return json.loads(lake.__getstate__()[0])["reader"]["url"].rstrip("/")

    return find
