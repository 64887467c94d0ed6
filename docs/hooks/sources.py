"""The sources of the package, read and never run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "src" / "deeplake_mmdet"


@cache
def modules() -> tuple[tuple[str, ast.Module], ...]:
    """Every module of the package, by its dotted name, in alphabetical order."""
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        found.append((name, ast.parse(file.read_text(), str(file))))
    return tuple(found)


def registered() -> Iterator[tuple[str, str]]:
    """What configs may name as ``type='deeplake_mmdet.NAME'``.

    Yields:
        Registry, e.g. ``'HOOKS'``, and dotted path of the class or function.
    """
    for module, tree in modules():
        for node in tree.body:
            if not isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                continue
            for decorator in node.decorator_list:
                call = decorator.func if isinstance(decorator, ast.Call) else None
                if isinstance(call, ast.Attribute) and call.attr == "register_module":
                    yield ast.unparse(call.value), f"{module}.{node.name}"
