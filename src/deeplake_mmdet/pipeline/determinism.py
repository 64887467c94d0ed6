"""Which steps of a pipeline draw no random numbers, so that any thread may run them at any time."""

from __future__ import annotations

from typing import Any, TypeVar

import mmcv.transforms
import mmdet.datasets.transforms

__all__ = ["deterministic", "is_deterministic"]

_Step = TypeVar("_Step", bound=type)

# Exactly these classes: a subclass may draw or remember something.
_DETERMINISTIC: set[type] = {
    mmcv.transforms.LoadImageFromFile,
    mmcv.transforms.Resize,
    mmcv.transforms.Pad,
    mmdet.datasets.transforms.LoadAnnotations,
    mmdet.datasets.transforms.Resize,
    mmdet.datasets.transforms.FixScaleResize,
    mmdet.datasets.transforms.Pad,
    mmdet.datasets.transforms.PackDetInputs,
}


def deterministic(step: _Step) -> _Step:
    """Say of a transform class of one's own that it may run in any thread, in any order, at any time.

    It draws no random numbers, from whatever source, and keeps nothing from one sample to the next. Decoding
    threads then run it, too, if all steps before it are such. The word does not go for subclasses.

    Args:
        step: The class; its instances are called with a dict and give a dict or None.

    Returns:
        The same class, so that this can stand above it as a decorator.

    Raises:
        TypeError: It is no class.
    """
    if not isinstance(step, type):
        raise TypeError(f"deterministic() is said of a transform class, not of {step!r}")
    _DETERMINISTIC.add(step)
    return step


def is_deterministic(step: Any) -> bool:
    """Whether a step is known to draw no random numbers and to keep nothing between samples.

    Such steps give the same result in any thread and in any order.

    Args:
        step: A pipeline step or its class. Subclasses of a known class are not known.
    """
    return (step if isinstance(step, type) else type(step)) in _DETERMINISTIC
