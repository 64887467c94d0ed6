"""A run in several processes of this machine: what travels to them, and what comes back."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from mmengine.config import Config

from deeplake_mmdet.config import import_custom_modules
from deeplake_mmdet.lake import SCHEME, CarriedSource, CredentialRef, is_handle
from deeplake_mmdet.terminal import keep_readable
from deeplake_mmdet.training.processes.launch import launch

__all__ = ["run_in_children"]


def run_in_children(
    function: Callable[..., Any], cfg: Config, model: Any = None, *, processes: int, **options: Any
) -> Any:
    """Call ``function(cfg, model, **options)`` in several new processes.

    Args:
        function: Of a module.
        cfg: From `prepare_config` with the launcher ``'pytorch'``. What its handles stand for goes along.
        model: A detector, of which each process gets a copy of its own; or None.
        processes: How many.
        options: Other arguments; picklable.

    Returns:
        What the first process (rank 0) returned.
    """
    things: list[Any] = [CredentialRef(text) for text in _texts(cfg.to_dict()) if is_handle(text)]
    things += [CarriedSource(text) for text in _texts(cfg.to_dict()) if text.startswith(SCHEME)]
    content = (cfg.to_dict(), cfg.text, cfg.filename)
    packed = None if model is None else _pack(model)
    return launch(_call, things, function, content, packed, options, processes=processes)


def _call(
    things: list[Any],
    function: Callable[..., Any],
    content: tuple[dict[str, Any], str, str | None],
    packed: bytes | None,
    options: dict[str, Any],
) -> Any:
    del things  # unpickling them was enough
    keep_readable()
    cfg = Config(content[0], cfg_text=content[1], filename=content[2])
    import_custom_modules(cfg)
    model = None if packed is None else torch.load(io.BytesIO(packed), weights_only=False)
    return function(cfg, model, **options)


def _pack(model: Any) -> bytes:
    # Left to multiprocessing, all processes would get the same memory, and write into it.
    buffer = io.BytesIO()
    torch.save(model, buffer)
    return buffer.getvalue()


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, Mapping):
        for value in node.values():
            yield from _texts(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _texts(value)
