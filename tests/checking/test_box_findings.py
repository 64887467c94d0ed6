"""Faults of boxes and labels are found, all of them, in their rows."""

from __future__ import annotations

import numpy as np
import pytest
from deeplake import types
from hypothesis import given, settings
from hypothesis import strategies as st
from made_lakes import GOOD, H, W, kinds_of, make_lake, photo, sound

from deeplake_mmdet import check
from deeplake_mmdet.checking.annotations import read_annotations
from deeplake_mmdet.errors import ColumnError, ConfigError
from deeplake_mmdet.lake import AnnotationTable, BoxFormat

__all__ = ["make_lake"]  # a fixture

FORMATS = [f"{mode}_{unit}" for mode in ("ltwh", "ltrb", "ccwh") for unit in ("pixel", "fractional")]


def look(lake, **options):
    return check(lake, progress=False, **options)


def test_a_sound_lake_is_clean(make_lake):
    result = look(make_lake(sound(6)))
    assert result.ok
    assert result.findings == ()
    facts = result.lakes[0]
    assert (facts.rows, facts.boxes, facts.images, facts.empty) == (6, 12, 6, 0)
    assert facts.classes == (("a", 6, 6), ("b", 6, 6))
    assert facts.coco_sizes == (12, 0, 0)
    assert (facts.smallest, facts.largest) == ((W, H), (W, H))


BOXES = {
    "box-outside": [[200, 5, 20, 20]],
    "box-degenerate": [[5, 5, 0, 20]],
    "box-tiny": [[5, 5, 0.5, 20]],
    "box-beyond": [[90, 5, 20, 20]],
    "box-duplicate": [[5, 5, 9, 9], [7, 7, 9, 9], [5, 5, 9, 9]],
}


def stored(xywh, name):
    """Boxes, (left, top, width, height) in pixels, as a lake of that format stores them."""
    out = np.array(xywh, np.float64)
    mode, unit = name.split("_")
    if mode == "ltrb":
        out[:, 2:] += out[:, :2]
    if mode == "ccwh":
        out[:, :2] += out[:, 2:] / 2
    return out / (W, H, W, H) if unit == "fractional" else out


@pytest.mark.parametrize("name", FORMATS)
def test_faults_of_boxes_are_found_in_any_format(make_lake, name):
    rows = [(image, stored(boxes, name), labels) for image, boxes, labels in sound(12)]
    rows += [
        (photo(50 + number), stored(boxes, name), [0] * len(boxes))
        for number, boxes in enumerate(BOXES.values())
    ]
    mode, unit = name.split("_")
    lake = make_lake(rows, kinds={"boxes": types.BoundingBox("float64", mode, unit)})
    found = kinds_of(look(lake, verify="none"))
    assert {kind: rows for kind, rows in found.items() if kind.startswith("box-")} == {
        kind: [12 + number] for number, kind in enumerate(BOXES)
    }


def test_the_same_place_in_two_classes_is_another_fault_than_a_double(make_lake):
    rows = [(photo(0), [GOOD[0], GOOD[0], GOOD[1]], (0, 1, 1)), (photo(1), [GOOD[1]] * 3, (1, 1, 1))]
    result = look(make_lake(rows))
    assert result.ok
    assert kinds_of(result) == {"box-two-classes": [0], "box-duplicate": [1]}
    assert result.find("box-duplicate").count == 2


def test_areas_of_zero(make_lake):
    areas = [np.array([400.0, 900]), np.array([0.0, 900])]
    lake = make_lake(sound(2), kinds={"areas": types.Array("float64", 1)}, areas=areas)
    assert kinds_of(look(lake))["box-area"] == [1]


def test_rows_that_training_refuses_are_found_one_by_one_and_the_rest_is_judged(make_lake):
    rows = [
        *sound(10),
        (photo(20), GOOD, (0, 7)),
        (photo(21), [[np.nan, 1, 2, 3], GOOD[0]], (0, 1)),
        (photo(22), GOOD, (0,)),
        (photo(23), GOOD, (0, np.uint32(2**32 - 1))),
        (photo(24), [GOOD[0], (200, 200, 9, 9)], (0, 1)),
        (photo(25), np.zeros((0, 4)), ()),
        (photo(26)[:-200], GOOD, (0,)),
    ]
    result = look(make_lake(rows))
    assert kinds_of(result) == {
        "label-unknown": [10, 13],
        "box-unreadable": [11],
        "counts-differ": [12, 16],
        "box-outside": [14],
        "image-undecodable": [16],
    }
    assert not result.ok
    assert result.find("label-unknown").details == ("1 of '7'", f"1 of '{2**32 - 1}'")
    facts = result.lakes[0]
    assert (facts.rows, facts.boxes, facts.empty, facts.images) == (17, 22, 6, 17)


