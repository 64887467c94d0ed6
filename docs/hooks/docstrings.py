"""Docstrings as Griffe is to see them."""

from __future__ import annotations

import re

_JOINT = re.compile(
    r"^(?P<indent> {4,})(?P<names>\w+(?:, \w+)+):(?P<text>.*(?:\n(?P=indent) +.*)*)", re.MULTILINE
)


def taken_apart(docstring: str) -> str:
    """A docstring with an entry for each of the arguments that it explains together.

    Args:
        docstring: In Google style, without the indentation of its source.
    """
    before, heading, after = docstring.partition("\nArgs:\n")
    arguments, blank, rest = after.partition("\n\n")
    apart = _JOINT.sub(
        lambda found: "\n".join(
            f"{found['indent']}{name}:{found['text']}" for name in found["names"].split(", ")
        ),
        arguments,
    )
    return f"{before}{heading}{apart}{blank}{rest}"
