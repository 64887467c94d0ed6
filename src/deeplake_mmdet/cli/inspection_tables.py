"""An inspection as rich tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from deeplake_mmdet.terminal import plain, readable, table

if TYPE_CHECKING:
    from deeplake_mmdet.lake import Inspection, LakeView

__all__ = ["facts_of", "render"]


def facts_of(found: Inspection) -> dict[str, Any]:
    """An inspection as plain data, for JSON.

    Args:
        found: What `inspect` found.
    """
    source = found.source
    roles = {} if found.roles is None else {role: name for role, name in asdict(found.roles).items() if name}
    smallest, largest, empty = found.size_range()
    facts: dict[str, Any] = {
        "lake": source.url,
        "branch": source.branch,
        "version": source.version,
        "queries": list(source.queries),
        "rows": found.rows,
        "columns": {name: column.description for name, column in found.columns.items()},
        "roles": roles,
        "branches": found.branches,
        "tags": found.tags,
        "runs": found.runs,
        "versions": [dict(zip(("version", "time", "message"), row, strict=True)) for row in found.versions],
        "version_count": found.version_count,
        "problem": None if found.problem is None else str(found.problem),
    }
    if found.view is not None:
        classes = [dict(zip(("name", "boxes", "images"), row, strict=True)) for row in found.class_counts()]
        facts |= {
            "classes": classes,
            "images": {"smallest": smallest, "largest": largest, "without_boxes": empty},
            "turned_images": found.turned_images(),
            "for_a_detector": str(_left_out(found.view)),
            "notes": list(found.view.notes.values()),
        }
    return facts


def render(found: Inspection) -> Iterator[Table | Text]:
    """Head, columns, classes and versions of an inspection; classes only if the lake can be trained on.

    Args:
        found: What `inspect` found.

    Yields:
        What rich prints, in order.
    """
    source = found.source
    head = plain(source.url, "bold")
    head.append(
        f"\n{found.rows} rows, branch {readable(source.branch)}, version {source.version}", style="not bold"
    )
    for query in source.queries:
        head.append(f"\nquery {readable(query)}", style="not bold")
    branches = [name for name in found.branches if not name.startswith("runs/")]
    if len(branches) > 1:
        head.append(f"\nbranches {readable(', '.join(branches))}", style="not bold")
    if found.runs:
        head.append(f"\nruns {readable(', '.join(found.runs))}", style="not bold")
    if found.tags:
        head.append(f"\ntags and saved views {readable(', '.join(found.tags))}", style="not bold")
    yield head
    yield _columns(found)
    if found.view is not None:
        for note in found.view.notes.values():
            yield plain(note, "yellow")
        yield _classes(found)
        yield _sizes(found)
        yield _left_out(found.view)
    yield _versions(found)


def _columns(found: Inspection) -> Table:
    roles = {}
    if found.roles is not None:
        roles = {column: role for role, column in asdict(found.roles).items() if column}
    made = table("column", "type", "role", title="Columns")
    for name, column in found.columns.items():
        made.add_row(plain(name), plain(column.description), roles.get(name, ""))
    return made


def _classes(found: Inspection) -> Table:
    made = table("class", title="Classes")
    made.add_column("boxes", justify="right")
    made.add_column("images", justify="right")
    for name, boxes, images in found.class_counts():
        made.add_row(plain(name), str(boxes), str(images))
    return made


def _sizes(found: Inspection) -> Text:
    smallest, largest, empty = found.size_range()
    return plain(
        f"Images {smallest[0]}x{smallest[1]} to {largest[0]}x{largest[1]} pixels (width x height), "
        f"{empty} without boxes"
        + f", {found.turned_images()} turned by their EXIF orientation"
        * bool(found.turned_images())
    )


def _left_out(view: LakeView) -> Text:
    from deeplake_mmdet.lake import clean_boxes

    done = clean_boxes(view)
    shown = plain(f"For a detector: {done}")
    if (doubt := done.doubt()) is not None:
        shown.append(f"\nWarning: {readable(doubt)}", style="bold yellow")
    return shown


def _versions(found: Inspection) -> Table:
    title = f"Versions (newest first, {found.version_count} in all)"
    made = table("version", "time", "message", title=title)
    for version, time, message in found.versions:
        made.add_row(version, time, plain(message))
    return made
