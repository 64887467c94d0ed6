"""Find wrong labels by a model that was trained on them, repair them, and train again.

    python examples/loop/loop.py BCCD work [--epochs 36] [--seed 0]

BCCD is the folder of https://github.com/Shenggan/BCCD_Dataset with that name. README.md says what happens.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from damage import KINDS, box_of, damage
from PIL import Image, ImageDraw

import deeplake_mmdet as dm
from deeplake_mmdet.loop.mining import rank_rows, save_rows
from deeplake_mmdet.loop.suspected import suspected_labels

CONFIG = Path(__file__).parents[2] / "configs" / "bccd_rtmdet.py"
EDGES = ("xmin", "ymin", "xmax", "ymax")


def iou(one: list[float], other: list[float]) -> float:
    """Of two boxes: left, top, right, bottom."""
    sides = [min(one[i + 2], other[i + 2]) - max(one[i], other[i]) for i in (0, 1)]
    inter = max(sides[0], 0) * max(sides[1], 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return inter / (sum(areas) - inter)


def found_by(suspect: dict[str, Any], spoiled: dict[str, Any]) -> bool:
    """Whether somebody who looks at a suspected label sees the one that was spoiled."""
    boxes = [suspect["box"], *([suspect["label_box"]] if "label_box" in suspect else [])]
    return any(iou(box, spoiled["box"]) >= 0.5 for box in boxes)


def train(lake: Path, val: Path, folder: Path, epochs: int, seed: int) -> dm.Run:
    """Train the slim RTMDet of ``configs/`` on a lake."""
    options = {
        "train_dataloader.dataset.path": str(lake),
        "val_dataloader.dataset.path": str(val),
        "test_dataloader.dataset.path": str(val),
        "train_cfg.max_epochs": epochs,
        "train_cfg.val_interval": epochs,
        "randomness.seed": seed,
        "default_hooks.checkpoint.interval": epochs,
    }
    return dm.train(CONFIG, work_dir=folder, cfg_options=options)


def repair(damaged: Path, target: Path, spoiled: dict[str, list[dict]], seen: dict[str, list[dict]]) -> int:
    """Put right what was spoiled and is among the suspected labels, as somebody who looks at them would."""
    shutil.copytree(damaged, target)
    count = 0
    for name, kinds in spoiled.items():
        fixed = [one for one in kinds if any(found_by(suspect, one) for suspect in seen.get(name, []))]
        if not fixed:
            continue
        count += len(fixed)
        file = target / f"Annotations/{name}.xml"
        tree = ElementTree.parse(file)
        root = tree.getroot()
        for one in fixed:
            if one["now"] is not None:
                root.remove(same(root, one["now"]))
            root.append(voc_object(one["class"], one["box"]))
        tree.write(file)
    return count


def same(root: ElementTree.Element, now: dict[str, Any]) -> ElementTree.Element:
    """The object that a spoiled label has become."""
    for found in root.iter("object"):
        box = box_of(found)
        if box == now["box"] and found.findtext("name") == now["class"]:
            return found
    raise ValueError(f"no such object: {now}")


def voc_object(name: str, box: list[float]) -> ElementTree.Element:
    """An object as Pascal VOC writes it."""
    made = ElementTree.Element("object")
    ElementTree.SubElement(made, "name").text = name
    bounds = ElementTree.SubElement(made, "bndbox")
    for edge, value in zip(EDGES, box, strict=True):
        ElementTree.SubElement(bounds, edge).text = f"{value:g}"
    return made


def draw_unspoiled(
    damaged: Path, picture: Path, suspects: list[dict[str, Any]], spoiled: dict[str, list[dict]]
) -> None:
    """Draw objects said to be missing where nothing was spoiled: these in red, all labels in green."""
    side, columns, most, margin = 200, 8, 48, 30
    others = [
        one
        for one in suspects
        if one["kind"] == "missing"
        and not any(found_by(one, each) for each in spoiled.get(Path(one["file_name"]).stem, []))
    ][:most]
    if not others:
        return
    sheet = Image.new("RGB", (columns * side, -(-len(others) // columns) * side), "white")
    for place, one in enumerate(others):
        name = Path(one["file_name"]).stem
        image = Image.open(damaged / f"JPEGImages/{name}.jpg").convert("RGB")
        draw = ImageDraw.Draw(image)
        for found in ElementTree.parse(damaged / f"Annotations/{name}.xml").getroot().iter("object"):
            draw.rectangle(box_of(found), outline="green", width=3)
        left, top, right, bottom = one["box"]
        draw.rectangle(one["box"], outline="red", width=3)
        around = (left - margin, top - margin, right + margin, bottom + margin)
        tile = image.crop(tuple(map(int, around))).resize((side - 4, side - 4))
        sheet.paste(tile, (place % columns * side, place // columns * side))
    sheet.save(picture)


def main(bccd: Path, work: Path, epochs: int, seed: int) -> None:
    """Run all steps."""
    spoiled = damage(bccd, work / "damaged", seed=seed)
    total = sum(map(len, spoiled.values()))
    dm.import_voc(work / "damaged", work / "lakes/damaged", split="train")
    dm.import_voc(bccd, work / "lakes/val", split="val")
    before = train(work / "lakes/damaged", work / "lakes/val", work / "first", epochs, seed)

    checkpoint = before.best_checkpoint or before.last_checkpoint
    written = dm.predict(CONFIG, checkpoint, work / "lakes/damaged", write_back=True)
    run = str(written.branch).removeprefix("runs/")
    ranked = rank_rows(work / "lakes/damaged", run, "label-errors", top=10**6)
    save_rows(rank_rows(work / "lakes/damaged", run, "label-errors", top=20), "suspects")
    suspects = suspected_labels(ranked)[: 2 * total]
    seen: dict[str, list[dict]] = {}
    for suspect in suspects:
        seen.setdefault(Path(suspect["file_name"]).stem, []).append(suspect)

    print(f"Among the {len(suspects)} labels suspected most, of {total} that were spoiled:")
    for kind in KINDS:
        of_kind = [(name, one) for name, some in spoiled.items() for one in some if one["kind"] == kind]
        hits = sum(any(found_by(suspect, one) for suspect in seen.get(name, [])) for name, one in of_kind)
        print(f"  {kind}: {hits} of {len(of_kind)}")

    draw_unspoiled(work / "damaged", work / "unspoiled.png", suspects, spoiled)
    count = repair(work / "damaged", work / "repaired", spoiled, seen)
    dm.import_voc(work / "repaired", work / "lakes/repaired", split="train")
    after = train(work / "lakes/repaired", work / "lakes/val", work / "second", epochs, seed)
    scores = [run.metrics["coco/bbox_mAP"] for run in (before, after)]
    print(f"{count} labels repaired; mAP {scores[0]:.3f} before, {scores[1]:.3f} after")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bccd", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--epochs", type=int, default=36)
    parser.add_argument("--seed", type=int, default=0, help="of what is spoiled, and of the trainings")
    args = parser.parse_args()
    main(args.bccd, args.work, args.epochs, args.seed)
