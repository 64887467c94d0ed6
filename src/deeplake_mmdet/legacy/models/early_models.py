"""Names of early MMDetection 2.x, which its later versions still took: what they became by 2.28."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy.kinds import DICT, NUMBERS, PAIR, WHOLE, must_be
from deeplake_mmdet.legacy.models.early_detr import early_matcher
from deeplake_mmdet.legacy.notes import Notebook

__all__ = ["Around", "early_names", "early_ssd"]

Part = dict[str, Any]

_PYRAMIDS = ("FPN", "PAFPN", "RFP")
_ROI_LAYER = {"out_size": "output_size", "sample_num": "sampling_ratio"}
# What SSDVGG did by its input_size until 2.14, and SSDNeck does since.
_SSD_NECKS: dict[int, Part] = {
    300: {"level_strides": (2, 2, 1, 1), "level_paddings": (1, 1, 0, 0)},
    512: {"level_strides": (2, 2, 2, 2, 1), "level_paddings": (1,) * 5, "last_kernel_size": 4},
}
_WIDTHS = {300: (512, 1024, 512, 256, 256, 256), 512: (512, 1024, 512, 256, 256, 256, 256)}


@dataclass(frozen=True)
class Around:
    """What of a whole model decides how its parts are read.

    Attributes:
        guided: Its proposals come from guided anchors, which read more settings.
        stock: It has a 3.x base: old names are those of its child, and win over the base's new ones.
    """

    guided: bool = False
    stock: bool = False


def early_names(node: Part, key: str, notes: Notebook, around: Around) -> Part:
    """Rename settings of early 2.x in one dict of a model, ``train_cfg`` or ``test_cfg``.

    Args:
        node: The dict; the dicts that it holds have been renamed before.
        key: Its dotted path.
        notes: Where remarks go.
        around: What decides how it is read.

    Raises:
        ConfigError: It has an old and a new name with different values.
    """
    name = key.rpartition(".")[2]
    if node.get("type") in _PYRAMIDS and "extra_convs_on_inputs" in node:
        node = _pyramid(node, key, notes)
    kind = str(node.get("type"))
    if kind == "HungarianAssigner":
        node = early_matcher(node, key, notes)
    if kind == "PanopticFPNHead":
        node = _semantic_head(node, key, notes)
    if kind.endswith("Head") and "background_label" in node:
        node = _without_background(node, key, notes)
    if kind == "HourglassNet" or kind.endswith("RoIHead"):
        node = {part: value for part, value in node.items() if (part, value) != ("pretrained", None)}
    if name == "roi_layer":
        node = _renamed(node, _ROI_LAYER, key, notes, around)
    if name == "nms":
        node = _renamed(node, {"iou_thr": "iou_threshold"}, key, notes, around)
    if {"nms_thr", "max_num", "nms_across_levels"} & set(node):
        node = _proposals(node, key, notes, around)
    return node


def _renamed(node: Part, names: Mapping[str, str], key: str, notes: Notebook, around: Around) -> Part:
    new = dict(node)
    for old, now in names.items():
        if old not in new:
            continue
        value = new.pop(old)
        if around.stock:
            new[now] = value
        if new.setdefault(now, value) != value:
            raise ConfigError(
                f"{old} and {now} mean the same and have different values",
                where=f"config keys '{key}.{old}', '{key}.{now}'",
                advice=f"keep {now}",
            )
        notes.info(f"{key}.{old}", f"becomes {now}", "its name since early 2.x", old=value)
    return new


def _pyramid(node: Part, key: str, notes: Notebook) -> Part:
    new = dict(node)
    on_inputs = new.pop("extra_convs_on_inputs")
    if new.get("add_extra_convs") is True:
        new["add_extra_convs"] = "on_input" if on_inputs else "on_output"
    notes.info(
        f"{key}.extra_convs_on_inputs",
        "becomes part of add_extra_convs",
        "its name since early 2.x",
        old=on_inputs,
        new=new.get("add_extra_convs"),
    )
    return new


def _without_background(node: Part, key: str, notes: Notebook) -> Part:
    """Until 2.3 heads could be told which label is the background."""
    new = dict(node)
    label = new.pop("background_label")
    where = f"{key}.background_label"
    if label in (None, new.get("num_classes")):
        notes.info(where, "left out", "the background always is the last label", old=label)
    else:
        notes.dropped(where, "dropped", "in 3.x the background is the last label", old=label)
    return new


def _semantic_head(node: Part, key: str, notes: Notebook) -> Part:
    """Ranges of classes, for which 2.18 and later took their numbers already."""
    new = dict(node)
    ranges = {name: new.pop(name) for name in ("fg_range", "bg_range") if name in new}
    if len(ranges) == 2 and all(ranges.values()):  # one alone was not read
        for part, value in ranges.items():
            must_be(PAIR, value, f"{key}.{part}")
        names = ("num_things_classes", "num_stuff_classes")
        new |= {name: last - first + 1 for name, (first, last) in zip(names, ranges.values(), strict=True)}
    if ranges:
        notes.info(
            f"{key}.{', '.join(ranges)}", "become numbers of classes", "so they say it now", old=ranges
        )
    if (count := new.pop("num_classes", None)) is not None:
        notes.info(f"{key}.num_classes", "left out", "it is num_stuff_classes + 1", old=count)
    return new


def _proposals(node: Part, key: str, notes: Notebook, around: Around) -> Part:
    """Settings of an RPN; only guided anchors have read ``nms_post`` in all of 2.x."""
    new = _renamed(node, {"max_num": "max_per_img"}, key, notes, around)
    if "nms_thr" in new:
        threshold = new.pop("nms_thr")
        nms = new.setdefault("nms", {"type": "nms", "iou_threshold": threshold})
        if around.stock:
            must_be(DICT, nms, f"{key}.nms")
            nms = new["nms"] = {**nms, "iou_threshold": threshold}
        if isinstance(nms, Mapping) and nms.get("iou_threshold", threshold) != threshold:
            raise ConfigError(
                "nms_thr and nms.iou_threshold mean the same and have different values",
                where=f"config keys '{key}.nms_thr', '{key}.nms'",
                advice="keep nms",
            )
        notes.info(f"{key}.nms_thr", "becomes nms", "its name since early 2.x", old=threshold, new=new["nms"])
    if around.guided:
        return new
    if new.pop("nms_across_levels", False):
        why = "MMDetection 2.x suppressed boxes level by level, and 3.x does"
        notes.dropped(f"{key}.nms_across_levels", "dropped", why, old=True)
    if "nms_post" in new:
        count = new.pop("nms_post")
        kept = new.setdefault("max_per_img", count)
        if kept != count:
            why = "max_num counts; 2.x read nms_post in its first versions only"
            notes.approximated(f"{key}.nms_post", "left out", why, old=count, new=kept)
    return new


def early_ssd(model: Part, key: str, notes: Notebook) -> Part:
    """Give an SSD of before 2.14 an ``SSDNeck``, whose layers were part of its backbone then.

    Args:
        model: The whole model; not changed. One that is no SSD comes back as it is.
        key: Its dotted path.
        notes: Where remarks go.

    Raises:
        ConfigError: Its input size is neither 300 nor 512.
    """
    backbone, head = model.get("backbone"), model.get("bbox_head")
    if not isinstance(backbone, Mapping) or backbone.get("type") != "SSDVGG":
        return model
    new = dict(backbone)
    size, scale = new.pop("input_size", None), new.pop("l2_norm_scale", None)
    model = {**model, "backbone": new}
    if model.get("neck") is not None or not isinstance(head, Mapping):
        return model
    generator = head.get("anchor_generator")
    size = size or (generator.get("input_size") if isinstance(generator, Mapping) else None) or 300
    must_be(WHOLE, size, f"{key}.backbone.input_size")
    if size not in _SSD_NECKS:
        raise ConfigError(
            f"No neck is known for an SSD of size {size}",
            where=f"config key '{key}.backbone.input_size'",
            advice="use 300 or 512, as MMDetection 2.x asked for, or write the SSDNeck",
        )
    widths = head.get("in_channels", _WIDTHS[size])
    must_be(NUMBERS, widths, f"{key}.bbox_head.in_channels")
    widths = tuple(widths)
    neck: Part = {"type": "SSDNeck", "in_channels": widths[:2], "out_channels": widths, **_SSD_NECKS[size]}
    neck["l2_norm_scale"] = 20 if scale is None else scale
    notes.info(
        f"{key}.neck",
        "an SSDNeck is added",
        "until 2.14 its layers were part of SSDVGG; weights of that time need MMDetection 2.x's "
        "tools/model_converters/upgrade_ssd_version.py first",
        new=neck,
    )
    ordered = {name: value for name, value in model.items() if name != "neck"}
    position = list(ordered).index("backbone") + 1
    parts = list(ordered.items())
    return dict([*parts[:position], ("neck", neck), *parts[position:]])
