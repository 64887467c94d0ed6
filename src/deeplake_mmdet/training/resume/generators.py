"""The states of the generators that a training process draws from, as checkpoints can carry them."""

from __future__ import annotations

import random
from typing import Any, cast

import numpy as np
import torch

from deeplake_mmdet.loading.seeding import derive, seed_generators

__all__ = ["restore_generators", "seed_all", "take_generators"]


def take_generators() -> dict[str, Any]:
    """States of the generators of Python, NumPy, torch on the CPU and, if it is in use, this process's GPU.

    Returns:
        Plain numbers and bytes only; about 10 kB.
    """
    kind, keys, position, has_gauss, gauss = cast("tuple[Any, ...]", np.random.get_state(legacy=True))
    return {
        "python": random.getstate(),
        "numpy": (str(kind), keys.tobytes(), int(position), int(has_gauss), float(gauss)),
        "torch": torch.get_rng_state().numpy().tobytes(),
        "cuda": torch.cuda.get_rng_state().numpy().tobytes() if _uses_cuda() else None,
    }


def restore_generators(states: dict[str, Any]) -> None:
    """Go on from states that `take_generators` told, in this or in another process.

    Args:
        states: As told. Those of a GPU are left out where there is none.
    """
    version, numbers, gauss = states["python"]
    random.setstate((version, tuple(numbers), gauss))
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, np.frombuffer(keys, np.uint32), *rest))
    torch.set_rng_state(_tensor(states["torch"]))
    if states["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(_tensor(states["cuda"]))


def seed_all(seed: int, *numbers: int) -> None:
    """Seed the generators whose states `take_generators` tells, from a seed and further numbers.

    Args:
        seed: Seed of the run; fits into 64 bits, signed.
        numbers: Tell apart what is seeded, e.g. iteration and rank.
    """
    derived = derive(seed, *numbers)
    seed_generators(derived)
    if torch.cuda.is_available():
        torch.cuda.manual_seed(derived)


def _uses_cuda() -> bool:
    return torch.cuda.is_available() and bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def _tensor(state: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(state), dtype=torch.uint8)
