"""What training with a config leaves out is what `DeepLakeDataset` leaves out."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from deeplake import types
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_lakes import GOOD, make_lake, photo, sound
from mmdet.utils import register_all_modules

from deeplake_mmdet import DeepLakeDataset, check
from deeplake_mmdet.errors import ConfigError, DeepLakeMMDetError, ImageError

__all__ = ["make_lake"]  # a fixture

PIPELINE = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_bbox": True},
    {"type": "PackDetInputs"},
]
SIZES = [(20, 40), (96, 64), (33, 33)]


@pytest.fixture(scope="module", autouse=True)
def mmdet_scope():
    register_all_modules(init_default_scope=True)


@pytest.fixture
def write(tmp_path):
    """Writes a config with such a dataset, inside a wrapper, and gives its path."""

    def make(**dataset):
        node = {"type": "deeplake_mmdet.DeepLakeDataset", "pipeline": PIPELINE, **dataset}
        loader = {"batch_size": 1, "dataset": {"type": "RepeatDataset", "times": 2, "dataset": node}}
        (tmp_path / "config.py").write_text(f"default_scope = 'mmdet'\ntrain_dataloader = {loader!r}\n")
        return tmp_path / "config.py"

    return make


numbers = st.sampled_from([-5.0, 0.0, 0.5, 1.0, 4.0, 10.0, 30.0, 70.0, 200.0])
boxes = st.lists(st.tuples(numbers, numbers, numbers, numbers, st.integers(0, 2)), max_size=4)
rows = st.lists(st.tuples(st.integers(0, len(SIZES)), boxes), min_size=1, max_size=5)
filters = st.fixed_dictionaries(
    {},
    optional={
        "filter_empty_gt": st.booleans(),
        "min_size": st.sampled_from([0, 32, 33, 34, 64, 65]),
        "bbox_min_size": st.sampled_from([1, 10, 30]),
    },
)
chosen = st.sampled_from([None, ["a"], ["c", "a"], ["b"]])


def image(number, size):
    return photo(number, SIZES[size]) if size < len(SIZES) else b""


def opened(options):
    """The dataset, or why there is none."""
    try:
        dataset = DeepLakeDataset(pipeline=PIPELINE, **options)
        dataset.full_init()
    except DeepLakeMMDetError as error:
        return None, error
    return dataset, None


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows, filters, chosen, st.booleans(), st.data())
def test_it_is_what_the_dataset_leaves_out(make_lake, write, drawn, filter_cfg, classes, test_mode, data):
    count = sum(len(row) for _, row in drawn)
    crowd = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)), np.uint8)
    ends = np.cumsum([0, *(len(row) for _, row in drawn)])
    lake = make_lake(
        [
            (
                photo(n, SIZES[size]) if size < len(SIZES) else b"",
                [box[:4] for box in row],
                [box[4] for box in row],
            )
            for n, (size, row) in enumerate(drawn)
        ],
        classes=("a", "b", "c"),
        kinds={"iscrowds": types.Array("uint8", 1)},
        iscrowds=[crowd[start:stop] for start, stop in pairwise(ends)],
    )
    options = {"path": lake, "on_error": "skip", "filter_cfg": filter_cfg, "test_mode": test_mode}
    if classes:
        options["metainfo"] = {"classes": classes}
    result = check(lake, config=write(**options), progress=False)
    left = result.left_out
    assert left.rows == len(drawn)
    refused = [text for one in result.findings if one.kind == "nothing-left" for text in one.details]
    dataset, error = opened(options)
    if isinstance(error, ImageError):  # none can be decoded
        assert left.kept == 0
        return
    if error is not None:
        assert any(error.what in text for text in refused)
        return
    assert not refused
    kept = dataset.data_list.rows.tolist()
    assert left.kept == len(kept)
    gone = np.concatenate([np.zeros(0, np.int64), *left.images.values()])
    assert sorted([*kept, *gone.tolist()]) == list(range(len(drawn)))
    infos = dataset.data_list
    assert left.kept_boxes == int(infos.keep.sum())
    assert left.ignored == int((infos.keep & infos.ignored).sum())
    assert left.kept_boxes + sum(left.boxes.values()) == count


def test_reasons_and_notes(make_lake, write):
    rows_ = [
        *sound(12),
        (photo(30, (20, 40)), [(1, 1, 9, 9)], (0,)),
        (photo(31), np.zeros((0, 4)), ()),
        (b"", GOOD, (0, 1)),
        (photo(32)[:-300], GOOD, (0, 1)),
    ]
    lake = make_lake(rows_)
    node = {"filter_cfg": {"min_size": 32, "filter_empty_gt": True}, "on_error": "skip", "indices": 4}
    steps = [*PIPELINE[:2], {"type": "FilterAnnotations", "min_gt_bbox_wh": (1, 1)}, PIPELINE[2]]
    left = check(lake, config=write(path=lake, **{**node, "pipeline": steps}), progress=False).left_out
    assert {reason: found.tolist() for reason, found in left.images.items()} == {
        "cannot be decoded": [14],
        "are smaller than min_size": [12],
        "have no object of the selected classes": [13],
    }
    assert left.key == "train_dataloader.dataset.dataset"
    notes = " ".join(left.notes)
    assert "rows 15: others take their place" in notes
    assert "indices=" in notes
    assert "FilterAnnotations" in notes


def test_a_config_of_another_lake_lends_its_settings(make_lake, write, tmp_path):
    lake = make_lake(sound(3))
    result = check(
        lake, config=write(path=str(tmp_path / "other"), metainfo={"classes": ["b"]}), progress=False
    )
    assert result.left_out.boxes == {"of classes that are not selected": 3}
    assert "its settings are applied to this lake" in result.left_out.notes[0]


def test_how_boxes_are_read_comes_from_the_config(make_lake, write):
    lake = make_lake(sound(3), kinds={"boxes": types.BoundingBox("float64")}, classes=None)
    assert not check(lake, progress=False).ok
    config = write(path=lake, box_format="ltwh", metainfo={"classes": ["x", "y"]})
    result = check(lake, config=config, progress=False)
    assert result.ok
    assert result.lakes[0].classes == (("x", 3, 3), ("y", 3, 3))


def test_configs_without_a_lake_are_refused(make_lake, write):
    lake = make_lake(sound(1))
    with pytest.raises(ConfigError, match="val data are no lake"):
        check(lake, config=write(path=lake), split="val", progress=False)
    with pytest.raises(ConfigError, match="split"):
        check(lake, config=write(path=lake), split="all", progress=False)
    with pytest.raises(ConfigError, match="no class 'z'"):
        check(lake, config=write(path=lake, metainfo={"classes": ["z"]}), progress=False)


def test_the_rows_that_the_config_reads_are_those_that_are_checked(make_lake, write, tmp_path):
    lake = make_lake([*sound(6), (photo(9)[:-300], GOOD, (0, 1))], tmp_path / "lake")
    config = write(path=lake, query="SELECT * WHERE ROW_NUMBER() > 3")
    result = check(lake, config=config, progress=False)
    assert (result.lakes[0].rows, result.left_out.rows) == (3, 3)
    again = check(lake, query=result.plan()[-1].query, config=config, progress=False)
    assert (again.ok, again.lakes[0].rows) == (True, 2)


def test_boxes_that_the_config_has_ignored_are_no_data(make_lake, write):
    rows_ = [
        (photo(number), [(5, 5, 8, 8)] * (number % 2 + 1), (0, 1)[: number % 2 + 1]) for number in range(6)
    ]
    node = {"path": make_lake(rows_), "filter_cfg": {"bbox_min_size": 10}}
    refused = check(node["path"], config=write(**node), progress=False).find("nothing-left")
    dataset, error = opened(node)
    assert dataset is None
    assert error.what in refused.details[0]
    tested = check(node["path"], config=write(**node, test_mode=True), progress=False)
    assert tested.find("nothing-left") is None
