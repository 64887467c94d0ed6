"""What a run tells of each row beside its predictions: the loss, and an embedding of the image."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.structures import InstanceData
from torch import Tensor, nn

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake import LakeView, parse_uri

__all__ = ["Extras"]


class Extras:
    """Measures batches that the model has just predicted on.

    Args:
        model: The detector; a hook is put on its backbone if embeddings are wanted.
        view: The lake whose truth the loss is taken of.
        loss: Whether to give ``loss``: the sum of the model's losses for the image alone, in evaluation mode,
            with all boxes of the row that are no crowds; rows without any have none.
        embed: Whether to give ``embedding``: the mean over the backbone's last map, without what the batch
            was padded by, shape (channels,).

    Raises:
        ConfigError: The model has no backbone, or predicts masks and ``loss`` is wanted.
    """

    def __init__(self, model: Any, view: LakeView | None, *, loss: bool, embed: bool) -> None:
        self._model = getattr(model, "module", model)
        self._view, self._loss, self._embed = view, loss and view is not None, embed
        self._maps: list[Tensor] = []
        self._handle: Any = None
        if self._loss and _has_masks(self._model):
            raise ConfigError(
                "The loss of a model with masks cannot be written back",
                where="argument loss (--loss)",
                advice="leave it out: AP50 and disagreement rank rows, too",
            )
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
            for place, one in enumerate(found):
                if (loss := self._loss_of(data, samples, place)) is not None:
                    one["loss"] = loss
        self._maps.clear()
        return found

    def close(self) -> None:
        """Take the hook off."""
        if self._handle is not None:
            self._handle.remove()

    def _keep(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._maps.append((output[-1] if isinstance(output, (list, tuple)) else output).detach())

    def _loss_of(self, data: dict[str, Any], samples: Sequence[Any], place: int) -> float | None:
        assert self._view is not None
        table, row = self._view.table, parse_uri(samples[place].img_path)[2]
        span = table.span(row)
        labels = torch.as_tensor(self._view.labels[span].astype("int64"))
        kept = labels >= 0
        if table.iscrowd is not None:
            kept &= ~torch.as_tensor(table.iscrowd[span].copy())
        if not bool(kept.any()):
            return None
        sample = copy.deepcopy(data["data_samples"][place])
        scale = torch.tensor(tuple(sample.metainfo.get("scale_factor", (1.0, 1.0))) * 2)
        boxes = torch.as_tensor(table.xyxy(row), dtype=torch.float32) * scale
        sample.gt_instances = InstanceData(bboxes=boxes[kept], labels=labels[kept])
        sample.ignored_instances = InstanceData(bboxes=boxes[:0], labels=labels[:0])
        batch = {"inputs": [data["inputs"][place]], "data_samples": [sample]}
        losses = self._model(**self._model.data_preprocessor(batch, False), mode="loss")
        return float(self._model.parse_losses(losses)[0])


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


def _has_masks(model: Any) -> bool:
    head = getattr(model, "roi_head", model)
    return bool(getattr(head, "with_mask", False) or getattr(model, "mask_head", None) is not None)
