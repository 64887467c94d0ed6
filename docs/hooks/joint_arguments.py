"""Griffe's extension: arguments that a docstring explains together get a row each.

``commit, branch, tag: Version id, branch name, tag name.`` is read as three arguments with one text.
"""

from __future__ import annotations

from typing import Any

import griffe

from docstrings import taken_apart


class JointArguments(griffe.Extension):
    """Takes arguments apart before the docstrings are parsed."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Change an object's docstring, if it has one."""
        if obj.docstring is not None:
            obj.docstring.value = taken_apart(obj.docstring.value)
