"""The code blocks of the pages."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(r"^ *```(?P<language>\w*)(?P<rest>.*)$")
_NOT_RUN = re.compile(r"^ *<!-- not run: (?P<reason>.*\S) -->$")


class Block(NamedTuple):
    """A code block of a page.

    Attributes:
        page: The file.
        line: Of its first fence, from 1 on.
        language: As the fence says.
        title: Of a config, the file's name; else empty.
        text: What stands between the fences.
        reason: Why it is not run; empty if it is to be run.
    """

    page: Path
    line: int
    language: str
    title: str
    text: str
    reason: str

    @property
    def is_config(self) -> bool:
        """Whether it is MMDetection's kind of config: it has a title, or a base."""
        return bool(self.title) or re.search(r"^_base_ *=", self.text, re.MULTILINE) is not None

    @property
    def place(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks_of(page: Path) -> Iterator[Block]:
    """The code blocks of a page, in their order."""
    inside: tuple[int, str, str, str] | None = None
    before, text = "", []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = _FENCE.match(line)
        if fence and inside is None:
            title = re.search(r'title="([^"]+)"', fence["rest"])
            reason = _NOT_RUN.match(before)
            inside = number, fence["language"], title[1] if title else "", reason["reason"] if reason else ""
            text = []
        elif fence and inside is not None:
            yield Block(page, *inside[:3], "\n".join(text) + "\n", inside[3])
            inside = None
        else:
            text.append(line)
        if line.strip():
            before = line
    assert inside is None, f"{page.name}:{inside[0]}: the block does not end"


def commands_in(block: Block) -> list[str]:
    """The lines of a block of commands, without comments and with broken lines joined."""
    joined = block.text.replace("\\\n", " ")
    lines = [re.sub(r"(^|\s+)#.*$", "", line).strip() for line in joined.splitlines()]
    return [line for line in lines if line]


def words_of(line: str, folder: Path) -> list[str]:
    """What a shell makes of a line in a folder: quotes taken off, patterns replaced by files."""
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.split("\0")[:-1]
