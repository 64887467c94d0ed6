"""`bench` with made bottlenecks, as a function and as a command: it must name the right one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from deeplake_mmdet import bench
from deeplake_mmdet.cli import main
from deeplake_mmdet.errors import ConfigError
from s3 import Rule, fault_proxy, s3_endpoint

LOAD: list[dict[str, Any]] = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_bbox": True},
]
PACK: list[dict[str, Any]] = [{"type": "PackDetInputs"}]
# Draws random numbers, so that it has to run where they are drawn; tens of milliseconds.
HEAVY: list[dict[str, Any]] = [
    {"type": "Resize", "scale": (640, 640), "keep_ratio": True},
    *[{"type": "PhotoMetricDistortion"}] * 4,
]
SMALLER: list[dict[str, Any]] = [{"type": "Resize", "scale": (64, 64), "keep_ratio": True}]


@pytest.fixture(scope="session")
def lakes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Lakes of small, usual and large images."""
    from deeplake_mmdet import import_coco

    folder, made = tmp_path_factory.mktemp("bench"), {}
    chance = np.random.default_rng(0)
    for name, size, count in (("small", 48, 64), ("usual", 400, 150), ("large", 1600, 12)):
        (folder / name).mkdir()
        images, boxes = [], []
        for number in range(count):
            pixels = chance.integers(0, 255, (size, size, 3), np.uint8)
            cv2.imwrite(str(folder / name / f"{number}.jpg"), pixels)
            images.append({"id": number, "file_name": f"{number}.jpg", "width": size, "height": size})
            box = {"id": number + 1, "image_id": number, "category_id": 1, "iscrowd": 0}
            boxes.append({**box, "bbox": [5, 5, 20, 20], "area": 400})
        told = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "a"}]}
        (folder / f"{name}.json").write_text(json.dumps(told))
        made[name] = folder / f"{name}-lake"
        import_coco(folder / f"{name}.json", made[name], images=folder / name, progress=False)
    return made


def config(path: Path | str, pipeline: list[dict[str, Any]], **dataset: Any) -> Config:
    loader = {
        "batch_size": 2,
        "num_workers": 2,
        "persistent_workers": True,
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "dataset": {
            "type": "deeplake_mmdet.DeepLakeDataset",
            "path": str(path),
            "pipeline": [*LOAD, *pipeline, *PACK],
            **dataset,
        },
    }
    return Config({"default_scope": "mmdet", "train_dataloader": loader, "model": {"type": "RTMDet"}})


def bench_until(expected: str, cfg: Config, **options: Any) -> Any:
    """What it tells in one of three tries: other tests share the cores, which may hide a limit once."""
    told = []
    for _ in range(3):
        report = bench(cfg, **options)
        if expected in report.sentence():
            return report
        told.append(report.sentence())
    raise AssertionError(told)


@pytest.mark.parametrize("mode", ["threads", "processes"])
def test_big_images(lakes: dict[str, Path], mode: str) -> None:
    report = bench_until("Decoding is the limit", config(lakes["large"], SMALLER), batches=10, mode=mode)
    assert report.images == 20
    assert report.decode_rate is not None
    assert report.rate / report.decode_rate > 0.05


def test_heavy_transforms(lakes: dict[str, Path]) -> None:
    cfg = config(lakes["small"], HEAVY)
    told = "transforms in the training thread are the limit"
    assert "mode='processes'" in bench_until(told, cfg, batches=10, mode="threads").sentence()
    bench_until("The transforms are the limit", cfg, batches=10, mode="processes")


def test_a_slow_network(lakes: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in (("AWS_ACCESS_KEY_ID", "an-id"), ("AWS_SECRET_ACCESS_KEY", "a-secret")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("DEEPLAKE_MMDET_CACHE", str(tmp_path))
    with s3_endpoint() as endpoint, fault_proxy(endpoint.url) as proxy:
        url = endpoint.upload(lakes["usual"], "usual")
        options = {"credentials": {"endpoint_url": proxy.url, "aws_region": "us-east-1"}}
        cached = config(url, SMALLER, **options, cache="100MB")
        bench(cached, batches=75)  # fills it
        proxy.rules(Rule("delay", seconds=0.4))
        report = bench(cached, batches=20, mode="processes")
        assert "network" not in report.sentence(), report
        assert report.cache is not None
        assert (report.cache.misses, report.calls) == (0, 0)
        slow = config(url, SMALLER, **options)
        slow.fast_loader = {"mode": "processes", "shuffle": "full"}
        assert "cache=" in bench_until("The network is the limit", slow, batches=10).sentence()


def test_a_slow_training_step(lakes: dict[str, Path]) -> None:
    cfg = config(lakes["small"], SMALLER)
    report = bench_until("The loader keeps up", cfg, batches=8, mode="threads", step_ms=300)
    assert report.ready > 0.7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batches": 0}, "batches"),
        ({"workers": -1}, "workers"),
        ({"step_ms": -1}, "step_ms"),
        ({"split": "all"}, "no split"),
        ({"split": "val"}, "no such loader"),
        ({"mode": "fast"}, "fast"),
        ({"cfg_options": {"fast_loader": "off"}}, "no lake through"),
    ],
)
def test_wrong_arguments(lakes: dict[str, Path], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        bench(config(lakes["small"], SMALLER), **options)


def test_showing_and_clearing_caches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = tmp_path / "chunks-v1" / "key" / "0000000000-0000000010.chunk"
    entry.parent.mkdir(parents=True)
    entry.write_bytes(bytes(2000))
    (tmp_path / "chunks-v1" / "usage").write_bytes(bytes(8))
    monkeypatch.setenv("DEEPLAKE_MMDET_CACHE", str(tmp_path))
    assert main(["cache", "show"]) == 0
    assert "chunks of images: 1, 2 kB" in capsys.readouterr().out
    assert main(["cache", "clear", "--folder", str(tmp_path)]) == 0
    assert "2.01 kB freed" in capsys.readouterr().out
    assert not entry.exists()


def test_the_command(lakes: dict[str, Path], tmp_path: Path, command_in_copy: Callable[..., Any]) -> None:
    config(lakes["small"], SMALLER).dump(tmp_path / "config.py")
    options = ("--batches", "5", "--workers", "1")
    done = command_in_copy("bench", "config.py", *options, cwd=tmp_path, COLUMNS="120")
    assert done.returncode == 0, done.stderr
    shown = done.stdout.splitlines()
    assert any("finish" in line and "other transforms" in line for line in shown)
    assert any("images/s" in line and "1 worker processes" in line for line in shown)
    assert any("reads of the lake" in line for line in shown)
    assert shown[-1].endswith(".")
