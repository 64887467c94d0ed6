"""``deeplake-mmdet report``."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from typing import Any

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "report",
        help="make one page to look at of a run, or of two side by side",
        description="Make one HTML page of a run: what it was trained on, curves, scores, errors, pictures. "
        "It opens from disk, without a network. Of two runs, they stand side by side with intervals.",
        epilog="Example: deeplake-mmdet report work_dirs/first work_dirs/second",
    )
    parser.add_argument("run_folder", metavar="RUN", help="work dir of a training or of a test")
    parser.add_argument("other", metavar="RUN2", nargs="?", help="work dir of a run to compare with")
    parser.add_argument("--out", metavar="FILE", help="the page (RUN/report.html)")
    parser.add_argument("--split", choices=["val", "test"], help="whose predictions (val, else test)")
    parser.add_argument(
        "--metric", choices=["bbox", "segm"], default="bbox", help="what overlaps (%(default)s)"
    )
    parser.add_argument(
        "--score", type=float, metavar="S", help="from which predictions count at first (highest F1)"
    )
    parser.add_argument(
        "--images", type=int, default=24, metavar="N", help="images in each gallery; 0 for none (%(default)s)"
    )
    parser.add_argument("--browse", metavar="URL", help="address of a running browse, to link rows to it")
    parser.add_argument(
        "--resamples", type=int, metavar="N", help="draws for intervals of two runs (1000, of many 200)"
    )
    parser.add_argument("--no-plots", action="store_true", help="no PNG and SVG files beside the page")
    parser.add_argument("--endpoint-url", metavar="URL", help="S3-compatible storage other than AWS")
    parser.add_argument("--json", action="store_true", help="print what was made as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Make the page, then say where it is."""
    from deeplake_mmdet.terminal import readable

    with contextlib.redirect_stdout(sys.stderr):  # of what other packages say when they are imported
        from deeplake_mmdet.report.page import report

    done = report(
        args.run_folder,
        args.other,
        out=args.out,
        split=args.split,
        metric=args.metric,
        score=args.score,
        images=args.images,
        browse=args.browse,
        plots=not args.no_plots,
        resamples=args.resamples,
        credentials={"endpoint_url": args.endpoint_url} if args.endpoint_url else None,
    )
    if args.json:
        plots = [str(path) for path in done.plots]
        print(json.dumps({"path": str(done.path), "plots": plots, "notes": list(done.notes)}, indent=1))
        return
    print(f"Report: {readable(done.path)}")
    if done.plots:
        print(f"Plots: {len(done.plots)} files in {readable(done.plots[0].parent)}")
