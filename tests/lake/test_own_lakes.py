"""Lakes that people made themselves: each is read rightly, or refused with its cause and what helps."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from deeplake_mmdet.errors import AnnotationError, ColumnError, DeepLakeMMDetError, ImageError, StorageError
from deeplake_mmdet.lake import Source, inspect, open_view

BOXES = [
    np.array([[5, 6, 20, 15], [30, 20, 10, 12]], float),
    np.zeros((0, 4)),
    np.array([[1, 2, 30, 40]], float),
]
LABELS = [np.array([0, 1], np.uint32), np.zeros(0, np.uint32), np.array([1], np.uint32)]
FLAGS = [np.array([0, 1]), np.zeros(0, int), np.array([0])]


@pytest.fixture
def own(make_lake):
    """Address of a lake of three rows with two, no and one box; columns may be added and replaced."""

    def make(kinds=None, classes=("a", "b"), path=None, **cells):
        kinds = kinds or {}
        columns = {"boxes": BOXES, "labels": LABELS, **cells}
        columns = {name: cell for name, cell in columns.items() if kinds.get(name, name) is not None}
        return make_lake(path, classes=classes, schema=kinds, **columns).url

    return make


def read(url, **options):
    view = open_view(Source(url), **options)
    return [(view.table.xywh(row).tolist(), view.labels[view.table.span(row)].tolist()) for row in range(3)]


WHOLE = [(boxes.tolist(), labels.tolist()) for boxes, labels in zip(BOXES, LABELS, strict=True)]


def kinds():
    from deeplake import types

    box, label = types.BoundingBox("float64", "ltwh", "pixel"), types.ClassLabel("uint32")
    labels = types.ClassLabel(types.Array("uint32", 1))
    lists = [list(map(int, row)) for row in LABELS]
    return {
        "nullable boxes": ({"boxes": types.Nullable(box)}, {"boxes": [BOXES[0], None, BOXES[2]]}, {}),
        "nullable labels": ({"labels": types.Nullable(labels)}, {"labels": [LABELS[0], None, LABELS[2]]}, {}),
        "nullable sequences": (
            {"labels": types.Nullable(types.Sequence(label))},
            {"labels": [lists[0], None, lists[2]]},
            {},
        ),
        "boxes one by one": ({"boxes": types.Sequence(box)}, {"boxes": [list(row) for row in BOXES]}, {}),
        "boxes (1, 4) one by one": (
            {"boxes": types.Sequence(box)},
            {"boxes": [list(row[:, None]) for row in BOXES]},
            {},
        ),
        "one box alone": ({}, {"boxes": [*BOXES[:2], BOXES[2][0]]}, {}),
        "float labels": (
            {"labels": types.Array("float32", 1)},
            {"labels": [row.astype(np.float32) for row in LABELS]},
            {"tensors": {"gt_labels": "labels"}, "classes": ("a", "b")},
        ),
        "bool labels": (
            {"labels": types.Array("bool", 1)},
            {"labels": [row.astype(bool) for row in LABELS]},
            {"tensors": {"gt_labels": "labels"}, "classes": ("a", "b")},
        ),
        "lists of names": (
            {"labels": types.Text()},
            {"labels": ['["a", "b"]', "[]", '["b"]']},
            {"tensors": {"gt_labels": "labels"}},
        ),
        "a name alone or in a list": (
            {"labels": types.Nullable(types.Text())},
            {"labels": ['["a", "b"]', None, "b"]},
            {"tensors": {"gt_labels": "labels"}},
        ),
        "lists of numbers": (
            {"labels": types.Text()},
            {"labels": ["[0, 1]", "", "[1]"]},
            {"tensors": {"gt_labels": "labels"}, "classes": ("a", "b")},
        ),
    }


@pytest.mark.parametrize("case", [
    "nullable boxes", "nullable labels", "nullable sequences", "boxes one by one", "boxes (1, 4) one by one",
    "one box alone", "float labels", "bool labels", "lists of names", "a name alone or in a list",
    "lists of numbers",
])  # fmt: skip
def test_every_way_to_store_boxes_and_labels_means_the_same(own, case):
    schema, cells, options = kinds()[case]
    classes = () if options else ("a", "b")
    assert read(own(schema, classes, **cells), **options) == WHOLE


def test_what_cannot_be_boxes_or_labels_is_refused_by_its_shape(own):
    from deeplake import types

    five = [np.concatenate([np.zeros((len(row), 1)), row], 1) for row in BOXES]
    named = {"tensors": {"gt_bboxes": "boxes"}, "box_format": "ltwh"}
    with pytest.raises(AnnotationError, match=r"4 numbers.*\(2, 5\), 5 numbers each.*columns of their own"):
        read(own({"boxes": types.Array("float64", 2)}, boxes=five), **named)
    with pytest.raises(AnnotationError, match=r"shape \(8,\).*'boxes', row 0"):
        read(own({"boxes": types.Array("float64", 1)}, boxes=[row.reshape(-1) for row in BOXES]), **named)
    halves = own({"labels": types.Array("float32", 1)}, (), labels=[row * 0.5 for row in LABELS])
    with pytest.raises(AnnotationError, match=r"there is 0.5 \(2 such labels\).*rows 0, 2"):
        read(halves, tensors={"gt_labels": "labels"}, classes=("a", "b"))
    with pytest.raises(ColumnError, match=r"generic bytes and cannot serve as 'gt_labels'"):
        read(own({"labels": types.Bytes()}, (), labels=[b"a"] * 3), tensors={"gt_labels": "labels"})


@pytest.mark.parametrize(
    ("role", "column"), [("gt_bboxes", "boxes"), ("gt_labels", "labels"), ("img", "images")]
)
def test_a_column_that_only_its_name_speaks_for_is_proposed(own, role, column):
    from deeplake import types

    plain = {
        "boxes": types.Array("float64", 2),
        "labels": types.Array("int64", 1),
        "images": types.Array("uint8", 3),
    }
    cells = {"images": [np.zeros((40, 50, 3), np.uint8)] * 3} if column == "images" else {}
    url = own({column: plain[column]}, (), **cells)
    with pytest.raises(ColumnError, match=rf"'{column}' is of type generic.*dict\({role}='{column}'\)"):
        open_view(Source(url), box_format="ltwh", classes=("a", "b"))
    found = read(url, tensors={role: column}, box_format="ltwh", classes=("a", "b"))
    assert found == WHOLE


SPELLINGS = [
    "is_crowd",
    "iscrowd",
    "iscrowds",
    "is_crowds",
    "IsCrowd",
    "is-crowd",
    "crowd",
    "annotations/iscrowd",
]


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("kind", ["bool", "int8", "float32"])
def test_crowds_are_known_under_every_spelling(own, name, kind):
    from deeplake import types

    view = open_view(Source(own({name: types.Array(kind, 1)}, **{name: [row.astype(kind) for row in FLAGS]})))
    assert view.roles.iscrowd == name
    assert view.table.iscrowd.tolist() == [False, True, False]
    assert view.notes == {}


@pytest.mark.parametrize(
    ("name", "kind", "cells", "reason"),
    [
        ("is_crowd", "text", ["yes", "no", "no"], "'is_crowd' is of type text"),
        ("is_crowd", "bool", [True, False, False], "one value for each image"),
        (
            "is_crowd",
            "array",
            [np.zeros(1), np.zeros(0), np.zeros(2)],
            r"Row 0 has 2 boxes but 1 .*rows 0, 2",
        ),
        (
            "is_crowd",
            "array",
            [np.array([0, 2.0]), np.zeros(0), np.zeros(1)],
            "must be 0 or 1, but there is 2",
        ),
        ("crowd_region", "array", FLAGS, r"tensors=dict\(iscrowd='crowd_region'\)"),
    ],
)
def test_what_looks_like_crowd_flags_but_does_not_fit_is_told_and_left_out(own, name, kind, cells, reason):
    from deeplake import types

    url = own({name: types.Array("float64", 1) if kind == "array" else kind}, **{name: cells})
    view = open_view(Source(url))
    assert view.roles.iscrowd is view.table.iscrowd is None
    assert re.search(reason, view.notes["iscrowd"])
    assert read(url) == WHOLE
    assert inspect(url).view.notes == view.notes
    assert open_view(Source(url), tensors={"iscrowd": False}).notes == {}
    if name == "is_crowd":  # whoever names it wants it used
        with pytest.raises(DeepLakeMMDetError, match="'is_crowd'"):
            open_view(Source(url), tensors={"iscrowd": "is_crowd"})


def test_a_column_that_was_left_out_is_told_again_from_the_cache(own, tmp_path):
    url = own(path=tmp_path / "lake", areas=[np.array([1.0, np.nan]), np.zeros(0), np.ones(1)])
    first, second = open_view(Source(url)), open_view(Source(url))
    assert second.table.folder is not None
    assert first.left_out == second.left_out
    assert "finite numbers, but there is nan" in second.notes["area"]
    assert second.table.areas is None


def test_flags_of_one_box_in_each_row_may_be_single_numbers(make_lake, rows):
    from deeplake import types

    kinds = {"labels": types.ClassLabel("uint32"), "is_crowd": "bool", "area": "float64"}
    cells = {**rows(2, 1), "labels": [0, 1], "is_crowd": [True, False], "area": [7.0, 8.0]}
    table = open_view(Source(make_lake(schema=kinds, **cells).url)).table
    assert (table.iscrowd.tolist(), table.areas.tolist()) == ([True, False], [7.0, 8.0])


def test_labels_and_flags_come_from_the_boxes_own_group(make_lake, rows):
    from deeplake import types

    box, label = types.BoundingBox("float64", "ltwh", "pixel"), types.ClassLabel(types.Array("uint32", 1))
    cells = rows(1, 1)
    lake = make_lake(
        schema={"pose/boxes": box, "pose/labels": label, "pose/iscrowd": types.Array("bool", 1)},
        iscrowds=[np.zeros(1)],
        **cells,
        **{"pose/boxes": cells["boxes"], "pose/labels": cells["labels"], "pose/iscrowd": [np.ones(1, bool)]},
    )
    lake.dataset["pose/labels"].metadata["class_names"] = ["x"]
    lake.dataset.commit()
    roles = open_view(Source(lake.url), tensors={"gt_bboxes": "pose/boxes"}).roles
    assert (roles.gt_labels, roles.iscrowd) == ("pose/labels", "pose/iscrowd")
    assert open_view(Source(lake.url)).roles.iscrowd == "iscrowds"


@pytest.mark.parametrize(
    ("kind", "cells", "ids"),
    [
        ("float64", [7.0, 8.0, 9.0], [7, 8, 9]),
        ("float64", [7.0, 8.5, 9.0], None),
        ("uint64", [7, 2**63 + 1, 9], None),
        ("text", ["x", "y", "z"], None),
    ],
)
def test_image_ids_are_whole_numbers_or_not_used(own, kind, cells, ids):
    view = open_view(Source(own({"image_id": kind}, image_id=cells)))
    assert (None if view.table.img_ids is None else view.table.img_ids.tolist()) == ids
    assert ("img_id" in view.notes) == (ids is None)


def test_the_coco_template_of_deep_lake_opens_with_labels(make_lake, encode):
    from deeplake import schemas, types

    template = dict(schemas.COCOImages(4))
    schema = {**template, "images": None, "boxes": None, "labels": types.ClassLabel(types.Array("uint32", 1))}
    texts = {name: [""] * 3 for name in ("url", "version", "description", "contributor", "license")}
    numbers = {name: [1] * 3 for name in ("id", "year", "date_created", "date_captured")}
    cells = {
        **texts,
        **numbers,
        "image": [encode(64, 48)] * 3,
        "embedding": [np.ones(4, np.float32)] * 3,
        "is_crowd": [True, False, False],
        "objects_bbox": [row.astype(np.float32) for row in BOXES],
        "objects_classes": [np.zeros((48, 64), np.uint8)] * 3,
        "labels": LABELS,
    }
    import deeplake

    lake = deeplake.create("mem://coco-template", schema={k: v for k, v in schema.items() if v is not None})
    lake["labels"].metadata["class_names"] = ["a", "b"]
    lake.append(cells)
    lake.commit()
    assert read("mem://coco-template", box_format="ltwh") == WHOLE
    view = open_view(Source("mem://coco-template"), box_format="ltwh")
    assert (view.roles.img, view.roles.gt_bboxes) == ("image", "objects_bbox")
    assert "one value for each image" in view.notes["iscrowd"]


@pytest.mark.parametrize(
    "name", ["my image", 'im"g', "im'g", "cam/ü", "0img", "im\ng", "a.b", "SELECT", "日本"]
)
def test_columns_may_have_any_name(rows, encode, name):
    import deeplake
    from deeplake import types

    box, label = types.BoundingBox("float64", "ltwh", "pixel"), types.ClassLabel(types.Array("uint32", 1))
    url = f"mem://named-{abs(hash(name))}"
    lake = deeplake.create(
        url, schema={name: types.Image(sample_compression="jpeg"), 'the "boxes"': box, "l'abels": label}
    )
    cells = rows(2)
    lake["l'abels"].metadata["class_names"] = ["a"]
    images = [encode(40, 30), encode(20, 50)]
    lake.append({name: images, 'the "boxes"': cells["boxes"], "l'abels": cells["labels"]})
    lake.commit()
    view = open_view(Source(url))
    assert (view.table.widths.tolist(), view.table.heights.tolist()) == ([40, 20], [30, 50])
    assert view.images([1]) == images[1:]
    assert inspect(url).problem is None


def encoded(format, mode="RGB"):
    out = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(out, format)
    return out.getvalue()


@pytest.mark.parametrize("column", ["jpeg", "png"])
def test_files_of_another_type_than_their_column_are_what_they_are(make_lake, rows, encode, column, caplog):
    from deeplake import types

    images = [encoded("JPEG"), encoded("PNG"), encoded("BMP"), encoded("WEBP"), encoded("PNG", "RGBA")]
    kind = types.Image(sample_compression=column)
    lake = make_lake(schema={"images": kind}, images=[*images, b"no image"], **rows(6))
    with pytest.raises(ImageError, match=r"1 of 6 images cannot be decoded.*rows 5"):
        open_view(Source(lake.url))
    view = open_view(Source(lake.url), allow_bad_images=True)
    assert view.table.widths.tolist() == [40] * 5 + [0]
    assert view.images(range(5)) == images
    assert (
        f"{5 - images.count(encoded('JPEG')) if column == 'jpeg' else 3} files of another type" in caplog.text
    )


@pytest.mark.parametrize("kind", ["bool", "float32", "bytes"])
def test_arrays_that_are_no_images_are_refused_by_their_type(own, kind):
    from deeplake import types

    pixels = np.zeros((4, 5, 3), kind) if kind != "bytes" else b"bytes"
    held = types.Array(kind, 3) if kind != "bytes" else types.Bytes()
    url = own({"images": held}, images=[pixels] * 3)
    with pytest.raises(ColumnError, match=rf"'images' (is )?of type generic {kind}"):
        open_view(Source(url), tensors={"img": "images"})


@pytest.fixture
def linked(make_lake, rows):
    from deeplake import types

    def make(*addresses):
        held = types.Link(types.Image(sample_compression="jpeg"))
        return make_lake(schema={"images": held}, images=list(addresses), **rows(len(addresses))).url

    return make


def test_links_that_lead_nowhere_are_told_as_such_with_their_address(linked, tmp_path, encode):
    good = tmp_path / "good.jpg"
    good.write_bytes(encode())
    url = linked(str(good), str(tmp_path / "gone.jpg"), "", str(tmp_path / "lost.jpg"))
    with pytest.raises(
        ImageError, match=r"3 of 4 linked images cannot be had.*leads to no file.*gone\.jpg.*rows 1, 2, 3"
    ):
        open_view(Source(url))
    assert open_view(Source(url), allow_bad_images=True).table.widths.tolist() == [32, 0, 0, 0]
    (tmp_path / "text.jpg").write_text("text")
    with pytest.raises(ImageError, match=r"not a JPEG or PNG image.*text\.jpg"):
        open_view(Source(linked(str(tmp_path / "text.jpg"))))


@pytest.mark.gives_up
def test_an_address_that_does_not_answer_shows_no_secret(linked, monkeypatch):
    monkeypatch.setenv("DEEPLAKE_MMDET_DEADLINE", "1")
    with pytest.raises(StorageError, match=r"cannot be fetched.*'http://127\.0\.0\.1:9/x\.jpg'") as caught:
        open_view(Source(linked("http://user:passw0rd@127.0.0.1:9/x.jpg?signature=s3cr3t#part")))
    assert not any(secret in str(caught.value) for secret in ("user", "passw0rd", "s3cr3t"))


def test_every_odd_lake_can_be_inspected(own):
    from deeplake import types

    odd = [
        ({"boxes": types.BoundingBox()}, {}),
        ({"boxes": types.Array("float64", 2)}, {}),
        ({"labels": "text"}, {"labels": ["a", "b", "c"]}),
        ({"labels": types.Dict()}, {"labels": [{"a": 1}] * 3}),
        ({"labels": types.Embedding(4)}, {"labels": [np.ones(4, np.float32)] * 3}),
        ({"more": types.Image(sample_compression="jpeg"), "images": types.Array("uint8", 1)},
         {"more": [b"x"] * 3, "images": [np.zeros(3, np.uint8)] * 3}),
        ({}, {"labels": LABELS[::-1]}),
    ]  # fmt: skip
    for schema, cells in odd:
        classes = () if "labels" in schema else ("a", "b")
        found = inspect(own(schema, classes, **cells))
        assert isinstance(found.problem, DeepLakeMMDetError)
        assert found.rows == 3


def test_texts_that_do_not_occur_may_be_selected_beside_those_that_do(own):
    url = own({"labels": "text"}, classes=None, labels=['["a","b"]', "[]", '["b"]'])
    options = {"tensors": {"gt_labels": "labels"}}
    view = open_view(Source(url), classes=["rare", "b", "a"], **options)
    assert view.classes == ("rare", "b", "a")
    assert [view.labels[view.table.span(row)].tolist() for row in range(3)] == [[2, 1], [], [1]]
    assert "'rare'" in view.notes["classes"]
    with pytest.raises(DeepLakeMMDetError, match=r"no class 'c', 'd'.*classes: a, b"):
        open_view(Source(url), classes=["c", "d"], **options)
