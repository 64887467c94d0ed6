"""``deeplake-mmdet eval``."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from deeplake_mmdet.cli.arguments import add_source_arguments, source_options

if TYPE_CHECKING:
    from deeplake_mmdet.evaluation import Interval

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "eval",
        help="score a file of predictions",
        description="Score a file of COCO results against a lake; no model and no config needed. Of two "
        "files, tell which classes differ by more than the choice of images would explain.",
    )
    parser.add_argument(
        "predictions",
        metavar="PREDICTIONS",
        nargs="+",
        help="COCO results (.json), or .parquet; one file or two",
    )
    add_source_arguments(parser)
    parser.add_argument(
        "--metric",
        nargs="+",
        default=["bbox"],
        metavar="NAME",
        help="bbox, segm, proposal, proposal_fast, several of them; lvis, or lvis with bbox or segm; or mAP "
        "or recall (Pascal VOC)",
    )
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="classes to score, in this order")
    parser.add_argument(
        "--analysis", metavar="DIR", help="write metrics.json and metrics.npz with errors and curves to DIR"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an analysis of the same metric that is in DIR"
    )
    parser.add_argument(
        "--resamples",
        type=int,
        default=1000,
        help="draws of images, for two files or --intervals (%(default)s)",
    )
    parser.add_argument(
        "--intervals", action="store_true", help="how far AP would move had other images been drawn"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the draws (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Score and print, whole and by class."""
    with _log_on_stderr() if args.json else contextlib.nullcontext():
        _compare(args) if len(args.predictions) > 1 else _score(args)


def _score(args: argparse.Namespace) -> None:
    from deeplake_mmdet.evaluation import evaluate_predictions
    from deeplake_mmdet.report import class_table, interval_table
    from deeplake_mmdet.terminal import console, plain

    options = {"analysis": args.analysis} if args.analysis else {}
    result = evaluate_predictions(
        args.predictions[0],
        args.lake,
        metric=args.metric,
        classes=args.classes,
        overwrite=args.overwrite,
        **source_options(args),
        **options,
    )
    intervals = _intervals(args) if args.intervals else ()
    if args.json:
        facts = {"metrics": result.metrics, "classes": [asdict(one) for one in result.class_scores]}
        _print_json(facts | ({"intervals": [asdict(one) for one in intervals]} if intervals else {}))
        return
    screen = console()
    if result.class_scores:
        screen.print(class_table(result.class_scores))
    for key, value in result.metrics.items():
        screen.print(plain(f"{key} {value:.4f}"))
    if intervals:
        screen.print(interval_table(intervals))


def _intervals(args: argparse.Namespace) -> tuple[Interval, ...]:
    from deeplake_mmdet.evaluation import precision_intervals

    return precision_intervals(
        args.predictions[0], args.lake, metric=args.metric[0], **_draws(args), **source_options(args)
    )


def _draws(args: argparse.Namespace) -> dict[str, Any]:
    return {"resamples": args.resamples, "seed": args.seed, "classes": args.classes}


def _compare(args: argparse.Namespace) -> None:
    from deeplake_mmdet.errors import ConfigError
    from deeplake_mmdet.evaluation import compare_predictions
    from deeplake_mmdet.report import difference_table
    from deeplake_mmdet.terminal import console, plain

    if len(args.predictions) > 2 or len(args.metric) > 1 or args.analysis:
        raise ConfigError(
            "Two files are compared by one metric, without an analysis",
            where=f"{len(args.predictions)} files of predictions",
            advice="eval FIRST.json SECOND.json LAKE --metric bbox (or segm)",
        )
    first, second = args.predictions
    found = compare_predictions(
        first,
        second,
        args.lake,
        metric=args.metric[0],
        **_draws(args),
        **source_options(args),
    )
    if args.json:
        _print_json({"first": first, "second": second, **asdict(found)})
        return
    screen = console()
    screen.print(difference_table([*found.classes, found.overall]))
    named = sum(one.beyond_chance for one in found.classes)
    screen.print(
        plain(
            f"A is {first}, B is {second}. {named} of {len(found.classes)} classes differ beyond chance (*): "
            f"{found.resamples} draws of {found.images} images, seed {found.seed}, 5 % false ones expected."
        )
    )


def _print_json(facts: Mapping[str, Any]) -> None:
    from deeplake_mmdet.evaluation.tables import without_nan

    print(json.dumps(without_nan(facts), indent=1, allow_nan=False))


@contextlib.contextmanager
def _log_on_stderr() -> Iterator[None]:
    """MMEngine's log, which goes to standard output, kept out of the JSON there."""
    from mmengine.logging import MMLogger

    handlers = [
        handler
        for handler in MMLogger.get_current_instance().handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout
    ]
    for handler in handlers:
        handler.setStream(sys.stderr)
    try:
        yield
    finally:
        for handler in handlers:
            handler.setStream(sys.stdout)
