"""A check's result as rich tables."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from deeplake_mmdet.checking.annotations import COCO_LARGE, COCO_SMALL
from deeplake_mmdet.checking.kinds import SEVERITIES
from deeplake_mmdet.checking.result import CheckResult, Finding, LakeFacts, LeftOut
from deeplake_mmdet.errors import listed, readable
from deeplake_mmdet.terminal import plain, table

__all__ = ["render", "render_plan"]

_COLOURS = {"error": "bold red", "warning": "yellow", "note": ""}
_SINGULAR = {"boxes": "box", "classes": "class", "searches": "search"}
_CLASSES = 40  # lines of the table of classes
_BAR = 24  # characters
_DETAILS = 6


def render(result: CheckResult) -> Iterator[Table | Text]:
    """Figures of the lakes, what was found, what training would leave out, and a last line.

    Args:
        result: What `check` found.

    Yields:
        What rich prints, in order.
    """
    for number, facts in enumerate(result.lakes):
        yield _head(facts, f"Second lake: {facts.source.url}" if number else facts.source.url)
        if facts.classes:
            yield _classes(facts)
        if facts.boxes:
            yield _sizes(facts)
    if result.findings:
        yield _findings(result)
        for finding in result.findings:
            yield from _details(finding)
    if result.left_out is not None:
        yield from _left_out(result.left_out)
    counts = [_number(len(result.of(severity)), severity) for severity in SEVERITIES]
    told = f"Found: {', '.join(counts)} ({result.seconds:.1f} s)"
    yield plain(told, "bold" if result.ok else "bold red")


def render_plan(result: CheckResult) -> Iterator[Text]:
    """What one could do about the findings.

    Args:
        result: What `check` found.

    Yields:
        What rich prints, in order.
    """
    steps = result.plan()
    yield plain("Fix plan; nothing has been changed" if steps else "Fix plan: there is nothing to do", "bold")
    for step in steps:
        where = f" ({'second' if step.lake else 'first'} lake)" if len(result.lakes) > 1 else ""
        yield plain(f"- {step.kind}{where}: {step.text}")
        if step.query:
            yield plain(f"    {step.query}")
    if any(step.query for step in steps):
        yield plain(
            "Train on such a query by DeepLakeDataset(path=..., query=...), or check it by --query. "
            "It leaves out whole rows, with all their boxes."
        )


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _head(facts: LakeFacts, title: str) -> Text:
    source = facts.source
    head = plain(title, "bold")
    lines = [f"{facts.rows} rows, branch {source.branch}, version {source.version}"]
    lines += [f"query {query}" for query in source.queries]
    read = {"decode": "read and decoded", "header": "read, but not decoded", "none": "read"}[facts.verify]
    lines.append(
        f"{facts.boxes} boxes, {facts.empty} rows without; {facts.images} images {read}, "
        f"{facts.smallest[0]}x{facts.smallest[1]} to {facts.largest[0]}x{facts.largest[1]} pixels"
    )
    for line in lines:
        head.append(f"\n{readable(line)}", style="not bold")
    return head


def _classes(facts: LakeFacts) -> Table:
    made = table("class", title="Classes")
    for heading in ("boxes", "images"):
        made.add_column(heading, justify="right")
    made.add_column("")
    most = max(boxes for _, boxes, _ in facts.classes)
    shown = facts.classes
    if len(shown) > _CLASSES:
        shown = tuple(sorted(shown, key=lambda one: -one[1])[:_CLASSES])
    for name, boxes, images in shown:
        bar = "█" * round(_BAR * boxes / max(most, 1)) or "▏" * bool(boxes)
        made.add_row(plain(name), f"{boxes:,}", f"{images:,}", bar)
    if len(facts.classes) > len(shown):
        rest = sum(boxes for _, boxes, _ in facts.classes) - sum(boxes for _, boxes, _ in shown)
        made.add_row(plain(f"and {len(facts.classes) - len(shown)} smaller ones"), f"{rest:,}", "", "")
    return made


def _sizes(facts: LakeFacts) -> Table:
    made = table("size", title="Box sizes (square root of the area)")
    made.add_column("boxes", justify="right")
    made.add_column("")
    bounds = f"< {COCO_SMALL} px", f"{COCO_SMALL} to {COCO_LARGE} px", f">= {COCO_LARGE} px"
    for name, bound, count in zip(("small", "medium", "large"), bounds, facts.coco_sizes, strict=True):
        bar = "█" * round(_BAR * count / max(1, *facts.coco_sizes)) or "▏" * bool(count)
        made.add_row(f"{name}, {bound}", f"{count:,}", bar)
    return made


def _findings(result: CheckResult) -> Table:
    made = table("", "what", title="Findings")
    made.add_column("count", justify="right")
    made.add_column("rows", overflow="fold")
    several = len(result.lakes) > 1
    if several:
        made.add_column("lake")
    made.add_column("what to do", overflow="fold")
    for finding in result.findings:
        unit = finding.unit
        if finding.count == 1:
            unit = _SINGULAR.get(unit, unit.removesuffix("s"))
        cells: list[str | Text] = [
            plain(finding.severity, _COLOURS[finding.severity]),
            plain(f"{finding.what} [{finding.kind}]"),
            f"{finding.count:,} {unit}",
            _rows(finding),
        ]
        if several:
            cells.append("second" if finding.lake else "first")
        made.add_row(*cells, plain(finding.advice))
    return made


def _rows(finding: Finding) -> str:
    if not len(finding.rows):
        return ""
    return f"{listed(finding.rows)}" + (f" ({len(finding.rows):,})" if len(finding.rows) > 1 else "")


def _details(finding: Finding) -> Iterator[Text]:
    more = len(finding.details) - _DETAILS
    told = [*finding.details[:_DETAILS], *([f"and {more} more"] if more > 0 else [])]
    if finding.files:
        told.append(f"files {', '.join(finding.files)}" + ", ..." * (len(finding.rows) > len(finding.files)))
    if told:
        yield plain(f"{finding.kind}: {'; '.join(told)}")


def _left_out(left: LeftOut) -> Iterator[Table | Text]:
    made = table("left out", title=f"Training with {left.config} ({left.key})")
    made.add_column("count", justify="right")
    made.add_column("rows", overflow="fold")
    for reason, rows in left.images.items():
        made.add_row(plain(f"images that {reason}"), f"{len(rows):,}", listed(rows))
    for reason, count in left.boxes.items():
        made.add_row(plain(f"boxes {reason}"), f"{count:,}", "")
    yield made
    yield plain(
        f"It trains on {left.kept} of {left.rows} images; of all boxes {left.kept_boxes} take part, "
        f"{left.ignored} of them ignored"
    )
    for note in left.notes:
        yield plain(f"Note: {note}")
