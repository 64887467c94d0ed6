"""A small lake to look at, with names that are no markup, and a run whose errors are known."""

from __future__ import annotations

import http.client
import io
import json
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from deeplake_mmdet.lake import CredentialRef, ImageRecord, LakeWriter, Source, resolve, write_run

CLASSES = ("cat", "<script>alert(1)</script>", 'dog "q" & [b]')
ROWS, WIDTH, HEIGHT = 60, 200, 150
RUN = "first-0a1b2c3d"


def jpeg(shade: int, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (shade * 4 % 256, 120, 90)).save(out, "JPEG")
    return out.getvalue()


def boxes_of(row: int) -> tuple[Any, Any]:
    """``row % 4`` boxes of 20 x 30, of the classes in turn; in every fifth row a large one, of class 0."""
    boxes = [[10.0 + 40 * n, 10, 30 + 40 * n, 40] for n in range(row % 4)]
    labels = [(row + n) % 3 for n in range(row % 4)]
    if row % 5 == 0:
        boxes, labels = [[20.0, 20, 140, 140], *boxes], [0, *labels]
    return np.array(boxes).reshape(-1, 4), np.array(labels, np.int64)


def file_name(row: int) -> str:
    return f"photo '{row}' \"<b>\".jpg"


def write_lake(path: Any, rows: int = ROWS, classes: tuple[str, ...] = CLASSES) -> str:
    with LakeWriter(str(path), class_names=classes, box_format="ltrb", image_format="jpeg") as writer:
        for row in range(rows):
            writer.append(ImageRecord(jpeg(row), WIDTH, HEIGHT, file_name(row), *boxes_of(row)))
    return str(path)


def errors_of(row: int) -> dict[str, int]:
    """Of each row's objects the first is found, the second is confused with the next class, others missed."""
    count = len(boxes_of(row)[1])
    confused = int(count > 1)
    return {"tp": min(count, 1), "missed": max(count - 1, 0), "fp": confused + row % 2, "confused": confused}


def write_predictions(lake: str, rows: int = ROWS, run: str = RUN, lowest: Any = None) -> str:
    """As `errors_of` says; odd rows have a prediction on nothing, and one below the score besides."""
    base = resolve(Source(lake))
    found: dict[str, list[Any]] = {"pred/boxes": [], "pred/labels": [], "pred/scores": []}
    for row in range(rows):
        boxes, labels = (list(part[:2]) for part in boxes_of(row))
        labels = [label if place == 0 else (label + 1) % 3 for place, label in enumerate(labels)]
        scores = [0.9, 0.8][: len(labels)]
        if row % 2:
            boxes, labels, scores = (
                [*boxes, [150, 100, 180, 140], [150, 10, 180, 40]],
                [*labels, 1, 1],
                [*scores, 0.7, 0.1],
            )
        found["pred/boxes"].append(np.array(boxes, np.float32).reshape(-1, 4))
        found["pred/labels"].append(np.array(labels, np.uint32))
        found["pred/scores"].append(np.array(scores, np.float32))
    block: dict[str, Any] = dict(found)
    for name in ("tp", "missed", "fp", "confused"):
        block[f"pred/{name}"] = np.array([errors_of(row)[name] for row in range(rows)], np.int32)
    if lowest is not None:
        block["pred/lowest_score"] = np.array(lowest, np.float32)
    facts = {"run_id": run, "model": "epoch_1.pth", "thresholds": {"score_thr": 0.3, "iou_thr": 0.5}}
    write_run(
        base, CredentialRef(), run, iter([block]),
        columns=tuple(block), class_names=CLASSES, metadata=facts,
    )  # fmt: skip
    return run


class Visitor:
    """Asks a server by plain HTTP."""

    def __init__(self, address: str) -> None:
        self.url = urlsplit(address)
        self.cookie = ""

    def ask(
        self, path: str, method: str = "GET", body: Any = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.url.hostname or "", self.url.port, timeout=60)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        given = {"Host": self.url.netloc, **({"Cookie": self.cookie} if self.cookie else {}), **given}
        if body is not None:
            given = {"Content-Type": "application/json", **given}
        connection.request(method, path, None if body is None else json.dumps(body), given)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content

    def enter(self) -> None:
        """Take the cookie."""
        status, headers, _ = self.ask(f"{self.url.path}?{self.url.query}")
        assert status == 303
        self.cookie = headers["set-cookie"].partition(";")[0]

    def told(self, path: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
        status, _, content = self.ask(path, method, body)
        return status, json.loads(content)
