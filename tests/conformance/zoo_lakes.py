"""Every train and val dataset of MMDetection 3.x's own configs, with a lake in place of its files; no test.

    python tests/conformance/zoo_lakes.py [--only TEXT]

``type`` and ``path`` are all that is changed. The samples are compared with those of stock datasets on the
same few files: their number, and what the pipeline makes of them under the same seed. Some minutes on two
cores.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import random
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import mmdet
import numpy as np
import torch
from mmdet.datasets import CocoDataset, XMLDataset
from mmdet.registry import DATASETS
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import BaseDataElement
from pycocotools import mask as coco_mask

from deeplake_mmdet import import_coco, import_voc

OFFICIAL = Path(mmdet.__file__).parent / ".mim/configs"
EQUAL = "equal"
# Width and height; the last but one is too small for most training, the last one has no object.
SIZES = ((120, 90), (90, 120), (64, 64), (200, 150), (48, 40), (20, 50), (80, 80))
# What only names the files of a stock dataset, and what `CocoDataset` does not take.
FILES = ("ann_file", "data_root", "data_prefix", "proposal_file")
OTHERS = (
    *("label_file", "meta_file", "hierarchy_file", "image_level_ann_file", "label_map_file", "need_text"),
    *("specific_key_path", "with_polygon", "with_imagelevel_label", "with_hierarchy"),
)
# Their samples are not images with boxes: clips, phrases, persons to find again, maps of segments.
OTHER_TASKS = (
    *("MOTChallengeDataset", "YouTubeVISDataset", "ReIDDataset", "MDETRStyleRefCocoDataset", "DODDataset"),
    *("Flickr30kDataset", "CocoPanopticDataset"),
)


class Files(NamedTuple):
    """The same few images and boxes as files and as a lake."""

    lake: Path
    ann_file: Path
    images: Path


class Places:
    """Makes files and lakes, one pair for each tuple of classes; and one of Pascal VOC's kind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: dict[tuple[str, bool], Files] = {}

    def of(self, leaf: Mapping[str, Any]) -> Files:
        classes, voc = classes_of(leaf), is_voc(leaf)
        key = (json.dumps(classes), voc)
        if key not in self._made:
            place = self.folder / str(len(self._made))
            place.mkdir()
            self._made[key] = (_as_voc if voc else _as_coco)(place, classes)
        return self._made[key]


def names() -> list[str]:
    """All configs but the bases."""
    paths = sorted(path.relative_to(OFFICIAL) for path in OFFICIAL.rglob("*.py"))
    return [str(path) for path in paths if path.parts[0] != "_base_"]


