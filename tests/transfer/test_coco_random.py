"""Whatever a COCO file holds: what is imported is what stock MMDetection reads, or it is counted by name."""

import contextlib
import io
import json
import tempfile
from pathlib import Path

from coco_files import coco_files
from hypothesis import HealthCheck, given, settings
from stock_coco import lake_infos, stock_infos

from deeplake_mmdet.errors import AnnotationError
from deeplake_mmdet.transfer import import_coco

IMAGES = 4
# Why a whole file may be refused.
CAUSES = ("None of the ", "The COCO file has ", "The name of category ", "The id of the category ")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=coco_files(IMAGES))
def test_imported_as_stock_reads_it_or_counted(make_image, data):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(IMAGES):
            (folder / f"{number}.jpg").write_bytes(make_image(seed=number))
        (folder / "coco.json").write_text(json.dumps(data))
        try:
            summary = import_coco(folder / "coco.json", folder / "lake", images=folder, progress=False)
        except AnnotationError as error:
            refused = error.what
        else:
            refused = None
        if refused is not None:
            assert refused.startswith(CAUSES)
            return
        repeated = sum(int(note.split()[0]) for note in summary.notes if "images are listed twice" in note)
        assert summary.images + summary.refused_images + repeated == len(data["images"])
        taken, lost = summary.boxes, summary.refused_boxes + summary.lost_with_images
        assert taken + lost == len(data["annotations"])
        found = lake_infos(folder / "lake")
        assert len(found) == summary.images
        named = {finding.file for finding in (*summary.refused, *summary.changes.kept)}
        for image in last_of_each_id(data["images"]):
            if image["id"] in found and str(folder / image["file_name"]) not in named:
                assert found[image["id"]] == read_by_stock(data, image, folder / "mini.json")


def last_of_each_id(images):
    usable = [one for one in images if isinstance(one, dict) and is_id(one.get("id"))]
    last = {one["id"]: one for one in usable}.values()
    return [one for one in last if isinstance(one.get("file_name"), str)]


def is_id(value):
    return not isinstance(value, bool) and isinstance(value, (int, float, str))


def read_by_stock(data, image, path):
    """One image and its annotations; what stock needs and import does not is filled in."""
    own = [one for one in data["annotations"] if isinstance(one, dict) and is_id(one.get("image_id"))]
    own = [one | {"id": number} for number, one in enumerate(own) if one["image_id"] == image["id"]]
    size = {"width": 32, "height": 24}
    categories = {one["id"]: one | {"name": str(one["name"])} for one in data["categories"] if one}
    names = [one["name"] for one in categories.values()]
    mini = {"images": [image | size], "annotations": own, "categories": [*categories.values()]}
    with contextlib.redirect_stdout(io.StringIO()):
        return stock_infos(path, mini, names)[image["id"]]
