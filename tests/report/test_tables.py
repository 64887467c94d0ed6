"""The per-class table ends in a row for all classes."""

from __future__ import annotations

import io

from rich.console import Console

from deeplake_mmdet.evaluation import ClassScore
from deeplake_mmdet.report import class_table


def score(name, objects, ap, ap50):
    nan = float("nan")
    return ClassScore(name, objects, ap, ap50, nan, nan, nan, nan)


def printed(table):
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(table)
    return console.file.getvalue()


def test_rows_and_their_mean():
    scores = [score("ball", 1200, 0.5, 0.9), score("ring [big]", 34, 0.7, 1.0)]
    text = printed(class_table(scores, title="val"))
    lines = text.splitlines()
    assert "val" in lines[0]
    assert any("ball" in line and "1,200" in line and "0.500" in line and "0.900" in line for line in lines)
    assert any("ring [big]" in line for line in lines)
    assert any("all" in line and "1,234" in line and "0.600" in line and "0.950" in line for line in lines)


def test_undefined_values_are_not_averaged():
    text = printed(class_table([score("a", 3, 0.4, 0.8), score("b", 0, float("nan"), -1.0)]))
    row = next(line for line in text.splitlines() if " all " in line)
    assert "0.400" in row
    assert "0.800" in row
    assert text.count("–") == 2
    assert printed(class_table([])).count("–") == 2
