"""What MkDocs calls: adds pages that are made of the code, and looks that nothing comes from elsewhere."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from commands_page import commands_page
from config_page import config_page
from deeplake_mmdet.environment import PRIVATE_NAMES
from docstrings import taken_apart  # noqa: F401  (for joint_arguments, which Griffe loads from elsewhere)
from messages_page import messages_page
from python_page import python_page

#: Pages by their path below docs/, and what writes them.
PAGES: dict[str, Callable[[], str]] = {
    "reference/commands.md": commands_page,
    "reference/config-keys.md": config_page,
    "reference/api.md": python_page,
    "reference/messages.md": messages_page,
}

_OUTSIDE = re.compile(
    r"\[(?P<text>[^\]]+)\]\(\.\./(?P<path>[^.#)][^#)]*\.\w+)\)"
)  # from a page of docs/ itself
_log = logging.getLogger("mkdocs.hooks.generated")
_ELSEWHERE = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^\"'> ]+"
    r"|<link\b(?=[^>]*\brel=[\"']?(?:stylesheet|preconnect|preload|icon))"
    r"[^>]*\bhref=[\"']?(?:https?:)?//[^\"'> ]+"
)
_ELSEWHERE_IN_STYLES = re.compile(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^\"') ]+")


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages."""
    from mkdocs.structure.files import File

    for path, write in PAGES.items():
        files.append(File.generated(config, path, content=write()))
    return files


def on_page_markdown(markdown: str, page: Any, **kwargs: Any) -> str:
    """Name files outside of docs/, which the site does not have, where a page links to them."""
    markdown = markdown.replace("<!-- PRIVATE_NAMES -->", _private_names())
    if page.file.src_uri in PAGES:
        return markdown
    return _OUTSIDE.sub(r"\g<text> (`\g<path>` in the repository)", markdown)


def on_post_build(config: Any) -> None:
    """Warn, and so fail, if a page would load anything from another host."""
    for found in things_from_elsewhere(Path(config["site_dir"])):
        _log.warning("loaded from elsewhere: %s", found)


def _private_names() -> str:
    """The table of names of other packages that are used without their promise."""
    rows = [
        f"| `{place.partition(':')[2] or place.rstrip(':')}` | {', '.join(f'`{name}`' for name in names)} |"
        for place, names in PRIVATE_NAMES.items()
    ]
    return "\n".join(["| class or module | names |", "| --- | --- |", *rows])


def things_from_elsewhere(site: Path) -> list[str]:
    """Scripts, styles, fonts and pictures that the pages of a site take from other hosts.

    Args:
        site: Folder of the built site.

    Returns:
        For each the file and the tag, as text.
    """
    found = []
    for pattern, kind in ((_ELSEWHERE, "*.html"), (_ELSEWHERE_IN_STYLES, "*.css")):
        for file in sorted(site.rglob(kind)):
            found += [f"{file.relative_to(site)}: {match}" for match in pattern.findall(file.read_text())]
    return found
