"""A lake with a run, and its page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shown_lakes import Visitor, write_lake, write_predictions

from deeplake_mmdet.browsing import open_gallery, serving


@pytest.fixture(scope="session")
def shown_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = tmp_path_factory.mktemp("shown") / "lake"
    write_lake(lake)
    write_predictions(str(lake))
    return lake


@pytest.fixture(scope="session")
def address(shown_lake: Path) -> Iterator[str]:
    with serving(open_gallery(shown_lake)) as found:
        yield found.url


@pytest.fixture
def visitor(address: str) -> Visitor:
    found = Visitor(address)
    found.enter()
    return found
