"""``deeplake-mmdet browse``."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

from deeplake_mmdet.cli.arguments import add_source_arguments, source_options

if TYPE_CHECKING:
    from deeplake_mmdet.browsing.server import Address

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "browse",
        help="look at a lake, or at a config's samples, in a browser",
        description="Show a lake's images with boxes, masks and predictions on a page of this machine, or "
        "the samples of a config as its pipeline makes them. Ctrl-C ends it.",
        epilog="Example: deeplake-mmdet browse lakes/train --query 'width > 500'",
    )
    add_source_arguments(parser, name="LAKE|CONFIG", help="lake: folder or address; or config file")
    parser.add_argument("--run", dest="run_id", metavar="ID", help="show predictions of this run")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="of this machine (any free one)")
    parser.add_argument("--no-open", action="store_true", help="only print the address; open no browser")
    parser.add_argument("--out", metavar="FOLDER", help="write pictures there instead")
    parser.add_argument("--count", type=int, default=100, metavar="N", help="pictures of --out (%(default)s)")
    parser.add_argument(
        "--split", choices=["train", "val", "test"], default="train", help="of a config (%(default)s)"
    )
    parser.add_argument("--cfg-options", nargs="+", metavar="KEY=VALUE", help="change the config")
    parser.add_argument("--endpoint-url", metavar="URL", help="S3-compatible storage other than AWS")
    parser.add_argument("--tensors", nargs="+", metavar="ROLE=COLUMN", help="name columns of the lake")
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="classes to show; or names by label")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Serve the page until Ctrl-C; or write pictures."""
    options: dict[str, Any] = {
        **source_options(args),
        "tensors": _parsed(args.tensors),
        "classes": args.classes,
        "credentials": {"endpoint_url": args.endpoint_url} if args.endpoint_url else None,
        "cfg_options": _parsed(args.cfg_options),
        "split": args.split,
        "run": args.run_id,
    }
    if args.out is not None:
        from deeplake_mmdet.browsing import write_pictures
        from deeplake_mmdet.terminal import readable

        done = write_pictures(args.lake, args.out, count=args.count, **options)
        print(f"{done.written} of {done.there} images drawn in {readable(args.out)}")
        for number, reason in done.left_out:
            print(f"  {number}: {readable(reason)}")
        return
    from deeplake_mmdet.browsing.browse import browse

    def told(address: Address) -> None:
        print(address.url, flush=True)
        print("Open this address in a browser of this machine; Ctrl-C ends it.", file=sys.stderr)
        if not args.no_open and _has_screen():
            import webbrowser

            webbrowser.open(address.once)

    with contextlib.suppress(KeyboardInterrupt):  # how it is ended
        browse(args.lake, port=args.port, told=told, **options)


def _has_screen() -> bool:
    """Whether a browser would have a window; others would take over the terminal."""
    return sys.platform in ("darwin", "win32") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def _parsed(items: list[str] | None) -> dict[str, Any] | None:
    if not items:
        return None
    from deeplake_mmdet.config import parse_options  # loads torch, which lakes alone do not need

    return parse_options(items)
