"""Lakes with the predictions of a run, made by hand: what a row's numbers are is known."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from deeplake_mmdet.lake import CredentialRef, ImageRecord, LakeWriter, Source, resolve, write_run

CLASSES = ("cat", "dog [b]")
COUNTS = ("tp", "fp", "missed", "confused", "localisation")
SHARES = ("ap50", "lowest_score", "disagreement", "label_error")
WIDTH, HEIGHT = 48, 32


def encoded(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT), (shade % 256, shade // 256, 90)).save(out, "png")
    return out.getvalue()


def write_lake(path: Any, shades: Sequence[int]) -> str:
    """One image of one colour in each row, and one box."""
    with LakeWriter(str(path), class_names=CLASSES, box_format="ltrb", image_format="png") as writer:
        for number, shade in enumerate(shades):
            box = np.array([[4.0, 4, 20, 20]])
            name = f"photo [red] {number}.png"
            writer.append(ImageRecord(encoded(shade), WIDTH, HEIGHT, name, box, np.array([number % 2])))
    return str(path)


def write_predictions(
    lake: str,
    rows: int,
    run_id: str = "first-0a1b2c3d",
    *,
    numbers: Mapping[str, Sequence[float]] | None = None,
    scores: Sequence[Sequence[float]] | None = None,
    embeddings: Any = None,
    truth: bool = True,
    told: Mapping[str, Any] | None = None,
    branch: str | None = None,
) -> str:
    """Write a run. What is not given is: no boxes, counts of 0, AP50 of 1, other numbers of 0."""
    base = resolve(Source(lake, branch=branch))
    found = [list(one) for one in scores] if scores is not None else [[] for _ in range(rows)]
    block: dict[str, Any] = {
        "pred/boxes": [np.tile(np.array([6, 6, 22, 22], np.float32), (len(one), 1)) for one in found],
        "pred/labels": [np.zeros(len(one), np.uint32) for one in found],
        "pred/scores": [np.array(one, np.float32) for one in found],
    }
    if truth:
        given = {"ap50": [1.0] * rows, **(numbers or {})}
        block |= {f"pred/{name}": np.array(given.get(name, [0] * rows), np.int32) for name in COUNTS}
        block |= {f"pred/{name}": np.array(given.get(name, [0] * rows), np.float32) for name in SHARES}
    if embeddings is not None:
        block["pred/embedding"] = list(np.asarray(embeddings, np.float32))
    facts = {
        "run_id": run_id,
        "model": "epoch_1.pth",
        "checkpoint_hash": "00112233aabbccdd",
        "config_name": "first",
        "base": {"branch": base.branch, "version": base.version},
        "thresholds": {"score_thr": 0.3, "iou_thr": 0.5},
        "rows": rows,
        **(told or {}),
    }
    write_run(
        base,
        CredentialRef(),
        run_id,
        iter([block]),
        columns=tuple(block),
        class_names=CLASSES,
        metadata=facts,
        embedding=0 if embeddings is None else len(embeddings[0]),
    )
    return run_id
