"""Whole runs in several gloo processes: launched by ourselves and by torchrun."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import deeplake
import jobs
import pytest
import torch
from mmengine.config import Config
from old_configs import old_config

import deeplake_mmdet
from deeplake_mmdet import build_detector, train_detector
from deeplake_mmdet.demo.config import demo_config
from deeplake_mmdet.demo.drawing import CLASS_NAMES
from deeplake_mmdet.demo.lakes import write_demo_lake
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.training.processes.launch import launch

pytestmark = pytest.mark.slow

IMAGES = 97  # a prime
TOKEN = "canary-token-4711-4711"


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """A config and a checkpoint after one pass, whose low scores hang on every single prediction."""
    folder = tmp_path_factory.mktemp("run")
    write_demo_lake(folder / "lake", count=IMAGES, seed=0)
    lake = str(folder / "lake")
    cfg = demo_config(lake, lake, CLASS_NAMES, str(folder / "work"), epochs=1, scale=(64, 64), num_workers=0)
    cfg.model.test_cfg.score_thr = 0.0001
    cfg.train_cfg.val_interval = 5
    return cfg, str(deeplake_mmdet.train(cfg).last_checkpoint), folder


@pytest.fixture(scope="module")
def scores(ready):
    """By number of processes and batch size."""
    cfg, checkpoint, folder = ready
    folder = str(folder / "scores")
    return {
        count: launch(jobs.score_batches, cfg, checkpoint, (1, 2, 5), folder, processes=count)
        for count in (1, 2, 3)
    }, folder


def test_scores_depend_neither_on_processes_nor_on_batch_size(scores):
    found, _ = scores
    assert found[1][1]["coco/bbox_mAP"] > 0
    for by_batch in found.values():
        for values in by_batch.values():
            assert repr(values) == repr(found[1][1])  # nan equals nan


def test_predictions_of_all_processes_are_written_once(scores):
    _, folder = scores
    for batch in (1, 2):
        first, *others = (
            json.loads(Path(folder, f"{count}-{batch}.json").read_text()) for count in (1, 2, 3)
        )
        assert {entry["image_id"] for entry in first} == set(range(IMAGES))
        assert all(other == first for other in others)


@pytest.mark.skipif(not find_spec("pyarrow"), reason="Parquet files need pyarrow")
def test_predictions_of_all_processes_as_parquet(scores):
    from pyarrow import parquet

    _, folder = scores
    tables = [parquet.read_table(f"{folder}/{count}-5.parquet") for count in (1, 2, 3)]
    for table in tables[1:]:
        assert table.drop_columns("score").equals(tables[0].drop_columns("score"))
        # A network's last bit hangs on what else is in the batch.
        assert table["score"].to_pylist() == pytest.approx(tables[0]["score"].to_pylist(), rel=1e-6)


def write_config(cfg, folder, extra=""):
    folder.mkdir()
    file = folder / "inputs" / "config.py"
    file.parent.mkdir()
    text = cfg.pretty_text.replace(str(cfg.work_dir), str(folder / "work"))
    file.write_text(text + extra)
    return str(file)


def run(command, folder, **environment):
    options = {"cwd": folder, "capture_output": True, "text": True, "timeout": 500}
    return subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1", **environment}, **options)


def small(ready):
    cfg, checkpoint, _ = ready
    cfg = Config(cfg.to_dict())
    for split in ("train", "val", "test"):
        cfg[f"{split}_dataloader"].dataset.indices = 7
    cfg.train_cfg.val_interval = 1
    return cfg, checkpoint


def test_the_commands_start_processes_and_leak_no_credentials(ready, tmp_path):
    cfg, checkpoint = small(ready)
    folder = tmp_path / "a"
    secret = "".join(
        f"{split}_dataloader['dataset']['credentials'] = dict(token={TOKEN!r})\n"
        for split in ("train", "val", "test")
    )
    file = write_config(cfg, folder, secret)
    (folder / "tmp").mkdir()
    common = [sys.executable, "-m", "deeplake_mmdet.cli"]
    done = run([*common, "train", file, "--processes", "2"], folder, TMPDIR=str(folder / "tmp"))
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("Run folder") == 1
    assert (folder / "work" / "epoch_1.pth").is_file()
    out = folder / "found.json"
    tested = run([*common, "test", file, checkpoint, "--processes", "2", "--out", str(out)], folder)
    assert tested.returncode == 0, tested.stderr[-3000:]
    assert tested.stdout.count("AP: coco/bbox_mAP") == 1
    assert len({entry["image_id"] for entry in json.loads(out.read_text())}) == 7
    outputs = done.stdout + done.stderr + tested.stdout + tested.stderr
    files = [path for path in folder.rglob("*") if path.is_file() and "inputs" not in path.parts]
    assert "canary" not in outputs
    assert [path for path in files if b"canary" in path.read_bytes()] == []


def test_torchrun(ready, tmp_path):
    cfg, _ = small(ready)
    file = write_config(cfg, tmp_path / "b")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*torchrun, "-m", "deeplake_mmdet.cli", "train", file, "--launcher", "pytorch"]
    done = run(command, tmp_path / "b")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("Run folder") == 1
    told = "".join(log.read_text() for log in (tmp_path / "b" / "work").rglob("*.log"))
    assert "GPU number: 2" in told or "world_size" in told.lower()
    assert (tmp_path / "b" / "work" / "epoch_1.pth").is_file()


ENDS_AFTER_A_GATHERING = """
import atexit, os, pathlib, sys
import torch
import torch.distributed as dist
from deeplake_mmdet.training.processes.launch import join

