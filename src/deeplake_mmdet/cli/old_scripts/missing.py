"""What to tell of an old name that is not supplied: the name, its module, the nearest thing, the way on."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from importlib.util import find_spec
from types import ModuleType

from deeplake_mmdet.cli.old_scripts.names import GONE, GONE_MODULES, OLD_NAMES

__all__ = ["way_on"]

_NAMED = re.compile(r"cannot import name '(?P<name>\w+)'")
_PACKAGES = ("mmcv", "mmdet", "deeplake")


def way_on(error: BaseException) -> str | None:
    """One line of advice for an error about a name of MMDetection 2.x, mmcv 1.x or Deep Lake 3.

    Args:
        error: What a script raised.

    Returns:
        None unless it is an ``ImportError``, ``AttributeError`` or ``NameError`` about such a name.
    """
    if isinstance(error, NameError):  # after "from mmdet.datasets import *"
        return f"{error.name}: {GONE[error.name]}" if error.name in GONE else None
    if isinstance(error, AttributeError):
        if isinstance(error.obj, ModuleType) and _is_old(error.obj.__name__):
            return _of_name(error.obj.__name__, str(error.name))
        return None
    if not isinstance(error, ImportError) or not error.name or not _is_old(error.name):
        return None
    named = _NAMED.match(str(error))
    return _of_name(error.name, named["name"]) if named else _of_module(error.name)


def _is_old(module: str) -> bool:
    return module.partition(".")[0] in _PACKAGES


def _of_name(module: str, name: str) -> str:
    supplied = OLD_NAMES.get(module, {})
    own = vars(sys.modules[module]) if module in sys.modules else {}
    known = {key: key for key in (*supplied, *(key for key in own if not key.startswith("_")))}
    elsewhere = [other for other, names in OLD_NAMES.items() if name in names]
    inner = f"{module}.{name}"
    if inner in OLD_NAMES or (hasattr(sys.modules.get(module), "__path__") and find_spec(inner)):
        return f"{inner} is a module of its own: write 'import {inner}'"
    words = [f"{module} has no {name!r}, and no old name {name!r} is supplied for it"]
    if name in GONE:
        words.append(GONE[name])
    elif elsewhere:
        words.append(f"it is supplied by {', '.join(elsewhere)}")
    elif near := _near(name, known):
        words.append(f"perhaps {near!r} is meant")
    if supplied:
        words.append(f"supplied are {', '.join(sorted(supplied))}")
    return "; ".join(words)


def _of_module(module: str) -> str | None:
    package = module.partition(".")[0]
    if module == package:  # it is not installed
        return None
    known = [name for name in OLD_NAMES if name.startswith(package)]
    words = [f"the installed {package} has no module {module}, and none is supplied for old scripts"]
    if advice := next(
        (GONE_MODULES[old] for old in GONE_MODULES if f"{module}.".startswith(f"{old}.")), None
    ):
        words.append(advice)
    # "mmcv.runner.utils": what its parent has is the nearest.
    parent = module.rpartition(".")[0]
    if parent in OLD_NAMES:
        words.append(f"of {parent} these are supplied: {', '.join(sorted(OLD_NAMES[parent]))}")
    elif (near := _near(module, known)) and find_spec(package):
        words.append(f"perhaps {near} is meant")
    words.append(f"old modules: {', '.join(known)}")
    return "; ".join(words)


def _near(name: str, known: Iterable[str]) -> str | None:
    names = {other.lower(): other for other in known}
    found = get_close_matches(name.lower(), list(names), n=1, cutoff=0.7)
    return names[found[0]] if found else None
