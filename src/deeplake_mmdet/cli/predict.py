"""``deeplake-mmdet predict``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from deeplake_mmdet.cli.arguments import add_run_arguments, trust_checkpoint
from deeplake_mmdet.errors import ConfigError

if TYPE_CHECKING:
    from deeplake_mmdet.loop import Predicted

__all__ = ["add_parser"]

_CONFIGS = (".py", ".json", ".yaml", ".yml")
_SOURCE = {
    "branch": "branch of the lake",
    "view": "saved view of the lake",
    "query": "TQL, e.g. 'SELECT * WHERE width > 500'",
}
_SHOWN = 20


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "predict",
        help="detect objects in a lake, images or videos",
        usage="deeplake-mmdet predict [CONFIG] CHECKPOINT INPUT [INPUT ...] [options]",
        description="Predict with a checkpoint. CONFIG may be left out where the run folder beside the "
        "checkpoint holds it. INPUT: a lake (without labels, too), image files, a folder, a pattern, a text "
        "file of paths, or a video.",
        epilog="Example: deeplake-mmdet predict config.py runs/first/epoch_12.pth photos --show-dir drawn",
    )
    parser.add_argument("things", nargs="+", metavar="[CONFIG] CHECKPOINT INPUT", help=argparse.SUPPRESS)
    parser.add_argument("--out", metavar="FILE", help="FILE.json (COCO results) or FILE.parquet")
    parser.add_argument("--show-dir", metavar="DIR", help="draw images into DIR, videos as videos")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE; draw into a DIR with files")
    parser.add_argument("--write-back", action="store_true", help="into the lake, as its branch runs/ID")
    parser.add_argument(
        "--run-id", metavar="ID", help="name of that branch (default: the config's and a hash)"
    )
    parser.add_argument("--loss", action="store_true", help="write each row's loss back, too")
    parser.add_argument("--embed", action="store_true", help="write each row's embedding back, too")
    parser.add_argument("--json", action="store_true", help="print facts, of one image all objects, as JSON")
    parser.add_argument("--score-thr", type=float, metavar="X", help="leave out objects of lower scores")
    parser.add_argument("--batch-size", type=int, metavar="N", help="images a step (default: the config's)")
    parser.add_argument("--limit", type=int, metavar="N", help="predict on the first N images only")
    parser.add_argument(
        "--shard", metavar="I/N", help="predict on part I of N only; 'merge LAKE' joins what is written back"
    )
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="predict here, or by shards on a Ray cluster",
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="with Ray: how many (default: all there is room for)"
    )
    parser.add_argument(
        "--gpus", type=float, default=0, metavar="G", help="with Ray: GPUs of each (default: 0)"
    )
    parser.add_argument("--tta", action="store_true", help="predict on several versions of each image")
    parser.add_argument("--device", help="cpu, cuda or cuda:1 (default: a GPU if there is one)")
    parser.add_argument("--allow-partial", action="store_true", help="use weights that fit in part only")
    for name, text in _SOURCE.items():
        parser.add_argument(f"--{name}", help=text)
    add_run_arguments(parser, whole=False)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Predict, and print what was found."""
    config, checkpoint, inputs = _divided(args.things)
    trust_checkpoint(args)
    from mmengine.dist import is_main_process

    from deeplake_mmdet.config import parse_options
    from deeplake_mmdet.loop.predict import predict
    from deeplake_mmdet.terminal import print_json

    keeps = args.out is None and args.show_dir is None and not args.write_back
    engine: Any = predict
    own: dict[str, Any] = {"processes": args.processes, "shard": args.shard, "show_dir": args.show_dir}
    own |= {"limit": args.limit, "keep": False}
    if args.engine == "ray":
        from deeplake_mmdet.scale import predict_on_ray

        del own["keep"]
        engine, own = predict_on_ray, {**own, "workers": args.workers, "gpus": args.gpus}
    result = engine(
        config,
        checkpoint,
        inputs,
        **own,
        branch=args.branch,
        view=args.view,
        query=args.query,
        batch_size=args.batch_size,
        score_thr=args.score_thr,
        tta=args.tta,
        out=args.out,
        overwrite=args.overwrite,
        write_back=args.write_back,
        run_id=args.run_id,
        loss=args.loss,
        embed=args.embed,
        device=args.device,
        cfg_options=parse_options(args.cfg_options),
        allow_partial=args.allow_partial,
        progress=True,
    )
    if not is_main_process():
        return
    if args.json:
        print_json(_facts(result))
    else:
        _print(result, nothing_kept=keeps)


def _divided(things: list[str]) -> tuple[str | None, str, list[str]]:
    """Config, checkpoint and inputs; a config is known by its ending."""
    config = things.pop(0) if things[0].lower().endswith(_CONFIGS) else None
    if len(things) < 2:
        missing = "CHECKPOINT and INPUT are" if not things else "INPUT is"
        raise ConfigError(
            f"{missing} missing",
            where="command line",
            advice="type deeplake-mmdet predict [CONFIG] CHECKPOINT INPUT",
        )
    if config is None and things[1].lower().endswith(".py"):
        raise ConfigError(
            "Config and checkpoint are swapped",
            where=f"command line: {things[0]} {things[1]}",
            advice=f"the config comes first: {things[1]} {things[0]}",
        )
    return config, things[0], things[1:]


def _facts(result: Predicted) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "images": result.images,
        "objects": result.objects,
        "by_class": dict(result.by_class),
        "classes": list(result.classes),
        "left_out": {
            reason: {"count": count, "first": result.left_out.names[reason]}
            for reason, count in result.left_out.counts.items()
        },
        "seconds": round(result.seconds, 3),
        "out": result.out,
        "show_dir": result.show_dir,
        "branch": result.branch,
        "run_file": result.run_file,
        "videos": result.videos,
    }
    if result.images == 1:
        facts["predictions"] = list(result.entries)
    return facts


def _print(result: Predicted, *, nothing_kept: bool) -> None:
    from deeplake_mmdet.terminal import console, plain, table

    screen = console()
    if result.images == 1 and nothing_kept:
        shown = table("class", "score", "left", "top", "width", "height")
        for entry in result.entries[:_SHOWN]:
            box = (f"{value:.1f}" for value in entry["bbox"])
            shown.add_row(plain(entry["category_name"]), f"{entry['score']:.3f}", *box)
        if result.entries:
            screen.print(shown)
        if (more := len(result.entries) - _SHOWN) > 0:
            screen.print(plain(f"and {more} more of lower scores"))
    elif result.by_class:
        shown = table("class", f"objects of score {result.shown_thr:g} or more")
        for name, count in list(result.by_class.items())[:_SHOWN]:
            shown.add_row(plain(name), str(count))
        screen.print(shown)
    rate = f", {result.images / result.seconds:.1f} a second" if result.seconds else ""
    screen.print(plain(f"{result.objects} objects in {result.images} images{rate}"))
    if result.branch is not None:
        screen.print(plain(f"Written back: branch {result.branch} of the lake"))
        if result.branch.startswith("run-shards/"):
            screen.print(plain("Next: deeplake-mmdet merge LAKE, once all shards are there"))
    for what, place in (
        ("Predictions", result.out),
        ("Predictions", result.run_file),
        ("Drawings", result.show_dir),
    ):
        if place is not None:
            screen.print(plain(f"{what}: {place}"))
    if nothing_kept and result.images > 1:
        screen.print(
            plain("Nothing was kept: --out FILE.json writes the predictions, --show-dir DIR draws them")
        )