def work():
    join("pytorch")
    keeper = [torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(3, 3))]
    keeper.append(keeper)
    keeper[0](torch.ones(2, 3)).sum().backward()
    for _ in range(5):
        dist.all_gather_object([None] * dist.get_world_size(), "x" * 100)

def look():  # such a thread may abort the process when the interpreter ends
    if any("gloo" in file.read_text() for file in pathlib.Path("/proc/self/task").glob("*/comm")):
        os._exit(3)

atexit.register(look)
sys.setswitchinterval(100)
work()
"""


def test_processes_end_cleanly_right_after_a_collective(tmp_path):
    (tmp_path / "job.py").write_text(ENDS_AFTER_A_GATHERING)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "4"]
    done = run([*torchrun, "job.py"], tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]


def test_an_error_in_all_processes_is_told_once(ready, tmp_path):
    cfg, _ = small(ready)
    cfg.train_dataloader.dataset.path = str(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="nothing at this path"):
        deeplake_mmdet.train(cfg, processes=2, work_dir=tmp_path)


def test_train_detector_in_several_processes(ready, tmp_path):
    lake = deeplake.open_read_only(str(ready[2] / "lake"))
    cfg = Config(old_config(None, None))
    cfg.work_dir = str(tmp_path)
    before, model = cfg.to_dict(), build_detector(cfg.model)
    weights = model.backbone.conv1.conv.weight.clone()
    view = lake.query("SELECT * LIMIT 7").query("SELECT * LIMIT 5")  # no config can say that
    done = train_detector(model, cfg, ds_train=view, ds_val=view, distributed=2, timestamp="now")
    assert cfg.to_dict() == before
    assert torch.equal(weights, model.backbone.conv1.conv.weight)
    assert "coco/bbox_mAP" in done.metrics
    state = torch.load(done.last_checkpoint, weights_only=False)["state_dict"]
    assert not torch.equal(weights, state["backbone.conv1.conv.weight"])
    assert (tmp_path / "now" / "now.log").is_file()
    cfg.data.test = {"deeplake_path": str(ready[2] / "lake"), "pipeline": cfg.test_pipeline}
    tested = deeplake_mmdet.test_detector(model, cfg, done.last_checkpoint, distributed=2)
    assert "coco/bbox_mAP" in tested.metrics


def test_launcher_and_processes_exclude_each_other(ready):
    with pytest.raises(ConfigError, match="has started the processes already"):
        deeplake_mmdet.train(ready[0], launcher="pytorch", processes=2)
