"""Supplying the old names, for one process only.

This and ``ops`` are the only places that touch what other packages own. A name that a package has itself is
the package's, but for those of ``OTHERS_MEANING``; ``deeplake.integrations.mmdet``, which cannot be imported
beside MMDetection 3.x, is ours as a whole.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from deeplake_mmdet.cli.old_scripts.names import OLD_NAMES, OTHERS_MEANING, target_of

__all__ = ["old_names", "supply"]

_REPLACED = "deeplake.integrations.mmdet"


@contextmanager
def old_names() -> Iterator[None]:
    """Supply the names while the block runs."""
    take_back = supply()
    try:
        yield
    finally:
        take_back()


def supply() -> Callable[[], None]:
    """Supply the names; nothing is imported before it is asked for. Returns what takes them back."""
    finder = _Finder()
    given = [_supply(sys.modules[name]) for name in OLD_NAMES if name in sys.modules and name != _REPLACED]
    hidden = sys.modules.pop(_REPLACED, None)
    sys.meta_path.insert(0, finder)

    def take_all_back() -> None:
        sys.meta_path.remove(finder)
        for take_back in (*given, *finder.given):
            take_back()
        if hidden is not None:
            sys.modules[_REPLACED] = hidden

    return take_all_back


class _Finder(MetaPathFinder):
    """Finds the old modules; those that exist are found by others, and get their old names when loaded."""

    def __init__(self) -> None:
        self.given: list[Callable[[], None]] = []

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in OLD_NAMES:
            return None
        found = None if fullname == _REPLACED else self._found_by_others(fullname, path, target)
        if found is None:
            spec = ModuleSpec(fullname, _Empty(self.given), origin="supplied by deeplake-mmdet run")
            spec.submodule_search_locations = []  # old modules had others in them
            return spec
        if isinstance(found.loader, Loader):
            # Of this one loader object: a loader of another class would hide the package's sources.
            execute = found.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                self.given.append(_supply(module))

            found.loader.exec_module = exec_module  # type: ignore[method-assign]
        return found

    def _found_by_others(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(fullname, path, target)) is not None:
                return spec
        return None


class _Empty(Loader):
    """Makes modules that hold old names and nothing else."""

    def __init__(self, given: list[Callable[[], None]]) -> None:
        self.given = given

    def exec_module(self, module: ModuleType) -> None:
        _supply(module)
        self.given.append(lambda: _forget(module))


def _forget(module: ModuleType) -> None:
    sys.modules.pop(module.__name__, None)
    parent, _, name = module.__name__.rpartition(".")
    vars(sys.modules.get(parent, ModuleType(""))).pop(name, None)


def _supply(module: ModuleType) -> Callable[[], None]:
    """Let a module answer for its old names too; returns what takes them back."""
    names, space = OLD_NAMES[module.__name__], vars(module)
    before = space.get("__getattr__")
    hidden = {
        name: space.pop(name) for name in names if (module.__name__, name) in OTHERS_MEANING and name in space
    }

    def answer(name: str) -> Any:
        if name in names:
            place, other = target_of(module.__name__, name)
            return getattr(import_module(place), other)
        if before is not None:
            return before(name)
        raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}", name=name, obj=module)

    def take_back() -> None:
        space.update(hidden)
        if before is None:
            space.pop("__getattr__", None)
        else:
            space["__getattr__"] = before

    space["__getattr__"] = answer
    return take_back
