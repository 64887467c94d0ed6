"""Griffe's extension: arguments that a docstring explains together get a row each.

``commit, branch, tag: Version id, branch name, tag name.`` is read as three arguments with one text.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

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


class JointArguments(griffe.Extension):
    """Takes arguments apart before the docstrings are parsed."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Change an object's docstring, if it has one."""
        if obj.docstring is not None:
            obj.docstring.value = taken_apart(obj.docstring.value)
