"""``deeplake-mmdet import``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from deeplake_mmdet.cli.arguments import add_json_option
from deeplake_mmdet.errors import ConfigError

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command and its formats."""
    parser = commands.add_parser(
        "import",
        help="make a lake from files",
        description="Make a lake from images and annotation files.",
        epilog="Example: deeplake-mmdet import coco annotations.json lakes/train --images images",
    )
    formats = parser.add_subparsers(title="formats", metavar="FORMAT", required=True)

    coco = formats.add_parser(
        "coco",
        help="COCO JSON",
        description="Import a COCO detection data set.",
        epilog="Example: deeplake-mmdet import coco annotations.json lakes/train --images images",
    )
    coco.add_argument(
        "annotations", metavar="JSON", help="annotation file, or folder, zip file or S3 prefix with one"
    )
    coco.add_argument("lake", metavar="LAKE", help="folder or address of the lake to make")
    coco.add_argument(
        "--images",
        metavar="DIR",
        help="folder, zip file or S3 prefix that file_name is relative to (default: beside the annotations)",
    )
    coco.set_defaults(run=run_coco)

    voc = formats.add_parser(
        "voc",
        help="Pascal VOC XML",
        description="Import a Pascal VOC data set.",
        epilog="Example: deeplake-mmdet import voc VOCdevkit/VOC2007 lakes/train --split train",
    )
    voc.add_argument(
        "root",
        metavar="ROOT",
        help="folder, zip file or S3 prefix with Annotations and JPEGImages, or XMLs beside images",
    )
    voc.add_argument("lake", metavar="LAKE", help="folder or address of the lake to make")
    voc.add_argument(
        "--split",
        metavar="NAME",
        help="list in ImageSets/Main, or folder, e.g. train (default, without any: all XMLs)",
    )
    voc.set_defaults(run=run_voc)

    yolo = formats.add_parser(
        "yolo",
        help="YOLO text files",
        description="Import a YOLO data set: boxes or polygons.",
        epilog="Example: deeplake-mmdet import yolo data.yaml lakes/train --split train",
    )
    yolo.add_argument("data", metavar="DATA", help="data.yaml, or folder with images and labels")
    yolo.add_argument("lake", metavar="LAKE", help="folder or address of the lake to make")
    yolo.add_argument("--split", metavar="NAME", help="train, val or test (default: the only one there is)")
    yolo.set_defaults(run=run_yolo)

    for command, order in ((coco, "in the file's order"), (voc, "sorted"), (yolo, "in the file's order")):
        command.add_argument(
            "--classes",
            nargs="+",
            metavar="NAME",
            help=f"which classes, in which order; boxes of others are left out (default: all, {order})",
        )
        command.add_argument(
            "--map",
            type=_renaming,
            action="append",
            metavar="OLD=NEW",
            help="call class OLD NEW; to be repeated; several OLD of one NEW become one class",
        )
        command.add_argument("--limit", type=int, metavar="N", help="import the first N images only")
        command.add_argument(
            "--exif",
            choices=("auto", "turn", "stored"),
            default="auto",
            help="whether boxes belong to images as turned by EXIF or as stored (default: told for each)",
        )
        command.add_argument(
            "--convert",
            choices=("auto", "never"),
            default="auto",
            help="convert images that the lake cannot hold beside the others, losslessly, or refuse them",
        )
        command.add_argument(
            "--verify",
            choices=("decode", "header", "none"),
            default="decode",
            help="decode every image, read only its header, or believe the sizes that are stated (default: "
            "decode); without decoding, damaged images are met in training",
        )
        command.add_argument(
            "--append", action="store_true", help="add to the lake that stands there, in one commit"
        )
        command.add_argument(
            "--shard",
            metavar="I/N",
            help="import only part I of N, from 0/N on; 'merge LAKE' puts them together. auto: as Slurm, "
            "Kubernetes or torchrun say",
        )
        command.add_argument(
            "--workers",
            type=int,
            metavar="N",
            help="import by N processes (for many small images; default: one)",
        )
        command.add_argument(
            "--engine",
            choices=("local", "ray"),
            default="local",
            help="where the N processes run (default: here)",
        )
        command.add_argument("--overwrite", action="store_true", help="replace a lake that stands there")
        command.add_argument("--endpoint-url", metavar="URL", help="S3-compatible storage other than AWS")
        add_json_option(command, "the summary")


def run_coco(args: argparse.Namespace) -> int:
    """Import a COCO file and print the summary.

    Args:
        args: Of ``import coco``.

    Returns:
        Exit status of the command.
    """
    from deeplake_mmdet.transfer import import_coco

    return _show(args, import_coco, args.annotations, images=args.images)


def run_voc(args: argparse.Namespace) -> int:
    """Import a VOC folder and print the summary.

    Args:
        args: Of ``import voc``.

    Returns:
        Exit status of the command.
    """
    from deeplake_mmdet.transfer import import_voc

    return _show(args, import_voc, args.root, split=args.split)


def run_yolo(args: argparse.Namespace) -> int:
    """Import a YOLO data set and print the summary.

    Args:
        args: Of ``import yolo``.

    Returns:
        Exit status of the command.
    """
    from deeplake_mmdet.transfer import import_yolo

    return _show(args, import_yolo, args.data, split=args.split)


def _renaming(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (equals and old.strip() and new.strip()):
        raise argparse.ArgumentTypeError(f"{text!r} is not OLD=NEW")
    return old, new


def _as_map(pairs: Sequence[tuple[str, str]] | None) -> dict[str, str] | None:
    renamed = dict(pairs or ())
    if len(renamed) < len(pairs or ()):
        raise ConfigError("--map gives one class two new names", where="--map", advice="Give each OLD once")
    return renamed or None


def _common(args: argparse.Namespace) -> dict[str, Any]:
    creds = {"endpoint_url": args.endpoint_url} if args.endpoint_url else None
    return {
        "classes": args.classes,
        "map": _as_map(args.map),
        "limit": args.limit,
        "exif": args.exif,
        "convert": args.convert,
        "verify": args.verify,
        "append": args.append,
        "shard": args.shard,
        "overwrite": args.overwrite,
        "creds": creds,
    }


def _show(args: argparse.Namespace, function: Callable[..., Any], source: str, **options: Any) -> int:
    from deeplake_mmdet.terminal import console, print_json
    from deeplake_mmdet.transfer import import_in_processes

    options |= _common(args)
    if args.engine == "ray":
        from deeplake_mmdet.scale import import_on_ray

        summary = import_on_ray(function, source, args.lake, processes=args.workers, **options)
    elif args.workers is None:
        summary = function(source, args.lake, **options)
    else:
        summary = import_in_processes(function, source, args.lake, processes=args.workers, **options)

    if args.json:
        print_json(summary.facts())
    else:
        console().print(summary.render())
    return int(summary.is_mostly_refused)
