from __future__ import annotations

from pathlib import Path

import pytest
from mmdet.utils import register_all_modules

import deeplake_mmdet  # noqa: F401 - stands in for compiled ops before mmdet asks for them

from drawn_lakes import draw_lake  # isort: skip


@pytest.fixture(scope="session", autouse=True)
def mmdet_scope() -> None:
    register_all_modules(init_default_scope=True)


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """53 images: a prime, so that nothing divides evenly."""
    return draw_lake(tmp_path_factory.mktemp("lake"), 53)


@pytest.fixture(scope="session")
def other_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_lake(tmp_path_factory.mktemp("lake"), 11, seed=1)
