"""Every converted config of MMDetection 2.x's zoo can be written as a file that says the same."""

from __future__ import annotations

import pytest
import zoo

from deeplake_mmdet.config.writing import config_text
from deeplake_mmdet.legacy import check_shapes, convert_config_dict


@pytest.fixture(scope="module")
def names():
    try:
        return zoo.names()
    except zoo.NoIndexError as error:
        pytest.skip(f"MMDetection 2.28.2's wheel cannot be had: {error}")


@pytest.mark.slow
def test_converted_configs_are_written_as_they_are(names):
    different = []
    for name in names:
        old = zoo.old(name)
        check_shapes(old)
        content, _ = convert_config_dict(old)
        found = {}
        exec(config_text(content), found)
        # Types count too: 1, 1.0 and True are three things.
        if not all(_same(found.get(key), content[key]) for key in content):
            different.append(name)
    assert different == []
    assert len(names) == 634


def _same(one, other):
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other
