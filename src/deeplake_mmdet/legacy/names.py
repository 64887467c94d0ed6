"""The 3.x names of MMDetection's own 2.x config files."""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath

__all__ = ["counterpart", "similar"]

# Base models: words were joined by '_', and '_' parts a name's fields now.
_BASE_RULES = (
    (r"cascade_mask_rcnn_", "cascade-mask-rcnn_"),
    (r"(cascade|fast|faster|mask)_rcnn_", r"\1-rcnn_"),
    (r"_r50_caffe_(c4|dc5)", r"_r50-caffe-\1"),
)


def counterpart(path: str) -> str | None:
    """The 3.x name of an official 2.x config file.

    Args:
        path: Any path that ends as the file's does in MMDetection's ``configs`` folder, e.g.
            ``../mmdetection/configs/yolo/yolov3_d53_mstrain-416_273e_coco.py``.

    Returns:
        E.g. ``yolo/yolov3_d53_8xb8-ms-416-273e_coco.py``; None if MMDetection 3.x has no such config.
    """
    name = official_name(path)
    return _base_name(name) if name.startswith("_base_/") else _table().get(name)


def official_name(path: str) -> str:
    """The end of a path that names an official config: ``_base_/...``, or its folder and name.

    Args:
        path: Any path that ends as the file's does in MMDetection's ``configs`` folder.
    """
    parts = PurePosixPath(str(path).replace("\\", "/")).parts
    first = len(parts) - 1 - parts[::-1].index("_base_") if "_base_" in parts else max(len(parts) - 2, 0)
    return "/".join(parts[first:])


def similar(path: str, count: int = 3) -> list[str]:
    """Official 2.x config files whose names are most like this one's, the most similar first.

    Args:
        path: The file's path; its name alone counts.
        count: How many to return at most.

    Returns:
        Paths below MMDetection 2.x's ``configs`` folder.
    """
    name = PurePosixPath(str(path).replace("\\", "/")).name
    by_name = {known.rpartition("/")[2]: known for known in _table()}
    return [by_name[found] for found in get_close_matches(name, list(by_name), n=count, cutoff=0.6)]


def _base_name(path: str) -> str | None:
    if "ascend" in path:
        return None
    for old, new in _BASE_RULES:
        path = re.sub(old, new, path)
    return path


@cache
def _table() -> dict[str, str | None]:
    """``folder/old.py`` -> ``folder/new.py``; a new name without folder stays in the old one's."""
    text = files("deeplake_mmdet.legacy").joinpath("zoo_names.json").read_text(encoding="utf-8")
    table: dict[str, str | None] = {}
    for folder, names in json.loads(text).items():
        for old, new in names.items():
            place = new if new is None or "/" in new else f"{folder}/{new}"
            table[f"{folder}/{old}.py"] = None if place is None else f"{place}.py"
    return table
