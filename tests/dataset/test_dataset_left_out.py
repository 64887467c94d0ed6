"""A `DeepLakeDataset` of which hardly a box is left does not go unnoticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deeplake import types
from test_dataset import PIPELINE, Make, make, mmdet_scope, rows, schema

from deeplake_mmdet import DeepLakeDataset
from deeplake_mmdet.errors import AnnotationError

__all__ = ["make", "mmdet_scope"]  # fixtures


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Any:
    """What is logged at WARNING."""
    return lambda: [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]


def areas(make: Make, *values: float) -> str:
    cells = [np.array([value, 200.0]) for value in values]
    return make(schema(areas=types.Array("float64", 1)), rows(len(values), areas=cells))


def test_areas_of_zero_end_training_and_are_told_in_tests(make: Make, warnings: Any) -> None:
    path = make(schema(areas=types.Array("float64", 1)), rows(3, areas=[np.zeros(2)] * 3))
    with pytest.raises(AnnotationError, match=r"6 of 6 boxes.*area 0.*'areas'.*tensors=dict\(area=False\)"):
        DeepLakeDataset(path, pipeline=PIPELINE)
    assert warnings() == []
    dataset = DeepLakeDataset(path, pipeline=PIPELINE, test_mode=True)
    assert len(dataset) == 3
    assert len(warnings()) == 1
    assert "6 of 6 boxes" in warnings()[0]
    assert (
        len(DeepLakeDataset(path, pipeline=PIPELINE, tensors={"area": False})[0]["data_samples"].gt_instances)
        == 2
    )


def test_more_than_a_tenth_is_a_warning(make: Make, warnings: Any) -> None:
    dataset = DeepLakeDataset(areas(make, 0, 200, 200), pipeline=PIPELINE)
    assert len(dataset) == 3
    assert ["1 of 6 boxes" in text for text in warnings()] == [True]
    DeepLakeDataset(areas(make, 200, 200, 200), pipeline=PIPELINE)
    assert len(warnings()) == 1


def test_another_format_is_named(make: Make, warnings: Any) -> None:
    boxes = [np.array([[30, 20, 60, 45], [40, 10, 60, 40]], np.float32)] * 10
    path = make(schema(), rows(10, boxes=boxes))  # declared as left, top, width, height
    DeepLakeDataset(path, pipeline=PIPELINE)
    assert len(warnings()) == 1
    assert "box_format='ltrb_pixel'" in warnings()[0]
    sizes = [np.array([[30, 20, 10, 10], [40, 30, 12, 9]], np.float32)] * 10
    path = make(schema(), rows(10, boxes=sizes))
    with pytest.raises(AnnotationError, match=r"20 of 20 boxes.*box_format='ltwh_pixel'"):
        DeepLakeDataset(path, pipeline=PIPELINE, box_format="ltrb")


def test_inspect_says_what_a_detector_would_be_trained_on(
    make: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from deeplake_mmdet.cli import main

    monkeypatch.setenv("COLUMNS", "400")
    assert main(["inspect", areas(make, 0, 0)]) == 0
    shown = capsys.readouterr().out
    assert "2 images, 2 of 4 boxes" in shown
    assert "Warning: 2 of 4 boxes of the selected classes are left out: 2 of area 0" in shown


def test_the_warning_is_in_the_runs_log(tmp_path: Path) -> None:
    from mmengine.config import Config

    from deeplake_mmdet import train
    from deeplake_mmdet.demo.config import demo_config
    from deeplake_mmdet.demo.drawing import CLASS_NAMES
    from deeplake_mmdet.demo.lakes import write_demo_lake

    lake = str(tmp_path / "lake")
    write_demo_lake(lake, count=4, seed=0)
    wrong: dict[str, Any] = {"train_dataloader.dataset.box_format": "ltwh_fractional"}
    cfg: Config = demo_config(
        lake, lake, CLASS_NAMES, str(tmp_path / "run"), epochs=1, scale=(96, 64), num_workers=0
    )
    with pytest.raises(AnnotationError, match=r"left out.*box_format='"):
        train(cfg, cfg_options=wrong)
    train(cfg, cfg_options={"val_dataloader.dataset.box_format": "ltwh_fractional"})
    logs = "".join(file.read_text() for file in (tmp_path / "run").rglob("*.log"))
    line = next(line for line in logs.splitlines() if "boxes of the selected classes are left out" in line)
    assert "WARNING" in line
    assert "box_format='" in line


def test_a_few_boxes_that_all_fall_away_are_not_trained_on(tmp_path: Path, make: Make) -> None:
    from deeplake_mmdet import train
    from deeplake_mmdet.demo.config import demo_config
    from deeplake_mmdet.lake import Source, open_view

    lake = make(schema(areas=types.Array("float64", 1)), rows(1, areas=[np.zeros(2)]))
    names = open_view(Source(lake)).classes
    cfg = demo_config(lake, lake, names, str(tmp_path / "run"), epochs=1, scale=(96, 64), num_workers=0)
    with pytest.raises(AnnotationError, match=r"2 of 2 boxes.*tensors=dict\(area=False\)"):
        train(cfg)
