"""Samples are the same in threads and processes, however many, and on however many ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn_lakes import (
    FLIPPED,
    HEAVY,
    LIGHT,
    LOAD,
    PACK,
    fingerprint,
    fingerprints,
    lake_dataset,
    loader_of,
    mixed_dataset,
    rows_of,
)

from deeplake_mmdet import DeepLakeDataset, Feed
from deeplake_mmdet.errors import ConfigError, ImageError
from deeplake_mmdet.loading import LakeBatchSampler, LakeSampler

PIPELINES = {"light": LIGHT, "heavy": HEAVY, "flipped": FLIPPED}
WAYS = [("threads", 1), ("threads", 3), ("processes", 1), ("processes", 3)]


@pytest.fixture(scope="module")
def references(lake: Path) -> dict[str, list[str]]:
    found = {
        name: fingerprints(loader_of(lake_dataset(lake, pipeline), "threads", 0), (0, 1))
        for name, pipeline in PIPELINES.items()
    }
    found["mixed"] = fingerprints(loader_of(mixed_dataset(lake), "threads", 0), (0, 1))
    return found


@pytest.mark.parametrize(("mode", "workers"), WAYS)
@pytest.mark.parametrize("pipeline", [*PIPELINES, "mixed"])
def test_samples_do_not_depend_on_who_makes_them(
    lake: Path, references: dict[str, list[str]], pipeline: str, mode: str, workers: int
) -> None:
    dataset = mixed_dataset(lake) if pipeline == "mixed" else lake_dataset(lake, PIPELINES[pipeline])
    assert fingerprints(loader_of(dataset, mode, workers), (0, 1)) == references[pipeline]


@pytest.mark.parametrize("start", ["forkserver", pytest.param("spawn", marks=pytest.mark.slow)])
def test_nor_on_how_workers_start(lake: Path, references: dict[str, list[str]], start: str) -> None:
    options = {"multiprocessing_context": start, "persistent_workers": True}
    loader = loader_of(lake_dataset(lake, HEAVY), "processes", 1, **options)  # it imports for seconds
    assert fingerprints(loader, (0, 1)) == references["heavy"]


def test_persistent_workers_see_every_new_pass(lake: Path, references: dict[str, list[str]]) -> None:
    loader = loader_of(lake_dataset(lake, HEAVY), "processes", 2, persistent_workers=True)
    assert fingerprints(loader, (0, 1)) == references["heavy"]
    draws = [{entry.split()[2] for entry in references["heavy"] if entry[0] == str(n)} for n in (0, 1)]
    assert not draws[0] & draws[1], "the second pass augments as the first one did"


def test_passes_may_be_visited_in_any_order(lake: Path, references: dict[str, list[str]]) -> None:
    loader = loader_of(lake_dataset(lake, LIGHT), "threads", 2)
    later = fingerprints(loader, (1,))
    assert later == [entry for entry in references["light"] if entry.startswith("1 ")]


@pytest.mark.parametrize("mode", ["threads", "processes"])
def test_the_generators_of_the_training_process_are_left_alone(lake: Path, mode: str) -> None:
    import random

    loader = loader_of(lake_dataset(lake, HEAVY), mode, 2)
    draws = []
    for use in (True, False):
        random.seed(1)
        np.random.seed(1)
        torch.manual_seed(1)
        if use:
            for _ in loader:
                draws.append((random.random(), np.random.rand(), torch.rand(1).item()))
        else:
            torch.empty((), dtype=torch.int64).random_()  # every DataLoader's own draw, at its start
            alone = [(random.random(), np.random.rand(), torch.rand(1).item()) for _ in draws]
    assert draws == alone


def test_what_a_feed_gives_is_what_the_pipeline_gives(lake: Path) -> None:
    """Without random steps there is one right answer: the plain dataset's."""
    steps = [*LOAD, {"type": "Resize", "scale": (80, 80), "keep_ratio": True}, *PACK]
    plain = DeepLakeDataset(str(lake), pipeline=steps)
    loader = loader_of(lake_dataset(lake, steps), "threads", 2)
    for batch in loader:
        for image, sample in zip(batch["inputs"], batch["data_samples"], strict=True):
            expected = plain[sample.img_id]
            assert torch.equal(image, expected["inputs"])
            assert torch.equal(
                sample.gt_instances.bboxes.tensor, expected["data_samples"].gt_instances.bboxes.tensor
            )
            assert sample.metainfo == expected["data_samples"].metainfo


