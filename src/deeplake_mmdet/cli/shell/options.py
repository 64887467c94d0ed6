"""``--quiet`` and ``--verbose`` of every command, and what its process does with its output."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager

from deeplake_mmdet.terminal.outputs import results_apart
from deeplake_mmdet.terminal.run_log import command_log
from deeplake_mmdet.terminal.verbosity import VARIABLE, set_verbosity

__all__ = ["OWN_OUTPUT", "add_common_options", "command_output"]

#: Default of a parser whose command leaves output and logs to what it runs.
OWN_OUTPUT = "own_output"


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--quiet`` and ``--verbose`` to every command of a parser; to `run` none, as a script has its own.

    Args:
        parser: With all its commands; changed in place.
    """
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for action in below:
        for command in dict.fromkeys(action.choices.values()):
            add_common_options(command)
    if below or parser.get_default(OWN_OUTPUT):
        return
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--quiet",
        dest="verbosity",
        action="store_const",
        const="quiet",
        help="show results, warnings and errors only",
    )
    choice.add_argument(
        "--verbose",
        dest="verbosity",
        action="store_const",
        const="verbose",
        help="show everything that is logged, too",
    )


@contextmanager
def command_output(args: argparse.Namespace) -> Iterator[None]:
    """Have a command's results on standard output, and logs, warnings and progress on standard error.

    Args:
        args: Of the command.
    """
    if getattr(args, OWN_OUTPUT, False):
        yield
        return
    before = os.environ.get(VARIABLE)
    if level := getattr(args, "verbosity", None):
        set_verbosity(level)
    try:
        with results_apart(as_json=bool(getattr(args, "json", False))), command_log():
            yield
    finally:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before