def datasets(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The datasets of a config, with their split; none of a config that cannot be read."""
    try:
        cfg = Config.fromfile(OFFICIAL / name, import_custom_modules=False)
    except (FileNotFoundError, ModuleNotFoundError):  # broken, or for another package
        return
    for split in ("train", "val"):
        dataset = (cfg.get(f"{split}_dataloader") or {}).get("dataset")
        if dataset:
            yield split, _plain(dataset)


def _plain(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {key: _plain(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return type(node)(_plain(item) for item in node)
    return f"{node.__module__}.{node.__name__}" if isinstance(node, type) else node


def leaves(node: Any) -> Iterator[dict[str, Any]]:
    """The datasets inside that read files."""
    if isinstance(node, (list, tuple)):
        for part in node:
            yield from leaves(part)
    elif inner := node.get("dataset", node.get("datasets")):
        yield from leaves(inner)
    else:
        yield node


def kind_of(leaf: Mapping[str, Any]) -> str:
    return str(leaf["type"]).rpartition(".")[2]


def is_voc(leaf: Mapping[str, Any]) -> bool:
    """Whether files of Pascal VOC stand for its own: those datasets alone ignore small boxes.

    They have no masks: where those are asked for, a COCO file has the same boxes, and none is too small.
    """
    small = "bbox_min_size" in (leaf.get("filter_cfg") or {}) and '"with_mask": true' not in json.dumps(
        leaf, default=str
    )
    return small or issubclass(DATASETS.get(leaf["type"]), XMLDataset)


@cache
def _own_classes(kind: str) -> tuple[str, ...]:
    found = DATASETS.get(kind)
    metainfo = (found and found.METAINFO) or CocoDataset.METAINFO
    return tuple(metainfo.get("classes") or CocoDataset.METAINFO["classes"])


def classes_of(leaf: Mapping[str, Any]) -> tuple[str, ...]:
    """What the dataset's own files would have: its config's classes, or its type's."""
    given = (leaf.get("metainfo") or {}).get("classes")
    return tuple(given) if isinstance(given, (list, tuple)) else _own_classes(leaf["type"])


def replaced(node: Any, change: Any) -> Any:
    """A dataset with a change of those inside that read files."""
    if isinstance(node, (list, tuple)):
        return [replaced(part, change) for part in node]
    for key in ("dataset", "datasets"):
        if node.get(key):
            return {**node, key: replaced(node[key], change)}
    return change(node)


def with_lake(dataset: Any, places: Places) -> Any:
    """As a user does it: the dataset's type and the path of the lake."""

    def change(leaf: Mapping[str, Any]) -> dict[str, Any]:
        new = {**leaf, "type": "deeplake_mmdet.DeepLakeDataset", "path": str(places.of(leaf).lake)}
        small = leaf.get("filter_cfg") or {}
        if "bbox_min_size" in small and not is_voc(leaf):  # which `CocoDataset` does not know
            new["filter_cfg"] = {key: value for key, value in small.items() if key != "bbox_min_size"}
        return new

    return replaced(dataset, change)


def with_files(dataset: Any, places: Places) -> Any:
    """A stock dataset of the files that the lake was made of."""

    def change(leaf: Mapping[str, Any]) -> dict[str, Any]:
        files, voc = places.of(leaf), is_voc(leaf)
        new = {key: value for key, value in leaf.items() if key not in (*FILES, *OTHERS)}
        new |= {"type": "XMLDataset" if voc else "CocoDataset", "ann_file": str(files.ann_file)}
        new["data_prefix"] = {"sub_data_root" if voc else "img": str(files.images)}
        metainfo = {**(leaf.get("metainfo") or {}), "classes": classes_of(leaf)}
        return {**new, "metainfo": metainfo}

    return replaced(dataset, change)


def outcome(dataset: Any, places: Places, indices: Sequence[int] = (0, 3, -1)) -> str:
    """`EQUAL`, or why not."""
    kinds = {kind_of(leaf) for leaf in leaves(dataset)}
    if other := sorted(kinds & set(OTHER_TASKS)):
        return f"of another task: {', '.join(other)}"
    if any(not name.strip() for leaf in leaves(dataset) for name in classes_of(leaf)):
        return "a class has no name"
    if any(leaf.get("proposal_file") for leaf in leaves(dataset)):
        return _refusal(dataset, places, "proposal_file")
    with DefaultScope.overwrite_default_scope("mmdet"):
        try:
            stock = DATASETS.build(with_files(dataset, places))
        except Exception as error:  # a step that asks for a package, or for files of its own
            return f"stock does not build: {_first_line(error)}"
        ours = DATASETS.build(with_lake(dataset, places))
        if len(ours) != len(stock) or not len(stock):
            return f"{len(ours)} samples, stock {len(stock)}"
        for index in indices:
            try:
                theirs = _sample(stock, index % len(stock))
            except Exception as error:  # a step that wants other data, or a package that is not there
                return f"stock gives no sample: {_first_line(error)}"
            if found := difference(_sample(ours, index % len(ours)), theirs):
                return f"sample {index} differs: {found}"
    return EQUAL


def _refusal(dataset: Any, places: Places, key: str) -> str:
    from deeplake_mmdet.errors import ConfigError

    try:
        with DefaultScope.overwrite_default_scope("mmdet"):
            DATASETS.build(with_lake(dataset, places))
    except ConfigError as error:
        if key in str(error):
            return f"refused by its key: {key}"
        raise
    return f"{key} is not refused"


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:70]}"


def _sample(dataset: Any, index: int) -> Any:
    random.seed(index)
    np.random.seed(index)
    torch.manual_seed(index)
    return dataset[index]


def difference(ours: Any, stock: Any, place: str = "sample") -> str | None:
    """The first place where two samples differ.

    Addresses of images are not looked at; the ids of Pascal VOC's are texts.
    """
    if isinstance(stock, BaseDataElement):
        return difference({**_inside(ours)}, {**_inside(stock)}, place)
    if isinstance(stock, Mapping):
        if "bbox_label" in stock and "mask" not in ours:  # which `CocoDataset` has where nobody loads it, too
            stock = {key: value for key, value in stock.items() if key != "mask"}
        if set(ours) != set(stock):
            return f"{place}: keys {sorted(set(ours) ^ set(stock))}"
        if "img_id" in stock:
            ours, stock = ({**one, "img_id": str(one["img_id"])} for one in (ours, stock))
        pairs = [(f"{place}.{key}", ours[key], stock[key]) for key in stock if key not in _ADDRESSES]
    elif isinstance(stock, (list, tuple)):
        if len(ours) != len(stock):
            return f"{place}: {len(ours)} and {len(stock)}"
        pairs = [(f"{place}[{n}]", *pair) for n, pair in enumerate(zip(ours, stock, strict=True))]
    else:
        return None if _equal(ours, stock) else f"{place}: {ours} and {stock}"
    return next((found for name, one, two in pairs if (found := difference(one, two, name))), None)


_ADDRESSES = ("img_path", "seg_map_path")


def _inside(element: Any) -> dict[str, Any]:
    return dict([*element.items(), *element.metainfo_items()])


def _equal(ours: Any, stock: Any) -> bool:
    if type(ours) is not type(stock):
        return False
    if hasattr(stock, "to_ndarray"):  # masks
        return np.array_equal(ours.to_ndarray(), stock.to_ndarray())
    value = stock.tensor if hasattr(stock, "tensor") else stock
    if isinstance(value, torch.Tensor):
        return torch.equal(ours.tensor if hasattr(ours, "tensor") else ours, value)
    return np.array_equal(ours, stock) if isinstance(stock, np.ndarray) else bool(ours == stock)


