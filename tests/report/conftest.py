"""A run's folder with a lake, as trainings leave them, without a training."""

from __future__ import annotations

import json
import shutil

import pytest
from run_parts import NAMES, guesses, open_lake, photographs, predicted, write_run

from deeplake_mmdet.evaluation import write_run_predictions
from deeplake_mmdet.transfer import import_coco


@pytest.fixture(scope="session")
def hostile_lake(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    truth = photographs(folder / "images", 30, NAMES)
    (folder / "truth.json").write_text(json.dumps(truth))
    import_coco(folder / "truth.json", folder / "lake", images=folder / "images", progress=False)
    return folder / "lake"


@pytest.fixture(scope="session")
def finished_run(hostile_lake, tmp_path_factory):
    """A run of three epochs that was resumed once, with predictions; not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    view = open_lake(hostile_lake)
    write_run(folder, view)
    write_run_predictions(
        folder / "evaluation" / "val.npz", predicted(view, guesses(view, masks=True), epoch=3)
    )
    return folder


@pytest.fixture
def run_copy(finished_run, tmp_path):
    return shutil.copytree(finished_run, tmp_path / "run")