def test_cells_that_are_no_boxes_are_found_among_many(make_lake):
    cells = [np.array(GOOD)] * 40
    cells[7], cells[31] = np.ones((2, 5)), np.ones((1, 3))
    lake = make_lake(
        [(photo(number), GOOD, (0, 1)) for number in range(40)],
        kinds={"boxes": None, "corners": types.Array("float64", 2)},
        corners=cells,
    )
    options = {"tensors": {"gt_bboxes": "corners"}, "box_format": "ltwh", "verify": "none"}
    assert kinds_of(look(lake, **options)) == {"box-unreadable": [7, 31]}


def test_every_row_may_be_faulty(make_lake):
    result = look(make_lake([(photo(number), GOOD, (5, 6)) for number in range(3)]))
    assert kinds_of(result) == {"label-unknown": [0, 1, 2]}
    assert result.lakes[0].images == 3


def test_faults_of_a_query_have_the_row_numbers_of_its_result(make_lake):
    rows = [*sound(3), (photo(9), GOOD, (0, 9)), *sound(8, 20), (photo(30), [(200, 0, 9, 9)], (1,))]
    result = look(make_lake(rows), query="SELECT * WHERE ROW_NUMBER() >= 2")
    assert kinds_of(result) == {"label-unknown": [1], "box-outside": [10]}
    random = look(make_lake(rows), query="SELECT * ORDER BY RANDOM()")
    assert [len(rows) for rows in kinds_of(random).values()] == [1, 1]


def test_classes_without_a_box_are_named(make_lake):
    result = look(make_lake(sound(2), classes=("a", "b", "[bold]", "d\ne")))
    assert result.ok
    assert result.find("class-unused").details == ("'[bold]'", r"'d\ne'")


def test_a_lake_without_class_names_is_looked_at_all_the_same(make_lake):
    lake = make_lake([*sound(2), (photo(8), [(200, 0, 9, 9)], (3,))], classes=None)
    result = look(lake)
    assert kinds_of(result, "error") == {"unusable": [], "box-outside": [2]}
    assert "does not name its classes" in result.find("unusable").details[0]
    assert [boxes for _, boxes, _ in result.lakes[0].classes] == [2, 2, 0, 1]
    named = look(lake, classes=["a", "b", "c", "d"])
    assert kinds_of(named, "error") == {"box-outside": [2]}


def test_boxes_of_an_unknown_format_leave_the_images_to_be_read(make_lake):
    rows = [*sound(2), (photo(3)[:-300], GOOD, (0, 1))]
    lake = make_lake(rows, kinds={"boxes": types.BoundingBox("float64")})
    result = look(lake)
    assert kinds_of(result) == {"unusable": [], "image-undecodable": [2]}
    assert "how its boxes are stored" in result.find("unusable").details[0]
    assert kinds_of(look(lake, box_format="ltwh")) == {"image-undecodable": [2]}


def test_a_lake_of_images_alone(make_lake):
    result = look(make_lake(sound(3), kinds={"boxes": None, "labels": None}))
    assert result.ok
    assert kinds_of(result) == {"no-annotations": []}
    assert (result.lakes[0].rows, result.lakes[0].images, result.lakes[0].classes) == (3, 3, ())


def test_an_empty_lake_is_an_error(make_lake):
    result = look(make_lake())
    assert kinds_of(result) == {"no-rows": []}
    assert not result.ok


def test_what_the_user_asks_for_in_vain_is_no_fault_of_the_lake(make_lake):
    lake = make_lake(sound(1))
    with pytest.raises(ColumnError, match="no column 'nothing'"):
        look(lake, tensors={"gt_bboxes": "nothing"})
    with pytest.raises(ConfigError, match="no class 'z'"):
        look(lake, classes=["z"])
    with pytest.raises(ConfigError, match="'verify'"):
        look(lake, verify="perhaps")
    with pytest.raises(ConfigError, match="workers"):
        look(lake, workers=0)


