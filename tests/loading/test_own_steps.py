"""A user's own transforms that are said to be deterministic, and pipelines in which nothing is drawn."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn_lakes import LOAD, PACK, fingerprints, lake_dataset, loader_of
from mmdet.registry import TRANSFORMS

from deeplake_mmdet import deterministic
from deeplake_mmdet.pipeline.determinism import is_deterministic

STILL = [*LOAD, {"type": "Resize", "scale": (96, 96), "keep_ratio": True}, *PACK]
WAYS = [("threads", 0), ("threads", 2), ("processes", 2)]


@TRANSFORMS.register_module()
class Negate:
    ran_in: set[str] = set()  # noqa: RUF012  # one for all its instances, which the loader makes

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        Negate.ran_in.add(threading.current_thread().name)
        results["img"] = 255 - results["img"]
        return results


@TRANSFORMS.register_module()
@deterministic
class NegateAnywhere(Negate):
    pass


@TRANSFORMS.register_module()
@deterministic
class LeaveSomeOut:
    """Gives nothing for every third image; another one is drawn instead."""

    def __call__(self, results: dict[str, Any]) -> dict[str, Any] | None:
        return None if results["sample_idx"] % 3 == 0 else results


def own(step: type) -> list[dict[str, Any]]:
    return [*LOAD, {"type": step.__name__}, *STILL[2:]]


def test_they_run_in_decoding_threads(lake: Path) -> None:
    main = threading.main_thread().name
    found = {}
    for step in (Negate, NegateAnywhere):
        Negate.ran_in.clear()
        found[step] = fingerprints(loader_of(lake_dataset(lake, own(step)), "threads", 2))
        assert (main in Negate.ran_in) == (not is_deterministic(step))
    assert found[Negate] == found[NegateAnywhere]


@pytest.mark.parametrize(("mode", "workers"), WAYS)
def test_samples_that_are_drawn_anew_are_the_same_everywhere(lake: Path, mode: str, workers: int) -> None:
    dataset = lake_dataset(lake, own(LeaveSomeOut))
    reference = fingerprints(loader_of(dataset, "threads", 0), (0, 1))
    assert fingerprints(loader_of(dataset, mode, workers), (0, 1)) == reference


@pytest.mark.parametrize("pipeline", [STILL, "left out"])
@pytest.mark.parametrize("workers", [0, 2])
def test_the_generators_stay_as_they_were(lake: Path, pipeline: Any, workers: int) -> None:
    steps = own(LeaveSomeOut) if pipeline == "left out" else pipeline
    batches = iter(loader_of(lake_dataset(lake, steps), "threads", workers))
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    next(batches)
    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1]
    assert torch.equal(torch.get_rng_state(), states[2])


@pytest.mark.parametrize(("mode", "workers"), WAYS)
def test_wrappers_hand_on_the_same_samples(lake: Path, other_lake: Path, mode: str, workers: int) -> None:
    def wrapped(step: type) -> dict[str, Any]:
        balanced = {
            "type": "ClassBalancedDataset",
            "oversample_thr": 0.9,
            "dataset": lake_dataset(other_lake, own(step)),
        }
        parts = [lake_dataset(lake, own(step), indices=20), balanced]
        return {
            "type": "RepeatDataset",
            "times": 2,
            "dataset": {"type": "ConcatDataset", "datasets": parts},
        }

    usual = fingerprints(loader_of(wrapped(Negate), "threads", 0))
    assert fingerprints(loader_of(wrapped(NegateAnywhere), mode, workers)) == usual
