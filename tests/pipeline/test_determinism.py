"""Which pipeline steps may run in any thread."""

from __future__ import annotations

from typing import Any

import pytest
from mmcv.transforms import Resize

from deeplake_mmdet import deterministic
from deeplake_mmdet.pipeline.determinism import is_deterministic


class Step:
    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        return results


def test_the_word_goes_for_that_class_alone() -> None:
    class Mine(Step):
        pass

    assert not is_deterministic(Mine())
    assert deterministic(Mine) is Mine
    assert is_deterministic(Mine)
    assert is_deterministic(Mine())

    class Later(Mine):
        pass

    assert not is_deterministic(Later())
    assert not is_deterministic(Step())


def test_subclasses_of_stock_steps_may_draw() -> None:
    class Mine(Resize):  # type: ignore[misc]
        pass

    assert is_deterministic(Resize)
    assert not is_deterministic(Mine)


@pytest.mark.parametrize("step", [Step(), "Resize", None])
def test_it_is_said_of_classes(step: Any) -> None:
    with pytest.raises(TypeError, match="transform class"):
        deterministic(step)
