"""All configs of MMDetection 2.28.2 convert, and differ from their 3.x counterparts as the table says."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest
import zoo
import zoo_compare
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from reference_2x import learning_rate
from zoo_causes import OURS_FAILS, all_proven, cause_of, demanded
from zoo_raw import raw_values

from deeplake_mmdet.legacy import convert_config_dict, counterpart

EVERY = 20  # one in so many configs is compared here; zoo_sweep.py compares all
OPTIONAL = ("Albu", "InstaBoost", "LoadPanopticAnnotations")  # ask for packages that may not be there


@pytest.fixture(scope="module")
def names():
    try:
        zoo.folder()
    except zoo.NoIndexError as error:
        pytest.skip(str(error))
    return zoo.names()


@pytest.mark.slow
def test_every_config_converts(names):
    assert len(names) == 634
    for name in names:
        content = zoo.old(name)
        before = deepcopy(content)
        converted, notes = convert_config_dict(content)
        assert content == before, name
        assert {"train_dataloader", "val_dataloader", "val_evaluator", "param_scheduler"} <= set(converted), (
            name
        )
        assert not {"data", "lr_config", "optimizer", "evaluation"} & set(converted), name
        assert convert_config_dict(converted) == (converted, []), name
        assert all(note.key and note.what for note in notes), name


@pytest.mark.slow
@pytest.mark.parametrize("part", range(3))
def test_a_sample_differs_from_the_official_configs_as_the_table_says(names, part):
    table = zoo.expected()
    for name in [name for name in names if counterpart(name)][part * 7 :: EVERY]:
        converted, _ = convert_config_dict(zoo.old(name))
        found = zoo_compare.compare(converted, zoo.official(counterpart(name)))
        expected = dict(table[name].get("differences", {}))
        expected.pop("parameters", None)
        assert found == expected, name


@pytest.mark.slow
def test_pipelines_build(names):
    zoo_compare.register()
    seen = set()
    for name in names:
        converted, _ = convert_config_dict(zoo.old(name))
        found = [converted["tta_pipeline"]] if "tta_pipeline" in converted else []
        for split in ("train", "val"):
            found += zoo_compare.pipelines_of(converted[f"{split}_dataloader"]["dataset"])
        for steps in found:
            text = json.dumps(steps)
            if text not in seen and not any(kind in text for kind in OPTIONAL):
                with DefaultScope.overwrite_default_scope("mmdet"):
                    Compose(deepcopy(steps))
            seen.add(text)
    assert len(seen) > 80


@pytest.mark.slow
def test_every_schedule_of_the_zoo_is_that_of_the_2x_formula(names):
    """All distinct ones, with epochs of 100 iterations, within 1e-9 of the base rate."""
    seen, length = set(), 100
    for name in names:
        old = zoo.old(name)
        loop, base = old["runner"], old["optimizer"]["lr"]
        key = json.dumps([old["lr_config"], loop, base], sort_keys=True)
        if key in seen:
            continue
        seen.add(key)
        schedulers = convert_config_dict(old)[0]["param_scheduler"]
        by_epoch = loop["type"] == "EpochBasedRunner"
        epochs = loop["max_epochs"] if by_epoch else 1
        steps = length if by_epoch else loop["max_iters"]
        total = epochs * steps
        points = sorted({*range(0, min(3000, total), 7), *(round(i * (total - 1) / 199) for i in range(200))})
        config = {"by_epoch": by_epoch, **old["lr_config"]}
        ours = zoo_compare.learning_rates(schedulers, base, points, by_epoch, length)
        right = [learning_rate(config, base, point, epochs, steps) for point in points]
        assert max(abs(a - b) for a, b in zip(ours, right, strict=True)) <= 1e-9 * base, (name, config)
    assert len(seen) > 30


def test_every_difference_has_a_cause():
    table = zoo.expected()
    assert len(table) == 616
    assert not any("unknown" in line.get("causes", ()) for line in table.values())
    wrong = [
        (name, part, text)
        for name, line in table.items()
        for part, texts in line.get("differences", {}).items()
        for text, values in zip(texts, line["raw"][part], strict=True)
        if cause_of(part, text, name, values) not in line["causes"]
    ]
    assert wrong == []


def comparable():
    """Lines of the table whose official counterpart builds a model; 16 of the 616 do not, or have none."""
    outcomes = ("same", "different", OURS_FAILS)
    return {name: line for name, line in zoo.expected().items() if line["parameters"] in outcomes}


def test_all_are_equal_but_for_what_the_official_file_has_changed():
    lines = comparable()
    assert len(lines) == 600
    different = {name: line for name, line in lines.items() if demanded(line)}
    assert len(lines) - len(different) >= 505
    assert [name for name, line in different.items() if not all_proven(line)] == []


@pytest.mark.slow
def test_the_raw_files_differ_where_the_table_says_so(names):
    """Read from both files without any conversion."""
    for name, line in comparable().items():
        if found := demanded(line):
            old, official = zoo.old(name), zoo.official(line["counterpart"])
            for part, texts in found.items():
                values = [raw_values(part, text, old, official) for text in texts]
                assert values == line["raw"][part], name
                assert all(value[1] != value[2] for of_text in values for value in of_text), name


def test_models_have_the_parameters_of_the_official_ones():
    outcomes = {name: line["parameters"] for name, line in comparable().items()}
    assert [name for name, outcome in outcomes.items() if outcome != "same"] == [
        "objects365/retinanet_r50_fpn_syncbn_1350k_obj365v1.py"  # broken in 2.x already
    ]
