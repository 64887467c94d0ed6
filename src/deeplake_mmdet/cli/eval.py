"""``deeplake-mmdet eval``."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from deeplake_mmdet.cli.arguments import add_json_option, add_source_arguments, source_options

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
        epilog="Example: deeplake-mmdet eval predictions.json lakes/val --metric bbox",
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
        metavar="N",
        help="draws of images, for two files or --intervals (%(default)s)",
    )
    parser.add_argument(
        "--intervals", action="store_true", help="how far AP would move had other images been drawn"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the draws (%(default)s)")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Score and print, whole and by class."""
    from deeplake_mmdet.terminal.run_log import run_log

    with run_log():
        _compare(args) if len(args.predictions) > 1 else _score(args)


def _score(args: argparse.Namespace) -> None:
    from deeplake_mmdet.evaluation import evaluate_predictions
    from deeplake_mmdet.report import interval_table, score_tables
    from deeplake_mmdet.terminal import console, print_json

    options = {"analysis": args.analysis} if args.analysis else {}
    intervals = _intervals(args) if args.intervals else ()  # which not all metrics have
    result = evaluate_predictions(
        args.predictions[0],
        args.lake,
        metric=args.metric,
        classes=args.classes,
        overwrite=args.overwrite,
        **source_options(args),
        **options,
    )
    if args.json:
        facts = {"metrics": result.metrics, "classes": result.class_scores}
        print_json(facts | ({"intervals": intervals} if intervals else {}))
        return
    screen = console()
    for part in score_tables(result.metrics, result.class_scores, width=screen.width):
        screen.print(part)
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
    from deeplake_mmdet.terminal import console, plain, print_json

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
        print_json({"first": first, "second": second, **asdict(found)})
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
