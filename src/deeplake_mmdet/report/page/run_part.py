"""One run as the page shows it: what the template writes, and what the script draws."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deeplake_mmdet.errors import DeepLakeMMDetError
from deeplake_mmdet.evaluation import RunPredictions, open_recorded
from deeplake_mmdet.lake import CredentialRef, LakeView
from deeplake_mmdet.report.page.galleries import Gallery, choose_images
from deeplake_mmdet.report.page.run_folder import RunFolder
from deeplake_mmdet.report.page.score_part import score_part
from deeplake_mmdet.report.page.settings_part import settings_of, stock_of
from deeplake_mmdet.report.page.training_part import (
    address_of,
    class_counts,
    lakes_of,
    left_out,
    series_of,
    starts_of,
)
from deeplake_mmdet.report.run_scores import RunScores, score_run
from deeplake_mmdet.terminal import readable

__all__ = ["RunPart", "browse_command", "browse_link", "read_part"]


@dataclass
class RunPart:
    """A run with all that could be found out about it.

    Attributes:
        folder: The run.
        name: Shown as its name.
        views: The lakes of its predictions; empty if they could not be opened.
        scores: None without predictions, or where the lakes could not be opened.
        galleries: Which images to show.
        notes: What is missing, in sentences.
    """

    folder: RunFolder
    name: str
    views: list[LakeView] = field(default_factory=list)
    scores: RunScores | None = None
    galleries: list[Gallery] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def context(self) -> dict[str, Any]:
        """What the template shows."""
        run = self.folder
        classes = class_counts(run)
        most = max((count for _, count in classes), default=0)
        return {
            "name": self.name,
            "cards": self._cards(),
            "notes": self.notes,
            "lakes": lakes_of(run),
            "classes": [
                {"name": name, "count": count, "share": round(100 * count / max(most, 1), 1)}
                for name, count in classes
            ],
            "boxes": sum(count for _, count in classes),
            "left_out": left_out(run),
            "starts": starts_of(run),
            "stock": stock_of(run),
            "settings": settings_of(run),
            "has_config": run.config is not None,
            "waiting": _waiting(run),
        }

    def data(self) -> dict[str, Any]:
        """What the script draws, but for the images."""
        shown = None if self.scores is None else score_part(self.scores)
        if shown is not None:
            shown["classes"] = [readable(name) for name in shown["classes"]]
            shown["confusion"]["names"] = [readable(name) for name in shown["confusion"]["names"]]
        return {
            "name": readable(self.name),
            "series": series_of(self.folder),
            "scores": shown,
            "galleries": [{"name": one.name, "images": one.images} for one in self.galleries],
            "images": {},
        }

    def wanted(self) -> list[int]:
        """Images of all galleries, the most wanted first."""
        lists = [gallery.images for gallery in self.galleries]
        longest = max((len(images) for images in lists), default=0)
        ordered = [images[at] for at in range(longest) for images in lists if at < len(images)]
        return list(dict.fromkeys(ordered))

    def _cards(self) -> list[dict[str, str]]:
        cards: list[tuple[str, str]] = []
        own, scores = self.folder.predictions, self.scores
        if own is not None:
            names = [name for name in own.scores if name.endswith(("mAP", "mAP_50"))] or list(own.scores)[:2]
            cards += [(name, f"{own.scores[name]:.3f}") for name in names[:4]]
            at = f"epoch {own.epoch}" if own.epoch else f"iteration {own.iteration:,}"
            cards.append((f"scored on {own.split}", f"{len(own):,} images, {at}"))
        elif self.folder.scalars.scores:
            for name, series in self.folder.scalars.scores.items():
                if name.endswith(("mAP", "mAP_50")) and series:
                    cards.append((f"{name}, best", f"{max(series.values()):.3f}"))
        if scores is not None:
            cards.append(("best F1 from score", f"{scores.score:.2f}"))
        scalars = self.folder.scalars
        if scalars.last_step:
            epochs = f"{max(scalars.epochs)} epochs, " if scalars.epochs else ""
            cards.append(("trained", f"{epochs}{scalars.last_step:,} steps"))
        return [{"label": label, "value": value} for label, value in cards]


def read_part(
    run: RunFolder, metric: str, score: float | None, most: int, credentials: CredentialRef | None
) -> RunPart:
    """Score a run's predictions and choose its images, as far as that goes.

    Args:
        run: The run.
        metric: ``'bbox'`` or ``'segm'``: what overlaps.
        score: From which predictions count at first; None for that of the highest F1.
        most: Images of each gallery.
        credentials: Of its lakes; None for those of the environment.
    """
    part = RunPart(run, run.path.resolve().name or str(run.path), notes=run.notes)
    if run.predictions is None:
        return part
    try:
        part.views = _views(run.predictions, credentials)
        part.scores = score_run(run.predictions, part.views, score=score, by_mask=metric == "segm")
    except DeepLakeMMDetError as error:
        part.views = []
        run.notes.append(
            "There are no curves, errors and pictures below, as the predictions cannot be compared with the "
            f"lake: {error}"
        )
        return part
    if run.predictions.masks is not None and metric == "bbox":
        run.notes.append("Scores and matches are those of the boxes; --metric segm scores the masks.")
    part.galleries = choose_images(part.scores, most) if most else []
    return part


def _views(own: RunPredictions, credentials: CredentialRef | None) -> list[LakeView]:
    return [open_recorded(lake, credentials) for lake in own.lakes]


def _waiting(run: RunFolder) -> str:
    train = run.scalars.train
    steps, waits = train.get("time", {}), train.get("data_time", {})
    both = [step for step in steps if step in waits]
    whole = sum(steps[step] for step in both)
    if not both or whole <= 0:
        return ""
    share = sum(waits[step] for step in both) / whole
    return (
        f"{run.path.resolve().name}: {share:.1%} of the time of a step was spent waiting for data "
        f"({1000 * whole / len(both):.0f} ms a step)."
    )


def browse_command(lake: Mapping[str, Any]) -> str:
    """What to type to see a lake as it was when it was predicted on.

    Args:
        lake: From ``RunPredictions.lakes``.
    """
    words = ["deeplake-mmdet", "browse", address_of(lake)]
    queries = lake.get("queries")
    if lake.get("version"):
        words += ["--commit", str(lake["version"])]
    if isinstance(queries, list) and len(queries) == 1:
        words += ["--query", str(queries[0])]
    return shlex.join(words)


def browse_link(address: str, row: int) -> str:
    """The page of a running ``browse`` that begins with a row.

    Args:
        address: What ``deeplake-mmdet browse`` has printed.
        row: Row number.
    """
    return f"{address.split('#')[0]}#start={row}"
