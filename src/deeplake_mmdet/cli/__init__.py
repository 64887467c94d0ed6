"""The command ``deeplake-mmdet``: one file per command, argument parsing and printing only."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from deeplake_mmdet import __version__
from deeplake_mmdet.cli import (
    bench,
    cache,
    check,
    convert,
    demo,
    eval,
    export,
    import_,
    inspect,
    lineage,
    mine,
    predict,
    prepare,
    run,
    test,
    train,
)
from deeplake_mmdet.cli.arguments import CommandParser
from deeplake_mmdet.cli.looking import browse, report
from deeplake_mmdet.cli.machines import doctor, merge
from deeplake_mmdet.cli.shell import add_common_options, command_output, completion
from deeplake_mmdet.cli.unforeseen import as_error
from deeplake_mmdet.errors import DeepLakeMMDetError, was_interrupted
from deeplake_mmdet.terminal import keep_readable, readable

__all__ = ["build_parser", "main"]


def build_parser() -> argparse.ArgumentParser:
    """The parser with all commands; importing nothing heavy, so that ``--help`` answers at once."""
    parser = argparse.ArgumentParser(
        prog="deeplake-mmdet",
        description="Train, evaluate and run MMDetection detectors on Deep Lake datasets. "
        "Exit codes: 0 done, 1 an error or something found, 2 wrong usage, 130 interrupted.",
        epilog="Example: deeplake-mmdet demo",
    )
    parser.add_argument("--version", action="version", version=f"deeplake-mmdet {__version__}")
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=CommandParser
    )
    for command in (
        *(demo, train, test, predict, eval),
        *(report, mine, lineage, import_, merge, export, inspect, browse, check),
        *(convert, run, prepare, bench, cache, doctor, completion),
    ):
        command.add_parser(commands)
    add_common_options(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments after the program's name; None for those of this process.

    Returns:
        0 after success; 1 after an error (told with its place and the way out, one line where possible) or
        an import that refused most images, or a check that found errors; 130 after Ctrl-C. docs/terminal.md
        has them all.

    Raises:
        SystemExit: By the parser: 2 after wrong usage, 0 after ``--help`` and ``--version``.
        Exception: Any error, where ``DEEPLAKE_MMDET_TRACEBACK=1`` asks to see where it came from.
    """
    parser = build_parser()
    completion.complete(parser)
    args = parser.parse_args(argv)
    for stream in (sys.stdout, sys.stderr):  # names may hold what a terminal's encoding lacks
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    keep_readable()
    # Read by OpenCV when it is imported: it refuses by itself what our own limit cannot tell from headers.
    limit = os.environ.get("DEEPLAKE_MMDET_MAX_PIXELS", "")
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", limit if limit.isdecimal() else "200000000")
    try:
        with command_output(args):
            status = args.run(args)
    except KeyboardInterrupt as error:
        return _interrupted(error)
    except Exception as error:
        if was_interrupted(error):
            return _interrupted(error)
        if os.environ.get("DEEPLAKE_MMDET_TRACEBACK"):
            raise
        # The others are of other packages, or of what a config names.
        told = error if isinstance(error, DeepLakeMMDetError) else as_error(error)
        print(f"deeplake-mmdet: error: {readable(told, lines=True)}", file=sys.stderr)
        return 1
    return status or 0


def _interrupted(error: BaseException) -> int:
    """Say so in one line, with what the command has said of how to go on, if it has."""
    notes = [note for note in getattr(error, "__notes__", ()) if isinstance(note, str)]
    print(readable("; ".join(["deeplake-mmdet: interrupted", *notes])), file=sys.stderr)
    return 130
