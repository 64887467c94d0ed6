"""What the raw 2.x and 3.x files say where a converted config differs; no test of its own.

Nothing here goes through the conversion: both values are read from the files, in one form. Where they differ,
MMDetection's authors changed the value, and a conversion that keeps what the 2.x file says has to differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Raw = Mapping[str, Any]
Value = list[Any]  # name of the setting, its value in the 2.x file, and in the 3.x file

# Steps without a 3.x equal of their own, and what collects the result; 3.x does their work in the model.
_BOOKKEEPING = (
    *("Normalize", "DefaultFormatBundle", "ImageToTensor", "Collect", "SegRescale", "PackDetInputs"),
    *("ToTensor", "ToDataContainer"),
)
_LOADED = ("LoadAnnotations", "LoadPanopticAnnotations")
_ONE_NAME = {"RandomResize": "Resize", "RandomChoiceResize": "Resize", "AutoAugment": "RandomChoice"}
# Argument: the steps that have it, its default in 2.x and in 3.x.
ARGUMENTS = {
    "to_float32": (("LoadImageFromFile",), False, False),
    "poly2mask": (("LoadAnnotations",), True, True),
    "with_mask": (("LoadAnnotations",), False, False),
    "num_max_proposals": (("LoadProposals",), None, None),
    "crop_type": (("RandomCrop",), "absolute", "absolute"),
    "allow_negative_crop": (("RandomCrop",), False, False),
    "keep_ratio": (("Resize",), True, False),
}


def raw_values(section: str, difference: str, old: Raw, new: Raw) -> list[Value]:
    """The settings behind a difference in which the raw files differ themselves; none if they agree.

    Args:
        section: As in `zoo_compare.SECTIONS`.
        difference: What the comparison of the converted config found there.
        old: Content of the 2.x file.
        new: Content of the official 3.x file.
    """
    read = _READERS.get(section)
    found = [] if read is None else [_plain(value) for value in read(difference, old, new)]
    return [value for value in found if value[1] != value[2]]


def _plain(node: Any) -> Any:
    """Lists for tuples, as JSON has them."""
    if isinstance(node, Mapping):
        return {name: _plain(value) for name, value in node.items()}
    return [_plain(item) for item in node] if isinstance(node, (list, tuple)) else node


def _at(node: Any, path: str) -> Any:
    for name in path.split("."):
        node = node.get(name) if isinstance(node, Mapping) else None
    return node


def _evaluator(_: str, old: Raw, new: Raw) -> Iterator[Value]:
    metric = _at(old, "evaluation.metric") or []
    evaluators = new["val_evaluator"]
    evaluators = list(evaluators) if isinstance(evaluators, (list, tuple)) else [evaluators]
    names: list[str] = []
    for evaluator in evaluators:
        given = evaluator.get("metric") or evaluator["type"]
        names += [given] if isinstance(given, str) else given
    yield ["metric", sorted([metric] if isinstance(metric, str) else metric), sorted(names)]


def _optimizer(difference: str, old: Raw, new: Raw) -> Iterator[Value]:
    wrapper, place = new["optim_wrapper"], difference.partition(":")[0]
    if place.startswith("optimizer."):
        yield [place, _at(old, place), _at(wrapper, place)]
    elif place == "clip_grad":
        yield [place, _at(old, "optimizer_config.grad_clip"), wrapper.get("clip_grad")]
    elif place == "loss_scale":
        yield [place, _at(old, "fp16.loss_scale"), wrapper.get("loss_scale", "dynamic")]
    elif not place:
        yield ["mixed precision", old.get("fp16") is not None, wrapper["type"] == "AmpOptimWrapper"]


def _schedule(_: str, old: Raw, new: Raw) -> Iterator[Value]:
    lr, runner, loop = old["lr_config"], old["runner"], new["train_cfg"]
    schedulers = new["param_scheduler"]
    times, new_times = _repeats(old["data"]["train"]), _repeats(new["train_dataloader"]["dataset"])
    if "max_epochs" in runner and "max_epochs" in loop:
        # 12 epochs of three passes each are 36 epochs: only their product counts.
        if runner["max_epochs"] * times != loop["max_epochs"] * new_times:
            yield ["max_epochs", runner["max_epochs"], loop["max_epochs"]]
            yield ["times", times, new_times]
    else:
        yield ["iterations", runner.get("max_iters"), loop.get("max_iters")]
    yield ["lr", old["optimizer"]["lr"], new["optim_wrapper"]["optimizer"]["lr"]]
    warm = next((item for item in schedulers if item.get("end") and not item.get("by_epoch", True)), {})
    if lr["policy"] == "YOLOX":
        cosine = next(item for item in schedulers if item["type"] == "CosineAnnealingLR")
        length = runner["max_epochs"] - lr["num_last_epochs"] - lr["warmup_iters"]
        yield ["epochs of half a cosine", length, cosine["T_max"]]
        return
    kinds = {"LinearLR": "linear", "ConstantLR": "constant"}
    yield ["warmup", lr.get("warmup"), kinds.get(warm.get("type", ""))]
    yield ["warmup_iters", lr.get("warmup_iters"), warm.get("end")]
    yield ["warmup_ratio", lr.get("warmup_ratio"), warm.get("start_factor", warm.get("factor"))]
    steps = next((item for item in schedulers if item["type"] == "MultiStepLR"), None)
    if lr["policy"] == "step" and steps is not None:
        end = steps.get("end")
        in_time = [step for step in steps["milestones"] if end is None or step < end]
        yield ["milestones before the scheduler's end", lr["step"], in_time]


def _repeats(dataset: Any) -> int:
    if not isinstance(dataset, Mapping):
        return 1
    times = dataset["times"] if dataset.get("type") == "RepeatDataset" else 1
    return int(times) * _repeats(dataset.get("dataset"))


def _batch_size(_: str, old: Raw, new: Raw) -> Iterator[Value]:
    yield ["batch size", old["data"]["samples_per_gpu"], new["train_dataloader"]["batch_size"]]


def _pipeline(split: str) -> Callable[[str, Raw, Raw], Iterator[Value]]:
    def read(difference: str, old: Raw, new: Raw) -> Iterator[Value]:
        one = [step for _, step in placed_steps(old["data"][split])]
        two = [step for _, step in placed_steps(new[f"{split}_dataloader"]["dataset"])]
        name = re.sub(r"\[\d+\]", "", difference.partition(":")[0]).rpartition(".")[2]
        if name in ARGUMENTS:
            kinds, old_default, new_default = ARGUMENTS[name]
            yield [name, _values(one, kinds, name, old_default), _values(two, kinds, name, new_default)]
        elif name in ("scale", "scales"):
            yield ["scales", _scales(one), _scales(two)]
        elif name == "meta_keys" and split == "train":
            yield ["meta_keys", _at(one[-1], "meta_keys"), _at(two[-1], "meta_keys")]
        elif name == "meta_keys":
            level = "image_level_ann_file" in old["data"]["val"]
            packed = any("image_level_labels" in step.get("meta_keys", ()) for step in two)
            yield ["image-level labels are used", level, packed]
        elif not name:
            theirs = [kind for _, kind in kinds_of_steps(two, split)]
            augments = _at(new, "model.data_preprocessor.batch_augments") or ()
            if split == "train" and any(item["type"] == "BatchFixedSizePad" for item in augments):
                theirs.append("Pad after Normalize")
            yield ["steps", [kind for _, kind in kinds_of_steps(one, split)], theirs]
            # No 2.x test loads them in its pipeline; nearly all of 3.x do.
            if split == "val" and not any(step["type"] in _LOADED for step in two):
                yield ["the test pipeline loads annotations", None, False]

    return read


def placed_steps(dataset: Any, path: str = "") -> Iterator[tuple[str, Raw]]:
    """All steps of a dataset and of those that it wraps, innermost dataset first, with their paths.

    A resize inside test-time augmentation comes with the size that stands around it.
    """
    if isinstance(dataset, (list, tuple)):
        for part in dataset[:1]:
            yield from placed_steps(part, f"{path}[0]")
        return
    inner = "dataset" if "dataset" in dataset else "datasets"
    yield from placed_steps(dataset.get(inner, ()), f"{path}.{inner}")
    yield from _flat(dataset.get("pipeline", ()), f"{path}.pipeline")


def _flat(steps: Any, path: str) -> Iterator[tuple[str, Raw]]:
    for number, step in enumerate(steps):
        place = f"{path}[{number}]"
        if step["type"] in ("MultiScaleFlipAug", "ProposalBroadcaster"):
            size = {"img_scale": step["img_scale"]} if step.get("img_scale") else {}
            for there, inner in _flat(step["transforms"], f"{place}.transforms"):
                yield there, {**inner, **size} if inner["type"] == "Resize" else inner
        else:
            yield place, step


def kind_of_step(step: Raw) -> str:
    """The name that both versions' steps of this kind have here."""
    return _ONE_NAME.get(step["type"], step["type"])


