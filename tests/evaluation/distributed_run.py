"""Run by test_distributed.py in a process of its own: score noisy truth on 1, 2 and 3 gloo processes.

python distributed_run.py LAKE_A LAKE_B TARGET.json
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as processes

SUBSET = ("class 2", "class 0")
BATCHES = (1, 2, 5)
APART = ("ours", "mmdet's")


def datasets(lakes):
    """The data sets to score, by name."""
    from mmengine.dataset import ConcatDataset

    from deeplake_mmdet import DeepLakeDataset

    def lake(path, **options):
        return DeepLakeDataset(path, test_mode=True, **options)

    both = ConcatDataset([lake(path) for path in lakes])
    return {
        "whole": lake(lakes[0]),
        "indices": lake(lakes[0], indices=list(range(3, 90, 2))),
        "subset": lake(lakes[0], metainfo={"classes": SUBSET}),
        "both": both,
    }


def predicted(info):
    """A data sample with noisy truth as predictions; the noise goes by the image's address alone."""
    seed = np.frombuffer(info["img_path"].encode(), np.uint8).astype(int)
    rng = np.random.default_rng(seed)
    boxes = np.array([one["bbox"] for one in info["instances"]]).reshape(-1, 4)
    boxes = np.sort((boxes * rng.normal(1, 0.03, boxes.shape)).reshape(-1, 2, 2), axis=1).reshape(-1, 4)
    labels = np.array([one["bbox_label"] for one in info["instances"]], np.int64)
    arrays = {
        "bboxes": boxes.astype(np.float32),
        "scores": rng.random(len(labels)).round(1),
        "labels": labels,
    }
    return {
        "img_path": info["img_path"],
        "pred_instances": {name: torch.from_numpy(array) for name, array in arrays.items()},
    }


def batches(dataset, batch, made):
    """This process's batches of data samples; ``made`` keeps samples for the next time."""
    from mmengine.dataset import DefaultSampler

    sampler = list(DefaultSampler(dataset, shuffle=False))
    for start in range(0, len(sampler), batch):
        for index in sampler[start : start + batch]:
            if index not in made:
                made[index] = predicted(dataset.get_data_info(index))
        yield [made[index] for index in sampler[start : start + batch]]


def score(dataset, batch, made):
    """As mmengine's test loop goes about it, without a model."""
    from deeplake_mmdet.evaluation import CocoMetric, LVISMetric, VOCMetric

    scores = {}
    for metric in (CocoMetric(["bbox", "proposal"], classwise=True), VOCMetric(), LVISMetric()):
        for samples in batches(dataset, batch, made):
            metric.process(None, samples)
        scores.update(metric.evaluate(len(dataset)))
    return scores


def score_apart(lakes, batch, made, kind):
    """Each of three data sets by itself; two of them read one lake, and share rows."""
    from mmdet.datasets import ConcatDataset
    from mmdet.evaluation import MultiDatasetsEvaluator

    from deeplake_mmdet import DeepLakeDataset
    from deeplake_mmdet.evaluation import CocoMetric, SeparateEvaluator, VOCMetric

    several = [
        DeepLakeDataset(lakes[0], test_mode=True),
        DeepLakeDataset(lakes[1], test_mode=True),
        DeepLakeDataset(lakes[0], test_mode=True, indices=list(range(0, 97, 3))),
    ]
    scores = {}
    for metric in (CocoMetric, VOCMetric):
        # MMDetection's goes by the images' places: the rows that two share are no trouble to it.
        dataset = ConcatDataset(several)
        made_of = MultiDatasetsEvaluator if kind == "mmdet's" else SeparateEvaluator
        evaluator = made_of([metric() for _ in several], ["a", "b", "third of a"])
        evaluator.dataset_meta = dataset.metainfo
        if kind == "ours":
            evaluator.bind([[(part.view.key, part.data_list.rows)] for part in several])
        for samples in batches(dataset, batch, made):
            evaluator.process(samples)
        scores.update(evaluator.evaluate(len(dataset)))
    return scores


def work(rank, world, rendezvous, lakes, target):
    """One process."""
    torch.set_num_threads(1)
    if world > 1:
        dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=world)
    found = {}
    for name, dataset in datasets(lakes).items():
        made = {}
        found[name] = {batch: score(dataset, batch, made) for batch in BATCHES}
    for kind in APART:
        made = {}
        found[kind] = {batch: score_apart(lakes, batch, made, kind) for batch in BATCHES}
    if world > 1:
        everywhere = [None] * world
        dist.all_gather_object(everywhere, found)
        assert all(other == found for other in everywhere), "the processes disagree"
        dist.destroy_process_group()
    if rank == 0:
        Path(target).write_text(json.dumps(found))


def main():
    """Score with one, two and three processes, forked after the imports, which take longer than scoring."""
    import mmdet.datasets  # noqa: F401

    import deeplake_mmdet.evaluation  # noqa: F401

    lakes, target = sys.argv[1:3], Path(sys.argv[3])
    found = {}
    for world in (1, 2, 3):
        with tempfile.TemporaryDirectory() as folder:
            arguments = (world, f"{folder}/rendezvous", lakes, f"{folder}/scores.json")
            processes.start_processes(work, arguments, nprocs=world, start_method="fork")
            found[world] = json.loads(Path(f"{folder}/scores.json").read_text())
    target.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
