"""`ClassCheckHook`: the model's classes, and those of all datasets, are the same in the same order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake import name_difference
from deeplake_mmdet.loading import lakes_under
from deeplake_mmdet.registry import HOOKS
from deeplake_mmdet.training.resume.checkpoint_files import classes_in

__all__ = ["ClassCheckHook"]

_SPLITS = ("train", "val", "test")


@HOOKS.register_module()
class ClassCheckHook(Hook):
    """Stops before the first iteration if label i does not mean the same class everywhere.

    Compared are the heads' numbers of classes and the names of training, validation and test data, and, as
    soon as a checkpoint is loaded to be tested or resumed, its own names. Datasets that return their classes
    as a prompt are left alone: there labels belong to the prompt.

    All commands put this hook in, after they have put the classes of lakes in order where the names are the
    same; with MMDetection's own tools it belongs into ``custom_hooks``.
    """

    priority = "VERY_HIGH"

    def before_run(self, runner: Any) -> None:
        """Compare the heads and the datasets of the loops that are built by now.

        Raises:
            ConfigError: They differ.
        """
        model = getattr(runner.model, "module", runner.model)
        found = list(_classes_by_split(runner))
        for split, classes, _ in found:
            for name, module in model.named_modules():
                count = getattr(module, "num_classes", None)
                if _predicts_classes(name, module, model) and count != len(classes):
                    listed = ", ".join(map(str, classes[:5])) + (", ..." if len(classes) > 5 else "")
                    raise ConfigError(
                        f"The model predicts {count} classes, and the data of {split} has {len(classes)} "
                        f"({listed})",
                        where=f"config key 'model.{name}.num_classes'",
                        advice=f"set it to {len(classes)}, or select classes by metainfo=dict(classes=...)",
                    )
        for split, classes, of_lake in found[1:]:
            if of_lake or found[0][2]:
                _compare(found[0][1], classes, f"the data of {found[0][0]}", split)

    def after_load_checkpoint(self, runner: Any, checkpoint: Any) -> None:
        """Compare the checkpoint's classes with the data's.

        Raises:
            ConfigError: It is tested or resumed, and they differ.
        """
        names = classes_in(checkpoint) if isinstance(checkpoint, Mapping) else None
        if names is None:
            return
        finetunes = isinstance(runner._train_loop, BaseLoop) and not runner._resume
        for split, classes, of_lake in _classes_by_split(runner):
            if not of_lake:
                continue
            if not finetunes:
                _compare(names, classes, f"the checkpoint {runner._load_from}", split)
            elif classes != names and split == "train" and set(classes) == set(names):
                runner.logger.warning(
                    "The checkpoint has the data's classes in another order (%s): a head that is loaded with "
                    "it has to learn anew which is which. metainfo=dict(classes=...) of the training data "
                    "with the checkpoint's order spares that",
                    ", ".join(names),
                )
            elif classes != names and split == "train" and len(classes) == len(names):
                runner.logger.info("The checkpoint was trained on other classes: %s", ", ".join(names))


def _classes_by_split(runner: Any) -> Iterator[tuple[str, tuple[str, ...], bool]]:
    """The classes in the datasets of the loops that are built, and whether a lake has them; each once."""
    for split in _SPLITS:
        loop = getattr(runner, f"_{split}_loop")
        dataset = getattr(getattr(loop, "dataloader", None), "dataset", None)
        lakes = lakes_under(dataset) if dataset is not None else []
        seen = [tuple(lake.metainfo["classes"]) for lake in lakes if not lake.return_classes]
        for classes in dict.fromkeys(seen):
            yield split, classes, True
        meta = None if lakes else getattr(dataset, "metainfo", None)
        others = meta.get("classes") if isinstance(meta, Mapping) else None
        if isinstance(others, (list, tuple)):
            yield split, tuple(others), False


def _compare(names: Sequence[str], classes: Sequence[str], whose: str, split: str) -> None:
    if tuple(names) == tuple(classes):
        return
    difference = name_difference(names, classes)
    what = f"other classes than {whose}: {difference}"
    if not difference:
        what = f"its classes in another order than {whose}: {', '.join(classes)}, not {', '.join(names)}"
    raise ConfigError(
        f"The data of {split} has {what}",
        where=f"config key '{split}_dataloader.dataset'",
        advice=f"give its dataset metainfo=dict(classes={tuple(names)})",
    )


def _predicts_classes(name: str, module: Any, model: Any) -> bool:
    """Whether ``num_classes`` means the data's classes: MMDetection's own check forgets that RPN has none."""
    from mmcv.cnn import VGG
    from mmdet.models.detectors import RPN
    from mmdet.models.roi_heads.mask_heads import FusedSemanticHead

    has = isinstance(getattr(module, "num_classes", None), int) and "head" in name
    if isinstance(model, RPN):
        return False
    return has and not name.endswith("rpn_head") and not isinstance(module, VGG | FusedSemanticHead)
