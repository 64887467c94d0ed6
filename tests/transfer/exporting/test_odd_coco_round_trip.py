"""Of a COCO file with oddities of every kind, what the lake takes comes back as it was."""

import contextlib
import json
import math
import tempfile
from pathlib import Path

from coco_files import coco_files
from hypothesis import HealthCheck, given, settings

from deeplake_mmdet import export_coco, import_coco
from deeplake_mmdet.errors import AnnotationError

IMAGES = 4
# What an export corrects: the size, and the name, of an image that has another.
CORRECTED = ("width", "height", "file_name")


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=coco_files(IMAGES))
def test_what_is_taken_comes_back(make_image, data):
    with tempfile.TemporaryDirectory() as name, contextlib.suppress(AnnotationError):
        folder = Path(name)
        for number in range(IMAGES):
            (folder / f"{number}.jpg").write_bytes(make_image(seed=number))
        (folder / "coco.json").write_text(json.dumps(data))
        taken = import_coco(folder / "coco.json", folder / "lake", images=folder, progress=False)
        summary = export_coco(folder / "lake", folder / "out", progress=False)
        assert (summary.images, summary.boxes) == (taken.images, taken.boxes)
        found = json.loads((folder / "out/annotations.json").read_text())
        assert not missing(found["categories"], data["categories"])
        made = ("id",) if any("ids of annotations" in note for note in summary.notes) else ()
        assert not missing(listed(found["annotations"], made), listed(data["annotations"], made))
        assert not missing(listed(found["images"], CORRECTED), listed(data["images"], CORRECTED))


def listed(entries, left_out):
    """The objects among the entries, without some keys."""
    objects = (entry for entry in entries if isinstance(entry, dict))
    return [{key: value for key, value in one.items() if key not in left_out} for one in objects]


def missing(entries, given):
    """Entries that are none of the given ones; NaN is the same as NaN here."""
    return [entry for entry in entries if not any(same(entry, other) for other in given)]


def same(one, other):
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other
