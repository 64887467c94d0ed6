"""Looking at a large lake in Chromium: seconds until a page is there with all its images.

    python benchmarks/browse.py [--rows 1000000] [--lake FOLDER] [--latency 0.05] [--rounds 5]

Writes a synthetic lake of photographs of 640 x 480 (32 that take turns; 8 KB each), unless FOLDER holds one
already, and lets `deeplake-mmdet browse` show it to a headless Chromium: out of the folder, and out of an S3
endpoint that answers after ``latency`` seconds. Measures, each time on rows that were not shown before:

- start: from typing the command, with the annotations cached, to its printing the address;
- first page: from going to that address until the last image that can be seen is there;
- next page: the key j pressed after a look of ``--look`` seconds, until then;
- far page: rows that nothing was made ready for;
- class, query: a filter by class and one by TQL, set for the first time.

Prints the median of each, and the limits of the task: 1 s for the first page of a local lake, 0.3 s for the
next, 1.5 s for either from S3. Appends to results.jsonl; ends with code 1 where a limit is missed.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from annotation_table import write_lake
from measuring import append_record
from s3_server import BUCKET, s3_server

_LIMITS = {
    "local": {"first page": 1.0, "next page": 0.3},
    "s3": {"first page": 1.5, "next page": 1.5},
}
_IN_SIGHT = """() => document.body.classList.contains('ready') && !document.body.classList.contains('busy')
    && document.querySelectorAll('.tile img').length > 0
    && [...document.querySelectorAll('.tile img')].every((image) => {
        const at = image.getBoundingClientRect();
        return at.top > innerHeight || (image.complete && image.naturalWidth > 0);
    })"""


def photographs(count: int = 32) -> list[bytes]:
    """JPEGs of 640 x 480, as long to decode as photographs, and small, so that a million fit on a disk."""
    draw = np.random.default_rng(0)
    found = []
    for _ in range(count):
        coarse = Image.fromarray(draw.integers(0, 256, (3, 4, 3), np.uint8))
        out = io.BytesIO()
        coarse.resize((640, 480), Image.Resampling.BICUBIC).save(out, "JPEG", quality=50)
        found.append(out.getvalue())
    return found


@contextmanager
def browsing(lake: str, *more: str, environment: Mapping[str, str]) -> Iterator[tuple[str, float]]:
    """The command; its address, and how long it took to print that."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "deeplake_mmdet.cli", "browse", lake, "--no-open", *more],
        stdout=subprocess.PIPE, text=True, env={**os.environ, **environment},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        address = next(line for line in process.stdout if line.startswith("http")).strip()
        yield address, time.perf_counter() - start
    finally:
        process.terminate()
        process.wait()


def look(browser: Any, address: str, rounds: int, pause: float) -> dict[str, float]:
    """Seconds of each step, medians of some rounds."""
    found: dict[str, list[float]] = {}

    def timed(name: str, page: Any, act: Any) -> None:
        start = time.perf_counter()
        act()
        page.wait_for_function(_IN_SIGHT, polling="raf")
        found.setdefault(name, []).append(time.perf_counter() - start)

    def until(page: Any, text: str, act: Any) -> None:
        """Act, and wait until the answer is there."""
        with page.expect_response(lambda answer: "/api/page" in answer.url and text in answer.url):
            act()

    for number in range(rounds):
        page = browser.new_context(viewport={"width": 1280, "height": 860}).new_page()
        at = f"{address}#start={48 * (10 + 1000 * number)}"
        timed("first page", page, lambda page=page, at=at: page.goto(at))
        for _ in range(3):
            time.sleep(pause)
            timed(
                "next page", page, lambda page=page: until(page, "start=", lambda: page.keyboard.press("j"))
            )
        far = 48 * (500 + 1000 * number)
        go = f"location.hash = '#start={far}'; dispatchEvent(new PopStateEvent('popstate'))"
        timed("far page", page, lambda page=page, go=go: until(page, "start=", lambda: page.evaluate(go)))
        box = page.locator("#classes label").nth(number % 20)
        timed("class", page, lambda page=page, box=box: until(page, "class=", box.click))
        box.click()
        page.wait_for_function(_IN_SIGHT, polling="raf")
        page.fill("#query", f"image_id % 1000 = {number}")
        timed("query", page, lambda page=page: until(page, "query=", lambda: page.press("#query", "Enter")))
        page.context.close()
    return {name: round(statistics.median(values), 3) for name, values in found.items()}


def main() -> int:
    """Write the lake, look at it from both places, and compare with the limits."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--boxes", type=int, default=7)
    parser.add_argument("--lake", type=Path)
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--look", type=float, default=1.0, help="seconds between pages")
    args = parser.parse_args()
    from playwright.sync_api import sync_playwright

    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        root = Path(folder)
        lake = (args.lake or root / "lakes" / "lake").absolute()
        if not lake.exists():
            lake.parent.mkdir(parents=True, exist_ok=True)
            write_lake(lake, args.rows, args.boxes, True, files=photographs())
        cache = {"DEEPLAKE_MMDET_CACHE": str(root / "cache")}
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        with s3_server(lake.parent) as server:
            places: dict[str, tuple[str, tuple[str, ...], dict[str, str]]] = {
                "local": (str(lake), (), {}),
                "s3": (
                    f"s3://{BUCKET}/{lake.name}",
                    ("--endpoint-url", server.url),
                    {name.upper(): value for name, value in server.environment_keys.items()},
                ),
            }
            for place, (address, more, keys) in places.items():
                environment = {**cache, **keys, "AWS_REGION": "us-east-1"}
                with browsing(address, *more, environment=environment) as (_, seconds):
                    built = round(seconds, 2)  # reads all annotations
                server.set_latency(args.latency)
                with browsing(address, *more, environment=environment) as (url, seconds):
                    results[place] = {"start without cache": built, "start": round(seconds, 2)}
                    results[place] |= look(browser, url, args.rounds, args.look)
                server.set_latency(0)
                print(place, results[place], flush=True)
        browser.close()
    append_record("browse", args, results=results, limits=_LIMITS)
    missed = [
        f"{place}: {name} {results[place][name]} s ({limit})"
        for place, limits in _LIMITS.items()
        for name, limit in limits.items()
        if results[place][name] > limit
    ]
    print("\n".join(missed) or "holds")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
