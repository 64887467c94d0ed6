"""Training, resuming and testing a stock detector on small lakes."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

import deeplake_mmdet
from deeplake_mmdet import Run, fast_loader, train
from deeplake_mmdet.cli import main
from deeplake_mmdet.demo.config import demo_config
from deeplake_mmdet.demo.drawing import CLASS_NAMES
from deeplake_mmdet.demo.lakes import write_demo_lake
from deeplake_mmdet.errors import ConfigError, ImageError, SourceNotFoundError


@pytest.fixture(scope="module")
def lakes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("lakes")
    for seed, name in enumerate(("train", "val")):
        write_demo_lake(folder / name, count=16, seed=seed)
    return {name: str(folder / name) for name in ("train", "val")}


def config(lakes: dict[str, str], work_dir: Path, epochs: int = 2) -> Config:
    return demo_config(
        lakes["train"], lakes["val"], CLASS_NAMES, str(work_dir), epochs=epochs, scale=(96, 64), num_workers=0
    )


@pytest.fixture(scope="module")
def trained(lakes: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Run]:
    work_dir = tmp_path_factory.mktemp("run")
    cfg = config(lakes, work_dir)
    return cfg, train(cfg)


def test_training_leaves_metrics_and_checkpoints(trained: tuple[Config, Run]) -> None:
    cfg, run = trained
    assert run.work_dir == Path(cfg.work_dir)
    assert 0 <= run.metrics["coco/bbox_mAP"] <= 1
    assert run.last_checkpoint is not None
    assert run.last_checkpoint.name == "epoch_2.pth"
    assert [score.name for score in run.class_scores] == list(CLASS_NAMES)


def test_testing_the_checkpoint_gives_the_validation_scores(trained: tuple[Config, Run]) -> None:
    cfg, run = trained
    tested = deeplake_mmdet.test(cfg, run.last_checkpoint)
    for key, value in run.metrics.items():
        assert tested.metrics[key] == pytest.approx(value, abs=1e-12, nan_ok=True), key


def test_the_given_config_is_not_changed(lakes: dict[str, str], tmp_path: Path) -> None:
    cfg = config(lakes, tmp_path, epochs=1)
    before = cfg.pretty_text
    train(cfg, cfg_options={"train_cfg.val_interval": 5})
    assert cfg.pretty_text == before


def test_the_config_of_a_run_is_its_users(trained: tuple[Config, Run], lakes: dict[str, str]) -> None:
    cfg, run = trained
    [file] = run.work_dir.glob("*.py")
    kept = Config.fromfile(file)
    for split in ("train", "val", "test"):
        assert kept[f"{split}_dataloader"].to_dict() == cfg[f"{split}_dataloader"].to_dict()
    other = {"test_dataloader.dataset.path": lakes["train"]}
    again = deeplake_mmdet.test(file, run.last_checkpoint, cfg_options=other)
    assert again.metrics.keys() == run.metrics.keys()


def test_configs_of_older_runs_hold_the_feed(
    trained: tuple[Config, Run], lakes: dict[str, str], tmp_path: Path
) -> None:
    cfg, run = trained
    old = Config(cfg.to_dict())
    for split in ("train", "val", "test"):
        old[f"{split}_dataloader"] = fast_loader(cfg[f"{split}_dataloader"])
    old.dump(tmp_path / "old.py")
    tested = deeplake_mmdet.test(tmp_path / "old.py", run.last_checkpoint, work_dir=tmp_path / "test")
    assert tested.metrics == pytest.approx(run.metrics, nan_ok=True)
    other = {"test_dataloader.dataset.path": lakes["train"]}
    deeplake_mmdet.test(
        tmp_path / "old.py", run.last_checkpoint, work_dir=tmp_path / "test", cfg_options=other
    )
    assert lakes["train"] in (tmp_path / "test" / "old.py").read_text()
    shutil.copytree(run.work_dir, tmp_path / "run")
    longer = {"train_cfg.max_epochs": 3}
    resumed = train(tmp_path / "old.py", work_dir=tmp_path / "run", resume=True, cfg_options=longer)
    assert resumed.last_checkpoint is not None
    assert resumed.last_checkpoint.name == "epoch_3.pth"


def test_resuming_a_finished_run_says_so(
    trained: tuple[Config, Run], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    cfg, run = trained
    shutil.copytree(run.work_dir, tmp_path / "run")
    cfg.dump(tmp_path / "config.py")
    command = ["train", str(tmp_path / "config.py"), "--work-dir", str(tmp_path / "run"), "--resume"]
    option = "log_level=WARNING"
    assert main([*command, "--cfg-options", option]) == 0
    told = capsys.readouterr().out
    assert "Nothing is left to train" in told
    assert "train_cfg.max_epochs=4" in told
    shown = next(line for line in told.splitlines() if line.startswith("Next: "))
    told_command = shlex.split(shown)[2:]
    assert told_command[:2] == ["test", command[1]]
    assert Path(told_command[2]).is_relative_to(tmp_path / "run")
    assert told_command[3:] == ["--work-dir", command[3], "--cfg-options", option]


def test_resume_goes_on_with_the_next_epoch(trained: tuple[Config, Run], lakes: dict[str, str]) -> None:
    _, run = trained
    longer = config(lakes, run.work_dir, epochs=4)
    resumed = train(longer, resume=True)
    assert resumed.last_checkpoint is not None
    assert torch.load(resumed.last_checkpoint, weights_only=False)["meta"]["epoch"] == 4
    lines = [
        json.loads(line)
        for path in sorted(run.work_dir.glob("*/vis_data/scalars.json"))
        for line in path.read_text().splitlines()
    ]
    assert 3 in {line.get("epoch") for line in lines}


def test_stock_metric_is_replaced_for_lakes(lakes: dict[str, str], tmp_path: Path) -> None:
    cfg = config(lakes, tmp_path, epochs=1)
    cfg.val_evaluator = {"type": "CocoMetric", "ann_file": "data/coco/missing.json", "metric": "bbox"}
    cfg.test_evaluator = cfg.val_evaluator
    cfg.train_cfg.val_interval = 1
    assert "coco/bbox_mAP" in train(cfg).metrics


def test_training_without_validation(lakes: dict[str, str], tmp_path: Path) -> None:
    cfg = config(lakes, tmp_path, epochs=1)
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    cfg.default_hooks.checkpoint.pop("save_best")
    run = train(cfg)
    assert run.metrics == {}
    assert run.last_checkpoint is not None


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "train path": ({"train_dataloader.dataset.path": "/nowhere/lake"}, "nothing at this path"),
    "val path": ({"val_dataloader.dataset.path": "/nowhere/lake"}, "nothing at this path"),
    "column": ({"train_dataloader.dataset.tensors": {"gt_bboxes": "boxs"}}, "did you mean 'boxes'"),
    "class": ({"val_dataloader.dataset.metainfo.classes": ["unicorn"]}, "no class 'unicorn'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_stops_before_the_first_iteration(lakes: dict[str, str], tmp_path: Path, case: str) -> None:
    options, text = BAD[case]
    with pytest.raises((ConfigError, SourceNotFoundError, KeyError), match=text):
        train(config(lakes, tmp_path), cfg_options=options)
    assert not list(tmp_path.glob("*.pth"))


def test_missing_checkpoint(lakes: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="no such checkpoint"):
        deeplake_mmdet.test(config(lakes, tmp_path), tmp_path / "none.pth")


def test_nothing_to_test_on(lakes: dict[str, str], tmp_path: Path) -> None:
    cfg = config(lakes, tmp_path)
    cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    with pytest.raises(ConfigError, match="test_dataloader"):
        deeplake_mmdet.test(cfg, tmp_path / "none.pth")


def test_scaling_the_learning_rate_needs_a_base(lakes: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="base_batch_size"):
        train(config(lakes, tmp_path), auto_scale_lr=True)


def test_skipped_rows_are_listed_in_the_run_folder(tmp_path: Path) -> None:
    import deeplake
    from deeplake import types

    from deeplake_mmdet.demo.drawing import demo_images

    path = tmp_path / "lake"
    images, boxes, labels = [], [], []
    for number, (encoded, scene) in enumerate(demo_images(8, seed=3)):
        images.append(b"no image" if number == 5 else encoded)
        boxes.append(scene.boxes)
        labels.append(scene.labels.astype("uint32"))
    lake = deeplake.create(
        str(path),
        schema={
            "images": types.Image(sample_compression="jpeg"),
            "boxes": types.BoundingBox("float64", format="ltrb", bbox_type="pixel"),
            "labels": types.ClassLabel(types.Array("uint32", 1)),
        },
    )
    lake.append({"images": images, "boxes": boxes, "labels": labels})
    lake["labels"].metadata["class_names"] = list(CLASS_NAMES)
    lake.commit("one bad image")

    cfg = config({"train": str(path), "val": str(path)}, tmp_path / "run", epochs=1)
    with pytest.raises(ImageError, match="row"):
        train(cfg)
    skip = {"train_dataloader.dataset.on_error": "skip", "val_dataloader.dataset.on_error": "skip"}
    run = train(cfg, cfg_options=skip)
    (listed,) = json.loads((run.work_dir / "skipped_rows.json").read_text())
    assert listed["up_front"] == [5]
    assert str(path) in listed["lake"]
