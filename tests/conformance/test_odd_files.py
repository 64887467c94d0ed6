"""Odd annotation files: no record is lost without a word, and what is taken equals what stock reads."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from mmdet.utils import register_all_modules
from odd_files import CHECKS, run
from odd_images import write_images

COUNT = 40


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    register_all_modules(init_default_scope=True)
    folder = tmp_path_factory.mktemp("odd") / "images"
    write_images(folder)
    return folder


@pytest.mark.parametrize("kind", CHECKS)
def test_records_are_taken_as_stock_reads_them_or_counted(kind: str, images: Path) -> None:
    ended = Counter(run(kind, seed, images) for seed in range(COUNT))
    assert ended["compared"] > COUNT // 4, ended
