"""The command reference, made of the parsers."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from html import escape

from deeplake_mmdet.cli import build_parser


def commands_page() -> str:
    """The page: every command with usage, arguments and example."""
    lines = [
        "# Commands",
        "",
        "Every command of `deeplake-mmdet`, as its parser has it. `deeplake-mmdet COMMAND --help` prints the "
        "same on the terminal.",
        "",
        "Exit status: 0 after success, 1 after an error (which is told on stderr, with its place and the way "
        "out), 2 after wrong usage, 130 after Ctrl-C. Where 1 means more, the command says so.",
        "",
        "| command | |",
        "| --- | --- |",
    ]
    leaves = list(commands(build_parser()))
    lines += [
        f"| [`{name}`](#{name.replace(' ', '-')}) | {_cell(_line(text, parser))} |"
        for name, text, parser in leaves
    ]
    for name, _, parser in leaves:
        lines += ["", *_section(name, parser)]
    return "\n".join(lines) + "\n"


def commands(
    parser: argparse.ArgumentParser, name: str = "", text: str = ""
) -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    """Commands without further commands below them.

    Args:
        parser: The whole command's, or that of a command.
        name: Of the command, e.g. ``'import coco'``.
        text: What the parser above says of it.

    Yields:
        Name, the line that says what it does, and parser.
    """
    below = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    if not below:
        yield name, text, parser
    for action in below:
        told = {one.dest: one.help or "" for one in action._choices_actions}
        for word, inner in action.choices.items():
            yield from commands(inner, f"{name} {word}".strip(), told.get(word, ""))


def _section(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f"## {name} {{#{name.replace(' ', '-')}}}"
    yield ""
    yield escape(parser.description or "", quote=False)
    yield ""
    yield "```text"
    yield parser.format_usage().rstrip()
    yield "```"
    shown = [
        action
        for action in parser._actions
        if action.help != argparse.SUPPRESS and not isinstance(action, argparse._HelpAction)
    ]
    if shown:
        yield ""
        yield "| argument | meaning | default |"
        yield "| --- | --- | --- |"
    for action in shown:
        default = "" if action.default in (None, False, argparse.SUPPRESS) else f"`{action.default}`"
        meaning = (action.help or "") % {**vars(action), "prog": parser.prog}
        yield f"| {_cell(_written(action))} | {_cell(meaning)} | {default} |"
    if parser.epilog:
        yield ""
        yield "```text"
        yield parser.epilog.strip()
        yield "```"


def _written(action: argparse.Action) -> str:
    """An argument as it is typed."""
    value = argparse.HelpFormatter("")._format_args(action, str(action.metavar or action.dest.upper()))
    if not action.option_strings:
        return f"`{action.metavar or action.dest}`"
    return ", ".join(f"`{f'{option} {value}'.strip()}`" for option in action.option_strings)


def _line(text: str, parser: argparse.ArgumentParser) -> str:
    """What a command does; below ``import`` and ``export`` the text is but the name of a format."""
    if " " in parser.prog.removeprefix("deeplake-mmdet "):
        text = (parser.description or text).partition(". ")[0].removesuffix(".")
    return text[:1].upper() + text[1:]


def _cell(text: str) -> str:
    """A text for a table's cell: markup only where it stands in backticks."""
    parts = text.split("`")
    plain = [escape(part, quote=False) if place % 2 == 0 else part for place, part in enumerate(parts)]
    return "`".join(plain).replace("|", "\\|").replace("*", "\\*").replace("\n", " ")
