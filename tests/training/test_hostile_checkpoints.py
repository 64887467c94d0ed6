"""Checkpoints that would run code: refused by every door, while those of training runs load as they are."""

from __future__ import annotations

import argparse
import copy
import pathlib
import pickle
import zipfile
from collections import OrderedDict
from functools import partial

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import HistoryBuffer
from reordered_lakes import reading

import deeplake_mmdet
from deeplake_mmdet.cli import main
from deeplake_mmdet.cli.old_scripts.apis import init_detector, load_checkpoint
from deeplake_mmdet.errors import DeepLakeMMDetError, SourceFormatError
from deeplake_mmdet.training import test_detector as run_detector
from deeplake_mmdet.training.pretrained import vet_pretrained
from deeplake_mmdet.training.resume.checkpoint_files import read_checkpoint, read_data
from deeplake_mmdet.training.resume.checkpoint_reading import TRUST_VARIABLE


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return pathlib.Path.touch, (self.mark,)


@pytest.fixture(scope="module")
def ready(tmp_path_factory, untrained_demo):
    folder = tmp_path_factory.mktemp("model")
    cfg, model, checkpoint, (lake,) = untrained_demo(folder, [2])
    return reading(cfg, train=lake, val=lake, test=lake), model, checkpoint


@pytest.fixture
def mark(tmp_path):
    """A file that is there when code has run."""
    found = tmp_path / "code has run"
    yield found
    assert not found.exists()


@pytest.fixture(params=["archive", "legacy", "pickle"])
def malicious(request, ready, tmp_path, mark):
    content = torch.load(ready[2], weights_only=True) | {"more": Payload(mark)}
    path = tmp_path / "malicious.pth"
    if request.param == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=request.param == "archive")
    return path


def test_no_door_runs_what_a_checkpoint_says(ready, malicious, tmp_path, capsys):
    cfg, model, _ = ready
    started = copy.deepcopy(cfg)
    started.load_from = str(malicious)
    backbone = copy.deepcopy(cfg)
    backbone.model.backbone.init_cfg = {"type": "Pretrained", "checkpoint": str(malicious)}
    folder = tmp_path / "run"
    doors = {
        "test": lambda: deeplake_mmdet.test(cfg, malicious, work_dir=folder),
        "test_detector": lambda: run_detector(copy.deepcopy(model), cfg, malicious, work_dir=folder),
        "resume": lambda: deeplake_mmdet.train(cfg, work_dir=folder, resume=malicious),
        "load_from": lambda: deeplake_mmdet.train(started, work_dir=folder),
        "init_cfg": lambda: deeplake_mmdet.train(backbone, work_dir=folder),
        **{
            key: partial(vet_pretrained, Config({"model": {"part": {key: str(malicious)}}}))
            for key in ("pretrained", "teacher_ckpt")
        },
        "init_detector": lambda: init_detector(cfg, malicious, device="cpu"),
        "load_checkpoint": lambda: load_checkpoint(copy.deepcopy(model), malicious),
    }
    for name, door in doors.items():
        with pytest.raises(SourceFormatError) as caught:
            door()
        assert str(malicious) in str(caught.value), name
        assert f"--trust-checkpoint (or {TRUST_VARIABLE}=1)" in str(caught.value), name
    config = tmp_path / "config.py"
    cfg.dump(str(config))
    assert main(["test", str(config), str(malicious)]) == 1
    assert "--trust-checkpoint" in capsys.readouterr().err


def test_the_names_that_are_not_allowed_are_told(ready, tmp_path, mark):
    path = tmp_path / "two.pth"
    torch.save({"state_dict": {"a": torch.ones(1)}, "x": Payload(mark), "y": print}, path)
    with pytest.raises(SourceFormatError, match=r"it would call builtins\.print, pathlib\."):
        read_data(path)


