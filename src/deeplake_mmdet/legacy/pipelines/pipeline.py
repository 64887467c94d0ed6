"""Whole pipelines: load, transform, pack; test-time augmentation; proposals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deeplake_mmdet.legacy.kinds import is_number
from deeplake_mmdet.legacy.notes import Notebook
from deeplake_mmdet.legacy.pipelines.facts import Facts, Step
from deeplake_mmdet.legacy.pipelines.transforms import convert_step, kinds_of

__all__ = ["Pipeline", "convert_pipeline"]

_META = {"filename": "img_path", "ori_filename": "img_path", "pad_shape": None, "img_norm_cfg": None}
_DEFAULT_META = (
    *("filename", "ori_filename", "ori_shape", "img_shape", "pad_shape", "scale_factor", "flip"),
    *("flip_direction", "img_norm_cfg"),
)
_TEST_META = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")
_KNOWN_KEYS = (
    "img",
    "gt_bboxes",
    "gt_labels",
    "gt_masks",
    "gt_semantic_seg",
    "proposals",
    "gt_bboxes_ignore",
)
_GEOMETRY = ("Resize", "RandomResize", "RandomChoiceResize", "RandomFlip")


@dataclass
class Pipeline:
    """A converted pipeline.

    Attributes:
        steps: Its 3.x transforms.
        facts: What it says about things that 3.x keeps elsewhere.
        tta: The pipeline with test-time augmentation, if the 2.x one had any.
    """

    steps: list[Step]
    facts: Facts
    tta: list[Step] | None = None


def convert_pipeline(
    steps: Sequence[Mapping[str, Any]],
    key: str,
    notes: Notebook,
    *,
    train: bool,
    annotations: Sequence[Step] = (),
    extra_meta: tuple[str, ...] = (),
    whole: bool = True,
    lake: bool = False,
) -> Pipeline:
    """Convert a pipeline.

    Args:
        steps: The 2.x transforms.
        key: Dotted path of the pipeline.
        notes: Where remarks go.
        train: Whether it is for training.
        annotations: What loads the annotations of a test pipeline.
        extra_meta: Keys that the metric needs besides.
        whole: False for the loading part of a dataset that a wrapper goes on with.
        lake: Whether the samples come out of a lake; the old integration loaded them by itself, so that a
            pipeline might leave that out.
    """
    facts = Facts(train=train)
    body: list[Step] = []
    tail: list[Step] | None = None
    tta: _Augmented | None = None
    flat = _flat(steps)
    outside = () if whole else ("MultiImageMixDataset",)  # whose own steps come behind these
    for number, step in enumerate(flat):
        place = f"{key}[{number}]"
        facts.ahead = (*kinds_of(flat[number + 1 :]), *outside)
        kind = str(step.get("type", "")).removeprefix("mmdet.")
        if kind == "Collect":
            tail = [_pack(step, place, notes, train, extra_meta)]
        elif kind == "MultiScaleFlipAug":
            tta = _Augmented(step, place, notes)
            for inner_number, inner in enumerate(tta.inner):
                inner_place = f"{place}.transforms[{inner_number}]"
                if inner.get("type") == "Collect":
                    tail = [_pack(inner, inner_place, notes, train, extra_meta)]
                elif inner.get("type") != "RandomFlip":
                    body += convert_step(inner, inner_place, facts, notes)
                elif inner.get("flip_ratio") is not None:
                    why = "MultiScaleFlipAug decides about flips, in 2.x too"
                    notes.info(f"{inner_place}.flip_ratio", "left out", why, old=inner["flip_ratio"])
        else:
            body += convert_step(step, place, facts, notes)
    if lake and whole:
        body = _with_loading(body, facts, key, notes, masks=_collects(steps, "gt_masks"))
    if whole and tail is None and not any(step.get("type") == "PackDetInputs" for step in body):
        tail = [_pack({}, key, notes, train, extra_meta)]
        notes.info(key, "PackDetInputs is added", "every 3.x pipeline ends with it")
    annotations = () if train or facts.proposals or "LoadAnnotations" in facts.seen else annotations
    if facts.proposals:
        body = _broadcast(body)
    if (
        tail
        and not train
        and not any(step.get("type") in ("Resize", *_GEOMETRY, "ProposalBroadcaster") for step in body)
    ):
        meta = tuple(name for name in tail[0].get("meta_keys", _TEST_META) if name != "scale_factor")
        tail = [{**tail[0], "meta_keys": meta}]  # nothing sets it
    ending = [*annotations, *(tail or [])]
    plain = Pipeline([*body, *map(dict, ending)], facts)
    if tta is not None and tta.augments:
        plain.tta = tta.pipeline(body, ending)
    return plain


def _flat(steps: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for step in steps:
        found += _flat(step["transforms"]) if step.get("type") == "Compose" else [step]
    return found


def _collects(steps: Sequence[Mapping[str, Any]], name: str) -> bool:
    return any(step.get("type") == "Collect" and name in step.get("keys", ()) for step in _flat(steps))


def _with_loading(body: list[Step], facts: Facts, key: str, notes: Notebook, *, masks: bool) -> list[Step]:
    kinds = [step.get("type") for step in body]
    missing: list[Step] = []
    if not any(str(kind).startswith(("LoadImage", "LoadMulti")) for kind in kinds):
        missing.append({"type": "LoadImageFromFile"})
    if facts.train and not any(
        str(kind).endswith("Annotations") and str(kind).startswith("Load") for kind in kinds
    ):
        missing.append(
            {"type": "LoadAnnotations", "with_bbox": True, **({"with_mask": True} if masks else {})}
        )
        facts.masks = masks
    if missing:
        names = [step["type"] for step in missing]
        notes.info(
            key, f"{' and '.join(names)} added", "the old integration loaded images and boxes by itself"
        )
    first = 1 if missing and missing[0]["type"] == "LoadAnnotations" else 0
    return [*body[:first], *missing, *body[first:]]


def _pack(
    collect: Mapping[str, Any], key: str, notes: Notebook, train: bool, extra_meta: tuple[str, ...]
) -> Step:
    for name in collect.get("keys", ()):
        if name not in _KNOWN_KEYS:
            notes.dropped(f"{key}.keys", "dropped", "PackDetInputs packs what it knows only", old=name)
    _note_others(collect, ("type", "keys", "meta_keys", "meta_name"), key, notes)
    old = tuple(collect.get("meta_keys", _DEFAULT_META))
    if old == _DEFAULT_META:
        return (
            {"type": "PackDetInputs"}
            if train
            else {"type": "PackDetInputs", "meta_keys": (*_TEST_META, *extra_meta)}
        )
    names = ["img_id"]
    for name in old:
        new = _META.get(name, name)
        if new and new not in names and not (not train and new in ("flip", "flip_direction")):
            names.append(new)
    return {"type": "PackDetInputs", "meta_keys": (*names, *extra_meta)}


def _note_others(step: Mapping[str, Any], known: tuple[str, ...], key: str, notes: Notebook) -> None:
    for name in step:
        if name not in known:
            notes.dropped(
                f"{key}.{name}", "dropped", f"{step.get('type')} has no such argument", old=step[name]
            )


def _broadcast(body: list[Step]) -> list[Step]:
    """Resize and flip proposals together with everything else."""
    found: list[Step] = []
    for step in body:
        if step.get("type") not in _GEOMETRY:
            found.append(step)
        elif found and found[-1].get("type") == "ProposalBroadcaster":
            found[-1]["transforms"].append(step)
        else:
            found.append({"type": "ProposalBroadcaster", "transforms": [step]})
    return found


class _Augmented:
    """A MultiScaleFlipAug: what of it one plain pass does, and the rest as test-time augmentation."""

    def __init__(self, step: Mapping[str, Any], key: str, notes: Notebook) -> None:
        known = ("type", "transforms", "img_scale", "scale_factor", "flip", "flip_direction")
        _note_others(step, known, key, notes)
        scales = step.get("img_scale")
        self.scales = [scales] if isinstance(scales, tuple) or (scales and is_number(scales[0])) else scales
        factor = step.get("scale_factor")
        self.factors = [factor] if isinstance(factor, (int, float)) else factor
        self.flip = bool(step.get("flip"))
        directions = step.get("flip_direction", "horizontal")
        self.directions = [directions] if isinstance(directions, str) else list(directions)
        resizes = self.scales or self.factors or [None]
        self.augments = self.flip or len(resizes) > 1
        if self.augments:
            notes.approximated(
                key,
                "validation looks at each image once; tta_pipeline and tta_model look at all versions",
                "3.x keeps test-time augmentation apart: `test --tta`, here and in MMDetection, does it",
                old={"img_scale": self.scales, "scale_factor": self.factors, "flip": self.flip},
            )
        first = (
            {"img_scale": tuple(self.scales[0])}
            if self.scales
            else {"scale_factor": (self.factors or [1])[0]}
        )
        self.inner = [
            {**inner, **first} if inner.get("type") == "Resize" else inner
            for inner in _flat(step["transforms"])
        ]

    def pipeline(self, body: Sequence[Step], ending: Sequence[Step]) -> list[Step]:
        """``tta_pipeline``: every resize with every flip."""
        load = [step for step in body if str(step.get("type")).startswith("Load")]
        rest = [step for step in body if step not in load]
        groups: list[list[Step]] = []
        flips = self._flips()
        for step in rest:
            if step.get("type") == "RandomCenterCropPad" and flips:
                groups.append(flips)  # its border must be that of the flipped image
                flips = []
            groups.append(self._sizes(step) if step.get("type") == "Resize" else [step])
        if flips:
            groups.append(flips)
        groups += [[dict(step)] for step in ending]
        pack = groups[-1][0]
        meta = [name for name in pack.get("meta_keys", _TEST_META) if name not in ("flip", "flip_direction")]
        groups[-1] = [{**pack, "meta_keys": (*meta, "flip", "flip_direction")}]
        return [*load, {"type": "TestTimeAug", "transforms": groups}]

    def _sizes(self, step: Step) -> list[Step]:
        if self.scales:
            return [{**step, "scale": tuple(scale)} for scale in self.scales]
        return [{**step, "scale_factor": factor} for factor in self.factors or [1.0]]

    def _flips(self) -> list[Step]:
        if not self.flip:
            return []
        return [
            *({"type": "RandomFlip", "prob": 1.0, "direction": name} for name in self.directions),
            {"type": "RandomFlip", "prob": 0.0},
        ]
