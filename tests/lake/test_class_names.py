"""Class names as people write them down, wherever they come from."""

import contextlib
import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplake_mmdet.errors import AnnotationError, ConfigError
from deeplake_mmdet.lake import (
    ClassNames,
    Inspection,
    LakeWriter,
    Source,
    inspect,
    open_view,
    read_class_names,
)
from deeplake_mmdet.transfer import import_voc

names = st.text(string.ascii_letters, min_size=1, max_size=5)
numbered = st.dictionaries(st.integers(0, 50), names, min_size=1, max_size=6).filter(
    lambda found: len(set(found.values())) == len(found)
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=True) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(numbered, st.randoms())
def test_every_form_with_numbers_means_the_same(found, random):
    pairs = list(found.items())
    random.shuffle(pairs)
    forms = [
        dict(pairs),
        {str(number): name for number, name in pairs},
        {float(number): name for number, name in pairs},
        {name: number for number, name in pairs},
        {name: float(number) for number, name in pairs},
        [{"id": number, "name": name, "supercategory": "any"} for number, name in pairs],
        [{"category_id": str(number), "name": name} for number, name in pairs],
        {number: {"name": name, "id": number} for number, name in pairs},
    ]
    ordered = sorted(found)
    dense = ordered == list(range(len(ordered)))
    expected = ClassNames(tuple(found[number] for number in ordered), None if dense else tuple(ordered))
    assert [read_class_names(form, "here") for form in forms] == [expected] * len(forms)


@given(st.lists(names, unique=True, min_size=1))
def test_the_place_is_the_label_where_there_is_no_number(found):
    expected = ClassNames(tuple(found))
    for form in (
        found,
        tuple(found),
        np.array(found),
        [{"name": name} for name in found],
        dict.fromkeys(found).keys(),
    ):
        assert read_class_names(form, "here") == expected


@given(json_values)
def test_anything_else_is_one_clear_error(value):
    with contextlib.suppress(AnnotationError):
        found = read_class_names(value, "column 'labels'")
        assert all(isinstance(name, str) and name.strip() for name in found.names)
        assert len(set(found.names)) == len(found.names)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("person", r"must be a list, such as \['person'\], not the text 'person'"),
        ("cat,dog", r"such as \['cat', 'dog'\]"),
        (["person", None], "None among them is no text"),
        ([["person", "car"]], "is no text"),
        ([0, 1], "0 among them is no text"),
        (["a", "", "b"], "a name is empty"),
        (["a", "a"], "'a' occurs twice"),
        ({"a": 0, "b": 0}, "the number 0 occurs twice"),
        ({"0": "a", "00": "b"}, "the number 0 occurs twice"),
        ({"-1": "a"}, "-1 is negative"),
        ({"a": "b"}, "neither from numbers to texts nor"),
        ({"names": {"0": "a"}}, "neither from numbers to texts nor"),
        ({"0": "a", "1": None}, "neither from numbers to texts nor"),
        ({True: "a", False: "b"}, "neither from numbers to texts nor"),
        ([{"id": 1}, {"id": 2}], "each record needs"),
        ([{"id": 1, "name": "a"}, {"name": "b"}], "each record needs"),
        (3, "is no list of texts"),
        ({"a"}, "is no list of texts"),
    ],
    ids=str,
)
def test_what_is_no_list_of_names_is_refused_with_what_is_there(value, message):
    with pytest.raises(AnnotationError, match=message):
        read_class_names(value, "here")


def labelled(make_lake, rows, metadata, labels, of_lake=None, **more):
    """A lake of one row for each label, with names as the column's or the lake's metadata."""
    lake = make_lake(
        classes=(), **{**rows(len(labels), 1), "labels": [np.array([x], np.uint32) for x in labels]}
    )
    told = {"class_names": metadata} if metadata is not None else {}
    for key, value in (told | more).items():
        lake.dataset["labels"].metadata[key] = value
    if of_lake is not None:
        lake.dataset.metadata["class_names"] = of_lake
    lake.dataset.commit()
    return lake


def meanings(lake, **options):
    view = open_view(Source(lake.url), **options)
    return [view.classes[label] for label in view.labels]


@pytest.mark.parametrize(
    ("recorded", "labels"),
    [
        ({"1": "car", "0": "person"}, [0, 1]),
        ({"person": 0, "car": 1}, [0, 1]),
        ({"person": 1, "car": 2}, [1, 2]),
        ({"7": "car", "3": "person"}, [3, 7]),
        ([{"id": 9, "name": "car"}, {"id": 4, "name": "person"}], [4, 9]),
    ],
    ids=str,
)
@pytest.mark.parametrize("place", ["column", "lake", "given"])
def test_numbers_are_the_stored_labels_wherever_names_come_from(make_lake, rows, recorded, labels, place):
    lake = labelled(
        make_lake,
        rows,
        recorded if place == "column" else None,
        labels,
        of_lake=recorded if place == "lake" else None,
    )
    given = {"classes": recorded} if place == "given" else {}
    assert meanings(lake, **given) == ["person", "car"]
    if place != "given":
        assert meanings(lake, classes=["car", "person"]) == ["person", "car"]
        assert meanings(lake, classes={"car": 0, "person": 1}) == ["person", "car"]


