"""What a run left behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.runner import Runner

__all__ = ["Run", "finished"]


@dataclass(frozen=True)
class Run:
    """What a run left behind.

    Attributes:
        work_dir: Its folder.
        metrics: The last evaluation's results by key, e.g. ``coco/bbox_mAP``.
        class_scores: The last evaluation's results by class, if the metric keeps them.
        best_checkpoint: The best checkpoint by ``save_best``, if one was kept.
        last_checkpoint: The newest checkpoint, if one was written.
        notes: What else is to be known, in sentences, e.g. that nothing was left to train.
    """

    work_dir: Path
    metrics: dict[str, float] = field(default_factory=dict)
    class_scores: tuple[Any, ...] = ()
    best_checkpoint: Path | None = None
    last_checkpoint: Path | None = None
    notes: tuple[str, ...] = ()


def finished(runner: Runner, loop: Any, metrics: Mapping[str, float] | None = None) -> Run:
    """What a runner left behind, as a `Run` without notes.

    Args:
        runner: It has trained or tested.
        loop: Its validation or test loop, for the scores by class; None if there is none.
        metrics: Results by key; None for those of the last validation.
    """
    work_dir = Path(runner.work_dir)
    found = metrics if metrics is not None else _last_metrics(runner)
    scores: tuple[Any, ...] = ()
    for metric in loop.evaluator.metrics if loop is not None else ():
        scores = getattr(metric, "class_scores", None) or scores
    best = sorted(work_dir.glob("best_*.pth"), key=lambda path: path.stat().st_mtime)
    last = work_dir / "last_checkpoint"
    return Run(
        work_dir=work_dir,
        metrics={key: float(value) for key, value in found.items()},
        class_scores=tuple(scores),
        best_checkpoint=best[-1] if best else None,
        last_checkpoint=Path(last.read_text().strip()) if last.is_file() else None,
    )


def _last_metrics(runner: Runner) -> dict[str, float]:
    history = runner.message_hub.log_scalars
    return {
        key.removeprefix("val/"): float(buffer.current())
        for key, buffer in history.items()
        if key.startswith("val/") and not key.startswith(("val/time", "val/data_time"))
    }