def _draw(folder: Path) -> None:
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number, (width, height) in enumerate(SIZES):
        coarse = generator.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
        cv2.imwrite(str(folder / f"{number}.jpg"), cv2.resize(coarse, (width, height)))


def _boxes(classes: int) -> Iterator[tuple[int, list[float], int, bool]]:
    """Number of the image, left, top, width and height, class, and whether it is a crowd."""
    generator = np.random.default_rng(1)
    for number, (width, height) in enumerate(SIZES[:-1]):
        for one in range(3):
            size = generator.integers(10, (width, height)) if one else np.array([width, height]) * 3 // 4
            left, top = (
                generator.integers(0, limit - part + 1)
                for limit, part in zip((width, height), size, strict=True)
            )
            box = [float(left), float(top), *map(float, size)]
            yield number, box, int(generator.integers(classes)), one == 2 and number == 1


def _as_coco(place: Path, classes: tuple[str, ...]) -> Files:
    images = place / "images"
    _draw(images)
    records = []
    for one, (number, (left, top, width, height), label, crowd) in enumerate(_boxes(len(classes))):
        right, bottom = left + width, top + height
        polygon = [left, top, right, top, right, bottom, left, (top + bottom) / 2]
        segmentation: Any = [polygon]
        if crowd:
            full = coco_mask.frPyObjects([polygon], SIZES[number][1], SIZES[number][0])[0]
            pixels = coco_mask.decode(full).ravel("F")
            edges = np.flatnonzero(np.diff(pixels)) + 1
            runs = np.diff([0, *edges.tolist(), pixels.size]).tolist()
            segmentation = {
                "size": [SIZES[number][1], SIZES[number][0]],
                "counts": [0, *runs] if pixels[0] else runs,
            }
        records.append(
            {
                "id": one + 1,
                "image_id": number + 10,
                "bbox": [left, top, width, height],
                "iscrowd": int(crowd),
            }
            | {"category_id": label + 1, "area": width * height * 0.75, "segmentation": segmentation}
        )
    content = {
        "images": [
            {"id": number + 10, "file_name": f"{number}.jpg", "width": width, "height": height}
            for number, (width, height) in enumerate(SIZES)
        ],
        "annotations": records,
        "categories": [{"id": number + 1, "name": name} for number, name in enumerate(classes)],
    }
    file = place / "annotations.json"
    file.write_text(json.dumps(content))
    import_coco(file, place / "lake", images=images, progress=False)
    return Files(place / "lake", file, images)


def _as_voc(place: Path, classes: tuple[str, ...]) -> Files:
    root = place / "voc"
    for folder in ("Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    _draw(root / "JPEGImages")
    objects: dict[int, str] = dict.fromkeys(range(len(SIZES)), "")
    for number, (left, top, width, height), label, hard in _boxes(len(classes)):
        corners = (left + 1, top + 1, left + width, top + height)
        box = "".join(
            f"<{n}>{v:.0f}</{n}>" for n, v in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
        )
        text = f"<name>{classes[label]}</name><difficult>{int(hard)}</difficult><bndbox>{box}</bndbox>"
        objects[number] += f"<object>{text}</object>"
    for number, text in objects.items():
        width, height = SIZES[number]
        size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
        head = f"<annotation><filename>{number}.jpg</filename>{size}"
        (root / "Annotations" / f"{number}.xml").write_text(f"{head}{text}</annotation>")
    split = root / "ImageSets/Main/train.txt"
    split.write_text("".join(f"{number}\n" for number in range(len(SIZES))))
    import_voc(root, place / "lake", split="train", classes=list(classes), progress=False)
    return Files(place / "lake", split, root)


def sweep(chosen: Sequence[str], folder: Path) -> list[tuple[str, str, str]]:
    """Name, split and outcome of every dataset; equal ones are tried once."""
    register_all_modules(init_default_scope=False)
    places, known, found = Places(folder), {}, []
    for name in chosen:
        for split, dataset in datasets(name):
            bare = replaced(dataset, lambda leaf: {k: v for k, v in leaf.items() if k not in FILES[:3]})
            key = json.dumps(bare, default=str)
            if key not in known:
                known[key] = outcome(dataset, places)
            found.append((name, split, known[key]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="configs whose name holds this text")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    silence = contextlib.redirect_stdout(io.StringIO())  # pycocotools prints
    with tempfile.TemporaryDirectory() as folder, silence:
        found = sweep([name for name in names() if options.only in name], Path(folder))
    counts = Counter(result for _, _, result in found)
    print(f"{len(found)} datasets")
    for result, count in counts.most_common():
        first = next(f"{name} {split}" for name, split, one in found if one == result)
        print(f"  {count:5} {result}" + ("" if result == EQUAL else f", e.g. {first}"))
    sys.exit(any("differ" in result or "samples" in result for result in counts))


if __name__ == "__main__":
    main()