def test_other_numbers_make_another_view(make_lake, rows):
    lake = labelled(make_lake, rows, None, [1, 2])
    first = open_view(Source(lake.url), classes=["x", "y", "z"])
    second = open_view(Source(lake.url), classes={1: "x", 2: "y", 3: "z"})
    assert first.key != second.key
    assert (first.labels.tolist(), second.labels.tolist()) == ([1, 2], [0, 1])


def test_a_label_in_a_gap_is_named(make_lake, rows):
    lake = labelled(make_lake, rows, {"0": "a", "2": "b"}, [0, 1, 2])
    with pytest.raises(AnnotationError, match=r"Label 1 is none of the 2 numbers.*row 1.*0, 2"):
        open_view(Source(lake.url))


def test_labels_that_count_from_one_are_told_how_to_be_named(make_lake, rows):
    with pytest.raises(AnnotationError, match=r"Label 2 lies outside.*count from 1.*\{1: "):
        open_view(Source(labelled(make_lake, rows, ["a", "b"], [1, 2]).url))


def test_records_by_category_id_name_labels_that_are_places_among_the_ids(make_lake, rows):
    records = [{"id": 90, "name": "b"}, {"id": 18, "name": "a"}]
    lake = labelled(make_lake, rows, records, [0, 1], category_ids=[18, 90])
    assert meanings(lake) == ["a", "b"]
    marked = labelled(make_lake, rows, records, [90, 18], category_ids=[18, 90], format="category-ids")
    assert meanings(marked) == ["b", "a"]


def test_names_of_the_column_come_before_those_of_the_lake(make_lake, rows):
    lake = labelled(make_lake, rows, ["x", "y"], [0, 1], of_lake=["a", "b"])
    assert meanings(lake) == ["x", "y"]
    view = open_view(
        Source(labelled(make_lake, rows, [], [0, 1], of_lake=["a", "b"]).url, query="SELECT * LIMIT 1")
    )
    assert view.classes == ("a", "b")


def test_unreadable_names_give_way_to_given_ones_and_are_told(make_lake, rows):
    lake = labelled(make_lake, rows, "ab", [0, 1])
    with pytest.raises(AnnotationError, match=r"not the text 'ab'.*'class_names' of column.*metainfo"):
        open_view(Source(lake.url))
    view = open_view(Source(lake.url), classes=["x", "y"])
    assert view.classes == ("x", "y")
    assert "not the text 'ab'" in view.notes["classes"]


@pytest.mark.parametrize("value", ["cat", [1, 2], [["a"]], ["a", None]])
def test_given_classes_are_refused_alike(make_lake, rows, value):
    for recorded in (["a", "b"], None):
        with pytest.raises(ConfigError, match=r"cannot be read.*'metainfo'"):
            open_view(Source(labelled(make_lake, rows, recorded, [0, 1]).url), classes=value)


def test_category_ids_that_are_no_list_are_told_and_not_used(make_lake, rows):
    view = open_view(Source(labelled(make_lake, rows, ["a", "b"], [0, 1], category_ids={"a": 3}).url))
    assert view.category_ids is None
    assert "'category_ids'" in view.notes["category_ids"]


def test_the_same_forms_serve_imports_and_writers(tmp_path):
    with pytest.raises(ConfigError, match="must be a list"):
        LakeWriter(str(tmp_path / "lake"), class_names="cat", box_format="ltwh", image_format="jpeg")
    with pytest.raises(ConfigError, match="from 0 on"):
        LakeWriter(str(tmp_path / "lake"), class_names={1: "cat"}, box_format="ltwh", image_format="jpeg")
    writer = LakeWriter(
        str(tmp_path / "lake"), class_names={1: "b", 0: "a"}, box_format="ltwh", image_format="jpeg"
    )
    assert writer.class_names == ["a", "b"]
    (tmp_path / "voc" / "Annotations").mkdir(parents=True)
    (tmp_path / "voc" / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "voc" / "ImageSets" / "Main" / "train.txt").write_text("one\n")
    with pytest.raises(ConfigError, match=r"must be a list, such as \['cat'\]"):
        import_voc(tmp_path / "voc", tmp_path / "lake", split="train", classes="cat", progress=False)


def test_inspect_takes_classes_for_lakes_without(make_lake, rows):
    lake = labelled(make_lake, rows, None, [0, 1, 1])
    assert isinstance(inspect(lake.url).problem, AnnotationError)
    found: Inspection = inspect(lake.url, classes=["x", "y"])
    assert found.class_counts() == [("x", 1, 1), ("y", 2, 2)]
