"""``latest.pth`` and ``latest.log``, where links are and where they are not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from old_configs import old_config

from deeplake_mmdet import build_detector, train_detector
from deeplake_mmdet.demo.lakes import write_demo_lake


@pytest.mark.parametrize("links", [True, False])
def test_they_lead_to_the_newest_and_the_old_ones_may_go(tmp_path, monkeypatch, links):
    write_demo_lake(tmp_path / "lake", count=4, seed=0)
    if not links:  # a fault of the file system

        def refused(self, target, target_is_directory=False):
            raise OSError("no links here")

        monkeypatch.setattr(Path, "symlink_to", refused)
    cfg = Config(old_config(str(tmp_path / "lake"), None, epochs=2))
    cfg.work_dir = str(tmp_path / "out")
    cfg.checkpoint_config.max_keep_ckpts = 1
    run = train_detector(build_detector(cfg.model), cfg, validate=False)
    latest, log = tmp_path / "out" / "latest.pth", tmp_path / "out" / "latest.log"
    assert latest.is_symlink() == log.is_symlink() == links
    assert torch.load(latest, weights_only=False)["meta"]["epoch"] == 2
    assert latest.read_bytes() == run.last_checkpoint.read_bytes()
    assert "Epoch(train) [2][1/1]" in log.read_text()
    assert [path.name for path in latest.parent.glob(".*")] == []
    assert (tmp_path / "out" / "last_checkpoint").is_file()
