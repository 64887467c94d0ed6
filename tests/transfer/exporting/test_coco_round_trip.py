"""COCO -> lake -> COCO: nothing is lost."""

import json
import tempfile
from pathlib import Path

import deeplake
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from deeplake_mmdet import export_coco, import_coco

WIDTH, HEIGHT = 32, 24
TEXTS = st.text(st.characters(blacklist_categories=("Cs",)), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
KEYS = TEXTS.map("x_{}".format) | st.sampled_from(["attributes", "license", "score", "has", "lacks", "é ü"])
EXTRAS = st.dictionaries(KEYS, VALUES, max_size=3)
FOLDERS = ["", "a b/", "a/b/", "[x]/", "ü/", "images/"]
NAMES = ["one.jpg", "zwei drei.JPG", "[4] (5).jpeg", "é.jpg", "%20.jpg", "a.b.c.jpg", "#1?.jpg", "-v.jpg"]


def with_hole(crooked):
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
    pixels[4:20, 5:25] = 1
    pixels[8:12, 9 : 13 + crooked] = 0
    return pixels


def compressed(crooked):
    found = coco_mask.encode(with_hole(crooked))
    return {"size": [HEIGHT, WIDTH], "counts": found["counts"].decode()}


def uncompressed(crooked):
    flat = with_hole(crooked).flatten(order="F")
    ends = np.flatnonzero(np.diff(flat)) + 1
    return {"size": [HEIGHT, WIDTH], "counts": np.diff([0, *ends, flat.size]).tolist()}


COORDINATES = st.floats(0, 24, width=32) | st.integers(0, 24)
POLYGONS = st.lists(
    st.lists(COORDINATES, min_size=3, max_size=5).map(lambda x: x + x), min_size=1, max_size=2
)
MASKS = st.one_of(
    st.sampled_from([None, []]),
    POLYGONS,
    st.builds(compressed, st.integers(0, 5)),
    st.builds(uncompressed, st.integers(0, 5)),
    st.just([[1, 1, 9, 1, 9, 9], [2, 2]]),  # a part that is left out in the lake
)


@st.composite
def files(draw):
    names = draw(st.lists(st.builds(str.__add__, st.sampled_from(FOLDERS), st.sampled_from(NAMES)),
                          min_size=1, max_size=4, unique=True))  # fmt: skip
    ids = st.integers(-5, 2**40) | st.text("ab1", min_size=1, max_size=4)
    images = [
        {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT, **draw(EXTRAS)}
        for number, name in zip(
            draw(st.lists(ids, min_size=len(names), max_size=len(names), unique=True)), names, strict=True
        )
    ]
    classes = draw(
        st.lists(TEXTS.filter(lambda x: x.strip() and "\0" not in x), min_size=1, max_size=3, unique=True)
    )
    categories = [{"id": 3 * place + 2, "name": name, **draw(EXTRAS)} for place, name in enumerate(classes)]
    absent = draw(st.sets(st.sampled_from(["area", "iscrowd", "segmentation"]), max_size=1))
    annotations = []
    for number in draw(st.lists(st.integers(0, 2**62), min_size=1, max_size=6, unique=True)):
        entry = {
            "id": number,
            "image_id": draw(st.sampled_from(images))["id"],
            "category_id": draw(st.sampled_from(categories))["id"],
            "bbox": [draw(COORDINATES), draw(COORDINATES), draw(st.floats(0.5, 9)), draw(st.integers(1, 9))],
            "area": draw(st.floats(0.1, 500) | st.sampled_from([7, 0, None, "12.5"])),
            "iscrowd": draw(st.sampled_from([0, 0, 1, True, "0"])),
            "segmentation": draw(MASKS),
            **draw(EXTRAS),
        }
        if draw(st.booleans()):
            entry["ignore"] = draw(st.sampled_from([0, 1, False]))
        gone = absent | draw(st.sets(st.sampled_from(["area", "iscrowd", "segmentation"]), max_size=1))
        annotations.append({key: value for key, value in entry.items() if key not in gone})
    file = {"images": images, "annotations": annotations, "categories": categories}
    return draw(st.dictionaries(st.sampled_from(["info", "licenses", "x"]), VALUES)) | file


def by_id(entries):
    return sorted(entries, key=lambda entry: str(entry["id"]))


def assert_same(before, after):
    assert before.keys() == after.keys()
    for key in before:
        listed = key in ("images", "annotations", "categories")
        assert (by_id(before[key]) if listed else before[key]) == (
            by_id(after[key]) if listed else after[key]
        )


def round_trip(data, folder, contents):
    for number, image in enumerate(data["images"]):
        file = folder / "img" / image["file_name"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(contents[number % len(contents)])
    (folder / "a.json").write_text(json.dumps(data))
    import_coco(folder / "a.json", folder / "lake", images=folder / "img", progress=False)
    summary = export_coco(folder / "lake", folder / "out", progress=False)
    assert (summary.images, summary.boxes) == (len(data["images"]), len(data["annotations"]))
    assert_same(data, json.loads((folder / "out" / "annotations.json").read_text()))
    for image in data["images"]:
        name = image["file_name"]
        assert (folder / "out/images" / name).read_bytes() == (folder / "img" / name).read_bytes()


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(files())
def test_nothing_is_lost(make_image, data):
    contents = [make_image(WIDTH, HEIGHT, seed=seed) for seed in range(3)]
    with tempfile.TemporaryDirectory() as folder:
        round_trip(data, Path(folder), contents)


def test_much_about_the_whole_harms_no_branch(make_coco, tmp_path):
    """From some 32 KiB of a lake's own metadata on, Deep Lake 4.7 loses tags and branches."""
    path, images = make_coco(2)
    content = json.loads(path.read_text())
    content["info"] = {"description": "x" * 200_000}
    path.write_text(json.dumps(content))
    import_coco(path, tmp_path / "lake", images=images, progress=False)
    lake = deeplake.open(str(tmp_path / "lake"))
    lake.branch("other")
    lake.tag("first")
    lake.tag("second")
    again = deeplake.open_read_only(str(tmp_path / "lake"))
    assert sorted(again.branches.names()) == ["main", "other"]
    assert sorted(again.tags.names()) == ["first", "second"]
    export_coco(tmp_path / "lake", tmp_path / "out", progress=False)
    (file,) = (tmp_path / "out").rglob("*.json")
    assert json.loads(file.read_text())["info"] == content["info"]
