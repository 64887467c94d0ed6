"""``deeplake-mmdet cache show`` and ``cache clear``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "cache",
        help="show or clear the caches",
        description="Show or clear what is kept on this machine: annotation tables and chunks of images.",
    )
    parser.add_argument("action", choices=["show", "clear"])
    parser.add_argument("--folder", metavar="DIR", help="folder of a cache= of your own; chunks only")
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
    from deeplake_mmdet.terminal import readable

    folder = Path(args.folder).expanduser() if args.folder else cache_folder()
    if args.action == "clear":
        freed = remove_chunks(folder) + (0 if args.folder else clear_cache())
        print(f"{human_bytes(freed)} freed in {readable(folder)}")
        return
    tables = [] if args.folder else cached_tables()
    chunks = cached_chunks(folder)
    print(readable(folder))
    print(f"  annotation tables: {len(tables)}, {human_bytes(sum(size for _, size in tables))}")
    print(f"  chunks of images: {len(chunks)}, {human_bytes(sum(size for _, size in chunks))}")
