"""Imports of odd files, checked: every record is accounted for, and what was taken is what stock reads.

Run as a program to try many: ``python tests/conformance/odd_files.py --count 10000``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import tempfile
import traceback
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import torch
from mmdet.datasets import CocoDataset, XMLDataset
from mmdet.utils import register_all_modules
from mmengine.dataset import Compose
from odd_coco import OddCoco
from odd_images import write_images
from odd_voc import OddVoc

from deeplake_mmdet import DeepLakeDataset, import_coco, import_voc
from deeplake_mmdet.errors import DeepLakeMMDetError

CLASSES = ("[red]x", "cat", "dog")
LOAD = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations", "with_bbox": True, "with_mask": True}]


def named_files(summary: Any) -> set[str]:
    """Names of the files that refusals and changes are about."""
    return {Path(finding.file).name for finding in (*summary.refusals.kept, *summary.changes.kept)}


def objects(info: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The objects of a data-info, so that they can be compared."""
    return sorted(
        (*(float(v) for v in entry["bbox"]), int(entry["bbox_label"]), int(entry["ignore_flag"]))
        for entry in info["instances"]
    )


def lake_infos(lake: Path, **kwargs: Any) -> tuple[dict[str, Any], Any]:
    """Data-infos by file name."""
    dataset = DeepLakeDataset(path=str(lake), pipeline=[], **kwargs)
    dataset.full_init()
    names = dataset.view.handle["file_name"]
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    rows = [int(Path(info["img_path"]).stem) for info in infos]
    return {str(names[row]): info for row, info in zip(rows, infos, strict=True)}, dataset


def check_coco(rng: np.random.Generator, images: Path, work: Path) -> str:
    """Import one odd COCO file; how that ended. AssertionError where records are lost or wrong."""
    data = OddCoco(rng).file()
    file, lake = work / "odd.json", work / "lake"
    file.write_text(json.dumps(data), encoding="utf-8")
    try:
        summary = import_coco(file, lake, images=images, progress=False)
    except DeepLakeMMDetError as error:
        return type(error).__name__
    str(summary)
    assert summary.images + summary.refused_images == len(data["images"])
    taken = summary.boxes + summary.refused_boxes + summary.lost_with_images
    assert taken == len(data.get("annotations") or []), (taken, data)
    try:
        infos, dataset = lake_infos(lake, test_mode=True)
    except DeepLakeMMDetError as error:
        return f"dataset {type(error).__name__}"
    apart = named_files(summary) | {"odd.json"}
    stock = None
    # Stock reads less than we do, and prints.
    with contextlib.suppress(Exception), contextlib.redirect_stdout(None):
        stock = CocoDataset(
                ann_file=str(file), data_prefix={"img": str(images)}, pipeline=[], test_mode=True,
                metainfo={"classes": dataset.metainfo["classes"]},
            )  # fmt: skip
    if stock is None or file.name in named_files(summary):
        return "read by us"
    compared = 0
    for index in range(len(stock)):
        info = stock.get_data_info(index)
        name = unquote(info["img_path"].replace("\\", "/")).removeprefix(f"{images}/")
        if Path(name).name in apart or name not in infos:
            assert Path(name).name.casefold() in {other.casefold() for other in apart}, name
            continue
        assert objects(infos[name]) == objects(info), name
        if dataset.view.roles.gt_masks is not None and info["instances"]:
            compare_samples(stock, index, dataset, infos[name])
        compared += 1
    return "compared" if compared else "nothing to compare"


def compare_samples(stock: Any, index: int, dataset: Any, info: dict[str, Any]) -> None:
    """Pixels, boxes and masks of one sample."""
    for each in (stock, dataset):
        each.pipeline = Compose(LOAD)
    with contextlib.suppress(KeyError):  # stock cannot load masks beside objects without any
        expected = stock[index]
        found = dataset[info["sample_idx"]]
        for key in ("img", "gt_bboxes_labels", "gt_ignore_flags"):
            assert np.array_equal(found[key], expected[key]), key
        assert torch.equal(found["gt_bboxes"].tensor, expected["gt_bboxes"].tensor)
        assert np.array_equal(found["gt_masks"].to_ndarray(), expected["gt_masks"].to_ndarray())


def check_voc(rng: np.random.Generator, images: Path, work: Path) -> str:
    """Import one odd VOC folder; how that ended. AssertionError where records are lost or wrong."""
    root, lake = work / "voc", work / "lake"
    count = OddVoc(rng).write(root)
    (root / "JPEGImages").symlink_to(images)
    try:
        summary = import_voc(root, lake, split="train", classes=CLASSES, progress=False)
    except DeepLakeMMDetError as error:
        return type(error).__name__
    str(summary)
    assert summary.images + summary.refused_images == count
    try:
        infos, _ = lake_infos(lake, test_mode=True)
    except DeepLakeMMDetError as error:
        return f"dataset {type(error).__name__}"
    apart = {Path(name).stem for name in named_files(summary)}
    compared = 0
    for name, info in infos.items():
        stem = Path(name).stem
        xml = root / "Annotations" / f"{stem}.xml"
        # An image that <filename> led to is named by its XML; stock finds no object in a namespace.
        if stem in apart or not xml.is_file() or b"xmlns" in xml.read_bytes():
            continue
        if not (images / f"{stem}.jpg").is_file():
            continue
        one = work / "one.txt"
        one.write_text(stem + "\n", encoding="utf-8")
        try:
            stock = XMLDataset(
                ann_file=str(one), data_prefix={"sub_data_root": str(root)}, pipeline=[], test_mode=True,
                metainfo={"classes": CLASSES},
            )  # fmt: skip
        except (AttributeError, OSError, TypeError, ValueError):  # stock reads less than we do
            continue
        assert objects(info) == objects(stock.get_data_info(0)), name
        compared += 1
    return "compared" if compared else "nothing to compare"


CHECKS = {"coco": check_coco, "voc": check_voc}


def run(kind: str, seed: int, images: Path) -> str:
    """One odd file or folder, by its number."""
    work = Path(tempfile.mkdtemp(prefix="odd-"))
    try:
        return CHECKS[kind](np.random.default_rng(seed), images, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main() -> None:
    """Try many and count how they ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--kind", choices=[*CHECKS], nargs="+", default=[*CHECKS])
    args = parser.parse_args()
    register_all_modules(init_default_scope=True)
    folder = Path(tempfile.mkdtemp(prefix="odd-images-"))
    write_images(folder)
    counts: Counter[tuple[str, str]] = Counter()
    for seed in range(args.first, args.first + args.count):
        for kind in args.kind:
            try:
                counts[kind, run(kind, seed, folder)] += 1
            except Exception:
                counts[kind, "FAILED"] += 1
                print(f"{kind} {seed}\n{traceback.format_exc(limit=-6)}", flush=True)
    shutil.rmtree(folder)
    for (kind, how), number in sorted(counts.items()):
        print(f"{kind:5} {how:30} {number}")


if __name__ == "__main__":
    main()
