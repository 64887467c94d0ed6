"""Configs as MMEngine dumps them, read without running them: a report must not run what lies in a folder."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

__all__ = ["read_dumped_config"]

_LARGEST = 8 * 2**20  # bytes
_NUMBERS = {"inf": float("inf"), "nan": float("nan")}


def read_dumped_config(file: Path) -> dict[str, Any]:
    """Read a dumped config: assignments of plain values, lists and ``dict(...)``.

    Args:
        file: A Python file.

    Returns:
        Values by name, without the ``_scope_`` that MMEngine adds.

    Raises:
        ValueError: The file holds anything else, or is far too large.
        OSError: It cannot be read.
    """
    if file.stat().st_size > _LARGEST:
        raise ValueError("it is far too large for a config")
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        found: dict[str, Any] = {}
        for node in tree.body:
            if not isinstance(node, ast.Assign) or len(node.targets) != 1:
                raise ValueError(f"line {node.lineno} is no assignment")
            target = node.targets[0]
            if not isinstance(target, ast.Name):
                raise ValueError(f"line {node.lineno} assigns to no name")
            found[target.id] = _value(node.value)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"it is no Python: {type(error).__name__}") from None
    return found


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call):
        return _called(node)
    if isinstance(node, ast.Dict):
        if None in node.keys:
            raise ValueError(f"line {node.lineno} merges dicts")
        pairs = zip(node.keys, node.values, strict=True)
        read = {_value(key): _value(value) for key, value in pairs if key is not None}
        return {key: value for key, value in read.items() if key != "_scope_"}
    if isinstance(node, ast.List):
        return [_value(part) for part in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_value(part) for part in node.elts)
    if isinstance(node, ast.Set):
        return {_value(part) for part in node.elts}
    sign = -1 if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else 1
    inner = node.operand if isinstance(node, ast.UnaryOp) and sign < 0 else node
    if isinstance(inner, ast.Name) and inner.id in _NUMBERS:
        return sign * _NUMBERS[inner.id]
    return ast.literal_eval(node)


def _called(node: ast.Call) -> Any:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name == "dict" and not node.args:
        if any(word.arg is None for word in node.keywords):
            raise ValueError(f"line {node.lineno} merges dicts")
        return {
            word.arg: _value(word.value)
            for word in node.keywords
            if word.arg is not None and word.arg != "_scope_"
        }
    if name == "dict" and len(node.args) == 1 and isinstance(node.args[0], ast.Dict) and not node.keywords:
        return _value(node.args[0])
    if name == "float" and len(node.args) == 1 and isinstance(node.args[0], ast.Constant):
        text = str(node.args[0].value).lstrip("+-")
        if text in _NUMBERS:
            return float(str(node.args[0].value))
    if name in ("set", "frozenset", "list", "tuple") and not node.args and not node.keywords:
        return {"set": set(), "frozenset": frozenset(), "list": [], "tuple": ()}[name]
    raise ValueError(f"line {node.lineno} calls {name or 'something'}")
