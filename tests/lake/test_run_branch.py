"""Predictions go back into the lake as a branch, which is there whole or not at all."""

import io

import numpy as np
import pytest
from PIL import Image

from deeplake_mmdet.errors import ImportRefusedError, SourceNotFoundError, StorageError
from deeplake_mmdet.lake import (
    CredentialRef,
    ImageRecord,
    LakeWriter,
    Source,
    inspect,
    open_run,
    open_view,
    write_run,
)
from deeplake_mmdet.lake.source.pinning import handle_of, list_versions, resolve

COLUMNS = ("pred/boxes", "pred/labels", "pred/scores", "pred/missed")


@pytest.fixture
def lake(tmp_path):
    out = io.BytesIO()
    Image.new("RGB", (32, 24)).save(out, "jpeg")
    boxes, labels = np.array([[1.0, 2, 3, 4]]), np.array([1])
    with LakeWriter(
        str(tmp_path / "lake"), class_names=["a", "b"], box_format="ltwh", image_format="jpeg"
    ) as writer:
        for _ in range(5):
            writer.append(ImageRecord(out.getvalue(), 32, 24, "a.jpg", boxes, labels))
    return str(tmp_path / "lake")


def block(rows):
    return {
        "pred/boxes": [np.full((n, 4), n, np.float32) for n in rows],
        "pred/labels": [np.ones(n, np.uint32) for n in rows],
        "pred/scores": [np.full(n, 0.5, np.float32) for n in rows],
        "pred/missed": np.array(rows, np.int32),
    }


def write(lake, run_id="first", blocks=None):
    blocks = blocks or [block([0, 1, 2]), block([3, 0])]
    base = resolve(Source(lake))
    facts = {"columns": COLUMNS, "class_names": ["a", "b"], "metadata": {"run_id": run_id}}
    return write_run(base, CredentialRef(), run_id, iter(blocks), **facts)


def test_a_run_is_read_as_it_was_written(lake):
    before = resolve(Source(lake))
    assert write(lake) == "runs/first"
    assert write(lake, "second") == "runs/second"
    assert resolve(Source(lake)) == before
    run = open_run(lake, "runs/first")
    assert run.metadata == {"run_id": "first"}
    assert run.columns == COLUMNS
    assert open_run(lake, "second").metadata == {"run_id": "second"}
    handle = handle_of(run.source, run.credentials)
    for row, n in enumerate([0, 1, 2, 3, 0]):
        assert np.array_equal(np.reshape(handle["pred/boxes"][row], (-1, 4)), np.full((n, 4), n))
        assert len(handle["pred/scores"][row]) == n
    assert len(handle.query('SELECT * WHERE "pred/missed" > 1')) == 2


def test_predictions_are_not_taken_for_truth(lake):
    write(lake)
    view = open_view(Source(lake, branch="runs/first"))
    assert (view.roles.gt_bboxes, view.roles.gt_labels, view.roles.gt_masks) == ("boxes", "labels", None)


def test_an_interrupted_run_leaves_nothing(lake):
    def blocks():
        yield block([0, 1, 2])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(lake, blocks=blocks())
    assert list_versions(resolve(Source(lake))).branches == ("main",)


def test_a_run_is_not_written_twice(lake):
    write(lake)
    with pytest.raises(ImportRefusedError, match="has this run"):
        write(lake)


def test_an_unknown_run_is_told_with_those_there_are(lake):
    write(lake)
    with pytest.raises(SourceNotFoundError, match="Runs there: first"):
        open_run(lake, "frist")


def test_inspection_lists_the_runs(lake):
    write(lake)
    assert inspect(lake).runs == ("first",)


def test_a_run_that_another_process_has_written_meanwhile_stays(lake):
    def blocks():
        yield block([0, 1, 2])
        write(lake)
        yield block([3, 3])

    with pytest.raises(ImportRefusedError, match="Another process"):
        write(lake, blocks=blocks())
    run = open_run(lake, "first")
    assert len(np.reshape(handle_of(run.source)["pred/boxes"][4], (-1, 4))) == 0
    assert list_versions(resolve(Source(lake))).branches == ("main", "runs/first")


def test_predictions_are_not_written_over_those_of_a_run(lake):
    write(lake)
    base = resolve(Source(lake, branch="runs/first"))
    facts = {"columns": COLUMNS, "class_names": ["a", "b"], "metadata": {"run_id": "second"}}
    with pytest.raises(ImportRefusedError, match="rows of a run"):
        write_run(base, CredentialRef(), "second", iter([block([0] * 5)]), **facts)
    assert list_versions(resolve(Source(lake))).branches == ("main", "runs/first")


def test_a_disk_without_room_is_told_before_anything_is_written(lake):
    base = resolve(Source(lake))
    facts = {"columns": COLUMNS, "class_names": ["a", "b"], "metadata": {"run_id": "second"}}
    with pytest.raises(StorageError, match="make room"):
        write_run(base, CredentialRef(), "second", iter([block([0] * 5)]), size=2**60, **facts)
    assert list_versions(resolve(Source(lake))).branches == ("main",)
