"""Whole test runs with a small detector: files, drawings, a model that is built already."""

from __future__ import annotations

import copy
import json

import pytest

import deeplake_mmdet
from deeplake_mmdet.demo.drawing import CLASS_NAMES
from deeplake_mmdet.errors import ColumnError, ConfigError
from deeplake_mmdet.evaluation import evaluate_predictions
from deeplake_mmdet.training import test_detector as run_detector


@pytest.fixture(scope="module")
def ready(tmp_path_factory, untrained_demo):
    """A config, its detector, a checkpoint and the lake."""
    # an untrained model is sure of nothing
    cfg, model, checkpoint, (lake,) = untrained_demo(tmp_path_factory.mktemp("run"), [6], score_thr=0.0001)
    return cfg, model, checkpoint, lake


def test_predictions_and_drawings_of_a_checkpoint(ready, tmp_path):
    cfg, _, checkpoint, lake = ready
    run = deeplake_mmdet.test(
        cfg, checkpoint, work_dir=tmp_path, out=tmp_path / "found.json", show_dir=tmp_path / "drawn"
    )
    assert (
        len(list((tmp_path / "drawn").rglob("*.jp*g"))) + len(list((tmp_path / "drawn").rglob("*.png"))) == 6
    )
    written = json.loads((tmp_path / "found.json").read_text())
    assert {"image_id", "category_id", "bbox", "score"} <= set(written[0])
    again = evaluate_predictions(tmp_path / "found.json", lake).metrics
    assert again["coco/bbox_mAP"] == pytest.approx(run.metrics["coco/bbox_mAP"], abs=1e-12)


def test_a_built_detector_scores_as_its_checkpoint(ready, tmp_path):
    cfg, model, checkpoint, _ = ready
    expected = deeplake_mmdet.test(cfg, checkpoint, work_dir=tmp_path / "a").metrics
    before = cfg.pretty_text
    built = run_detector(model, cfg, work_dir=tmp_path / "b")
    loaded = run_detector(model, cfg, checkpoint, work_dir=tmp_path / "c")
    for name, value in expected.items():
        if "time" not in name:
            assert built.metrics[name] == loaded.metrics[name] == pytest.approx(value, nan_ok=True)
    assert [score.name for score in built.class_scores] == list(CLASS_NAMES)
    assert cfg.pretty_text == before


def test_a_stock_lvis_metric_scores_a_lake_that_knows_what_was_searched_for(ready, tmp_path):
    cfg, _, checkpoint, lake = ready
    cfg = copy.deepcopy(cfg)
    cfg.test_evaluator = {"type": "LVISMetric", "ann_file": "nowhere.json", "metric": "bbox"}
    with pytest.raises(ColumnError, match="neg_category_ids"):
        deeplake_mmdet.test(cfg, checkpoint, work_dir=tmp_path / "a")
    deeplake_mmdet.export_coco(lake, tmp_path / "files", progress=False)
    (file,) = (tmp_path / "files").rglob("*.json")
    truth = json.loads(file.read_text())
    for image in truth["images"]:
        image |= {"neg_category_ids": [1], "not_exhaustive_category_ids": []}
    file.write_text(json.dumps(truth))
    deeplake_mmdet.import_coco(file, tmp_path / "lake", images=file.parent / "images", progress=False)
    cfg.test_dataloader.dataset.path = str(tmp_path / "lake")
    run = deeplake_mmdet.test(cfg, checkpoint, work_dir=tmp_path / "b", out=tmp_path / "found.json")
    again = evaluate_predictions(tmp_path / "found.json", tmp_path / "lake", metric="lvis").metrics
    assert set(again) <= set(run.metrics)
    assert again["lvis/bbox_AP"] == pytest.approx(run.metrics["lvis/bbox_AP"], abs=1e-12)


def test_a_file_that_cannot_be_written_is_refused_before_the_run(ready, tmp_path):
    cfg, model, _, _ = ready
    with pytest.raises(ConfigError, match=r"\.json or a \.parquet"):
        run_detector(model, cfg, work_dir=tmp_path, out=tmp_path / "found.csv")
    assert not list(tmp_path.iterdir())
