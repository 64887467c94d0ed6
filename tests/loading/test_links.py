"""A local lake whose images are links to a server: read ahead, and the same samples whoever makes them."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import deeplake
import numpy as np
import pytest
from deeplake import types
from drawn_lakes import LIGHT, fingerprints, lake_dataset, loader_of

from deeplake_mmdet.registry import DATASETS

IMAGES, BATCH = 24, 4


class Server(http.server.ThreadingHTTPServer):
    """Gives a picture for each number, and counts what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[str] = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                random = np.random.default_rng(int(self.path.strip("/").split(".")[0]))
                pixels = cv2.resize(random.integers(0, 255, (12, 16, 3), np.uint8), (64, 48))
                body = cv2.imencode(".jpg", pixels)[1].tobytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def write_lake(path: Path, addresses: list[str]) -> None:
    schema = {
        "images": types.Link(types.Image(sample_compression="jpeg")),
        "boxes": types.BoundingBox("float64", format="ltwh", bbox_type="pixel"),
        "labels": types.ClassLabel(types.Array("uint32", 1)),
    }
    lake = deeplake.create(str(path), schema=schema)
    lake["labels"].metadata["class_names"] = ["a", "b"]
    boxes = [np.array([[1.0 + row, 2, 10, 9]]) for row in range(len(addresses))]
    labels = [np.array([row % 2], np.uint32) for row in range(len(addresses))]
    lake.append({"images": addresses, "boxes": boxes, "labels": labels})
    lake.commit("first")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as found:
        yield found
        found.shutdown()


@pytest.fixture(scope="module")
def linked(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lakes") / "linked"
    write_lake(path, [f"http://127.0.0.1:{server.server_port}/{number}.jpg" for number in range(IMAGES)])
    return path


@pytest.fixture(scope="module")
def reference(linked: Path) -> list[str]:
    return fingerprints(loader_of(lake_dataset(linked, LIGHT), "threads", 0))


@pytest.mark.parametrize(("mode", "workers"), [("threads", 2), ("processes", 2)])
def test_the_same_samples_in_every_mode(linked: Path, reference: list[str], mode: str, workers: int) -> None:
    assert len(reference) == IMAGES
    assert fingerprints(loader_of(lake_dataset(linked, LIGHT), mode, workers)) == reference


@pytest.mark.parametrize(("mode", "workers"), [("threads", 0), ("threads", 2), ("processes", 1)])
def test_batches_are_fetched_ahead(linked: Path, server: Server, mode: str, workers: int) -> None:
    options = {"prefetch_factor": 1} if mode == "processes" else {}
    loader = loader_of(lake_dataset(linked, LIGHT), mode, workers, **options)
    loader.dataset.full_init()  # sizes are told by fetching everything once
    server.asked.clear()
    batches = iter(loader)
    next(batches)
    end = time.monotonic() + 20
    while len(server.asked) < 3 * BATCH and time.monotonic() < end:
        time.sleep(0.01)
    assert len(server.asked) >= 3 * BATCH
    assert sum(len(batch["inputs"]) for batch in batches) == IMAGES - BATCH
    assert sorted(server.asked) == sorted(f"/{number}.jpg" for number in range(IMAGES))


def test_links_to_files_of_this_machine_are_local(linked: Path, tmp_path: Path) -> None:
    def reads_network(path: Path) -> bool:
        dataset = DATASETS.build(lake_dataset(path, LIGHT))
        return bool(dataset.view.reads_network)

    assert reads_network(linked)
    cv2.imwrite(str(tmp_path / "a.jpg"), np.zeros((48, 64, 3), np.uint8))
    write_lake(tmp_path / "lake", [str(tmp_path / "a.jpg")])
    assert not reads_network(tmp_path / "lake")
