"""The package's face."""

from __future__ import annotations

import pytest

import deeplake_mmdet


def test_every_name_leads_somewhere() -> None:
    assert set(deeplake_mmdet._HOMES) == set(deeplake_mmdet.__all__) - {"__version__"}
    for name in deeplake_mmdet.__all__:
        assert getattr(deeplake_mmdet, name) is not None


def test_unknown_names_are_unknown() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        deeplake_mmdet.nothing  # noqa: B018
