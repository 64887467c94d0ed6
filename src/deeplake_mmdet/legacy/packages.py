"""Packages that a 2.x config imports: mmcls is called mmpretrain now, the user's own are passed on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.legacy.notes import Notebook

__all__ = ["convert_imports", "modern_module", "modern_types"]

_NAMED = ("type", "constructor", "_scope_")


def modern_module(name: str) -> str:
    """The 3.x name of a module or of a scoped registry entry: ``mmcls.X`` is ``mmpretrain.X``.

    Args:
        name: Its dotted name; one outside of ``mmcls`` comes back as it is.
    """
    package, dot, rest = name.partition(".")
    return f"mmpretrain{dot}{rest}" if package == "mmcls" else name


def modern_types(node: Any, notes: Notebook, key: str = "") -> Any:
    """Replace ``mmcls`` by ``mmpretrain`` in the types, constructors and scopes that a config names.

    Args:
        node: A config's content or a part of it; not changed.
        notes: Where remarks go.
        key: Its dotted path; empty for a whole config.
    """
    if isinstance(node, (list, tuple)):
        return type(node)(modern_types(part, notes, f"{key}[{number}]") for number, part in enumerate(node))
    if not isinstance(node, Mapping):
        return node
    new = {}
    for name, value in node.items():
        where = f"{key}.{name}" if key else str(name)
        if name in _NAMED and isinstance(value, str) and modern_module(value) != value:
            new[name] = modern_module(value)
            notes.info(where, "is mmpretrain's", "mmcls was renamed: install mmpretrain", old=value)
        else:
            new[name] = modern_types(value, notes, where)
    return new


def convert_imports(cfg: Mapping[str, Any], notes: Notebook) -> dict[str, Any]:
    """Convert ``custom_imports``; nothing is imported for that.

    Args:
        cfg: A whole 2.x config.
        notes: Where remarks go.

    Returns:
        A dict with ``custom_imports``; empty if the config has none.
    """
    if not (imports := cfg.get("custom_imports")):
        return {}
    names = imports.get("imports") or []
    names = [names] if isinstance(names, str) else [str(name) for name in names]
    modern = [modern_module(name) for name in names]
    if modern != names:
        why = "mmcls was renamed: install mmpretrain"
        notes.info("custom_imports.imports", "names mmpretrain's modules", why, old=names, new=modern)
    own = [name for name in modern if name.partition(".")[0] != "mmpretrain"]
    if own:
        why = "training imports them: they must be there, and written for MMDetection 3.x"
        notes.info("custom_imports.imports", f"passed on: {', '.join(own)}", why)
    return {"custom_imports": {**imports, "imports": modern}}
