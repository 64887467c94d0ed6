"""The demo from beginning to end."""

from __future__ import annotations

import cv2
import pytest

import deeplake_mmdet.training as training
from deeplake_mmdet.demo import demo


@pytest.mark.slow
def test_the_demo_leaves_what_it_promises(tmp_path, capsys, monkeypatch):
    seen = []
    train = training.train

    def watched(*args, **kwargs):
        seen.append((tmp_path / "samples.png").is_file())
        return train(*args, **kwargs)

    monkeypatch.setattr(training, "train", watched)
    made = demo(tmp_path, train_images=8, val_images=4, epochs=1)  # how well it learns, `make demo` shows
    assert "coco/bbox_mAP_50" in made.run.metrics
    assert seen == [True]  # there is something to look at while the training runs
    assert "samples.png" in capsys.readouterr().out.replace("\n", "")
    for picture in (made.samples, made.curve, made.predictions):
        assert min(cv2.imread(str(picture)).shape[:2]) > 200
    assert made.checkpoint.is_file()
    assert made.config.is_file()
