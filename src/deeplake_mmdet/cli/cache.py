"""``deeplake-mmdet cache show`` and ``cache clear``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from deeplake_mmdet.cli.arguments import add_json_option

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "cache",
        help="show or clear the caches",
        description="Show or clear what is kept on this machine: annotation tables, chunks of images and "
        "prepared images.",
        epilog="Example: deeplake-mmdet cache show",
    )
    parser.add_argument(
        "action", choices=["show", "clear"], help="show what there is, or remove what no run uses"
    )
    parser.add_argument("--folder", metavar="DIR", help="folder of a cache= or prepared= of your own")
    add_json_option(parser, "lines")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Show what there is, or remove it and say how much that freed."""
    from deeplake_mmdet.lake import (
        cache_folder,
        cached_chunks,
        cached_tables,
        clear_cache,
        human_bytes,
        remove_chunks,
    )
    from deeplake_mmdet.prepared.places import default_folder, prepared_folders, remove_prepared
    from deeplake_mmdet.terminal import print_json, readable

    folder = Path(args.folder).expanduser() if args.folder else cache_folder()
    places = [folder] if args.folder else [folder, default_folder("ram")]
    if args.action == "clear":
        freed = remove_chunks(folder) + sum(map(remove_prepared, places))
        freed += 0 if args.folder else clear_cache()
        if args.json:
            print_json({"folder": folder, "freed_bytes": freed})
        else:
            print(f"{human_bytes(freed)} freed in {readable(folder)}")
        return
    tables = [] if args.folder else cached_tables()
    chunks = cached_chunks(folder)
    prepared = [found for place in places for found in prepared_folders(place)]
    if args.json:
        kinds = {"annotation_tables": tables, "chunks": chunks}
        facts = {
            name: {"count": len(found), "bytes": sum(size for _, size in found)}
            for name, found in kinds.items()
        }
        kept = [{"what": found.what, "bytes": found.bytes, "planned": found.planned} for found in prepared]
        print_json({"folder": folder, **facts, "prepared": kept})
        return
    print(readable(folder))
    print(f"  annotation tables: {len(tables)}, {human_bytes(sum(size for _, size in tables))}")
    print(f"  chunks of images: {len(chunks)}, {human_bytes(sum(size for _, size in chunks))}")
    print(f"  prepared images: {len(prepared)}, {human_bytes(sum(found.bytes for found in prepared))}")
    for found in prepared:
        print(f"    {human_bytes(found.bytes)} of {human_bytes(found.planned)}: {readable(found.what)}")
