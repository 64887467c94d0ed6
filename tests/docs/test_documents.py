"""What README.md and docs/ tell the reader to type is there, and short enough to be read."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from blocks import PAGES as WITH_CODE
from blocks import ROOT, blocks_of, commands_in

from deeplake_mmdet.cli import build_parser

HOOKS = (ROOT / "docs" / "hooks" / "generated.py").read_text()
PAGES = [*WITH_CODE, ROOT / "CONTRIBUTING.md"]


def commands_of_pages():
    for page in PAGES:
        for block in blocks_of(page):
            for line in commands_in(block):
                if line.startswith("deeplake-mmdet "):
                    yield pytest.param(line, id=f"{page.name}: {line}")


@pytest.mark.parametrize("line", list(commands_of_pages()))
def test_commands_are_such_as_the_parser_takes(line):
    words = shlex.split(line, comments=True)[1:]
    assert callable(build_parser().parse_args(words).run)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text()):
        generated = target.startswith("reference/") and f'"{target}"' in HOOKS
        assert generated or (page.parent / target).is_file(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_headings(page):
    # As GitHub and MkDocs make anchors: in lower case, without punctuation, and with hyphens for spaces.
    for target, anchor in re.findall(r"\]\((?!https?://)([^)#]*)#([^)]+)\)", page.read_text()):
        if target.startswith("reference/"):
            continue  # made by the build, which checks them
        text = (page.parent / target if target else page).read_text()
        titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}
        assert anchor in anchors, f"{target}#{anchor}"


def test_the_readme_takes_two_minutes():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_tables_are_whole():
    # A line between two rows would end the table, and the rest would be shown as it is written.
    for page in PAGES:
        for table in re.split(r"\n\s*\n", page.read_text()):
            lines = [line for line in table.splitlines() if line.startswith("|")]
            if lines:
                assert re.fullmatch(r"\|(\s*-+\s*\|)+", lines[1]), f"{page.name}: {lines[0]}"
                cells = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
                assert len(cells) == 1, f"{page.name}: {lines[0]}"


def test_no_file_of_the_project_needs_a_folder_beside_it():
    beside = re.compile(r"\.\./shared|/work/")
    for folder in ("src", "tests", "configs", "benchmarks", "docs"):
        for file in (ROOT / folder).rglob("*"):
            if file.suffix in {".py", ".md", ".txt", ".sh"} and file != Path(__file__):
                assert not beside.search(file.read_text(errors="replace")), file
    assert not any(beside.search(page.read_text()) for page in PAGES)


def test_the_readmes_config_is_read_as_it_stands(tmp_path):
    from deeplake_mmdet import load_config

    (block,) = re.findall(r"^```python\n(_base_.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    (tmp_path / "config.py").write_text(block)
    cfg = load_config(tmp_path / "config.py")
    assert cfg.train_dataloader.dataset.type == "deeplake_mmdet.DeepLakeDataset"
    assert cfg.train_dataloader.dataset.pipeline
    assert cfg.model.roi_head.bbox_head.num_classes == 3
