"""``deeplake-mmdet check``."""

from __future__ import annotations

import argparse
from typing import Any

from deeplake_mmdet.cli.arguments import add_json_option, add_source_arguments, source_options

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "check",
        help="look for faults in a lake, and for images that two lakes share",
        description="Look for images that do not decode, wrong or doubled boxes, unknown classes, and images "
        "that two lakes share. Changes nothing. Status 1 if there are errors.",
        epilog="Example: deeplake-mmdet check lakes/train lakes/val --config config.py --show check.png",
    )
    add_source_arguments(parser)
    parser.add_argument("other", metavar="LAKE2", nargs="?", help="a second lake, to compare with the first")
    parser.add_argument(
        "--second",
        nargs="+",
        type=_pair,
        metavar="KEY=VALUE",
        help="options of LAKE2, e.g. view=val or branch=dev",
    )
    parser.add_argument(
        "--config", metavar="CONFIG", help="tell what training with this config leaves out of LAKE"
    )
    parser.add_argument(
        "--split", choices=["train", "val", "test"], default="train", help="of CONFIG (%(default)s)"
    )
    parser.add_argument("--cfg-options", nargs="+", metavar="KEY=VALUE", help="change the config")
    parser.add_argument("--tensors", nargs="+", metavar="ROLE=COLUMN", help="name columns")
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="class names, for lakes without")
    parser.add_argument("--endpoint-url", metavar="URL", help="S3-compatible storage other than AWS")
    parser.add_argument(
        "--verify",
        choices=["decode", "header", "none"],
        default="decode",
        help="decode all images, read them only, or read annotations alone (%(default)s)",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="threads (default: one for each core)")
    parser.add_argument("--fix-plan", action="store_true", help="print what one could do; changes nothing")
    parser.add_argument("--show", metavar="FILE.png", help="draw classes, box sizes and faulty images")
    parser.add_argument("--strict", action="store_true", help="status 1 for warnings, too")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check, and print what was found; 1 if there are errors, with ``--strict`` also for warnings."""
    from deeplake_mmdet.checking import check
    from deeplake_mmdet.checking.picture import check_place
    from deeplake_mmdet.checking.tables import render, render_plan
    from deeplake_mmdet.config import parse_options
    from deeplake_mmdet.terminal import console, plain, print_json

    if args.show:
        check_place(args.show)
    result = check(
        args.lake,
        args.other,
        **source_options(args),
        tensors=parse_options(args.tensors),
        classes=args.classes,
        credentials={"endpoint_url": args.endpoint_url} if args.endpoint_url else None,
        second=dict(args.second or ()),
        config=args.config,
        split=args.split,
        cfg_options=parse_options(args.cfg_options),
        verify=args.verify,
        workers=args.workers,
        progress=True,
    )
    picture = result.save_picture(args.show) if args.show else None
    if args.json:
        facts = result.to_dict()
        if args.fix_plan:
            facts["fix_plan"] = [step.to_dict() for step in result.plan()]
        print_json(facts)
    else:
        screen = console()
        for part in render(result):
            screen.print(part)
        if args.fix_plan:
            for line in render_plan(result):
                screen.print(line)
        if picture is not None:
            screen.print(plain(f"Picture: {picture}"))
    return int(not result.ok or (args.strict and bool(result.of("warning"))))


def _pair(text: str) -> tuple[str, str]:
    """Split an option of the second lake; a query may hold anything behind the first ``=``."""
    key, sign, value = text.partition("=")
    if not sign:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form view=val")
    return key.strip(), value
