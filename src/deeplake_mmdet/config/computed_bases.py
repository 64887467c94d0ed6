"""A ``_base_`` that a config computes, as ``[f'{root}/base.py']``: MMCV 1.x ran the file to know it.

MMEngine reads ``_base_`` before it runs the file, and knows none of its variables.
"""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path
from typing import Any

from deeplake_mmdet.errors import ConfigError

__all__ = ["OWN_LIST", "computed_bases", "literal_bases", "predefined", "without_bases"]

#: What the file's own list of bases is called while the rest of the file runs.
OWN_LIST = "_base_paths_"
_VARIABLE = re.compile(r"\{\{['\"]?\s*\$(\w+)\s*:\s*(\S*?)\s*['\"]?\}\}")
_CHANGES = ("append", "extend", "insert")


def literal_bases(tree: ast.Module) -> list[str] | None:
    """The bases of a file that says them once and plainly; None if it computes them."""
    setting = [node for node in tree.body if _sets_base(node)]
    if not setting:
        return []
    if len(setting) > 1 or not isinstance(setting[0], ast.Assign):
        return None
    try:
        return _as_list(ast.literal_eval(setting[0].value))
    except ValueError:
        return None


def computed_bases(file: Path, tree: ast.Module) -> list[str]:
    """The bases of a file that computes them: it is run to the last statement that says something of them.

    Args:
        file: For messages; it also stands in ``__file__``.
        tree: What it says, after `predefined`. Statements that take something from its bases are left out.

    Raises:
        ConfigError: It fails, or what it computes is no path or list of paths.
    """
    last = max(number for number, node in enumerate(tree.body) if _sets_base(node))
    names: dict[str, Any] = {"__file__": str(file), "__name__": file.stem}
    for node in tree.body[: last + 1]:
        if not _sets_base(node) and _names_within(node):
            continue
        try:
            exec(compile(ast.Module([node], []), str(file), "exec"), names)
        except (Exception, SystemExit) as error:  # a config is a program: it may fail in any way
            raise ConfigError(
                "The config cannot be loaded: its _base_ cannot be computed: "
                f"{type(error).__name__}: {error}",
                where=f"{file}, line {node.lineno}",
                advice="it can use what stands above it in the file, but nothing of the bases",
            ) from error
    bases = _as_list(names.get("_base_"))
    if bases is None:
        raise ConfigError(
            f"The config cannot be loaded: its _base_ is {names.get('_base_')!r}, which names no files",
            where=f"{file}, line {tree.body[last].lineno}",
        )
    return bases


def without_bases(text: str) -> str:
    """The same program, line by line, with another name for the list of bases that it computes."""
    lines = text.split("\n")  # as Python counts them
    found = [
        (part.lineno - 1, part.col_offset)
        for node in ast.parse(text).body
        if _sets_base(node)
        for part in _names_within(node)
    ]
    for number, column in sorted(found, reverse=True):
        line = lines[number].encode()  # Python counts bytes
        lines[number] = (line[:column] + OWN_LIST.encode() + line[column + len(b"_base_") :]).decode()
    return "\n".join(lines)


def predefined(text: str, file: Path, *, variables: bool = False) -> str:
    """The text with what MMCV and MMEngine put in for the file's own name.

    Args:
        text: Of a config.
        file: Its place.
        variables: Whether to put in those of the environment too, ``{{$NAME:default}}``.
    """
    names = {
        "fileDirname": file.parent.as_posix(),
        "fileBasename": file.name,
        "fileBasenameNoExtension": file.stem,
        "fileExtname": file.suffix,
    }
    for name, value in names.items():
        text = re.sub(r"\{\{\s*" + name + r"\s*\}\}", value.replace("\\", r"\\"), text)
    if variables:
        text = _VARIABLE.sub(lambda found: os.environ.get(found[1], found[2]), text)
    return text


def _as_list(bases: Any) -> list[str] | None:
    if isinstance(bases, (str, os.PathLike)):
        return [str(bases)]
    if isinstance(bases, (list, tuple)) and all(isinstance(base, (str, os.PathLike)) for base in bases):
        return [str(base) for base in bases]
    return None


def _sets_base(node: ast.stmt) -> bool:
    """Whether a statement of the file, or one inside it, sets ``_base_`` or adds to it."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and part.id == "_base_" and isinstance(part.ctx, ast.Store):
            return True
        if (
            isinstance(part, ast.Call)
            and isinstance(part.func, ast.Attribute)
            and part.func.attr in _CHANGES
            and isinstance(part.func.value, ast.Name)
            and part.func.value.id == "_base_"
        ):
            return True
    return False


def _names_within(node: ast.AST) -> list[ast.Name]:
    """Where the list's name stands, but within f-strings, whose places Python 3.11 does not tell."""
    if isinstance(node, ast.JoinedStr):
        return []
    own = [node] if isinstance(node, ast.Name) and node.id == "_base_" else []
    return [*own, *(name for child in ast.iter_child_nodes(node) for name in _names_within(child))]
