"""Kill imports at random moments, and check that the path holds the old lake or the new one, whole.

    python benchmarks/import_kills.py --kills 200

Two small COCO data sets are imported over each other, by turns into a folder and into an S3 server on this
machine, and every import but the last of each path is killed. After each kill the path must hold, row by row
and byte by byte, the lake that was there or the one that was being imported; at a path where nothing was,
readers must be refused. The import after a chain of kills must end, by the same command, and leave nothing
of the killed ones. Ends with 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import deeplake
import numpy as np
from PIL import Image

from deeplake_mmdet import import_coco
from deeplake_mmdet.errors import SourceFormatError, SourceNotFoundError
from deeplake_mmdet.lake import Source, open_view
from deeplake_mmdet.lake.source.credentials import CredentialRef
from s3.endpoint import s3_endpoint

LONGEST = 120.0  # seconds for anything
NOTHING = "nothing"


def make_data(folder: Path, seed: int, images: int) -> str:
    """Write a COCO data set, and tell its digest."""
    draw = np.random.default_rng(seed)
    folder.mkdir()
    coco: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    coco["categories"] = [{"id": 3 + n, "name": f"class {seed} {n}"} for n in range(2)]
    rows = []
    for number in range(images):
        out = io.BytesIO()
        Image.fromarray(draw.integers(0, 255, (24, 32, 3), np.uint8)).save(out, "jpeg")
        name = f"{seed}-{number:03d}.jpg"
        (folder / name).write_bytes(out.getvalue())
        coco["images"].append({"id": number, "file_name": name, "width": 32, "height": 24})
        boxes = []
        for _ in range(int(draw.integers(0, 4))):
            boxes.append([*draw.integers(0, 12, 2).tolist(), *draw.integers(2, 12, 2).tolist()])
            label = {"id": len(coco["annotations"]) + 1, "image_id": number, "category_id": 3, "iscrowd": 0}
            coco["annotations"].append({**label, "bbox": boxes[-1], "area": boxes[-1][2] * boxes[-1][3]})
        rows.append((name, out.getvalue(), [[float(value) for value in box] for box in boxes]))
    (folder / "all.json").write_text(json.dumps(coco))
    return digest(rows, [c["name"] for c in coco["categories"]])


def digest(rows: list[tuple[str, bytes, list[list[float]]]], classes: list[str]) -> str:
    """Of all that a lake holds."""
    found = hashlib.blake2s(repr(classes).encode())
    for name, image, boxes in sorted(rows):
        found.update(repr((name, hashlib.blake2s(image).hexdigest(), boxes)).encode())
    return found.hexdigest()


def read_lake(url: str, creds: dict[str, str] | None) -> str:
    """The digest of the lake at a path, or `NOTHING` if our readers refuse what is there."""
    try:
        open_view(Source(url), credentials=CredentialRef(creds))
    except (SourceFormatError, SourceNotFoundError):
        return NOTHING
    lake = deeplake.open_read_only(url, creds=creds)
    rows = [
        (lake["file_name"][row], bytes(lake["images"].get_bytes(row)), lake["boxes"][row].tolist())
        for row in range(len(lake))
    ]
    return digest(rows, list(lake["labels"].metadata["class_names"]))


def leftovers(url: str, creds: dict[str, str] | None) -> list[str]:
    """What no version of any branch of the lake needs."""
    if "://" not in url:
        path = Path(url)
        return [entry.name for entry in path.parent.iterdir() if entry != path]
    from deeplake._deeplake.storage import Reader

    lake = deeplake.open(url, creds=creds)
    needed = {
        f"_deeplake_log/{branch.id}" for branch in map(lake.branches.__getitem__, lake.branches.names())
    }
    for name in lake.branches.names():
        needed |= {file for file, _ in lake.branches[name].open()._datafiles}
    names = [meta.path for page in Reader(url, creds=creds).list_iter() for meta in page]
    stray = [name for name in names if not name.startswith("_deeplake_log/") and name not in needed]
    return stray + [name for name in lake.branches.names() if name.startswith("importing-")]


def in_child(call: Callable[[], Any], kill_after: float | None = None) -> tuple[int, Any, float]:
    """Run a call in a child process; the parent never uses Deep Lake, and so may fork.

    Returns:
        The child's exit code, negative for signals, what the call gave, and seconds.
    """
    receive, send = os.pipe()
    start = time.monotonic()
    pid = os.fork()
    if not pid:
        try:
            os.write(send, json.dumps(call()).encode())
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(3)
        os._exit(0)
    os.close(send)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(pid, signal.SIGKILL)
    while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
        if time.monotonic() > start + LONGEST:
            os.kill(pid, signal.SIGABRT)
            raise TimeoutError(f"no end within {LONGEST:.0f} s")
        time.sleep(0.002)
    with os.fdopen(receive, "rb") as pipe:
        text = pipe.read()
    code = os.waitstatus_to_exitcode(ended[1])
    return code, json.loads(text) if text else None, time.monotonic() - start


class Chain:
    """Imports to one path, each killed but the last."""

    def __init__(self, url: str, creds: dict[str, str] | None, data: list[tuple[Path, str]]) -> None:
        self.url, self.creds, self.data = url, creds, data
        self.holds = NOTHING
        self.generation = 0

    def _import(self) -> list[str]:
        folder, _ = self.data[self.generation % 2]
        summary = import_coco(
            folder / "all.json",
            self.url,
            images=folder,
            creds=self.creds,
            overwrite=self.holds != NOTHING,
            progress=False,
        )
        return list(summary.notes)

    def kill(self, after: float) -> str:
        """Kill an import, and tell what the path holds then: ``old``, ``new``, or that the import had ended.

        Raises:
            AssertionError: The path holds anything else.
        """
        new = self.data[self.generation % 2][1]
        code, _, _ = in_child(self._import, after)
        assert code in (0, -signal.SIGKILL), f"the import ended with {code}"
        found = self._read()
        assert found in (self.holds, new), f"{self.url} holds {found}: neither {self.holds} nor {new}"
        assert code or found == new, f"{self.url}: the import ended, and the old lake is still there"
        outcome = "ended before" if code == 0 else "new" if found == new else "old"
        if found == new:
            self.holds = new
            self.generation += 1
        return outcome

    def end(self) -> tuple[float, list[str]]:
        """Import without a kill, and check that nothing is left of the killed ones.

        Returns:
            Seconds that it took, and what it told.
        """
        code, notes, seconds = in_child(self._import)
        assert code == 0, f"{self.url}: the import after the kills ended with {code}"
        self.holds = self.data[self.generation % 2][1]
        self.generation += 1
        found = self._read()
        assert found == self.holds, f"{self.url} holds {found}, not {self.holds}"
        code, stray, _ = in_child(lambda: leftovers(self.url, self.creds))
        assert code == 0, f"{self.url}: what is left cannot be listed"
        assert not stray, f"{self.url}: left behind: {stray}; told: {notes}"
        return seconds, notes

    def _read(self) -> str:
        code, found, _ = in_child(lambda: read_lake(self.url, self.creds))
        assert code == 0, f"{self.url} cannot be read"
        return str(found)


def series(
    count: int, base: str, creds: dict[str, str] | None, data: list[tuple[Path, str]], draw: random.Random
) -> dict[str, int]:
    """Kill as often as asked, and end each chain of kills by an import that ends."""
    outcomes: Counter[str] = Counter()
    chain = Chain(f"{base}/0/lake", creds, data)
    trial = Chain(f"{base}/trial/lake", creds, data)
    longest = [trial.end()[0] for _ in range(3)][-1]
    number = 0
    while outcomes["old"] + outcomes["new"] < count:
        outcome = chain.kill(draw.uniform(0.0, longest))
        outcomes[outcome] += 1
        longest *= 0.95 if outcome == "ended before" else 1.02
        if draw.random() < 0.25:
            _, notes = chain.end()
            outcomes["told of leftovers"] += any("interrupted" in note for note in notes)
            if draw.random() < 0.5:
                number += 1
                chain = Chain(f"{base}/{number}/lake", creds, data)
    chain.end()
    print(f"{base}: {dict(outcomes)}", flush=True)
    return dict(outcomes)


def main() -> int:
    """Run both series and print a summary."""
    parser = argparse.ArgumentParser(description="Kill imports at random moments and check what is there.")
    parser.add_argument("--kills", type=int, default=100, help="of imports into a folder")
    parser.add_argument("--s3-kills", type=int, help="of imports to S3; default: as many")
    parser.add_argument("--seed", type=int, default=None)
    args = parser.parse_args()
    seed = random.randrange(2**31) if args.seed is None else args.seed
    draw = random.Random(seed)
    folder = Path(tempfile.mkdtemp(prefix="deeplake-mmdet-import-kills-"))
    os.environ["DEEPLAKE_MMDET_CACHE"] = str(folder / "cache")
    data = [(folder / name, make_data(folder / name, n, 5 + 4 * n)) for n, name in enumerate("ab")]
    try:
        series(args.kills, str(folder / "lakes"), None, data, draw)
        with s3_endpoint() as endpoint:
            os.environ["AWS_ACCESS_KEY_ID"] = endpoint.creds["aws_access_key_id"]
            os.environ["AWS_SECRET_ACCESS_KEY"] = endpoint.creds["aws_secret_access_key"]
            creds = {"endpoint_url": endpoint.url, "aws_region": endpoint.creds["aws_region"]}
            series(args.kills if args.s3_kills is None else args.s3_kills, "s3://lakes", creds, data, draw)
    except (AssertionError, TimeoutError) as error:
        print(f"\nFAILED (seed {seed}; data in {folder}): {error}")
        return 1
    shutil.rmtree(folder)
    print(f"At every moment the old lake or the new one. Seed {seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
