"""What a run tells of each row beside its predictions: the loss, and an embedding of the image."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from numpy.typing import NDArray
from pycocotools import mask
from torch import Tensor, nn

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.evaluation.rle import compress
from deeplake_mmdet.lake import LakeView, parse_uri
from deeplake_mmdet.training.mask_check import predicts_masks

__all__ = ["Extras"]


class Extras:
    """Measures batches that the model has just predicted on.

    Args:
        model: The detector; a hook is put on its backbone if embeddings are wanted.
        view: The lake whose truth the loss is taken of.
        loss: Whether to give ``loss``: the sum of the model's losses for the image alone, in evaluation mode,
            with all boxes of the row that are no crowds, for models with masks those that have one; rows
            without any have none. What torch draws for it at random is the same each time.
        embed: Whether to give ``embedding``: the mean over the backbone's last map, without what the batch
            was padded by, shape (channels,).

    Raises:
        ConfigError: The model has no backbone; or ``loss`` is wanted of a model that learns from masks and
            the lake has none, or that learns from semantic maps.
    """

    def __init__(self, model: Any, view: LakeView | None, *, loss: bool, embed: bool) -> None:
        self._model = getattr(model, "module", model)
        self._view, self._loss, self._embed = view, loss and view is not None, embed
        self._maps: list[Tensor] = []
        self._handle: Any = None
        self._with_masks = False
        if self._loss:
            self._with_masks = bool(predicts_masks(self._model))
            _check_truth(self._model, self._view, self._with_masks)
        if embed:
            backbone = getattr(self._model, "backbone", None)
            if not isinstance(backbone, nn.Module):
                raise ConfigError(
                    "The model has no backbone whose map could be an embedding",
                    where="argument embed (--embed)",
                    advice="leave it out; detectors under test-time augmentation have none either",
                )
            self._handle = backbone.register_forward_hook(self._keep)

    def of_batch(self, data: dict[str, Any], samples: Sequence[Any]) -> list[dict[str, Any]]:
        """What is known of each image of a batch.

        Args:
            data: The batch as the loader gave it.
            samples: As the model returned them.

        Returns:
            For each sample a dict with what was asked for.
        """
        found: list[dict[str, Any]] = [{} for _ in samples]
        if self._embed:
            maps = [plane for batch in self._maps for plane in batch]
            for one, plane, sample in zip(found, maps, samples, strict=True):
                one["embedding"] = _mean_of(plane, sample.metainfo)
        if self._loss:  # which calls the backbone again
            for one, loss in zip(found, self._losses(data, samples), strict=True):
                if loss is not None:
                    one["loss"] = loss
        self._maps.clear()
        return found

    def close(self) -> None:
        """Take the hook off."""
        if self._handle is not None:
            self._handle.remove()

    def _keep(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._maps.append((output[-1] if isinstance(output, (list, tuple)) else output).detach())

    def _losses(self, data: dict[str, Any], samples: Sequence[Any]) -> Iterator[float | None]:
        assert self._view is not None
        rows = [parse_uri(sample.img_path)[2] for sample in samples]
        cells = self._view.mask_cells(rows) if self._with_masks else [None] * len(rows)
        for place, (row, cell) in enumerate(zip(rows, cells, strict=True)):
            with torch.random.fork_rng(_devices(self._model)):
                torch.manual_seed(row)
                yield self._loss_of(data["inputs"][place], data["data_samples"][place], row, cell)

    def _loss_of(self, image: Tensor, asked: Any, row: int, cell: Any) -> float | None:
        view = self._view
        assert view is not None
        span = view.table.span(row)
        labels = np.asarray(view.labels[span], np.int64)
        kept = labels >= 0
        if view.table.iscrowd is not None:
            kept &= ~np.asarray(view.table.iscrowd[span], bool)
        sides = int(view.table.heights[row]), int(view.table.widths[row])
        masks = _dense(view.segmentations(row, cell), kept, sides) if self._with_masks else None
        if not kept.any():
            return None
        sample = copy.deepcopy(asked)
        scale = tuple(sample.metainfo.get("scale_factor", (1.0, 1.0)))
        boxes = torch.as_tensor(view.table.xyxy(row), dtype=torch.float32) * torch.tensor(scale * 2)
        sample.gt_instances = InstanceData(
            bboxes=boxes[torch.from_numpy(kept)], labels=torch.from_numpy(labels[kept])
        )
        sample.ignored_instances = InstanceData(bboxes=boxes[:0], labels=torch.zeros(0, dtype=torch.int64))
        batch = {"inputs": [image], "data_samples": [sample]}
        batch = self._model.data_preprocessor(batch, False)
        if masks is not None:  # as Resize and the preprocessor of a training leave them
            (ready,) = batch["data_samples"]
            resized = masks.resize((round(sides[0] * scale[1]), round(sides[1] * scale[0])))
            ready.gt_instances.masks = resized.pad(ready.batch_input_shape)
        losses = self._model(**batch, mode="loss")
        return float(self._model.parse_losses(losses)[0])


def _dense(segmentations: Sequence[Any], kept: NDArray[np.bool_], size: tuple[int, int]) -> Any:
    """The masks of the objects that are kept; those without one are no longer, in place."""
    planes = []
    for place in np.flatnonzero(kept).tolist():
        try:
            counts = compress(segmentations[place], *size)
        except (ValueError, KeyError, TypeError):
            kept[place] = False
            continue
        planes.append(mask.decode({"size": list(size), "counts": counts}))
    return BitmapMasks(planes, *size)


def _devices(model: Any) -> list[int]:
    """The GPU whose random numbers the model draws."""
    device = next(model.parameters()).device
    return [device.index] if device.type == "cuda" else []


def _check_truth(model: Any, view: LakeView | None, with_masks: bool) -> None:
    head = getattr(model, "roi_head", model)
    if getattr(head, "with_semantic", False) or getattr(model, "semantic_head", None) is not None:
        raise ConfigError(
            "The loss of a model that learns from semantic maps cannot be written back: a lake has none",
            where="argument loss (--loss)",
            advice="leave it out: AP50 and disagreement rank rows, too",
        )
    if with_masks and view is not None and view.roles.gt_masks is None:
        raise ConfigError(
            "The model's loss is also that of its masks, and the lake has none",
            where=f"argument loss (--loss), lake {view.source.url}",
            advice="leave it out, or import the lake with segmentations",
        )


def _mean_of(plane: Tensor, metainfo: Mapping[str, Any]) -> Any:
    """Mean of a (channels, height, width) map over the cells that the image itself reaches."""
    own, whole = metainfo.get("img_shape"), metainfo.get("batch_input_shape")
    if own is not None and whole is not None:
        height, width = (
            max(math.ceil(cells * side / padded), 1)
            for cells, side, padded in zip(plane.shape[1:], own, whole, strict=False)
        )
        plane = plane[:, :height, :width]
    return plane.float().mean((1, 2)).cpu().numpy()
