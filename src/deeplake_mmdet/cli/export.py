"""``deeplake-mmdet export``."""

from __future__ import annotations

import argparse
from typing import Any

from deeplake_mmdet.cli.arguments import add_json_option, add_source_arguments, source_options

__all__ = ["add_parser"]

_FORMATS = {
    "coco": ("COCO JSON", "as annotations.json and images/; what came from COCO comes back as it was"),
    "voc": ("Pascal VOC XML", "as Annotations, JPEGImages and ImageSets, in whole pixels"),
    "yolo": ("YOLO labels", "as data.yaml, images and labels; as polygons if there are masks"),
}


def add_parser(commands: Any) -> None:
    """Add the command and its formats."""
    parser = commands.add_parser(
        "export",
        help="write a lake as files",
        description="Write a lake as images and annotation files.",
        epilog="Example: deeplake-mmdet export coco lakes/train out",
    )
    formats = parser.add_subparsers(title="formats", metavar="FORMAT", required=True)
    for name, (help_text, text) in _FORMATS.items():
        command = formats.add_parser(
            name,
            help=help_text,
            description=f"Write a lake {text}.",
            epilog=f"Example: deeplake-mmdet export {name} lakes/train out",
        )
        add_source_arguments(command)
        command.add_argument("folder", metavar="FOLDER", help="folder to write, absent or empty")
        command.add_argument(
            "--images",
            choices=("copy", "link", "none"),
            default="copy",
            help="copy, link to local files that the lake links to, or none (default: copy)",
        )
        command.add_argument("--predictions", metavar="RUN", help="a run's predictions in place of the truth")
        command.add_argument("--classes", nargs="+", metavar="NAME", help="only boxes of these classes")
        command.add_argument(
            "--tensors", nargs="+", metavar="ROLE=COLUMN", help="name columns, as of 'inspect'"
        )
        command.add_argument("--endpoint-url", metavar="URL", help="S3-compatible storage other than AWS")
        add_json_option(command, "the summary")
        command.set_defaults(run=run, format=name)


def run(args: argparse.Namespace) -> int:
    """Export and print the summary.

    Args:
        args: Of ``export``.

    Returns:
        Exit status of the command: 1 if most images were left out.
    """
    from deeplake_mmdet.config import parse_options
    from deeplake_mmdet.terminal import console, print_json
    from deeplake_mmdet.transfer import exporting

    summary = getattr(exporting, f"export_{args.format}")(
        args.lake,
        args.folder,
        images=args.images,
        predictions=args.predictions,
        tensors=parse_options(args.tensors),
        classes=args.classes,
        creds={"endpoint_url": args.endpoint_url} if args.endpoint_url else None,
        **source_options(args),
    )
    if args.json:
        print_json(summary.facts())
    else:
        console().print(summary.render())
    return int(summary.is_mostly_left_out)
