"""``--help`` of every command fits a screen, and ends with an example that the parser takes."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator

import pytest

from deeplake_mmdet.cli import build_parser

_ROWS, _COLUMNS = 40, 100


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _parsers(below)


PARSERS = [pytest.param(parser, id=parser.prog) for parser in _parsers(build_parser())]


@pytest.mark.parametrize("parser", PARSERS)
def test_help_fits_a_screen(parser: argparse.ArgumentParser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(_COLUMNS))
    lines = parser.format_help().splitlines()
    assert len(lines) <= _ROWS
    assert max(map(len, lines)) <= _COLUMNS


@pytest.mark.parametrize("parser", PARSERS)
def test_help_ends_with_an_example(parser: argparse.ArgumentParser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    last = parser.format_help().strip().splitlines()[-1]
    assert last.startswith(f"Example: {parser.prog}")
    words = shlex.split(last.removeprefix("Example: "))
    assert words[0] == "deeplake-mmdet"
    assert callable(build_parser().parse_args(words[1:]).run)


@pytest.mark.parametrize("parser", PARSERS)
def test_every_argument_says_what_it_means(parser: argparse.ArgumentParser) -> None:
    silent = [action.dest for action in parser._actions if not action.help and action.dest != "help"]
    assert not [name for name in silent if name != argparse.SUPPRESS]


def test_the_usage_names_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(_COLUMNS))
    parsers = {parser.prog: parser for parser in _parsers(build_parser())}
    usage = " ".join(parsers["deeplake-mmdet test"].format_usage().split())
    assert usage == "usage: deeplake-mmdet test CONFIG CHECKPOINT [options]"
    usage = " ".join(parsers["deeplake-mmdet mine"].format_usage().split())
    assert usage == "usage: deeplake-mmdet mine --run ID --by WHAT LAKE [options]"
