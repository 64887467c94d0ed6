"""Spoil some labels of a folder in Pascal VOC's layout, and write down which.

    python damage.py BCCD damaged [--share 0.05] [--seed 0]

Of the objects in the training images, a third of the share gets another class, a third is moved by half of
its size or more, a third is removed. ``damaged/planted.json`` lists them by image: kind, the box as it was
(left, top, right, bottom in pixels, as the file has it), the class as it was, and what it became (``now``).
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
from pathlib import Path
from xml.etree import ElementTree

KINDS = ("swapped", "moved", "removed")


def damage(source: Path, target: Path, share: float = 0.05, seed: int = 0) -> dict[str, list[dict]]:
    """Copy a VOC folder and spoil labels of its training images.

    Args:
        source: The folder, with ``Annotations``, ``JPEGImages`` and ``ImageSets``.
        target: The copy; must not be there.
        share: Of all objects, how many are spoiled.
        seed: Of the draws.

    Returns:
        What was spoiled, by image name.
    """
    shutil.copytree(source, target)
    draw = random.Random(seed)
    names = (target / "ImageSets/Main/train.txt").read_text().split()
    trees = {name: ElementTree.parse(target / f"Annotations/{name}.xml") for name in names}
    objects = [(name, found) for name in names for found in trees[name].getroot().iter("object")]
    classes = sorted({str(found.findtext("name")) for _, found in objects})
    planted: dict[str, list[dict]] = {}
    for number, place in enumerate(draw.sample(range(len(objects)), round(share * len(objects)))):
        name, found = objects[place]
        kind, was = KINDS[number % 3], str(found.findtext("name"))
        box = box_of(found)
        root = trees[name].getroot()
        if kind == "swapped":
            found.find("name").text = draw.choice([other for other in classes if other != was])
        elif kind == "moved":
            move(found.find("bndbox"), box, root, draw)
        else:
            root.remove(found)
        now = None if kind == "removed" else {"class": found.findtext("name"), "box": box_of(found)}
        planted.setdefault(name, []).append({"kind": kind, "box": box, "class": was, "now": now})
    for name, tree in trees.items():
        tree.write(target / f"Annotations/{name}.xml")
    (target / "planted.json").write_text(json.dumps(planted, indent=1))
    return planted


def box_of(found: ElementTree.Element) -> list[float]:
    """Left, top, right, bottom of an object."""
    return [float(str(found.findtext(f"bndbox/{edge}"))) for edge in ("xmin", "ymin", "xmax", "ymax")]


def move(
    edges: ElementTree.Element, box: list[float], root: ElementTree.Element, draw: random.Random
) -> None:
    """Move a box by 0.5 to 1 of its size, sideways and up or down, within the image."""
    for low, high, most in (("xmin", "xmax", "width"), ("ymin", "ymax", "height")):
        first, last = box[low == "ymin"], box[2 + (low == "ymin")]
        step = draw.uniform(0.5, 1.0) * (last - first) * draw.choice((-1, 1))
        room = float(str(root.findtext(f"size/{most}"))) - last
        step = min(max(step, 1 - first), room) if room > 0 else 0.0
        edges.find(low).text, edges.find(high).text = str(round(first + step)), str(round(last + step))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    found = damage(args.source, args.target, args.share, args.seed)
    spoiled = [each["kind"] for some in found.values() for each in some]
    print(", ".join(f"{spoiled.count(kind)} {kind}" for kind in KINDS), f"in {len(found)} images")
