"""``deeplake.load`` under ``run``: lakes in the shape that scripts for Deep Lake 3 read."""

from __future__ import annotations

import numpy as np
import pytest

from deeplake_mmdet.demo.drawing import CLASS_NAMES
from deeplake_mmdet.demo.lakes import write_demo_lake
from deeplake_mmdet.errors import ColumnError, ConfigError, SourceNotFoundError
from deeplake_mmdet.lake import Source, load_old, settings_of
from deeplake_mmdet.lake.source.pinning import handle_of, resolve

from .helpers import unpack_v3

FIRST = "firstdbf9474d461a19e9333c2fd19b46115348f"
SECOND = "e36b997ac59249eacb73fd937ac147a062a7e7b9"


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    path = tmp_path_factory.mktemp("lakes") / "drawn"
    write_demo_lake(path, count=6, seed=3)
    return str(path)


def test_columns_rows_and_slices_give_the_cells_of_the_lake(lake):
    ds, plain = load_old(lake), handle_of(resolve(Source(lake)))
    assert len(ds) == 6
    assert set(ds.tensors) == {column.name for column in plain.schema.columns}
    for row in (0, 5):
        for found in (ds.boxes[row], ds[row].boxes, ds["boxes"][row], ds[row]["boxes"]):
            np.testing.assert_array_equal(found.numpy(), np.asarray(plain["boxes"][row]))
    np.testing.assert_array_equal(ds[-1].images.numpy(), plain["images"][5])
    cells = ds.boxes[1:5].numpy(aslist=True)
    assert [len(cell) for cell in cells] == [len(plain["boxes"][row]) for row in range(1, 5)]
    np.testing.assert_array_equal(ds[1:5][2].labels.numpy(), plain["labels"][3])
    np.testing.assert_array_equal(ds.labels[[4, 0]].numpy(aslist=True)[0], plain["labels"][4])
    assert [len(row.boxes) for row in ds] == [len(plain["boxes"][row]) for row in range(6)]
    assert tuple(ds.labels.info.class_names) == CLASS_NAMES
    text = ds.labels[0].data()["text"]
    assert text == [CLASS_NAMES[label] for label in plain["labels"][0]]
    assert ds.images[0].tobytes()[:2] == b"\xff\xd8"
    with pytest.raises(IndexError):
        ds[6]


def test_what_it_says_of_itself(lake, capsys):
    ds = load_old(lake, None, token=None, verbose=False)
    ds.summary()
    assert "length=6" in capsys.readouterr().out
    assert (ds.path, ds.branch) == (lake, "main")
    assert ds.commit_id in repr(ds) or ds.commit_id == ds.resolved.version
    with pytest.raises(AttributeError, match="labels"):
        _ = ds.no_such_column
    with pytest.raises(ColumnError, match="labels"):
        _ = ds["no_such_column"]
    with pytest.raises(SourceNotFoundError):
        load_old(lake + "-nowhere")
    with pytest.raises(SourceNotFoundError, match="no_such_version"):
        load_old(lake + "@no_such_version")


def test_commits_branches_views_and_queries_of_a_v3_lake(tmp_path):
    path = unpack_v3(tmp_path)
    ds = load_old(path)
    assert (len(ds), ds.commit_id) == (7, SECOND)
    assert ds.checkout(FIRST) == ds.commit_id == FIRST
    assert len(ds) == 4
    assert len(load_old(f"{path}@{FIRST}")) == 4
    assert len(load_old(f"{path}@extra")) == 8
    assert len(ds.load_view("big")) == 2
    assert len(ds.query("select * limit 2")) == 2
    with pytest.raises(ConfigError, match="queried again"):
        ds.query("select * limit 2").query("select * limit 1")
    with pytest.raises(ConfigError, match="new branch"):
        ds.checkout("mine", create=True)


def test_it_is_trained_on_as_it_stands_and_its_token_is_in_no_setting(lake):
    view = load_old(lake, token="canary-token-0815").query("select * limit 3")
    settings, resolved = settings_of(view)
    assert resolved == resolve(Source(lake, query="select * limit 3"))
    assert {key: settings[key] for key in ("path", "query")} == {"path": lake, "query": "select * limit 3"}
    assert settings["commit"] == resolved.version
    assert "canary" not in repr(settings) + repr(view)
