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
from deeplake_mmdet.cli.looking import browse
from deeplake_mmdet.cli.machines import doctor, merge
from deeplake_mmdet.cli.unforeseen import as_error
from deeplake_mmdet.errors import DeepLakeMMDetError, was_interrupted
from deeplake_mmdet.terminal import keep_readable, readable

__all__ = ["build_parser", "main"]


def build_parser() -> argparse.ArgumentParser:
    """The parser with all commands; importing nothing heavy, so that ``--help`` answers at once."""
    parser = argparse.ArgumentParser(
        prog="deeplake-mmdet",
        description="Train, evaluate and run MMDetection detectors on Deep Lake datasets.",
        epilog="Start with: deeplake-mmdet demo",
    )
    parser.add_argument("--version", action="version", version=f"deeplake-mmdet {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (
        *(demo, train, test, predict, eval),
        *(mine, lineage, import_, merge, export, inspect, browse, check),
        *(convert, run, prepare, bench, cache, doctor),
    ):
        command.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments after the program's name; None for those of this process.

    Returns:
        0 after success; 1 after an error (told with its place and the way out, one line where possible) or
        an import that refused most images, or a check that found errors; 130 after Ctrl-C.

    Raises:
        SystemExit: By the parser: 2 after wrong usage, 0 after ``--help`` and ``--version``.
        Exception: Any error, where ``DEEPLAKE_MMDET_TRACEBACK=1`` asks to see where it came from.
    """
    args = build_parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):  # names may hold what a terminal's encoding lacks
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    keep_readable()
    # Read by OpenCV when it is imported: it refuses by itself what our own limit cannot tell from headers.
    limit = os.environ.get("DEEPLAKE_MMDET_MAX_PIXELS", "")
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", limit if limit.isdecimal() else "200000000")
    try:
        status = args.run(args)
    except KeyboardInterrupt:
        return _interrupted()
    except Exception as error:
        if was_interrupted(error):
            return _interrupted()
        if os.environ.get("DEEPLAKE_MMDET_TRACEBACK"):
            raise
        # The others are of other packages, or of what a config names.
        told = error if isinstance(error, DeepLakeMMDetError) else as_error(error)
        print(f"deeplake-mmdet: error: {readable(told, lines=True)}", file=sys.stderr)
        return 1
    return status or 0


def _interrupted() -> int:
    print("deeplake-mmdet: interrupted", file=sys.stderr)
    return 130
