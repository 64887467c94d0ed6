"""``deeplake-mmdet completion``: what a shell needs to complete commands and options."""

from __future__ import annotations

import argparse
import os
from typing import Any

__all__ = ["add_parser", "complete"]

_SHELLS = ("bash", "zsh", "fish")
_PROGRAM = "deeplake-mmdet"


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "completion",
        help="have the shell complete commands and options",
        description="Print what the shell has to run once to complete commands and options. bash, zsh: put "
        'eval "$(deeplake-mmdet completion bash)" into ~/.bashrc or ~/.zshrc; fish: write it to '
        "~/.config/fish/completions/deeplake-mmdet.fish.",
        epilog="Example: deeplake-mmdet completion bash",
    )
    parser.add_argument("shell", choices=_SHELLS, help="which shell")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the shell's code."""
    import argcomplete

    print(argcomplete.shellcode([_PROGRAM], shell=args.shell))


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer the shell and end the process, if it is the shell that asks.

    Args:
        parser: With all commands.
    """
    if "_ARGCOMPLETE" not in os.environ:
        return
    import argcomplete

    argcomplete.autocomplete(parser)
