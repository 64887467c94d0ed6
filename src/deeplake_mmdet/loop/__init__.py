"""From a model back into the lake: predictions, what is done with them, and where they came from."""

from __future__ import annotations

from deeplake_mmdet.loop.mining import WAYS, Mined, mine

__all__ = ["WAYS", "Mined", "mine"]
