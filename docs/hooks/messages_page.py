"""All error messages of the package by kind, as they stand in its sources."""

from __future__ import annotations

import ast
from collections import defaultdict
from html import escape
from typing import NamedTuple

from sources import modules

_BASE = "DeepLakeMMDetError"


class Message(NamedTuple):
    """An error as the sources raise it; what is filled in when it is raised stands as an ellipsis."""

    what: str
    advice: str


def messages_page() -> str:
    """The page: a section for each class of errors, with its messages."""
    kinds = error_classes()
    found = messages()
    lines = [
        "# All error messages",
        "",
        "The messages that stand in the sources of this package, by the class of the error, with what to do. "
        "Names, numbers and paths that are filled in stand as …. The messages that people meet most have a "
        "page of their own: [troubleshooting](../troubleshooting.md).",
        "",
        "| class | messages | when |",
        "| --- | --- | --- |",
    ]
    lines += [
        f"| [`{kind}`](#{kind.lower()}) | {len(found[kind])} | {text} |" for kind, (_, text) in kinds.items()
    ]
    for kind, (builtin, text) in kinds.items():
        lines += ["", f"## {kind}", "", text]
        if builtin:
            lines += ["", f"`except {builtin}` catches it, too."]
        rows = sorted(set(found[kind]), key=lambda message: message.what.lstrip("…'\" ").lower())
        if rows:
            lines += [
                "",
                "<div class='messages'><table><thead><tr><th>message</th>"
                " <th>what to do</th></tr></thead><tbody>",
            ]
            lines += [
                f"<tr><td>{escape(message.what)}</td> <td>{escape(message.advice)}</td></tr>"
                for message in rows
            ]
            lines += ["</tbody></table></div>"]
    return "\n".join(lines) + "\n"


def error_classes() -> dict[str, tuple[str, str]]:
    """Classes of errors by name: the builtin that each is as well, and what it means."""
    tree = dict(modules())["deeplake_mmdet.errors"]
    found = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.bases:
            bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
            if _BASE in bases or node.name == _BASE:
                text = (ast.get_docstring(node) or "").splitlines()[0]
                found[node.name] = (
                    next((base for base in bases if base not in (_BASE, "Exception")), ""),
                    text,
                )
    return found


def messages() -> dict[str, list[Message]]:
    """Messages by class of error."""
    kinds = error_classes()
    found: dict[str, list[Message]] = defaultdict(list)
    for _, tree in modules():
        for node in ast.walk(tree):
            parts = _parts(node)
            if parts is None or parts[0] not in kinds:
                continue
            kind, what, advice = parts
            if any(letter.isalpha() for letter in what):
                found[kind].append(Message(what, advice.strip("… ") and advice))
    return found


def _parts(node: ast.AST) -> tuple[str, str, str] | None:
    """Class, text and advice of a call that makes an error, or of an entry in a table of errors."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
        advice = next((_text(word.value) for word in node.keywords if word.arg == "advice"), "")
        return node.func.id, _text(node.args[0]), advice
    if isinstance(node, ast.Tuple) and len(node.elts) == 3 and isinstance(node.elts[0], ast.Name):
        return node.elts[0].id, _text(node.elts[1]), _text(node.elts[2])
    return None


def _text(node: ast.expr) -> str:
    """The text of an expression, as far as it stands in the source."""
    if isinstance(node, ast.Constant):
        return str(node.value) if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    return "…"
