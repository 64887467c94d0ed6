"""Result tables as plain text for logs."""

from __future__ import annotations

from collections.abc import Sequence

from deeplake_mmdet.evaluation.coco_scores import ClassScore

__all__ = ["class_lines"]


def class_lines(scores: Sequence[ClassScore]) -> str:
    """One line per class: objects and average precisions."""
    width = max([len("class"), *(len(score.name) for score in scores)])
    titles = " ".join(f"{title:>6}" for title in ("AP", "AP50", "AP75", "AP_s", "AP_m", "AP_l"))
    header = f"{'class':<{width}} {'objects':>8} {titles}"
    lines = [header]
    for score in scores:
        values = (score.ap, score.ap50, score.ap75, score.ap_small, score.ap_medium, score.ap_large)
        cells = " ".join(f"{value:>6.3f}" if value == value else f"{'-':>6}" for value in values)
        lines.append(f"{score.name:<{width}} {score.objects:>8} {cells}")
    return "\n".join(lines)