def kinds_of_steps(steps: list[Raw], split: str) -> list[tuple[int, str]]:
    """Numbers and kinds of those steps that both versions have in their pipelines."""
    found, normalises = [], any(step["type"] == "Normalize" for step in steps)
    # In tests MultiScaleFlipAug decides about flips, and the dataset of 2.x loads the annotations.
    skipped = (*_BOOKKEEPING, *(("RandomFlip", *_LOADED) if split == "val" else ()))
    place = "before"
    for number, step in enumerate(steps):
        place = "after" if step["type"] == "Normalize" else place
        behind = [item["type"] for item in steps[number + 1 :] if item["type"] not in skipped]
        # The model does that in 3.x, but not before a step of the pipeline.
        to_multiple = step["type"] == "Pad" and "size_divisor" in step and not (split == "train" and behind)
        if not (step["type"] in skipped or to_multiple):
            pads = normalises and step["type"] == "Pad"
            found.append((number, f"Pad {place} Normalize" if pads else kind_of_step(step)))
    return found


def _values(steps: list[Raw], kinds: tuple[str, ...], name: str, default: Any) -> list[Any]:
    return [step.get(name, default) for step in steps if kind_of_step(step) in kinds]


def _scales(steps: list[Raw]) -> list[Any]:
    found = []
    for step in steps:
        if kind_of_step(step) == "Resize":
            scale = step.get("img_scale", step.get("scale", step.get("scales")))
            found.append(scale[0] if isinstance(scale, list) and len(scale) == 1 else scale)
    return found