@pytest.mark.parametrize("pipeline", [LIGHT, FLIPPED])
def test_one_image_several_times_in_a_batch(lake: Path, pipeline: list[dict[str, Any]]) -> None:
    dataset = {"type": "RepeatDataset", "times": 8, "dataset": lake_dataset(lake, pipeline, indices=3)}
    alone = fingerprints(loader_of(dataset, "threads", 0))
    assert len(alone) == 24
    assert fingerprints(loader_of(dataset, "threads", 2)) == alone


class DrawsFirst(DeepLakeDataset):
    def prepare_data(self, idx: int) -> Any:
        np.random.random_sample()
        return super().prepare_data(idx)


def test_a_dataset_may_draw_before_its_pipeline(lake: Path) -> None:
    items = [(0, index) for index in range(12)]
    found = {}
    for kind in (DeepLakeDataset, DrawsFirst):
        for threads in (0, 2):
            feed = Feed(kind(str(lake), pipeline=LIGHT), threads=threads)
            feed.announce(items)
            samples = feed.__getitems__(items)
            found[kind, threads] = [fingerprint(one["inputs"], one["data_samples"]) for one in samples]
            feed.close()
        assert found[kind, 2] == found[kind, 0]
    assert found[DrawsFirst, 0] != found[DeepLakeDataset, 0]


@pytest.mark.parametrize("mode", ["threads", "processes"])
def test_wrappers_lead_to_the_same_samples(lake: Path, other_lake: Path, mode: str) -> None:
    dataset = {
        "type": "RepeatDataset",
        "times": 2,
        "dataset": {
            "type": "ConcatDataset",
            "datasets": [
                lake_dataset(lake, HEAVY, indices=20),
                {
                    "type": "ClassBalancedDataset",
                    "oversample_thr": 0.9,
                    "dataset": lake_dataset(other_lake, HEAVY),
                },
            ],
        },
    }
    alone = fingerprints(loader_of(dataset, "threads", 0))
    assert fingerprints(loader_of(dataset, mode, 2)) == alone
    assert len(alone) >= 2 * 31
    assert len(set(alone)) == len(alone), "repeated samples must be augmented anew"


def test_every_row_comes_once(lake: Path) -> None:
    for shuffle in ("full", "chunk"):
        loader = loader_of(lake_dataset(lake, LIGHT), "threads", 2, shuffle=shuffle)
        for number in range(3):
            loader.batch_sampler.sampler.set_epoch(number)
            assert sorted(rows_of(loader)) == list(range(53))
            assert len(loader) == 14


def test_ranks_make_the_same_samples_together(lake: Path) -> None:
    feed = Feed(lake_dataset(lake, HEAVY))

    def batches_of(rank: int, ranks: int, size: int) -> list[list[Any]]:
        sampler = LakeSampler(feed, seed=7)
        sampler.rank, sampler.ranks = rank, ranks
        return list(LakeBatchSampler(sampler, size))

    alone = {item for batch in batches_of(0, 1, 4) for item in batch}
    for ranks in (2, 3, 5):
        parts = [batches_of(rank, ranks, 2) for rank in range(ranks)]
        items = [item for part in parts for batch in part for item in batch]
        assert len(items) == 53
        assert set(items) == alone  # and a sample is a function of its item alone
        assert len({len(part) for part in parts}) == 1


def test_evaluation_scores_each_image_once_on_any_number_of_ranks(lake: Path) -> None:
    feed = Feed(lake_dataset(lake, [*LOAD, *PACK], test_mode=True))
    for ranks in (1, 2, 3, 8):
        rows = []
        for rank in range(ranks):
            sampler = LakeSampler(feed, shuffle=False, seed=0)
            sampler.rank, sampler.ranks = rank, ranks
            batches = LakeBatchSampler(sampler, 1, even=False)
            found = [index for batch in batches for _, index in batch]
            assert len(batches) == len(found)
            rows += found
        assert sorted(rows) == list(range(53))


