"""Several lakes in one evaluation, each scored by itself."""

from __future__ import annotations

import numpy as np
import pytest
from generator import random_data_set
from lakes import evaluate, make_view, rounded_results, samples_of_results
from mmdet.evaluation import MultiDatasetsEvaluator

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.evaluation import CocoMetric, SeparateEvaluator, VOCMetric


@pytest.fixture(scope="module")
def lakes(tmp_path_factory):
    """Views, their samples, and the scores of each by itself."""
    folder, found = tmp_path_factory.mktemp("lakes"), []
    for seed in (1, 2, 5):
        truth, results = random_data_set(seed)
        view = make_view(folder / str(seed), truth)
        found.append((view, samples_of_results(view, rounded_results(results))))
    return found


def alone(metric, samples):
    return evaluate(metric(), samples)


def agree(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("metric", [CocoMetric, VOCMetric])
def test_mmdetections_evaluator_of_several_datasets_scores_lakes(lakes, metric):
    evaluator = MultiDatasetsEvaluator([metric() for _ in lakes], ["a", "b", "c"])
    sizes = np.cumsum([len(samples) for _, samples in lakes]).tolist()
    evaluator.dataset_meta = {"cumulative_sizes": sizes}
    everything = [sample for _, samples in lakes for sample in samples]
    evaluator.process(everything)
    expected = {}
    for prefix, (_, samples) in zip("abc", lakes, strict=True):
        expected |= {f"{prefix}/{name}": value for name, value in alone(metric, samples).items()}
    agree(evaluator.evaluate(len(everything)), expected)


def parts_of(lakes):
    return [[(view.key, np.arange(len(view.table)))] for view, _ in lakes]


@pytest.mark.parametrize("seed", range(3))
def test_ours_gives_the_same_in_any_order_and_with_images_twice(lakes, seed):
    rng = np.random.default_rng(seed)
    everything = [sample for _, samples in lakes for sample in samples]
    order = rng.permutation(len(everything)).tolist()
    evaluator = SeparateEvaluator([{"type": "deeplake_mmdet.CocoMetric"}] * 3, ["0", "1", "2_0"])
    evaluator.bind(parts_of(lakes))
    for number in [*order, *order[:3]]:
        evaluator.process([everything[number]])
    expected = {}
    for prefix, (_, samples) in zip(("0", "1", "2_0"), lakes, strict=True):
        expected |= {f"{prefix}/{name}": value for name, value in alone(CocoMetric, samples).items()}
    agree(evaluator.evaluate(len(order)), expected)


def test_rows_of_one_lake_that_two_datasets_share(lakes):
    view, samples = lakes[0]
    half = len(samples) // 2
    rows = np.arange(len(samples))
    evaluator = SeparateEvaluator([CocoMetric(), CocoMetric()], ["all", "half"])
    evaluator.bind([[(view.key, rows[::-1])], [(view.key, rows[half:][::-1])]])
    evaluator.process(samples)
    expected = {f"all/{name}": value for name, value in alone(CocoMetric, samples).items()}
    expected |= {f"half/{name}": value for name, value in alone(CocoMetric, samples[half:]).items()}
    agree(evaluator.evaluate(0), expected)


def test_a_dataset_of_several_lakes_is_scored_as_one(lakes, tmp_path):
    truth, results = random_data_set(1)
    twins = []
    for name, step in (("twin", 2), ("other", 3)):
        twin = make_view(tmp_path / name, truth)
        twins.append((twin, samples_of_results(twin, rounded_results(results[::step]))))
    pair, everything = [lakes[0], twins[0]], [*lakes[0][1], *twins[0][1], *twins[1][1]]
    dump = {"type": "deeplake_mmdet.DumpPredictions", "file": str(tmp_path / "found.json")}
    evaluator = SeparateEvaluator([CocoMetric(), CocoMetric()], ["0", "1"], also=[dump])
    evaluator.bind([[part for parts in parts_of(pair) for part in parts], *parts_of(twins[1:])])
    evaluator.process(everything)
    together = alone(CocoMetric, lakes[0][1] + twins[0][1])
    expected = {f"0/{name}": value for name, value in together.items()}
    expected |= {f"1/{name}": value for name, value in alone(CocoMetric, twins[1][1]).items()}
    agree(evaluator.evaluate(0), expected)
    assert len(list(tmp_path.glob("found*.json"))) == 3


def test_what_cannot_be_told_apart_is_refused(lakes):
    with pytest.raises(ConfigError, match="2 metrics"):
        SeparateEvaluator([CocoMetric(), CocoMetric()], ["a", "a"])
    evaluator = SeparateEvaluator([CocoMetric(), CocoMetric()], ["a", "b"])
    with pytest.raises(ConfigError, match="score 3 datasets"):
        evaluator.bind(parts_of(lakes))
    evaluator.bind(parts_of(lakes)[:2])
    for sample in (lakes[2][1][0], {"img_path": "a.jpg"}):
        with pytest.raises(ConfigError, match="which dataset an image is of"):
            evaluator.process([sample])
