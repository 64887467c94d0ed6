"""A lineage as a tree for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from deeplake_mmdet.terminal import plain, tree_from

if TYPE_CHECKING:
    from rich.tree import Tree

__all__ = ["tree_of"]

_QUERY = 300  # characters of a query; --json has all
_STYLES = {"OK": "green", "FAILED": "bold red", "UNREACHABLE": "yellow"}


def tree_of(facts: Mapping[str, Any]) -> Tree:
    """Lay out a lineage.

    Args:
        facts: From `lineage`.

    Returns:
        What a rich console prints; names stand in it as they are.
    """
    if facts["kind"] == "lake":
        return _lake(facts)
    tree = tree_from(f"{facts['kind']} {facts['path']}")
    if facts.get("checkpoint"):
        tree.add(plain(f"checkpoint {facts['checkpoint']}"))
    if facts.get("hash"):
        tree.add(plain(f"hash {facts['hash']}, epoch {facts['epoch']}, iteration {facts['iter']}"))
    if facts.get("config"):
        tree.add(plain(f"config {_named(facts['config']['name'], facts['config']['hash'])}"))
    tree.add(plain(f"seed {facts.get('seed')}, {facts.get('samples')} samples"))
    if facts.get("classes"):
        tree.add(plain(f"{len(facts['classes'])} classes: {', '.join(facts['classes'])}"))
    packages = facts.get("packages") or {}
    tree.add(plain("packages " + (", ".join(map(" ".join, packages.items())) or "not recorded")))
    for lake in facts["lakes"]:
        _trained_on(tree, lake)
    if facts.get("tag"):
        tree.add(plain(f"tag {facts['tag']} names this model in its lakes"))
    return tree


def _trained_on(tree: Tree, lake: Mapping[str, Any]) -> None:
    node = tree.add(plain(f"trained on lake {lake['url']}", "bold"))
    node.add(
        plain(f"branch {lake.get('branch', 'main')}, version {lake['version']}, {lake.get('rows')} rows")
    )
    node.add(plain(f"lake id {lake['dataset_id']}, contents {lake.get('contents') or 'not recorded'}"))
    for query in lake.get("queries") or ():
        node.add(plain(f"query {_short(query)}"))
    if lake.get("view"):
        view = node.add(plain(f"view {lake['view']}"))
        if lake.get("came_from"):
            _came_from(view, lake["came_from"])
    for run in lake.get("predictions") or ():
        _run(node, run, "this checkpoint's predictions: run")
    if lake.get("unread"):
        node.add(plain(f"the lake could not be looked into: {lake['unread']}", "yellow"))
    _verified(node, lake)


def _came_from(node: Tree, came: Mapping[str, Any]) -> None:
    rows = f"{came.get('rows')} rows by {came.get('by')}"
    base = came.get("base") or {}
    gone = "" if came.get("still_there", True) else " (no longer in the lake)"
    part = node.add(plain(f"came of run {came.get('run')}{gone}: {rows}"))
    part.add(plain(f"of branch {base.get('branch')}, version {base.get('version')}"))
    _model(part, came.get("of") or {})


def _model(node: Tree, run: Mapping[str, Any]) -> None:
    if run.get("model") or run.get("checkpoint_hash"):
        part = node.add(plain(f"predicted by {_named(run.get('model'), run.get('checkpoint_hash'))}"))
        if run.get("config_name") or run.get("config_hash"):
            part.add(plain(f"config {_named(run.get('config_name'), run.get('config_hash'))}"))
        for lake in _mappings(run.get("trained_on")):
            told = f"trained on lake {lake.get('url')}, branch {lake.get('branch')}, "
            told += f"version {lake.get('version')}"
            part.add(plain(told + (f", view {lake['view']}" if lake.get("view") else "")))


def _lake(facts: Mapping[str, Any]) -> Tree:
    tree = tree_from(f"lake {facts['url']}")
    if "version" in facts:
        tree.add(plain(f"id {facts['dataset_id']}, newest version of main {facts['version']}"))
    for run in facts["runs"]:
        _run(tree, run, "run")
    for view in facts["views"]:
        _view(tree, view)
    for model in facts.get("models") or ():
        told = f"model {_named(model.get('checkpoint'), model.get('checkpoint_hash'))}"
        tree.add(plain(f"tag {model['name']}: {told} was trained on version {model['version']}"))
    if not facts["runs"]:
        tree.add(plain("no runs; predict --write-back makes one"))
    return tree


def _run(tree: Tree, run: Mapping[str, Any], what: str) -> None:
    node = tree.add(plain(f"{what} {run['run_id']}"))
    if run.get("problem"):
        node.add(plain(run["problem"], "yellow"))
    base = run.get("base") or {}
    chosen = "".join(f", {key} {_short(base[key])}" for key in ("view", "query") if base.get(key))
    if base:
        node.add(plain(f"made for branch {base.get('branch')}, version {base.get('version')}{chosen}"))
    _model(node, run)
    for view in run["views"]:
        _view(node, view)
    _verified(node, run)


def _view(tree: Tree, view: Mapping[str, Any]) -> None:
    told = f": {view.get('rows')} rows by {view['by']}" if view.get("by") else ""
    node = tree.add(plain(f"view {view['name']}{told}"))
    if view.get("query") and not told:
        node.add(plain(f"query {_short(view['query'])}"))


def _verified(node: Tree, part: Mapping[str, Any]) -> None:
    if found := part.get("verified"):
        why = f": {found['why']}" if found["why"] else ""
        node.add(plain(f"verified: {found['status']}{why}", _STYLES[found["status"]]))


def _named(name: object, digest: object) -> str:
    return f"{name or 'unknown'}" + (f" (hash {digest})" if digest else "")


def _mappings(value: Any) -> Sequence[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _short(query: object) -> str:
    text = str(query)
    return text if len(text) <= _QUERY else f"{text[:_QUERY]}... ({len(text)} characters; --json has all)"
