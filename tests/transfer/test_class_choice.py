"""Classes under other names and the first images alone, for COCO and Pascal VOC; YOLO's tests have theirs."""

import json

import deeplake
import pytest

from deeplake_mmdet import import_coco, import_voc
from deeplake_mmdet.cli import main
from deeplake_mmdet.errors import ConfigError


@pytest.fixture
def coco(make_coco):
    def change(data):
        data["categories"].append({"id": 9, "name": "c"})
        for one, category in zip(data["annotations"], (4, 2, 9), strict=True):
            one["category_id"] = category

    return make_coco(3, change)


@pytest.fixture
def voc(tmp_path, make_image):
    root = tmp_path / "voc"
    for folder in ("Annotations", "JPEGImages"):
        (root / folder).mkdir(parents=True)
    box = "<bndbox><xmin>2</xmin><ymin>3</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    for name in "abc":
        (root / f"Annotations/{name}.xml").write_text(
            f"<annotation><object><name> {name}</name>{box}</object></annotation>"
        )
        (root / f"JPEGImages/{name}.jpg").write_bytes(make_image())
    return root


def labels(lake):
    ds = deeplake.open_read_only(str(lake))
    return list(ds["labels"].metadata["class_names"]), [ds["labels"][row].tolist() for row in range(len(ds))]


CASES = [
    ({"map": {"c": "a"}}, ["a", "b"], [[0], [1], [0]]),
    ({"map": {"a": "b", "b": "a"}}, ["b", "a", "c"], [[0], [1], [2]]),
    ({"map": {"a": "x", "b": "x", "c": "x"}}, ["x"], [[0], [0], [0]]),
    ({"map": {"c": "a"}, "classes": ["b", "a"]}, ["b", "a"], [[1], [0], [1]]),
    ({"map": {"b": "x"}, "classes": ["x"]}, ["x"], [[], [0], []]),
    ({"limit": 2}, ["a", "b", "c"], [[0], [1]]),
    ({"limit": 99}, ["a", "b", "c"], [[0], [1], [2]]),
]


@pytest.mark.parametrize(("options", "names", "expected"), CASES)
def test_coco(coco, tmp_path, options, names, expected):
    path, images = coco
    summary = import_coco(path, tmp_path / "lake", images=images, progress=False, **options)
    assert labels(tmp_path / "lake") == (names, expected)
    assert list(summary.class_counts) == names
    stated = {category["name"]: category["id"] for category in json.loads(path.read_text())["categories"]}
    renamed = options.get("map", {})
    first = {}
    for name, number in stated.items():  # one class of several has the id of the first
        first.setdefault(renamed.get(name, name), number)
    ds = deeplake.open_read_only(str(tmp_path / "lake"))
    assert list(ds["labels"].metadata["category_ids"]) == [first[name] for name in names]


@pytest.mark.parametrize(("options", "names", "expected"), CASES)
def test_voc(voc, tmp_path, options, names, expected):
    summary = import_voc(voc, tmp_path / "lake", progress=False, **options)
    assert labels(tmp_path / "lake") == (names, expected)
    assert summary.changes.counts["box", "class name has spaces or line breaks around it"] == summary.boxes


def test_a_limit_counts_refused_images(coco, voc, tmp_path):
    path, images = coco
    (images / "0.jpg").unlink()
    (voc / "JPEGImages/a.jpg").unlink()
    summary = import_coco(path, tmp_path / "coco", images=images, limit=2, progress=False)
    assert (summary.images, summary.refused_images) == (1, 1)
    summary = import_voc(voc, tmp_path / "voc-lake", limit=2, progress=False)
    assert (summary.images, summary.refused_images) == (1, 1)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"map": {"aa": "x"}}, "There is no class 'aa' .did you mean 'a'"),
        ({"map": {"b": "x"}, "classes": ["b"]}, "no c.*'b'"),
        ({"map": ["a=b"]}, "'map' is"),
        ({"map": {"a": 3}}, "'map' is"),
        ({"limit": -1}, "'limit' is -1"),
        ({"limit": True}, "'limit' is True"),
    ],
)
def test_wrong_options(coco, voc, tmp_path, options, told):
    path, images = coco
    with pytest.raises(ConfigError, match=told):
        import_coco(path, tmp_path / "lake", images=images, progress=False, **options)
    with pytest.raises(ConfigError, match=told):
        import_voc(voc, tmp_path / "lake", progress=False, **options)
    assert not (tmp_path / "lake").exists()


def test_the_command(voc, tmp_path, capsys):
    given = ["import", "voc", str(voc), str(tmp_path / "lake")]
    assert main([*given, "--map", "a=x", "--map", "b=x", "--limit", "2"]) == 0
    assert labels(tmp_path / "lake") == (["x", "c"], [[0], [0]])
    assert main([*given, "--map", "a=x", "--map", "a=y"]) == 1
    assert "--map gives one class two new names" in capsys.readouterr().err
    for wrong in (["--map", "a"], ["--map", "=a"], ["--limit", "x"]):
        with pytest.raises(SystemExit):
            main([*given, *wrong])
