"""How soon the threads of a loading process get Python's interpreter."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from drawn_lakes import LIGHT, lake_dataset, loader_of

from deeplake_mmdet.loading.interpreter import SOON

PYTHONS_OWN = 0.005


@pytest.fixture(autouse=True)
def _interval() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(PYTHONS_OWN)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize(("workers", "expected"), [(0, PYTHONS_OWN), (2, SOON)])
def test_decoding_threads_wait_less_for_it(lake: Path, workers: int, expected: float) -> None:
    next(iter(loader_of(lake_dataset(lake, LIGHT), "threads", workers)))
    assert sys.getswitchinterval() == pytest.approx(expected)


def test_an_interval_of_the_program_stays(lake: Path) -> None:
    sys.setswitchinterval(0.02)
    next(iter(loader_of(lake_dataset(lake, LIGHT), "threads", 2)))
    assert sys.getswitchinterval() == pytest.approx(0.02)
