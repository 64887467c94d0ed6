"""Stage statistics at the end of each epoch of a run, if the environment asks for them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deeplake_mmdet import train
from deeplake_mmdet.demo.config import demo_config
from deeplake_mmdet.demo.drawing import CLASS_NAMES
from deeplake_mmdet.demo.lakes import write_demo_lake


@pytest.mark.slow
@pytest.mark.parametrize("asked", [True, False])
def test_each_epoch_tells_what_the_loader_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    monkeypatch.setenv("DEEPLAKE_MMDET_STATS", str(int(asked)))
    for seed, name in enumerate(("train", "val")):
        write_demo_lake(tmp_path / name, count=12, seed=seed)
    lakes = (str(tmp_path / "train"), str(tmp_path / "val"))
    work_dir = tmp_path / "run"
    train(demo_config(*lakes, CLASS_NAMES, str(work_dir), epochs=2, scale=(96, 64), num_workers=0))
    (log,) = work_dir.rglob("*.log")
    text = log.read_text()
    told = re.findall(r"loader of (\w+):\n(?:.*\n)+?(12 images in .*)\n(?:.*\n)+?(.*\.)\n", text)
    assert [split for split, *_ in told] == (["train", "train", "val"] if asked else [])
    assert all("is the limit" in line or "are the limit" in line or "keeps up" in line for *_, line in told)
