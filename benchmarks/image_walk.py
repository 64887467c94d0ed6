"""The files of this package that an image passes on its way from a lake to the model.

    python benchmarks/image_walk.py [--pipeline light] [--workers 2] [--functions]

Draws a small lake, runs a loader over it in threads, as `fast_loader` sets it up, once to warm up, and in the
next pass notes by a profiler, in all threads, in which files functions run. docs/architecture.md lists them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

import deeplake_mmdet

ROOT = Path(deeplake_mmdet.__file__).parent
LOAD = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations", "with_bbox": True}]
DEALING = {f"loading/{name}.py" for name in ("sampler", "order", "sharing")}  # out rows, not images
STEPS: dict[str, list[dict[str, Any]]] = {
    "light": [
        {"type": "Resize", "scale": (200, 200), "keep_ratio": True},
        {"type": "RandomFlip", "prob": 0.5},
    ],
    "plain": [],
}


def functions_of_a_pass(lake: Path, steps: list[dict[str, Any]], workers: int) -> dict[str, set[str]]:
    """Functions that run in one pass of a loader after the first, by file below the package.

    Args:
        lake: A lake in a folder.
        steps: The pipeline between loading and packing.
        workers: Threads that decode.
    """
    from mmdet.utils import register_all_modules
    from mmengine.runner import Runner

    register_all_modules(init_default_scope=True)
    pipeline = [*LOAD, *steps, {"type": "PackDetInputs"}]
    config = {
        "batch_size": 4,
        "num_workers": workers,
        "dataset": {"type": "deeplake_mmdet.DeepLakeDataset", "path": str(lake), "pipeline": pipeline},
        "sampler": {"type": "DefaultSampler", "shuffle": True},
    }
    loader = Runner.build_dataloader(deeplake_mmdet.fast_loader(config, "threads"), seed=0)
    seen: dict[Any, None] = {}
    noting = False

    def note(frame: Any, event: str, _: Any) -> None:
        if noting and event == "call":
            seen[frame.f_code] = None

    threading.setprofile(note)  # before the loader's threads are started
    sys.setprofile(note)
    try:
        for number in range(2):  # in the first, files are opened and compared with Deep Lake
            loader.batch_sampler.sampler.set_epoch(number)
            for place, _ in enumerate(loader):
                noting = number == 1 and place >= 2
            noting = False
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    found: dict[str, set[str]] = defaultdict(set)
    for code in seen:
        if Path(code.co_filename).is_relative_to(ROOT):
            found[str(Path(code.co_filename).relative_to(ROOT))].add(code.co_qualname)
    return dict(found)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pipeline", choices=tuple(STEPS), default="light")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--functions", action="store_true", help="list the functions as well")
    args = parser.parse_args()
    from deeplake_mmdet.demo.lakes import write_demo_lake

    with tempfile.TemporaryDirectory() as folder:
        write_demo_lake(Path(folder, "lake"), count=64, seed=0)
        found = functions_of_a_pass(Path(folder, "lake"), STEPS[args.pipeline], args.workers)
    for name in sorted(found):
        print(name, *(sorted(found[name]) if args.functions else ()))
    print(f"{len(set(found) - DEALING)} files, and {len(DEALING & set(found))} that deal out rows")


if __name__ == "__main__":
    main()
