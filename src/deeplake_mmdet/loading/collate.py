"""Handing a batch from a worker process to the training process in one piece of shared memory."""

from __future__ import annotations

import copyreg
import io
import pickle
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data import get_worker_info

from deeplake_mmdet.loading.arena import (
    Arena,
    Key,
    Sent,
    aligned,
    dropped_arenas,
    new_arena,
    size_needed,
    take_arena,
)
from deeplake_mmdet.loading.segments import mapped
from deeplake_mmdet.loading.statistics import pack_timed
from deeplake_mmdet.registry import FUNCTIONS

__all__ = ["packed_collate"]


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
    return batch if get_worker_info() is None else _Packed(batch, take_arena())


class _Packed:
    """A batch that pickles as shared memory and a description.

    Pickling happens in the queue's own thread, while the worker is at its next batch.
    """

    def __init__(self, batch: Any, arena: Arena | None) -> None:
        self._batch = batch
        self._arena = arena

    def __reduce__(self) -> Any:
        with pack_timed():
            return self._reduced()

    def _reduced(self) -> Any:
        buffers: list[pickle.PickleBuffer] = []
        stream = io.BytesIO()
        pickler = pickle.Pickler(stream, protocol=5, buffer_callback=buffers.append)
        # A table, and not a method of the pickler, which would be asked about every object.
        pickler.dispatch_table = {**copyreg.dispatch_table, torch.Tensor: _reduced_tensor}
        pickler.dump(self._batch)
        pieces = [np.frombuffer(buffer.raw(), np.uint8) for buffer in buffers]
        size = sum(aligned(piece.size) for piece in pieces)
        size_needed(size)
        arenas = [self._arena] if self._arena is not None else []
        spans: list[tuple[int, int, int]] = []
        for piece in pieces:
            start = arenas[0].place_of(piece) if self._arena is not None else None
            if start is not None:
                spans.append((0, start, piece.size))
                continue
            start = arenas[-1].put(piece) if arenas else None
            if start is None:  # the first batch, or one that is larger than all before
                arena = new_arena(max(size, 1))
                assert arena is not None
                arenas.append(arena)
                start = arena.put(piece)
            assert start is not None
            spans.append((len(arenas) - 1, start, piece.size))
        told = [(arena.key, arena.to_send()) for arena in arenas]
        return _unpack, (told, dropped_arenas(), spans, stream.getvalue())


def _reduced_tensor(tensor: torch.Tensor) -> Any:
    """Written the way arrays are written: their memory beside the stream."""
    if type(tensor) is not torch.Tensor or tensor.device.type != "cpu" or tensor.requires_grad:
        return tensor.__reduce_ex__(5)  # type: ignore[no-untyped-call]
    if tensor.dtype is torch.bfloat16 or tensor.is_sparse or tensor.is_quantized:
        return tensor.__reduce_ex__(5)  # type: ignore[no-untyped-call]
    return torch.from_numpy, (tensor.contiguous().numpy(),)


def _unpack(
    told: list[tuple[Key, Sent | None]],
    dropped: list[Key],
    spans: list[tuple[int, int, int]],
    stream: bytes,
) -> Any:
    memories = [memoryview(mapped(key, sent, dropped)) for key, sent in told]  # type: ignore[arg-type]
    pieces = [memories[number][start : start + length] for number, start, length in spans]
    return pickle.loads(stream, buffers=pieces)
