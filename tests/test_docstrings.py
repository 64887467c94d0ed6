"""Every public function says what its arguments are."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import deeplake_mmdet

ROOT = Path(deeplake_mmdet.__file__).parent
# MMEngine's hooks and argparse's parts: what they are given is the same for all of them.
_SAME_FOR_ALL = ("before_", "after_")
_OF_A_COMMAND = ("add_parser", "run")
_VAGUE = ("Likewise", "As for ", "The same as ", "likewise the")


def public_functions(node: ast.AST, public: bool = True) -> Iterator[ast.FunctionDef]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from public_functions(child, public and not child.name.startswith("_"))
        elif isinstance(child, ast.FunctionDef) and public and not child.name.startswith("_"):
            yield child


def has_parameters(function: ast.FunctionDef) -> bool:
    given = function.args
    names = [arg.arg for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    names += [arg.arg for arg in (given.vararg, given.kwarg) if arg]
    return bool(set(names) - {"self", "cls"})


def test_every_public_function_tells_its_arguments() -> None:
    lacking = []
    for file in sorted(ROOT.rglob("*.py")):
        room = file.relative_to(ROOT).parts[0]
        for function in public_functions(ast.parse(file.read_text())):
            told = ast.get_docstring(function) or ""
            exempt = function.name.startswith(_SAME_FOR_ALL)
            exempt |= room == "cli" and function.name in _OF_A_COMMAND
            exempt |= any(ast.unparse(mark) == "overload" for mark in function.decorator_list)
            if has_parameters(function) and not exempt and "Args:" not in told and "See `" not in told:
                lacking.append(f"{file.relative_to(ROOT)}:{function.lineno} {function.name}")
    assert not lacking


@pytest.mark.parametrize("words", _VAGUE)
def test_no_docstring_sends_its_reader_elsewhere(words: str) -> None:
    found = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in sorted(ROOT.rglob("*.py"))
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if words in line
    ]
    assert not found
