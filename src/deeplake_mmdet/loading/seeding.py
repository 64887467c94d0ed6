"""Random numbers of a sample: a function of the run's seed, the pass and the index alone."""

from __future__ import annotations

import contextlib
import hashlib
import random
import struct
from collections.abc import Iterator

import numpy as np
import torch

__all__ = ["current_seed", "derive", "generators_kept", "sample_of", "sample_seed", "seed_generators"]

_current: int | None = None


def sample_seed(seed: int, pass_: int, index: int) -> int:
    """Seed of one sample, 63 bits.

    Args:
        seed: Seed of the run.
        pass_: Number of the pass.
        index: Index into the outermost dataset.
    """
    return _hash(struct.pack("<qqq", seed, pass_, index))


def derive(seed: int, *numbers: int) -> int:
    """A seed for one of several purposes, derived from another seed; 63 bits.

    Args:
        seed: The seed that it is derived from; fits into 64 bits, signed.
        numbers: Tell the purposes apart; each fits into 64 bits, signed.
    """
    return _hash(struct.pack(f"<q{len(numbers)}q", seed, *numbers))


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little") >> 1


def seed_generators(seed: int) -> None:
    """Seed the process-wide generators that transforms draw from: Python's, NumPy's, torch's on the CPU.

    Args:
        seed: At least 0, up to 63 bits; NumPy's gets the lowest 32.
    """
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would remember a call for each CUDA device


def current_seed() -> int | None:
    """Seed of the sample that is being made, or None outside a feed."""
    return _current


@contextlib.contextmanager
def sample_of(seed: int) -> Iterator[None]:
    """Seed the process-wide generators for one sample, whose seed `current_seed` tells; not to be nested.

    Args:
        seed: From `sample_seed`.
    """
    global _current
    seed_generators(seed)
    _current = seed
    try:
        yield
    finally:
        _current = None


@contextlib.contextmanager
def generators_kept() -> Iterator[None]:
    """Leave the process-wide generators as they were: the model draws from them, too."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