def _model(difference: str, old: Raw, new: Raw) -> Iterator[Value]:
    yield ["model.type", _at(old, "model.type"), _at(new, "model.type")]
    path = difference.partition(":")[0]
    if re.fullmatch(r"model[.\w]+", path):
        yield [path, _at(old, path), _at(new, path)]


def _preprocessor(difference: str, old: Raw, new: Raw) -> Iterator[Value]:
    steps = [step for _, step in placed_steps(old["data"]["train"])]
    given = _at(new, "model.data_preprocessor") or {}
    norm = next((step for step in steps if step["type"] == "Normalize"), {})
    for name, theirs in (("mean", "mean"), ("std", "std"), ("to_rgb", "bgr_to_rgb")):
        if difference.startswith(theirs):
            yield [name, norm.get(name), given.get(theirs)]
    if "pad_mask" in difference:
        augments = given.get("batch_augments") or [{}]
        both = given.get("pad_mask", False) and augments[0].get("pad_mask", True)
        yield ["masks are padded", any(step["type"] == "Pad" for step in steps), both]
    if difference.startswith("pad_size_divisor"):
        divisors = [step["size_divisor"] for step in steps if "size_divisor" in step]
        yield ["size_divisor", max(divisors, default=1), given.get("pad_size_divisor", 1)]
    if difference.startswith("batch_augments:"):
        before = [step["type"] for step in steps].index("Pad") < [step["type"] for step in steps].index(
            "Normalize"
        )
        yield ["padding to a fixed size comes before normalising", before, False]


def _evaluator_options(_: str, old: Raw, new: Raw) -> Iterator[Value]:
    evaluator = new["val_evaluator"]
    if isinstance(evaluator, Mapping):
        yield ["val ann_file", _at(old, "data.val.ann_file"), evaluator.get("ann_file")]
        yield ["eval_mode", None, evaluator.get("eval_mode")]


_READERS: dict[str, Callable[[str, Raw, Raw], Iterator[Value]]] = {
    "evaluator": _evaluator,
    "evaluator_options": _evaluator_options,
    "optimizer": _optimizer,
    "schedule": _schedule,
    "batch_size": _batch_size,
    "train_pipeline": _pipeline("train"),
    "test_pipeline": _pipeline("val"),
    "model": _model,
    "parameters": _model,
    "preprocessor": _preprocessor,
}
