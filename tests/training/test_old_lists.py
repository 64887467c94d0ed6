"""2.x configs with lists of validation data, without test data or names of data, from end to end."""

from __future__ import annotations

import ast
import re

import pytest
from mmdet.utils import register_all_modules
from mmengine.config import Config
from old_configs import old_config

from deeplake_mmdet import build_detector, train_detector
from deeplake_mmdet.config import load_config
from deeplake_mmdet.demo.lakes import write_demo_lake
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.training import test as run_test
from deeplake_mmdet.training import train
from deeplake_mmdet.training.prepare import check_trains, prepare_config, prepare_test_config

TOKEN = "canary-27182818"


@pytest.fixture(scope="module")
def lakes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lakes")
    for seed in range(2):
        write_demo_lake(folder / f"lake{seed}", count=4 + seed, seed=seed)
    return [str(folder / f"lake{seed}") for seed in range(2)]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    register_all_modules(init_default_scope=False)


def test_a_list_of_lakes_is_scored_one_by_one_and_its_runs_config_can_be_tested(lakes, tmp_path):
    content = old_config(lakes[0], None)
    val = {"pipeline": content["test_pipeline"], "deeplake_credentials": {"token": TOKEN, "creds": "ENV"}}
    content["data"]["val"] = [{**val, "deeplake_path": path} for path in lakes]
    content["evaluation"]["save_best"] = "1_bbox_mAP"
    content["work_dir"] = "work"
    file = tmp_path / "old.py"
    file.write_text("\n".join(f"{key} = {value!r}" for key, value in content.items()))
    done = train(file)
    assert {"0/coco/bbox_mAP", "1/coco/bbox_mAP"} <= set(done.metrics)
    assert done.best_checkpoint is not None
    assert done.best_checkpoint.name.startswith("best_1_coco_bbox_mAP")
    (log,) = (tmp_path / "work").glob("*/*.log")
    assert "2.x config: [info] data.val: each of 2 datasets is scored by itself" in log.read_text()
    dumped = tmp_path / "work" / "old.py"
    text = dumped.read_text()
    assert TOKEN not in text
    assert "credentials" not in text  # a handle means nothing to another process, and none is needed
    tested = run_test(dumped, done.last_checkpoint, work_dir="test", out="found.json")
    scores = {key: value for key, value in done.metrics.items() if "bbox" in key}
    assert {key: tested.metrics[key] for key in scores} == pytest.approx(scores, abs=1e-9)
    assert len(list(tmp_path.glob("found*.json"))) == 2


def test_mmdetections_evaluator_of_several_datasets_in_a_3x_config(lakes, untrained_demo, tmp_path):
    cfg, _, weights, _ = untrained_demo(tmp_path, [3, 3])
    first = cfg.test_dataloader.dataset.to_dict()
    parts = [{**first, "path": path} for path in lakes]
    cfg.test_dataloader.dataset = {"type": "ConcatDataset", "datasets": parts}
    metrics = [{"type": "CocoMetric", "ann_file": "none.json", "metric": "bbox"}] * 2
    alone = [{"type": "deeplake_mmdet.CocoMetric"}] * 2
    found = []
    for some in (metrics, alone):
        cfg.test_evaluator = {
            "type": "MultiDatasetsEvaluator", "metrics": some, "dataset_prefixes": ["first", "second"],
        }  # fmt: skip
        found.append(run_test(cfg, weights, work_dir=str(tmp_path / "work")).metrics)
    assert {"first/coco/bbox_mAP", "second/coco/bbox_mAP"} <= set(found[0])
    scores = [{key: value for key, value in one.items() if "bbox" in key} for one in found]
    assert scores[0] == scores[1]


@pytest.mark.parametrize("missing", ["test", "val and test"])
def test_a_config_without_test_data_tests_on_its_validation_data(lakes, missing):
    content = old_config(lakes[0], lakes[1] if missing == "test" else None)
    if missing != "test":
        with pytest.raises(ConfigError, match=r"nothing to test on.*data\.val"):
            prepare_test_config(Config(content))
        return
    cfg = prepare_test_config(Config(content))
    assert cfg.test_dataloader == cfg.val_dataloader
    assert cfg.test_evaluator == cfg.val_evaluator
    assert cfg.test_cfg == {"type": "TestLoop"}


def test_validate_false_does_not_look_at_test_data_that_are_normalised_otherwise(lakes):
    content = old_config(lakes[0], lakes[1])
    text = repr(content["test_pipeline"]).replace("[10.0, 20.0, 30.0]", "[0.0, 0.0, 0.0]")
    content["data"]["test"] = {"deeplake_path": lakes[1], "pipeline": ast.literal_eval(text)}
    content["work_dir"] = "work"
    model = build_detector(content["model"])
    done = train_detector(model, Config(content), validate=False)
    assert done.last_checkpoint is not None
    with pytest.raises(ConfigError, match=re.escape("normalises images in another way than training")):
        run_test(Config(content), done.last_checkpoint)


def test_data_that_are_not_named_are_asked_for(lakes):
    content = old_config(lakes[0], lakes[1])
    del content["data"]["train"]["deeplake_path"]
    with pytest.raises(ConfigError, match=r"train data are not named.*data\.train\.deeplake_path.*ds_train"):
        check_trains(prepare_config(Config(content)))
    content["data"]["train"]["deeplake_path"] = lakes[0]
    del content["data"]["val"]["deeplake_path"]
    with pytest.raises(ConfigError, match=r"val data are not named.*ds_val"):
        check_trains(prepare_config(Config(content)))


def test_a_processor_that_an_old_script_chooses(lakes):
    content = {**old_config(lakes[0], None), "device": "cpu"}
    assert prepare_config(Config(content)).device == "cpu"


def test_a_lake_without_a_pipeline_is_told_before_the_first_batch():
    dataset = {"type": "deeplake_mmdet.DeepLakeDataset", "path": "lake"}
    cfg = Config({"train_dataloader": {"batch_size": 1, "num_workers": 0, "dataset": dataset}})
    with pytest.raises(ConfigError, match="train data have no pipeline"):
        check_trains(prepare_config(cfg))


def test_handles_of_lakes_elsewhere_stay(tmp_path):
    content = old_config("s3://bucket/lake", None)
    content["data"]["train"]["deeplake_credentials"] = {"token": TOKEN}
    cfg = prepare_config(Config(content))
    dataset = cfg.train_dataloader.dataset
    while "dataset" in dataset:
        dataset = dataset.dataset
    assert dataset.credentials.startswith("deeplake-credentials-")
    cfg.dump(str(tmp_path / "dumped.py"))
    assert TOKEN not in (tmp_path / "dumped.py").read_text()
    load_config(tmp_path / "dumped.py")
