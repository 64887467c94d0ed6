"""Files of predictions that name their classes: the name counts, and ids are each lake's own."""

from __future__ import annotations

import json

import pytest
from generator import random_data_set
from lakes import evaluate, make_lake, make_view, samples_of_results

from deeplake_mmdet.errors import AnnotationError
from deeplake_mmdet.evaluation import DumpPredictions, evaluate_predictions
from deeplake_mmdet.lake import Source, open_view


def reordered(truth):
    """The same data set with its categories, and so its labels, the other way round and under other ids."""
    ids = {category["id"]: number for number, category in enumerate(reversed(truth["categories"]), 1)}
    categories = [{**one, "id": ids[one["id"]]} for one in reversed(truth["categories"])]
    annotations = [{**one, "category_id": ids[one["category_id"]]} for one in truth["annotations"]]
    return {**truth, "categories": categories, "annotations": annotations}


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Data set, results, and lakes of it and of its reordered copy."""
    folder = tmp_path_factory.mktemp("named")
    truth, results = random_data_set(0)
    names = {category["id"]: category["name"] for category in truth["categories"]}
    named = [{**entry, "category_name": names[entry["category_id"]]} for entry in results]
    return named, make_lake(folder / "lake", truth), make_lake(folder / "other", reordered(truth))


def bare(entries):
    return [{key: value for key, value in entry.items() if key != "category_name"} for entry in entries]


def test_names_are_scored_alike_against_any_order_of_classes(case, caplog):
    named, lake, other = case
    expected = evaluate_predictions(bare(named), lake, classwise=True).metrics
    assert evaluate_predictions(named, lake, classwise=True).metrics == expected
    assert not any("the name counts" in record.getMessage() for record in caplog.records)
    assert evaluate_predictions(named, other, classwise=True).metrics == expected
    assert any("the name counts" in record.getMessage() for record in caplog.records)
    mixed = [entry if place % 2 else bare([entry])[0] for place, entry in enumerate(named)]
    assert evaluate_predictions(mixed, lake, classwise=True).metrics == expected


@pytest.mark.parametrize("wrong", ["unknown", "", 7, ["cat"]])
def test_names_that_the_lake_does_not_have_are_refused(case, wrong):
    named, lake, _ = case
    entries = [named[0], {**named[1], "category_name": wrong}]
    with pytest.raises(AnnotationError, match=r"no class .*entry 1.*this one's classes are"):
        evaluate_predictions(entries, lake)


def test_a_near_spelling_is_told(case):
    named, lake, _ = case
    name = named[0]["category_name"]
    with pytest.raises(AnnotationError, match=f"'{name.upper()}' .written otherwise than '{name}'"):
        evaluate_predictions([{**named[0], "category_name": name.upper()}], lake)


def test_ids_in_files_of_several_lakes_are_each_lakes_own(case, tmp_path):
    named, lake, other = case
    classes = open_view(Source(lake)).classes
    views = [open_view(Source(path), classes=classes) for path in (lake, other)]
    samples = [sample for view in views for sample in samples_of_results(view, _of(named, view))]
    evaluate(DumpPredictions(tmp_path / "found.json"), samples)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2
    for view, file in zip(sorted(views, key=lambda view: view.key), files, strict=True):
        entries = json.loads(file.read_text())
        ids = dict(zip(view.lake_classes, view.category_ids, strict=True))
        assert entries
        assert all(ids[entry["category_name"]] == entry["category_id"] for entry in entries)
        path = view.source.url
        by_id = evaluate_predictions(bare(entries), path, classwise=True).metrics
        assert by_id == evaluate_predictions(entries, path, classwise=True).metrics


def _of(named, view):
    """Results with the ids of a view's lake."""
    ids = dict(zip(view.lake_classes, view.category_ids, strict=True))
    return [{**entry, "category_id": ids[entry["category_name"]]} for entry in named]


def test_a_selection_of_classes_goes_by_name_too(case):
    named, lake, other = case
    chosen = [open_view(Source(lake)).classes[1]]
    first, second = (
        evaluate_predictions(named, path, classes=chosen, classwise=True).metrics for path in (lake, other)
    )
    assert first == pytest.approx(second, nan_ok=True)


def test_stock_results_keep_their_keys(case, tmp_path):
    from deeplake_mmdet.evaluation import CocoMetric

    named, _, _ = case
    view = make_view(tmp_path / "lake", random_data_set(0)[0])
    metric = CocoMetric(format_only=True, outfile_prefix=str(tmp_path / "found"))
    evaluate(metric, samples_of_results(view, named))
    entries = json.loads((tmp_path / "found.bbox.json").read_text())
    assert set(entries[0]) == {"image_id", "category_id", "bbox", "score"}
