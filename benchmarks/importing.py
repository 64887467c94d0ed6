"""Imports against what they cannot be faster than: decoding on all cores, and Deep Lake's bare append.

    python benchmarks/importing.py [--images 10000] [--rounds 3] [--folder FOLDER] [--quick]

Every measurement runs in a fresh process, in interleaved rounds, with the files in memory: decoding all
JPEGs on all cores, appending their bytes to a lake that has nothing else, `import coco` with each
``--verify``, `import voc`, and reading VOC's XML files alone. Prints rates, their ratios with targets, the
main thread's CPU time for each image, and how much memory grows from the second quarter of an import to the
last. Appends to results.jsonl.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from loaders.data import BenchSet
from loaders.records import RESULTS, Line, append, print_table
from loaders.rounds import Contestant, Rounds, interval, run_rounds

_BATCH = 256
_SAMPLE = 0.05  # seconds between looks at the memory
_IMPORTS = ("coco decode", "coco header", "coco none", "voc decode", "voc header")
_OBJECT = (
    "<object><name>{}</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>"
    "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)
_XML = (
    "<annotation><folder>VOC</folder><filename>{}</filename><source><database>none</database></source>"
    "<size><width>640</width><height>480</height><depth>3</depth></size><segmented>0</segmented>{}"
    "</annotation>"
)


def write_voc(made: BenchSet) -> Path:
    """The same images and boxes as a VOC folder with the split ``train``."""
    root = made.folder / "voc"
    if (root / "complete").exists():
        return root
    shutil.rmtree(root, ignore_errors=True)
    for name in ("Annotations", "ImageSets/Main"):
        (root / name).mkdir(parents=True)
    (root / "JPEGImages").symlink_to(made.images.resolve())
    coco = json.loads(made.annotations.read_text())
    objects: dict[int, list[str]] = {}
    for one in coco["annotations"]:
        left, top, width, height = (int(side) for side in one["bbox"])
        corners = (left + 1, top + 1, left + width + 1, top + height + 1)
        objects.setdefault(one["image_id"], []).append(_OBJECT.format(one["category_id"], *corners))
    for image in coco["images"]:
        text = _XML.format(image["file_name"], "".join(objects.get(image["id"], [])))
        (root / "Annotations" / image["file_name"]).with_suffix(".xml").write_text(text)
    names = [Path(image["file_name"]).stem for image in coco["images"]]
    (root / "ImageSets" / "Main" / "train.txt").write_text("\n".join(names))
    (root / "complete").touch()
    return root


def decode_all(folder: Path, lake: Path) -> int:
    """Decode every image on all cores, and nothing else."""
    import simplejpeg

    from deeplake_mmdet.environment import available_cores

    def decode(files: list[Path]) -> None:
        for file in files:
            simplejpeg.decode_jpeg(file.read_bytes(), "BGR")

    files = sorted((folder / "images").iterdir())
    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(decode, [files[at : at + 32] for at in range(0, len(files), 32)]))
    return len(files)


def append_all(folder: Path, lake: Path) -> int:
    """Append the bytes of every image with Deep Lake, and nothing else."""
    import deeplake
    from deeplake import types

    files = sorted((folder / "images").iterdir())
    made = deeplake.create(str(lake), schema={"images": types.Image(sample_compression="jpeg")})
    made.auto_commit_enabled = False
    for at in range(0, len(files), _BATCH):
        made.append({"images": [file.read_bytes() for file in files[at : at + _BATCH]]})
    made.commit("all")
    return len(files)


def read_xml(folder: Path, lake: Path) -> int:
    """Read every annotation file of the VOC folder twice, as an import does: for the class names first."""
    from deeplake_mmdet.formats import load_voc

    return sum(image.fault is None for image in load_voc(folder / "voc", "train").images())


def run_import(kind: str, verify: str, folder: Path, lake: Path) -> int:
    """Import into a new lake."""
    from deeplake_mmdet.transfer import import_coco, import_voc

    if kind == "coco":
        options: dict[str, Any] = {"images": folder / "images", "verify": verify}
        return import_coco(folder / "coco.json", lake, **options).images
    return import_voc(folder / "voc", lake, split="train", verify=verify).images


_SIDES: dict[str, Callable[[Path, Path], int]] = {
    "bare decoding": decode_all,
    "bare append": append_all,
    "xml": read_xml,
    **{name: partial(run_import, *name.split()) for name in _IMPORTS},
}


def measure(side: str, folder: Path, lake: Path) -> dict[str, float]:
    """One side, in this process: images a second, and milliseconds of CPU for each."""
    import deeplake  # noqa: F401
    import simplejpeg  # noqa: F401

    import deeplake_mmdet.transfer  # noqa: F401

    sizes: list[int] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_SAMPLE):
            lines = Path("/proc/self/status").read_text().splitlines()
            sizes.append(int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) // 1024)

    thread = threading.Thread(target=watch)
    thread.start()
    begin, cpu, own = time.perf_counter(), time.process_time(), time.thread_time()
    try:
        count = _SIDES[side](folder, lake)
    finally:
        ended.set()
    seconds = time.perf_counter() - begin
    used, main = time.process_time() - cpu, time.thread_time() - own
    thread.join()
    quarter = max(1, len(sizes) // 4)
    second, last = sizes[quarter : 2 * quarter] or sizes, sizes[-quarter:]
    return {
        "rate": count / seconds,
        "cpu": used,
        "images": count,
        "main_ms": 1000 * main / count,
        "peak_mb": max(sizes),
        "growth_mb": statistics.fmean(last) - statistics.fmean(second),
    }


def lines_of(rounds: Rounds) -> list[Line]:
    """The table."""
    limits = {"decode": ("bare decoding", 0.8), "header": ("bare append", 0.5), "none": ("bare append", 0.5)}
    lines = [Line(name, rounds.figure(name)) for name in ("bare decoding", "bare append", "xml")]
    for name in _IMPORTS:
        base, target = limits[name.split()[1]]
        ratios = rounds.ratios(name, base)
        middle = statistics.median(ratios)
        wanted = target if name.startswith("coco") else None
        lines.append(Line(f"{name} / {base}", rounds.figure(name), middle, wanted, interval=interval(ratios)))
        main = rounds.median(name, "main_ms")
        wanted = 0.25 if name.startswith("coco") else None
        lines.append(Line("  main thread, ms an image", "", main, wanted, at_least=False))
        memory = f"peak {rounds.median(name, 'peak_mb'):.0f} MB"
        lines.append(Line("  memory, growth in MB", memory, rounds.median(name, "growth_mb")))
    return lines


def main() -> None:
    """Measure, or be measured."""
    if len(sys.argv) == 2 and sys.argv[1].startswith("{"):
        spec = json.loads(sys.argv[1])
        print(json.dumps(measure(spec["side"], Path(spec["folder"]), Path(spec["lake"]))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "deeplake-mmdet-bench")
    parser.add_argument("--quick", action="store_true", help="2000 images")
    args = parser.parse_args()
    made = BenchSet.make(args.folder, 2000 if args.quick else args.images)
    write_voc(made)
    lake = args.folder / "imported"
    contestants = [
        Contestant(
            name,
            {"side": name, "folder": str(made.folder), "lake": str(lake)},
            script="importing.py",
            environment={"PYTHONPATH": os.pathsep.join([sys.path[0], os.environ.get("PYTHONPATH", "")])},
            before=partial(shutil.rmtree, lake, ignore_errors=True),
            reads=(made.images,),
        )
        for name in _SIDES
    ]
    rounds = run_rounds(contestants, args.rounds)
    shutil.rmtree(lake, ignore_errors=True)
    if rounds.failures:
        sys.exit(f"failed: {rounds.failures}")
    lines = lines_of(rounds)
    print_table(f"Import of {made.rows} images, {made.image_bytes / 2**20:.0f} MiB", lines)
    append(RESULTS, "importing", {"images": made.rows, "rounds": args.rounds}, lines, {})


if __name__ == "__main__":
    main()
