"""An inspection as rich tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from deeplake_mmdet.lake import Inspection, LakeView

__all__ = ["render"]


def render(found: Inspection) -> Iterator[Table | Text]:
    """Head, columns, classes and versions; classes only if the lake can be trained on."""
    source = found.source
    head = Text(f"{source.url}\n", style="bold")
    head.append(f"{found.rows} rows, branch {source.branch}, version {source.version}", style="not bold")
    for query in source.queries:
        head.append(f"\nquery {query}", style="not bold")
    if len(found.branches) > 1:
        head.append(f"\nbranches {', '.join(found.branches)}", style="not bold")
    if found.tags:
        head.append(f"\ntags and saved views {', '.join(found.tags)}", style="not bold")
    yield head
    yield _columns(found)
    if found.view is not None:
        for note in found.view.notes.values():
            yield Text(note, style="yellow")
        yield _classes(found)
        yield _sizes(found)
        yield _left_out(found.view)
    yield _versions(found)


def _columns(found: Inspection) -> Table:
    roles = {}
    if found.roles is not None:
        roles = {column: role for role, column in asdict(found.roles).items() if column}
    table = Table("column", "type", "role", title="Columns", title_justify="left")
    for name, column in found.columns.items():
        table.add_row(name, column.description, roles.get(name, ""))
    return table


def _classes(found: Inspection) -> Table:
    table = Table("class", title="Classes", title_justify="left")
    table.add_column("boxes", justify="right")
    table.add_column("images", justify="right")
    for name, boxes, images in found.class_counts():
        table.add_row(name, str(boxes), str(images))
    return table


def _sizes(found: Inspection) -> Text:
    smallest, largest, empty = found.size_range()
    return Text(
        f"Images {smallest[0]}x{smallest[1]} to {largest[0]}x{largest[1]} pixels (width x height), "
        f"{empty} without boxes"
        + f", {found.turned_images()} turned by their EXIF orientation"
        * bool(found.turned_images())
    )


def _left_out(view: LakeView) -> Text:
    from deeplake_mmdet.lake import clean_boxes

    done = clean_boxes(view)
    shown = Text(f"For a detector: {done}")
    if (doubt := done.doubt()) is not None:
        shown.append(f"\nWarning: {doubt}", style="bold yellow")
    return shown


def _versions(found: Inspection) -> Table:
    table = Table(
        "version", "time", "message", title=f"Versions (newest first, {found.version_count} in all)"
    )
    table.title_justify = "left"
    for version, time, message in found.versions:
        table.add_row(version, time, message)
    return table
