"""What this package uses of others without their having promised it: for a new version, run this first."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import deeplake_mmdet
from deeplake_mmdet import environment
from deeplake_mmdet.environment import PRIVATE_NAMES, check_private_names
from deeplake_mmdet.errors import InstallError

ROOT = Path(deeplake_mmdet.__file__).parent
PACKAGES = ("mmengine", "mmcv", "mmdet", "torch", "pycocotools", "deeplake")
PLACES = [(place, name) for place, names in PRIVATE_NAMES.items() for name in names]
# Guarded where they are used: without them lakes are read in slower ways, or an error says what is gone.
OF_DEEP_LAKE = {"_datafiles", "_datafiles_report", "_deeplake", "_reader", "_writer"}
# Of Python, NumPy and the C++ library, each guarded; and of what is no package's.
OTHERS = {"_inheriting", "_core", "_replace", "_abc_impl", "_ZSt13set_terminatePFvvE", "_base_", "_scope_"}


@pytest.mark.parametrize(("place", "name"), PLACES)
def test_it_is_there(place: str, name: str) -> None:
    assert environment._has(place, name), f"{place} no longer has {name}: see where {name} is used"


@pytest.mark.parametrize("place", ["mmengine.runner.runner:Runner", "mmengine.runner:Walker", "nowhere:X"])
def test_what_is_gone_is_one_error(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRIVATE_NAMES, place, ("_train_loop", "_gone"))
    with pytest.raises(InstallError, match=r"constraints\.txt") as caught:
        check_private_names.__wrapped__()
    assert f"{place.replace(':', '.')}._gone" in str(caught.value)
    assert ("_train_loop" in str(caught.value)) is not place.endswith("Runner")
    check_private_names.__wrapped__("mmdet")


def foreign_names() -> Iterator[tuple[str, str]]:
    """Names beginning with ``_`` that our classes share with a base of another package, with the class."""
    for module in pkgutil.walk_packages(deeplake_mmdet.__path__, "deeplake_mmdet."):
        if module.name.endswith("__main__"):
            continue
        for kind in vars(importlib.import_module(module.name)).values():
            if not inspect.isclass(kind) or kind.__module__ != module.name:
                continue
            bases = [base for base in kind.__mro__ if not base.__module__.startswith("deeplake_mmdet")]
            own = {name for name in vars(kind) if re.match(r"_[^_]", name)}
            own |= set(re.findall(r"\bself\.(_[a-zA-Z]\w*)", inspect.getsource(kind)))
            for base in bases:
                if base.__module__.partition(".")[0] not in PACKAGES:
                    continue
                text = inspect.getsource(base)
                for name in own:
                    if re.search(rf"\bself\.{name}\b|\bdef {name}\b", text):
                        yield name, f"{module.name}.{kind.__name__}"


def names_of_others() -> Iterator[tuple[str, str]]:
    """Attributes and imports beginning with ``_`` that nothing of ours defines, with the file."""
    trees = {file: ast.parse(file.read_text()) for file in ROOT.rglob("*.py")}
    nodes = [(file, node) for file, tree in trees.items() for node in ast.walk(tree)]
    own = {node.name for _, node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    own |= {
        node.attr for _, node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }
    own |= {node.id for _, node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for file, node in nodes:
        found: list[str] = []
        if isinstance(node, ast.Attribute):
            found = [node.attr]
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("deeplake_mmdet"):
            found = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr":
            found = [str(part.value) for part in node.args[1:2] if isinstance(part, ast.Constant)]
        for name in found:
            if re.match(r"_[^_]", name) and name not in own:
                yield name, str(file.relative_to(ROOT))


def test_none_is_used_that_is_not_listed() -> None:
    listed = {name for names in PRIVATE_NAMES.values() for name in names} | OF_DEEP_LAKE | OTHERS
    listed |= {place.rpartition(":")[2] for place in PRIVATE_NAMES}
    assert {
        (name, where) for name, where in [*names_of_others(), *foreign_names()] if name not in listed
    } == set()
