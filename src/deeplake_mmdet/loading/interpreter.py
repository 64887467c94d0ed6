"""How long a thread keeps Python's interpreter while others wait for it."""

from __future__ import annotations

import sys

__all__ = ["SOON", "share_interpreter"]

SOON = 0.0005  # seconds
_PYTHONS_OWN = 0.005


def share_interpreter() -> bool:
    """Have this process's threads hand the interpreter over after half a millisecond instead of five.

    A thread that has decoded an image needs the interpreter for some microseconds before it can decode the
    next, and waits for it as long as the training thread is busy in Python: with Python's own setting for
    longer than decoding takes.

    Returns:
        Whether it was done: not where the program has set an interval of its own.
    """
    if sys.getswitchinterval() != _PYTHONS_OWN:
        return False
    sys.setswitchinterval(SOON)
    return True
