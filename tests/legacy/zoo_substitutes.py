"""Which edits put values of an official 3.x config into its 2.x original; no test of its own.

Each difference between the raw files that `zoo_raw` names becomes edits at the paths that hold it. They are
made in the 2.x content, so that the conversion still has to convert them. Only where 2.x had no setting at
all are they made in the converted config.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import SequenceMatcher
from typing import Any

from zoo_edits import BASE, CONVERTED, Edit, changes
from zoo_raw import ARGUMENTS, Raw, Value, kind_of_step, kinds_of_steps, placed_steps

_PLACES = {
    "lr": "optimizer.lr",
    "warmup": "lr_config.warmup",
    "warmup_iters": "lr_config.warmup_iters",
    "warmup_ratio": "lr_config.warmup_ratio",
    "milestones before the scheduler's end": "lr_config.step",
    "max_epochs": "runner.max_epochs",
    "times": "data.train.times",
    "iterations": "runner.max_iters",
    "clip_grad": "optimizer_config.grad_clip",
    "loss_scale": "fp16.loss_scale",
    "batch size": "data.samples_per_gpu",
    "metric": "evaluation.metric",
}
_METRICS = {"CityScapesMetric": "cityscapes"}  # 2.x had names for what are classes in 3.x


def edits_for(
    section: str, value: Value, content: dict[str, Any], official: Raw, converted: dict[str, Any]
) -> list[Edit]:
    """What to change for one raw difference, in this order.

    Args:
        section: As in `zoo_compare.SECTIONS`.
        value: The setting's name with its values in the 2.x and the 3.x file.
        content: The 2.x config as it is so far.
        official: The 3.x config.
        converted: What the 2.x config is converted to.
    """
    name, _, new = value
    split = "train" if section == "train_pipeline" else "val"
    if name in _PLACES:
        new = [_METRICS.get(item, item) for item in new] if name == "metric" else new
        return changes(content, [(_PLACES[name], new)])
    if name.startswith("optimizer."):
        return changes(content, [(name, new)])
    if name in ARGUMENTS:
        paths = _paths_of(content, split, ARGUMENTS[name][0])
        return changes(content, [(f"{path}.{name}", item) for path, item in zip(paths, new, strict=True)])
    if name in _ONLY_IN_3X:
        return [
            edit._replace(path=CONVERTED + edit.path)
            for edit in _ONLY_IN_3X[name](new, content, official, converted)
        ]
    special = _SPECIAL.get(name)
    return special(split, new, content, official) if special else []


def _paths_of(content: dict[str, Any], split: str, kinds: tuple[str, ...]) -> list[str]:
    steps = placed_steps(content["data"][split], f"data.{split}")
    return [path for path, step in steps if kind_of_step(step) in kinds]


def _scales(split: str, new: list[Any], content: dict[str, Any], _: Raw) -> list[Edit]:
    # In tests the size stands around the step.
    paths = [path.partition(".transforms[")[0] for path in _paths_of(content, split, ("Resize",))]
    return changes(
        content,
        [(f"{path}.img_scale", _tuples(scale)) for path, scale in zip(paths, new, strict=True)],
    )


def _tuples(node: Any) -> Any:
    """Sizes as 2.x files write them: tuples, or lists of such."""
    return tuple(node) if isinstance(node[0], int) else [_tuples(item) for item in node]


def _steps(split: str, new: list[str], content: dict[str, Any], official: Raw) -> list[Edit]:
    """Steps that go or come, the last ones first, so that the paths of those before stay right."""
    placed = list(placed_steps(content["data"][split], f"data.{split}"))
    named = kinds_of_steps([step for _, step in placed], split)
    found: list[Edit] = []
    ways = SequenceMatcher(None, [kind for _, kind in named], new, autojunk=False).get_opcodes()
    for what, start, end, first, last in reversed(ways):
        coming = new[first:last] if what != "equal" else []
        for number, kind in reversed(named[start:end] if what != "equal" else []):
            path, step = placed[number]
            found.append(Edit(path, step, None))
            if (kind, coming) == ("Pad before Normalize", ["Pad after Normalize"]):
                found.append(_later(step, placed, official))
                coming = []
        for kind in reversed(coming):
            folder, _, number = placed[named[start - 1][0]][0].rpartition("[")
            place = f"{folder}[{int(number.removesuffix(']')) + 1}]"
            found.append(Edit(place, None, _as_in_2x(kind, split, official)))
    return found


def _later(pad: Raw, placed: list[tuple[str, Raw]], official: Raw) -> Edit:
    """The padding step behind the normalising one, with the values with which the official model pads."""
    theirs = official["model"]["data_preprocessor"]["batch_augments"][0]
    value = {**pad["pad_val"], "img": theirs["img_pad_value"], "masks": theirs["mask_pad_value"]}
    # The normalising step has moved one place up by then, so that its old place is the one behind it.
    place = next(path for path, step in placed if step["type"] == "Normalize")
    return Edit(place, None, {**pad, "pad_val": value})


def _as_in_2x(kind: str, split: str, official: Raw) -> dict[str, Any]:
    steps = placed_steps(official[f"{split}_dataloader"]["dataset"])
    step = next(step for _, step in steps if kind_of_step(step) == kind)
    assert set(step) == {"type", "prob"}, f"{step} has no 2.x form here"
    return {"type": kind, "flip_ratio": step["prob"]}


def _meta_keys(split: str, new: Any, content: dict[str, Any], _: Raw) -> list[Edit]:
    assert new is None, "3.x has other names for some of them"
    (path,) = _paths_of(content, split, ("Collect",))
    return changes(content, [(f"{path}.meta_keys", new)])


_SPECIAL: dict[str, Callable[[str, Any, dict[str, Any], Raw], list[Edit]]] = {
    "scales": _scales,
    "steps": _steps,
    "meta_keys": _meta_keys,
    "mixed precision": lambda _, __, content, ___: changes(content, [("fp16", None)]),
    "model.type": lambda *_: [
        Edit(BASE, "models/faster_rcnn_r50_fpn.py", "models/retinanet_r50_fpn.py"),
    ],
}


def _no_annotations(_: Any, __: Raw, ___: Raw, converted: dict[str, Any]) -> list[Edit]:
    path = "val_dataloader.dataset.pipeline"
    steps = converted["val_dataloader"]["dataset"]["pipeline"]
    return [
        Edit(f"{path}[{number}]", step, None)
        for number, step in enumerate(steps)
        if step["type"] == "LoadAnnotations"
    ]


def _packed(_: Any, __: Raw, official: Raw, converted: dict[str, Any]) -> list[Edit]:
    keys = official["val_dataloader"]["dataset"]["pipeline"][-1]["meta_keys"]
    return changes(converted, [("val_dataloader.dataset.pipeline[-1].meta_keys", keys)])


def _cosine(new: int, content: Raw, _: Raw, converted: dict[str, Any]) -> list[Edit]:
    """In 2.x the code's formula: half a cosine from the warm-up to the last epochs, one iteration ahead."""
    begin = content["lr_config"]["warmup_iters"]
    return changes(converted, [("param_scheduler[1].T_max", new), ("param_scheduler[1].begin", begin)])


# What no 2.x file can say.
_ONLY_IN_3X: dict[str, Callable[[Any, Raw, Raw, dict[str, Any]], list[Edit]]] = {
    "the test pipeline loads annotations": _no_annotations,
    "image-level labels are used": _packed,
    "epochs of half a cosine": _cosine,
}
