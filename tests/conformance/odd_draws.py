"""Right values, and now and then wrong ones."""

from __future__ import annotations

from typing import Any

import numpy as np


class OddDraws:
    """Draws values; one object makes one file.

    Args:
        rng: What everything is drawn from.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        # Most files have few oddities: with many, nothing is left to compare.
        self.share = float(rng.choice([0.0, 0.03, 0.15, 0.5]))

    def pick(self, *values: Any) -> Any:
        """One of the values."""
        return values[int(self.rng.integers(len(values)))]

    def odd(self, right: Any, *wrong: Any) -> Any:
        """The right value, or now and then a wrong one."""
        return self.pick(*wrong) if self.rng.random() < self.share else right
