"""Handing a batch from a worker process to the training process in one piece of shared memory."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data import get_worker_info

from deeplake_mmdet.loading.statistics import pack_timed
from deeplake_mmdet.registry import FUNCTIONS

__all__ = ["packed_collate"]

_ALIGNMENT = 64


@FUNCTIONS.register_module()
def packed_collate(samples: list[Any]) -> Any:
    """Collate as MMEngine's ``pseudo_collate`` does; out of a worker process in one shared segment.

    Stock loaders give every tensor of a batch a segment, a file descriptor and a message of its own. Here all
    tensors and arrays of a batch share one; what the training process gets are the same ordinary tensors.

    Args:
        samples: Samples as ``PackDetInputs`` gives them.

    Returns:
        ``dict(inputs=[...], data_samples=[...])``; in a worker process something that becomes that when it is
        unpickled.
    """
    with pack_timed(images=len(samples)):
        batch = pseudo_collate(samples)
    return batch if get_worker_info() is None else _Packed(batch)


class _Packed:
    """A batch that pickles as one shared tensor and a description."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def __reduce__(self) -> Any:
        with pack_timed():
            return self._reduced()

    def _reduced(self) -> Any:
        buffers: list[pickle.PickleBuffer] = []
        stream = io.BytesIO()
        _Pickler(stream, protocol=5, buffer_callback=buffers.append).dump(self._batch)
        views = [buffer.raw() for buffer in buffers]
        spans, size = [], 0
        for view in views:
            spans.append((size, len(view)))
            size += -(-len(view) // _ALIGNMENT) * _ALIGNMENT
        # as torch's own default_collate gets its memory in a worker
        storage = torch.UntypedStorage._new_shared(max(size, 1))  # type: ignore[no-untyped-call]
        segment = torch.empty(0, dtype=torch.uint8).set_(storage)
        array = segment.numpy()
        for (start, length), view in zip(spans, views, strict=True):
            array[start : start + length] = np.frombuffer(view, np.uint8)
        return _unpack, (segment, spans, stream.getvalue())


class _Pickler(pickle.Pickler):
    """Writes tensors the way arrays are written: their memory beside the stream."""

    def reducer_override(self, thing: Any) -> Any:
        if type(thing) is torch.Tensor and thing.device.type == "cpu" and not thing.requires_grad:
            if thing.dtype is torch.bfloat16 or thing.is_sparse or thing.is_quantized:
                return NotImplemented
            return torch.from_numpy, (thing.contiguous().numpy(),)
        return NotImplemented


def _unpack(segment: torch.Tensor, spans: list[tuple[int, int]], stream: bytes) -> Any:
    memory = memoryview(segment.numpy())  # type: ignore[arg-type]
    return pickle.loads(stream, buffers=[memory[start : start + length] for start, length in spans])
