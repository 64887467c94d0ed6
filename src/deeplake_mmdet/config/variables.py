"""What a config file takes from its bases: ``{{_base_.name}}``, or ``_base_.name`` in plain Python.

MMCV and MMEngine put a text in the place of what stands in braces while the file runs, and the value
afterwards: in an expression, or within a text, a made-up name stays behind. Here the file is run with the
values from the start.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from mmengine.config import ConfigDict

__all__ = ["Program", "Variable", "in_braces", "left_behind", "value_of"]

_BRACES = re.compile(r"\{\{\s*_base_\.([\w.]+)\s*\}\}")
_CHAIN = re.compile(r"_base_\.([\w.]+)")


@dataclass(frozen=True)
class Variable:
    """A variable of a base, where a file uses it.

    Attributes:
        name: Its dotted name, without ``_base_``; empty where the file takes all that its bases say.
        line: Where it stands, from 1.
        key: What it is for: the dotted key of the config, as far as that can be told.
        plain: Whether it is written ``_base_.name``, which Python itself looks up.
        within_text: Whether it is a part of a string.
    """

    name: str
    line: int
    key: str
    plain: bool = False
    within_text: bool = False


class Program:
    """A config file that takes variables from its bases.

    Args:
        text: The file's, without ``_base_``; documentation and remarks may name variables.

    Attributes:
        used: The variables, in the order of the text.

    Raises:
        SyntaxError: It is no Python.
    """

    def __init__(self, text: str) -> None:
        self._marks: dict[str, str] = {}
        self._tree = ast.parse(_BRACES.sub(self._marked, text))
        self.used = list(_used(self._tree, self._marks, ""))

    def run(self, file: Path, known: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Run the program; it may fail in any way.

        Args:
            file: For tracebacks.
            known: What its bases say, the variables that stand in braces among them.

        Returns:
            What it defines, as MMEngine takes it: without modules, functions and private names; and what its
            bases say after it, for ``_base_.optimizer.lr = 0.1`` changes that.
        """
        values = {mark: value_of(name, known) for mark, name in self._marks.items() if self._is_used(mark)}
        tree = _TextsFilled({mark: str(value) for mark, value in values.items()}).visit(deepcopy(self._tree))
        names: dict[str, Any] = {**deepcopy(values), "_base_": ConfigDict(deepcopy(dict(known)))}
        exec(compile(tree, str(file), "exec"), names)
        bases = _plain(names.pop("_base_"))
        return {
            name: _plain(value)
            for name, value in names.items()
            if name not in (*values, "_deprecation_")
            and not name.startswith("__")
            and not isinstance(value, (FunctionType, ModuleType))
        }, bases

    def _marked(self, found: re.Match[str]) -> str:
        mark = f"_base_variable_{len(self._marks)}_"  # a name in code, and a text within a string
        self._marks[mark] = found[1]
        return mark

    def _is_used(self, mark: str) -> bool:
        return self._marks[mark] in {item.name for item in self.used if not item.plain}


def in_braces(text: str) -> set[str]:
    """Find the variables that stand in braces.

    Args:
        text: Of a config file.

    Returns:
        Their dotted names, those in remarks too.
    """
    return set(_BRACES.findall(text))


def left_behind(content: Any, names: Iterable[str]) -> bool:
    """Whether a config holds a name that MMEngine made up for one of these variables.

    Args:
        content: The config's.
        names: The variables' dotted names.
    """
    told = "|".join(map(re.escape, names))
    return bool(told) and re.search(rf"_(?:{told})_[0-9a-f]{{6}}", repr(content)) is not None


def value_of(name: str, known: Mapping[str, Any], *, plain: bool = False) -> Any:
    """Look a variable up.

    Args:
        name: Its dotted name.
        known: What the bases say.
        plain: Whether the last parts may be attributes of the value itself, as ``upper`` of a text.

    Returns:
        Its value itself, no copy.

    Raises:
        KeyError: No base has it; with the part of the name that is not there, and the names that are.
    """
    value: Any = known
    for part in name.split("."):
        if plain and (not isinstance(value, Mapping) or (part not in value and hasattr(dict, part))):
            return value
        if not isinstance(value, Mapping) or part not in value:
            raise KeyError(part, [str(key) for key in value] if isinstance(value, Mapping) else [])
        value = value[part]
    return value


class _TextsFilled(ast.NodeTransformer):
    """Puts values into strings, those in f-strings too, but not into documentation."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        return node if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, str):
            for mark, text in self._texts.items():
                node.value = node.value.replace(mark, text)
        return node


def _used(node: ast.AST, marks: Mapping[str, str], key: str) -> Iterator[Variable]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return  # documentation
    if isinstance(node, ast.Name) and node.id in marks:
        yield Variable(marks[node.id], node.lineno, key)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        for mark, name in marks.items():
            if mark in node.value:
                yield Variable(name, node.lineno, key, within_text=True)
    elif isinstance(node, ast.Attribute) and (chain := _CHAIN.fullmatch(ast.unparse(node))):
        name = "" if hasattr(dict, chain[1].partition(".")[0]) else chain[1]  # as _base_.get('x')
        yield Variable(name, node.lineno, key, plain=True)
    elif isinstance(node, ast.Subscript) and _is_base(node.value) and isinstance(node.slice, ast.Constant):
        yield Variable(str(node.slice.value), node.lineno, key, plain=True)
    elif isinstance(node, ast.Name) and _is_base(node):
        yield Variable("", node.lineno, key, plain=True)
    else:
        for name, child in _children(node):
            yield from _used(child, marks, f"{key}.{name}" if key and name else key or name)


def _is_base(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "_base_"


def _children(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """The parts of a piece of Python, with the name of the config's key that they are the value of."""
    if isinstance(node, ast.Assign):
        yield from (("", target) for target in node.targets)
        yield ", ".join(map(ast.unparse, node.targets)), node.value
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            yield str(key.value) if isinstance(key, ast.Constant) else "", value
    else:
        for child in ast.iter_child_nodes(node):
            yield (child.arg or "") if isinstance(child, ast.keyword) else "", child


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return type(value)(map(_plain, value)) if type(value) in (list, tuple) else value