def test_boxes_that_seem_to_be_read_wrongly_are_told(make_lake):
    rng = np.random.default_rng(0)
    rows = []
    for number in range(12):
        corner = rng.uniform(30, 50, (2, 2))
        rows.append((photo(number), np.concatenate([corner, corner + 10], axis=1), (0, 1)))
    result = look(make_lake(rows), verify="none")  # declared as left, top, width, height
    assert "box_format='ltrb_pixel'" in result.find("boxes-doubtful").details[0]


def test_an_older_lake(tmp_path):
    import zipfile
    from pathlib import Path

    with zipfile.ZipFile(Path(__file__).parents[1] / "data" / "v3_lake.zip") as archive:
        archive.extractall(tmp_path / "lake")
    result = look(tmp_path / "lake")
    assert result.ok
    assert [name for name, _, _ in result.lakes[0].classes] == ["bolt", "nut", "washer"]
    assert look(tmp_path / "lake", view="big").lakes[0].rows == 2


numbers = st.sampled_from([-3.0, 0.0, 0.4, 1.0, 5.0, 40.0, 63.5, 64.0, 95.0, 96.0, 97.5, 120.0])


box = st.tuples(numbers, numbers, numbers, numbers, st.integers(0, 2))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.lists(st.tuples(numbers, numbers, numbers, numbers, st.integers(0, 2)), max_size=5), max_size=6
    ),
)
def test_every_box_is_judged_as_one_by_one(rows):
    """Against a plain loop over boxes."""
    flat = [box for row in rows for box in row]
    xywh = np.array([box[:4] for box in flat], np.float64).reshape(-1, 4)
    table = AnnotationTable(
        box_format=BoxFormat.parse("ltwh"),
        offsets=np.cumsum([0, *map(len, rows)]),
        boxes=xywh,
        labels=np.array([box[4] for box in flat], np.int32),
        widths=np.full(len(rows), W, np.int32),
        heights=np.full(len(rows), H, np.int32),
    )
    facts = read_annotations(table, 3)
    expected = {}
    for number, row in enumerate(rows):
        seen = set()
        for x, y, w, h, label in row:
            kinds = []
            inside = min(x + w, W) > max(x, 0) and min(y + h, H) > max(y, 0)
            if w <= 0 or h <= 0:
                kinds.append("box-degenerate")
            elif not inside:
                kinds.append("box-outside")
            if w > 0 and h > 0:
                kinds += ["box-tiny"] * (w < 1 or h < 1)
                beyond = x < -1 or y < -1 or x + w > W + 1 or y + h > H + 1
                kinds += ["box-beyond"] * (inside and beyond)
            kinds += ["box-duplicate"] * ((x, y, w, h, label) in seen)
            seen.add((x, y, w, h, label))
            for kind in kinds:
                expected.setdefault(kind, []).append(number)
    found = {kind: count for kind, count in facts.faults.counts.items() if kind != "box-two-classes"}
    assert found == {kind: len(numbers) for kind, numbers in expected.items()}
    for kind, numbers_ in expected.items():
        assert facts.faults.rows(kind).tolist() == sorted(set(numbers_))
    assert facts.class_boxes.tolist() == [sum(box[4] == label for box in flat) for label in range(3)]
    assert facts.class_images.tolist() == [
        sum(any(box[4] == label for box in row) for row in rows) for label in range(3)
    ]
    again = [sorted(row) for row in rows]
    twins = {tuple(row) for row in map(tuple, again) if row}
    signatures = {
        tuple(row): value
        for row, value in zip(map(tuple, again), facts.signatures.tolist(), strict=True)
        if row
    }
    assert len(set(signatures.values())) == len(twins)


def test_flags_that_do_not_fit_are_told(make_lake):
    crowds = [np.zeros(2, np.uint8), np.zeros(1, np.uint8), np.zeros(2, np.uint8)]
    lake = make_lake(sound(3), kinds={"iscrowds": types.Array("uint8", 1)}, iscrowds=crowds)
    result = look(lake)
    assert kinds_of(result) == {"column-misfit": []}
    assert "'iscrowds'" in result.find("column-misfit").details[0]


def test_boxes_of_any_size_are_judged(make_lake, tmp_path):
    rows = [*sound(12), (photo(20), [[1e300, 1e300, 1e300, 1e300], [-1e308, 5, 1.7e308, 9]], (0, 1))]
    result = look(make_lake(rows))
    assert kinds_of(result) == {"box-outside": [12], "box-beyond": [12]} or kinds_of(result) == {
        "box-outside": [12]
    }
    result.save_picture(tmp_path / "picture.png")