def test_the_newest_checkpoint_of_a_folder_is_no_exception(ready, malicious, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    malicious.rename(folder / "epoch_3.pth")
    (folder / "last_checkpoint").write_text("epoch_3.pth")
    if zipfile.is_zipfile(folder / "epoch_3.pth"):
        with pytest.raises(SourceFormatError, match="--trust-checkpoint"):
            deeplake_mmdet.train(ready[0], work_dir=folder, resume=True)
    else:  # left out as damaged, and training begins anew
        deeplake_mmdet.train(ready[0], work_dir=folder, resume=True)


def test_the_config_inside_a_checkpoint_is_not_run(ready, tmp_path, mark):
    cfg = ready[0]
    run = deeplake_mmdet.train(cfg, work_dir=tmp_path / "run")
    content = torch.load(run.last_checkpoint, weights_only=False)
    content["meta"]["config"] = f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n"
    torch.save(content, tmp_path / "config inside.pth")
    longer = copy.deepcopy(cfg)
    longer.train_cfg.max_epochs = 2
    again = deeplake_mmdet.train(longer, work_dir=tmp_path / "two", resume=tmp_path / "config inside.pth")
    assert again.last_checkpoint.name == "epoch_2.pth"


def test_whoever_trusts_it_gets_it(ready, tmp_path, monkeypatch):
    cfg, mark, path = ready[0], tmp_path / "run", tmp_path / "trusted.pth"
    torch.save(torch.load(ready[2], weights_only=True) | {"more": Payload(mark)}, path)
    monkeypatch.setenv(TRUST_VARIABLE, "0")
    with pytest.raises(SourceFormatError):
        deeplake_mmdet.test(cfg, path, work_dir=tmp_path / "no")
    config = tmp_path / "config.py"
    cfg.dump(str(config))
    assert main(["test", str(config), str(path), "--work-dir", str(tmp_path), "--trust-checkpoint"]) == 0
    assert mark.exists()


def test_what_checkpoints_of_trainings_hold_is_data(tmp_path):
    buffer = HistoryBuffer([1.0, 2.0], [1, 1])
    content = {
        "state_dict": OrderedDict(a=torch.ones(2)),
        "meta": {
            "cfg": "model = dict(type='RetinaNet')",
            "dataset_meta": ConfigDict(classes=("a", "b"), palette=[(1, 2, 3)]),
            "args": argparse.Namespace(lr=0.1),
            "folder": pathlib.PurePath("/a/b"),
            "best": np.float32(0.5), "sizes": np.arange(3), "names": np.array(["a", "b"]), "ok": np.True_,
        },
        "message_hub": {
            "log_scalars": {"train/loss": buffer}, "resumed_keys": {"train/loss": True},
            "runtime_info": {"part": slice(2)},
        },
    }  # fmt: skip
    torch.save(content, tmp_path / "rich.pth")
    found = read_checkpoint(tmp_path / "rich.pth")
    assert torch.equal(found["state_dict"]["a"], torch.ones(2))
    meta = found["meta"]
    assert meta["dataset_meta"] == content["meta"]["dataset_meta"]
    assert (meta["best"], meta["args"].lr, bool(meta["ok"])) == (0.5, 0.1, True)
    np.testing.assert_array_equal(meta["names"], ["a", "b"])
    again = found["message_hub"]["log_scalars"]["train/loss"]
    assert type(again) is HistoryBuffer
    assert (again.mean(), again.current(), again.max_length) == (1.5, 2.0, 1000000)
    pickle.loads(pickle.dumps(again))


def test_a_buffers_methods_do_not_come_from_the_file(tmp_path, mark):
    buffer = HistoryBuffer([1.0], [1])
    buffer.__dict__["mean"] = pathlib.Path.touch
    torch.save({"state_dict": {"a": torch.ones(1)}, "buffer": buffer}, tmp_path / "a.pth")
    with pytest.raises(SourceFormatError, match="more than data"):
        read_checkpoint(tmp_path / "a.pth")
    buffer.__dict__["mean"] = "text"
    torch.save({"state_dict": {"a": torch.ones(1)}, "buffer": buffer}, tmp_path / "b.pth")
    assert read_checkpoint(tmp_path / "b.pth")["buffer"].mean() == 1.0


class _Attribute:
    """``getattr`` of something, as a pickle would ask for it."""

    def __init__(self, owner, name):
        self.call = getattr, (owner, name)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("owner", [getattr, np.ndarray, OrderedDict])
def test_attributes_are_not_to_be_had(tmp_path, owner):
    torch.save({"state_dict": {"a": torch.ones(1)}, "b": _Attribute(owner, "__doc__")}, tmp_path / "a.pth")
    with pytest.raises(SourceFormatError):
        read_checkpoint(tmp_path / "a.pth")


def test_weights_of_a_server_are_read_as_data_first(ready, malicious, tmp_path, monkeypatch):
    import functools
    import http.server
    import threading

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(malicious.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            address = f"http://127.0.0.1:{server.server_port}/{malicious.name}"
            cfg = copy.deepcopy(ready[0])
            cfg.model.backbone.init_cfg = {"type": "Pretrained", "checkpoint": address}
            with pytest.raises(DeepLakeMMDetError, match="--trust-checkpoint"):
                deeplake_mmdet.train(cfg, work_dir=tmp_path / "run")
            cfg.model.backbone.init_cfg, cfg.load_from = None, address
            with pytest.raises(DeepLakeMMDetError, match="--trust-checkpoint"):
                deeplake_mmdet.train(cfg, work_dir=tmp_path / "run")
        finally:
            server.shutdown()
