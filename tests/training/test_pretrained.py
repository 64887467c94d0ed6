"""Weights that cannot be had: one error before training, without the network where that can be known."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from importlib.util import find_spec

import pytest
import torch
from mmengine.config import Config
from old_configs import old_config

from deeplake_mmdet import build_detector, train, train_detector
from deeplake_mmdet.demo.lakes import write_demo_lake
from deeplake_mmdet.errors import SourceNotFoundError
from deeplake_mmdet.training.pretrained import check_pretrained

KEY = "model.backbone.init_cfg"


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub"


@pytest.fixture(scope="module")
def server():
    """An address that serves any file but 'missing.pth', and one that never answers."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(404 if "missing" in self.path else 200)
            self.end_headers()

        def log_message(self, *_):
            pass

    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    silent = socket.create_server(("127.0.0.1", 0))
    yield f"http://127.0.0.1:{found.server_port}", f"http://127.0.0.1:{silent.getsockname()[1]}"
    found.shutdown()
    found.server_close()
    silent.close()


def config(checkpoint):
    return Config({"model": {"backbone": {"init_cfg": {"type": "Pretrained", "checkpoint": checkpoint}}}})


def refused(checkpoint, deadline=5.0):
    with pytest.raises(SourceNotFoundError) as caught:
        check_pretrained(config(checkpoint), deadline=deadline)
    text = str(caught.value)
    assert f"'{KEY}'" in text
    assert "checkpoint='FILE.pth'" in text
    assert f"{KEY}=None" in text
    return text


def test_what_can_be_known_without_the_network(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", None)  # nobody may ask
    if find_spec("torchvision") is None:
        text = refused("torchvision://resnet50")
        assert "torchvision, which is not installed" in text
        assert "pip install torchvision" in text
    assert "there is no such file" in refused("nowhere/weights.pth")
    assert "knows no weights of this name" in refused("open-mmlab://darknet99")


def test_a_server_that_refuses_or_is_silent(server):
    start = time.monotonic()
    assert "HTTP status 404" in refused(f"{server[0]}/missing.pth")
    assert "cannot be fetched" in refused("http://127.0.0.1:9/weights.pth")
    refused(f"{server[1]}/weights.pth", deadline=1)
    assert time.monotonic() - start < 10


def test_names_become_addresses():
    text = refused("open-mmlab://darknet53", deadline=2)
    assert "darknet53" in text
    assert text.count("What to do") == 1


def test_weights_that_can_be_had(server, tmp_path, hub):
    (tmp_path / "mine.pth").touch()
    check_pretrained(config(str(tmp_path / "mine.pth")))
    check_pretrained(config(f"{server[0]}/weights.pth"))
    (hub / "checkpoints").mkdir(parents=True)
    (hub / "checkpoints" / "cached.pth").touch()
    check_pretrained(config("http://127.0.0.1:9/cached.pth"))


def test_several_are_told_at_once():
    cfg = config("one.pth")
    cfg.model.neck = {"init_cfg": [{"type": "Xavier"}, {"type": "mmdet.Pretrained", "checkpoint": "two.pth"}]}
    cfg.load_from = "three.pth"
    with pytest.raises(SourceNotFoundError, match=r"one\.pth.*two\.pth.*three\.pth") as caught:
        check_pretrained(cfg)
    assert "model.neck.init_cfg" in str(caught.value)
    assert "load_from" in caught.value.advice


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    path = tmp_path_factory.mktemp("lakes") / "lake"
    write_demo_lake(path, count=8, seed=0)
    return str(path)


def test_both_doors_check_and_a_local_file_is_the_way_on(lake, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = old_config(lake, None)
    content["model"]["backbone"]["init_cfg"] = {"type": "Pretrained", "checkpoint": "torchvision://resnet50"}
    cfg = Config(content)
    with pytest.raises(SourceNotFoundError, match=KEY):
        train(cfg)
    model = build_detector(cfg.model)
    with pytest.raises(SourceNotFoundError, match=KEY):
        train_detector(model, cfg, validate=False)
    assert not list(tmp_path.rglob("*.log"))
    torch.save({"state_dict": model.backbone.state_dict()}, "mine.pth")
    cfg.model.backbone.init_cfg.checkpoint = "mine.pth"
    cfg.optimizer.lr = 0.0
    trained = build_detector(cfg.model)
    train_detector(trained, cfg, validate=False)
    for old, new in zip(model.backbone.parameters(), trained.backbone.parameters(), strict=True):
        assert torch.equal(old, new)


@pytest.mark.parametrize(
    ("address", "advice"),
    [("torchvision://resnet18", "pip install torchvision"), ("open-mmlab://no_such_weights", "FILE.pth")],
)
def test_weights_that_a_backbone_names_in_the_old_way_are_looked_for(address, advice):
    if address.startswith("torchvision") and find_spec("torchvision"):
        pytest.skip("torchvision is installed")
    old = {"model": {"type": "FCOS", "backbone": {"type": "ResNet", "depth": 18, "pretrained": address}}}
    with pytest.raises(SourceNotFoundError) as caught:
        check_pretrained(Config(old))
    assert caught.value.where == "config key 'model.backbone.pretrained'"
    assert advice in caught.value.advice
    assert "model.backbone.pretrained='FILE.pth'" in caught.value.advice


def test_a_detector_with_weights_needs_none(lake, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = old_config(lake, None)
    content["model"]["pretrained"] = "torchvision://resnet50"
    cfg = Config(content)
    model = build_detector(cfg.model)
    model.load_state_dict(model.state_dict())
    train_detector(model, cfg, validate=False)