def test_infinite_sampling_visits_pass_after_pass(lake: Path) -> None:
    loader = loader_of(
        lake_dataset(lake, LIGHT), "threads", 2, sampler={"type": "InfiniteSampler", "shuffle": True}
    )
    seen: list[int] = []
    for batch in loader:
        seen += [sample.img_id for sample in batch["data_samples"]]
        if len(seen) >= 3 * 53:
            break
    for number in range(3):
        assert sorted(seen[number * 53 : (number + 1) * 53]) == list(range(53))
    loader.dataset.close()


def test_hooks_that_exchange_the_pipeline_reach_the_lake(lake: Path) -> None:
    from mmcv.transforms import Compose

    loader = loader_of(lake_dataset(lake, LIGHT), "threads", 2)
    before = next(iter(loader))["inputs"][0].shape
    loader.dataset.pipeline = Compose(
        [*LOAD, {"type": "Resize", "scale": (32, 32), "keep_ratio": False}, *PACK]
    )
    after = next(iter(loader))["inputs"][0].shape
    assert before != after
    assert after == (3, 32, 32)


@pytest.mark.parametrize("mode", ["threads", "processes"])
def test_mosaic_can_be_switched_off_as_yolox_does(lake: Path, mode: str) -> None:
    loader = loader_of(mixed_dataset(lake), mode, 2)
    loader.dataset.update_skip_type_keys(["Mosaic", "RandomAffine", "MixUp"])
    assert {image.shape[1:] for batch in loader for image in batch["inputs"]} == {(48, 64), (56, 40)}


@pytest.mark.parametrize("pipeline", [LIGHT, [*LIGHT[:3], *PACK]], ids=["drawing", "still"])
@pytest.mark.parametrize("mode", ["threads", "processes"])
def test_images_that_cannot_be_decoded_are_skipped_alike(
    tmp_path: Path, mode: str, pipeline: list[dict[str, Any]]
) -> None:
    import cv2
    import deeplake

    path = tmp_path / "bad"
    types = deeplake.types
    handle = deeplake.create(
        str(path),
        schema={
            "images": types.Image(sample_compression="jpeg"),
            "boxes": types.BoundingBox("float32", format="ltwh", bbox_type="pixel"),
            "labels": types.ClassLabel(types.Array("uint32", 1)),
        },
    )
    handle["labels"].metadata["class_names"] = ["a"]
    good = [cv2.imencode(".jpg", np.full((20, 30, 3), value, np.uint8))[1].tobytes() for value in range(12)]
    good[5] = good[5][: len(good[5]) // 2]
    boxes, labels = [np.array([[1, 1, 5, 5]], np.float32)] * 12, [np.zeros(1, np.uint32)] * 12
    handle.append({"images": [*good[:7], b"nonsense", *good[8:]], "boxes": boxes, "labels": labels})
    handle.commit()
    config = lake_dataset(path, pipeline)
    with pytest.raises(ImageError):
        list(loader_of(config, mode, 1))
    skipping = lake_dataset(path, pipeline, on_error="skip")
    alone = fingerprints(loader_of(skipping, "threads", 0))
    assert fingerprints(loader_of(skipping, mode, 2)) == alone


@pytest.mark.parametrize("value", [-1, 1.5, True, "2"])
def test_threads_must_be_a_number(lake: Path, value: Any) -> None:
    with pytest.raises(ConfigError, match="threads"):
        Feed(lake_dataset(lake, LIGHT), threads=value)


@pytest.mark.parametrize("seed", [-1, 2**63, True, "x", 1.5])
def test_seeds_that_generators_do_not_take_are_refused(lake, seed):
    with pytest.raises(ConfigError, match="seed"):
        LakeSampler(DeepLakeDataset(str(lake), lazy_init=True), seed=seed)
