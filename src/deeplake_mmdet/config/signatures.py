"""Which keys a part of a config may have: what the class or function takes that is built of it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import cache
from typing import Any

__all__ = ["keys_of", "nearest"]

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@cache
def keys_of(kind: Callable[..., Any]) -> frozenset[str] | None:
    """The names of all arguments that a class or a function takes.

    Args:
        kind: As a registry has it.

    Returns:
        None if that cannot be told: it is written in C, or does with its ``**kwargs`` something else than to
        hand them to the constructor of the next class.
    """
    chain = [kind]
    if inspect.isclass(kind):
        if any("__new__" in vars(base) for base in kind.__mro__[:-1]):
            return None
        chain = [vars(base)["__init__"] for base in kind.__mro__[:-1] if "__init__" in vars(base)]
    names: set[str] = set()
    settled: set[str] = set()  # arguments of the next constructor that the ones before it give
    count = 0
    for function in chain:
        try:
            parameters = list(inspect.signature(function).parameters.values())[inspect.isclass(kind) :]
        except (TypeError, ValueError):
            return None
        settled |= {each.name for each in parameters[:count] if each.kind in _POSITIONAL}
        names |= {each.name for each in parameters if each.kind in _BY_NAME and each.name not in settled}
        others = next((each.name for each in parameters if each.kind is each.VAR_KEYWORD), None)
        if others is None:
            return frozenset(names)
        if (call := _next_call(function, others)) is None:
            return None
        settled |= {word.arg for word in call.keywords if word.arg is not None}
        count = sum(not isinstance(part, ast.Starred) for part in call.args)
    return None


def nearest(name: object, known: Iterable[str]) -> str | None:
    """Guess which known name was meant.

    Args:
        name: What was written.
        known: All names that could have been.

    Returns:
        The one most like it; None if none is.
    """
    found = get_close_matches(str(name), sorted(known), n=1, cutoff=0.7)
    return found[0] if found else None


def _next_call(function: Any, others: str) -> ast.Call | None:
    """The call by which a constructor hands its ``**others`` on; None if it uses them otherwise."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == others]
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Call(func=ast.Name(id="super"), args=[]), attr="__init__")
            ) if len(uses) == 1 and uses[0] in [word.value for word in node.keywords if word.arg is None]:
                return node
    return None
