"""What the rooms below the training log reaches the terminal and the log of the run, once each."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from deeplake_mmdet import train
from deeplake_mmdet.demo.config import demo_config
from deeplake_mmdet.demo.drawing import CLASS_NAMES
from deeplake_mmdet.demo.lakes import write_demo_lake

LINE = "a chunk was read in another way"


@HOOKS.register_module()
class TalkingHook(Hook):
    """As a room that knows no MMEngine, in the middle of a training."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):  # type: ignore[no-untyped-def]
        logging.getLogger("deeplake_mmdet.lake.somewhere").info(LINE)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("talk") / "lake"
    write_demo_lake(path, count=4, seed=0)
    return str(path)


def log_of(lake: str, work_dir: Path) -> str:
    cfg = demo_config(lake, lake, CLASS_NAMES, str(work_dir), epochs=1, scale=(64, 64), num_workers=0)
    cfg.train_dataloader.batch_size = 4
    cfg.custom_hooks = [*cfg.get("custom_hooks", []), {"type": "TalkingHook"}]
    train(cfg)
    (file,) = work_dir.rglob("*.log")
    return file.read_text()


def test_lines_of_a_run_and_of_its_beginning(
    lake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("DEEPLAKE_MMDET_CACHE", str(cache))
    first = log_of(lake, tmp_path / "first")
    assert first.count(LINE) == 1
    assert f"deeplake_mmdet.lake.somewhere - INFO - {LINE}" in first
    assert LINE in capfd.readouterr().err
    (manifest,) = (cache / "tables").rglob("manifest.json")
    manifest.write_text("not json")
    second = log_of(lake, tmp_path / "second")  # its tables are read before there is a log file
    told = "The cached annotation table"
    assert second.count(told) == 1
    assert second.count(LINE) == 1
    assert told not in (next((tmp_path / "first").rglob("*.log"))).read_text()
    shown = capfd.readouterr().err
    assert told in shown
    assert "FileClient" not in shown  # MMEngine's warnings of what it uses itself
