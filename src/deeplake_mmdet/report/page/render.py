"""The page's text: everything in one file, nothing from elsewhere, and no text of a run can become code."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deeplake_mmdet.terminal import readable

__all__ = ["as_json", "render"]

_HERE = Path(__file__).parent
_SCRIPTS = ("charts.js", "scores.js", "gallery.js", "main.js")


def render(context: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """The page.

    Its policy lets only this very style and script work, by their hashes, and pictures that are in the page.

    Args:
        context: What the template shows.
        data: What the script draws; plain values.
    """
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = readable
    environment.filters["count"] = _count
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    script = '"use strict";\n' + "\n".join(
        (_HERE / name).read_text(encoding="utf-8").replace('"use strict";\n', "", 1) for name in _SCRIPTS
    )
    return environment.get_template("page.html.j2").render(
        context,
        style=Markup(style),
        script=Markup(script),
        data=Markup(as_json(data)),
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def as_json(data: Any) -> str:
    """JSON that may stand in a ``<script>``: no text in it can end it, or begin a comment.

    Args:
        data: Plain values, without NaN.
    """
    text = json.dumps(data, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text.encode("utf-8", "replace").decode()


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _count(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else "–"
