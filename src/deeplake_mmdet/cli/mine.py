"""``deeplake-mmdet mine``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deeplake_mmdet.cli.arguments import add_json_option

if TYPE_CHECKING:
    from rich.table import Table

    from deeplake_mmdet.loop import Mined

__all__ = ["add_parser"]

_WAYS = (  # a test compares them with those of `loop`, which is imported late
    *("missed", "false", "confused", "localisation", "uncertain", "label-errors", "hard", "near"),
    "duplicates",
)
_PRINTED = 50


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "mine",
        help="find the rows of a lake that a run's predictions say most about",
        description="Rank a lake's rows by the predictions that a run wrote back, show the first ones, and "
        "save them as a view to train on.",
        epilog="Example: deeplake-mmdet mine lakes/train --run first --by hard --top 100 --save hard100",
    )
    parser.add_argument("lake", metavar="LAKE", help="folder or address")
    parser.add_argument("--run", required=True, dest="run_id", metavar="ID", help="of predict --write-back")
    parser.add_argument("--by", required=True, choices=_WAYS, metavar="WHAT", help=", ".join(_WAYS))
    parser.add_argument("--top", type=int, default=100, metavar="N", help="rows at most (%(default)s)")
    parser.add_argument(
        "--near", metavar="ROWS|VIEW", help="of --by near: row numbers such as 3,17, or a saved view"
    )
    parser.add_argument("--save", metavar="NAME", help="save the rows as a view: DeepLakeDataset(view=NAME)")
    parser.add_argument("--overwrite", action="store_true", help="replace a view of that name")
    parser.add_argument("--show", metavar="FILE.png", help="draw the first rows, with truth and predictions")
    parser.add_argument(
        "--labels", metavar="FILE.json", help="of --by label-errors: write the suspected labels, box by box"
    )
    parser.add_argument("--endpoint-url", metavar="URL", help="S3-compatible storage other than AWS")
    add_json_option(parser, "a table")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Rank, print, draw and save, in this order."""
    from dataclasses import replace

    from deeplake_mmdet.loop.mined_picture import draw_rows
    from deeplake_mmdet.loop.mining import rank_rows, save_rows
    from deeplake_mmdet.terminal import console, plain, print_json

    found = rank_rows(
        args.lake,
        args.run_id,
        args.by,
        top=args.top,
        near=_selection(args.near),
        save=args.save,
        credentials={"endpoint_url": args.endpoint_url} if args.endpoint_url else None,
    )
    screen = console()
    if not args.json:
        if len(found.rows):
            screen.print(_table(found))
            screen.print(plain(f"{found.by}: {found.heading}"))
        for note in found.notes:
            screen.print(plain(note))
    try:
        if args.show is not None:
            found = replace(found, picture=draw_rows(found, args.show))
        if args.labels is not None:
            _write_labels(found, args.labels)
        if args.save is not None:
            found = save_rows(found, args.save, overwrite=args.overwrite)
    finally:
        if args.json:
            print_json(found.facts())
    if not args.json:
        if args.labels is not None:
            screen.print(plain(f"suspected labels {args.labels}"))
        if found.picture is not None:
            screen.print(plain(f"picture {found.picture}"))
        if found.saved is not None:
            screen.print(
                plain(f"view {found.saved}: {len(found.rows)} rows; train with view={found.saved!r}")
            )


def _write_labels(found: Mined, file: str) -> None:
    from deeplake_mmdet.errors import StorageError
    from deeplake_mmdet.loop.suspected import suspected_labels

    told = suspected_labels(found)
    try:
        Path(file).write_text(json.dumps(told, indent=1) + "\n")
    except OSError as error:
        raise StorageError(f"The file cannot be written: {error.strerror}", where=file) from None


def _selection(text: str | None) -> list[int] | str | None:
    """Row numbers if it is made of them, else a view's name."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    return [int(part) for part in parts] if all(part.isdecimal() for part in parts) else text


def _table(found: Mined) -> Table:
    from deeplake_mmdet.terminal import plain, table

    made = table(title=f"{found.by}, run {found.run.run_id}")
    made.add_column("row", justify="right")
    if found.file_names is not None:
        made.add_column("file", overflow="fold")
    made.add_column(found.by, justify="right")
    # Not once more what they are ranked by.
    names = [name for name, numbers in found.numbers.items() if (numbers != found.values).any()]
    for name in names:
        made.add_column(name.removeprefix("pred/").replace("_", " "), justify="right")
    for place in range(min(len(found.rows), _PRINTED)):
        file = [] if found.file_names is None else [plain(found.file_names[place])]
        numbers = [_shown(found.numbers[name][place].item()) for name in names]
        made.add_row(str(found.rows[place]), *file, _shown(float(found.values[place])), *numbers)
    if len(found.rows) > _PRINTED:
        made.caption = f"and {len(found.rows) - _PRINTED} more; --json has all"
    return made


def _shown(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else f"{number:.3f}"
