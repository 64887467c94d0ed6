"""The pages name what there is: commands, config parts, public names, errors, messages, variables."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from blocks import ROOT

import deeplake_mmdet
from deeplake_mmdet import errors
from deeplake_mmdet.cli import build_parser

_DOCS = ROOT / "docs"
_KINDS = [
    name
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, errors.DeepLakeMMDetError)
]


@pytest.fixture(scope="module")
def hooks() -> Iterator[ModuleType]:
    """The modules that make pages; ``hooks.PAGES`` has them by path."""
    sys.path.insert(0, str(_DOCS / "hooks"))
    yield importlib.import_module("generated")
    sys.path.remove(str(_DOCS / "hooks"))


@pytest.fixture(scope="module")
def pages(hooks: ModuleType) -> dict[str, str]:
    return {path: write() for path, write in hooks.PAGES.items()}


def test_every_command_is_on_its_page(pages: dict[str, str]) -> None:
    told = set(re.findall(r"^## (.+?) \{#", pages["reference/commands.md"], re.MULTILINE))
    actions = build_parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    assert {name.split()[0] for name in told} == set(actions)
    assert {"import coco", "export yolo", "train"} <= told


def test_every_option_of_a_command_is_on_its_page(pages: dict[str, str]) -> None:
    section = pages["reference/commands.md"].partition("## train {#train}")[2].partition("\n## ")[0]
    parser = build_parser()._subparsers._group_actions[0].choices["train"]  # type: ignore[union-attr]
    options = {option for action in parser._actions for option in action.option_strings} - {"-h", "--help"}
    assert options
    assert all(f"`{option}" in section for option in options)


def test_every_part_that_a_config_may_name_is_on_its_page(pages: dict[str, str]) -> None:
    from deeplake_mmdet import registry

    told = {
        path.rpartition(".")[2] for path in re.findall(r"^::: (\S+)", pages["reference/config-keys.md"], re.M)
    }
    for name in registry.__all__:
        parts = getattr(registry, name)
        parts.import_from_location()
        ours = {
            key for key, part in parts.module_dict.items() if part.__module__.startswith("deeplake_mmdet.")
        }
        assert ours <= told, name


def test_every_public_name_is_on_its_page(pages: dict[str, str]) -> None:
    page, _, results = pages["reference/api.md"].partition("## What they return")
    told = {path.rpartition(".")[2] for path in re.findall(r"^::: (\S+)", page, re.MULTILINE)}
    told |= set(re.findall(r"^### (\w+) ", page, re.MULTILINE))
    assert set(deeplake_mmdet.__all__) - {"__version__"} == told
    assert "::: deeplake_mmdet.checking.result.CheckResult" in results
    assert "::: deeplake_mmdet.legacy.notes.Note" in results


@pytest.mark.parametrize("kind", _KINDS)
def test_every_class_of_errors_is_explained(kind: str, pages: dict[str, str]) -> None:
    assert f"\n## {kind}\n" in (_DOCS / "troubleshooting.md").read_text()
    assert f"\n## {kind}\n" in pages["reference/messages.md"]


def test_the_messages_that_are_explained_are_raised(hooks: ModuleType) -> None:
    page = (_DOCS / "troubleshooting.md").read_text()
    ours = page.partition("## AnnotationError")[2].partition("## Messages of other packages")[0]
    quoted = re.findall(r"^\| `([^`]+)` \|", ours, re.MULTILINE)
    assert len(quoted) > 25
    raised = {message.what for found in sys.modules["messages_page"].messages().values() for message in found}
    assert set(quoted) <= raised


def test_messages_are_found_with_their_advice(hooks: ModuleType) -> None:
    found = sys.modules["messages_page"].messages()
    advice = {message.what: message.advice for message in found["StorageError"]}
    assert advice["The storage asks for fewer requests"].startswith("try again later")
    assert any("Column … does not say" in message.what for message in found["BoxFormatError"])


def test_variables_are_those_of_the_code() -> None:
    files = (ROOT / "src").rglob("*.py")
    used = {name for file in files for name in re.findall(r"DEEPLAKE_MMDET_[A-Z_]+", file.read_text())}
    told = set(re.findall(r"`(DEEPLAKE_MMDET_[A-Z_]+)`", (_DOCS / "environment.md").read_text()))
    assert told == used


def test_the_old_keys_are_those_of_the_code() -> None:
    files = (ROOT / "src" / "deeplake_mmdet" / "legacy").rglob("*.py")
    used = {name for file in files for name in re.findall(r'"(deeplake_[a-z_]+)"', file.read_text())}
    told = set(re.findall(r"`(deeplake_[a-z_]+)`", (_DOCS / "from-2x.md").read_text()))
    assert used - {"deeplake_mmdet"} == told - {"deeplake_mmdet"}


def test_roles_and_box_formats_are_those_of_the_code() -> None:
    from deeplake_mmdet.lake.schema.boxes import MODES, UNITS
    from deeplake_mmdet.lake.schema.roles import Roles

    page = (_DOCS / "own-lakes.md").read_text()
    told = set(re.findall(r"^\| `(\w+)` \|", page.partition("## Box formats")[0], re.MULTILINE))
    inner = {"source_id", "exif_turned", "width", "height"}  # written by imports; sizes are in the text
    assert told == set(Roles.__dataclass_fields__) - inner
    assert all(f"`'{mode}'`" in page and f"`'{mode}_{UNITS[1]}'`" in page for mode in MODES)


def test_what_a_page_would_load_from_elsewhere_is_found(hooks: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(
        '<script src="https://cdn.example/x.js"></script><script src="x.js"></script>'
        '<link href="https://a.example/x.css" rel="stylesheet"><img src="//b.example/x.png">'
        '<a href="https://c.example">a link is none</a>'
    )
    (tmp_path / "style.css").write_text("@import 'https://d.example/y.css'; b {background: url(z.png)}")
    found = hooks.things_from_elsewhere(tmp_path)
    assert len(found) == 4
    assert not any("c.example" in one for one in found)


def test_arguments_that_are_explained_together_are_taken_apart(hooks: ModuleType) -> None:
    taken_apart = importlib.import_module("docstrings").taken_apart
    text = "Do.\n\nArgs:\n    one: First.\n    two, three: Both of\n        them.\n\nRaises:\n    A: B, c: d."
    assert taken_apart(text) == (
        "Do.\n\nArgs:\n    one: First.\n    two: Both of\n        them.\n    three: Both of\n        them."
        "\n\nRaises:\n    A: B, c: d."
    )
    assert taken_apart("Nothing to take, apart: here.") == "Nothing to take, apart: here."


def test_links_out_of_the_docs_become_names(hooks: ModuleType) -> None:
    text = "[An example](../examples/loop/README.md), [here](loop.md)"
    page = SimpleNamespace(file=SimpleNamespace(src_uri="loop.md"))
    told = hooks.on_page_markdown(text, page=page)
    assert told == "An example (`examples/loop/README.md` in the repository), [here](loop.md)"
