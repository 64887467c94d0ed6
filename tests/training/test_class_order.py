"""What counts is a class's name: lakes that list the same classes in other orders score and train alike."""

from __future__ import annotations

import copy
import json

import cv2
import deeplake
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from old_configs import old_config
from reordered_lakes import REVERSED, lake, reading, save, write_lake

import deeplake_mmdet
from deeplake_mmdet.demo.drawing import CLASS_NAMES
from deeplake_mmdet.errors import AnnotationError, ConfigError
from deeplake_mmdet.training import test_detector as run_detector
from deeplake_mmdet.training.prepare import prepare_config
from deeplake_mmdet.training.runners import make_runner

SOME = CLASS_NAMES[:3]


@pytest.fixture(scope="module")
def lakes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lakes")
    return {
        "same": write_lake(folder / "same", CLASS_NAMES),
        "reversed": write_lake(folder / "reversed", REVERSED),
        "some": write_lake(folder / "some", SOME),
        "more": write_lake(folder / "more", [*CLASS_NAMES, "square"]),
        "spelt": write_lake(folder / "spelt", CLASS_NAMES, spelling={"brick": "Brick"}),
    }


@pytest.fixture(scope="module")
def ready(tmp_path_factory, untrained_demo):
    """The demo's config, its untrained detector, and a checkpoint that names its classes."""
    folder = tmp_path_factory.mktemp("model")
    cfg, model, _, _ = untrained_demo(folder, [2], score_thr=0.0001)
    # An untrained detector hits nothing exactly: with this threshold its scores differ from class to class.
    cfg.test_evaluator = {"type": "deeplake_mmdet.CocoMetric", "metric": "bbox", "iou_thrs": 0.05}
    cfg.test_evaluator.update(metric_items=["mAP"])
    cfg.val_evaluator = copy.deepcopy(cfg.test_evaluator)
    return cfg, model, save(model, folder / "named.pth")


def classes_of(runner, split):
    loader = getattr(runner, f"{split}_dataloader")
    return [inner.metainfo["classes"] for inner in loader.dataset.lakes]


def runner_of(cfg, tmp_path):
    return make_runner(prepare_config(cfg, work_dir=tmp_path / "run", launcher="none"))


def test_scores_tables_files_matrices_and_drawings_agree(ready, lakes, tmp_path):
    cfg, _, checkpoint = ready
    found = {}
    for name in ("same", "reversed"):
        folder = tmp_path / name
        mine = reading(cfg, test=lakes[name])
        mine.test_evaluator.analysis = str(folder / "analysis")
        mine.test_evaluator.analysis_score = 0.0
        mine.default_hooks.visualization = {"type": "DetVisualizationHook", "score_thr": 0.0}
        run = deeplake_mmdet.test(
            mine, checkpoint, work_dir=folder, out=folder / "found.json", show_dir=folder / "drawn"
        )
        entries = json.loads((folder / "found.json").read_text())
        found[name] = {
            "metrics": {key: value for key, value in run.metrics.items() if "time" not in key},
            "table": [(score.name, score.ap, score.objects) for score in run.class_scores],
            "file": [(e["image_id"], e["category_name"], e["bbox"], e["score"]) for e in entries],
            "ids": {e["category_name"]: e["category_id"] for e in entries},
            "analysis": json.loads((folder / "analysis" / "metrics.json").read_text())["bbox"],
            "drawn": [cv2.imread(str(file)) for file in sorted((folder / "drawn").iterdir())],
        }
    first, second = found["same"], found["reversed"]
    np.testing.assert_equal(first["metrics"], second["metrics"])
    np.testing.assert_equal(first["table"], second["table"])
    aps = [ap for _, ap, objects in first["table"] if objects]
    assert len(set(aps)) > 2, "classes that score alike would hide an exchange"
    assert first["file"] == second["file"]
    # Ids are each lake's own.
    for name, ids in (("same", first["ids"]), ("reversed", second["ids"])):
        names = CLASS_NAMES if name == "same" else REVERSED
        assert ids == {one: names.index(one) + 1 for one in ids}
    assert np.sum(first["analysis"]["confusion"])
    for key in ("confusion", "classes"):
        np.testing.assert_equal(first["analysis"][key], second["analysis"][key])
    assert len(first["drawn"]) == len(second["drawn"]) == 4
    for one, other in zip(first["drawn"], second["drawn"], strict=True):
        np.testing.assert_array_equal(one, other)
    # What was found on one lake is scored by name against the other, and no one else's id is taken for it.
    for name, other in (("same", "reversed"), ("reversed", "same")):
        again = deeplake_mmdet.evaluate_predictions(
            tmp_path / name / "found.json", lakes[other], iou_thrs=0.05, metric_items=["mAP"]
        )
        assert again.metrics["coco/bbox_mAP"] == pytest.approx(first["metrics"]["coco/bbox_mAP"], abs=1e-12)


def test_the_order_is_told_once(ready, lakes, tmp_path, capsys):
    cfg, _, checkpoint = ready
    deeplake_mmdet.test(reading(cfg, test=lakes["reversed"]), checkpoint, work_dir=tmp_path)
    told = [line for line in capsys.readouterr().err.splitlines() if "in another order" in line]
    assert len(told) == 1
    assert "Warning: " in told[0]
    assert ", ".join(CLASS_NAMES) in told[0]


def test_metainfo_in_another_order_gives_way_to_the_checkpoint(ready, lakes, tmp_path, capsys):
    cfg, _, checkpoint = ready
    expected = deeplake_mmdet.test(reading(cfg, test=lakes["same"]), checkpoint, work_dir=tmp_path / "a")
    mine = reading(cfg, test=lakes["same"])
    colours = [(place, 0, 0) for place in range(5)]
    mine.test_dataloader.dataset.metainfo = {"classes": REVERSED, "palette": colours}
    found = deeplake_mmdet.test(mine, checkpoint, work_dir=tmp_path / "b")
    np.testing.assert_equal(found.class_scores, expected.class_scores)
    assert "whatever its metainfo states" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "texts"),
    {
        "some": ("missing 'star', 'ring'",),
        "more": ("not among them 'square'", f"metainfo=dict(classes={CLASS_NAMES})"),
        "spelt": ("missing 'brick'", "'Brick' (written otherwise than 'brick')"),
    }.items(),
)
def test_other_classes_than_the_checkpoints_are_an_error(ready, lakes, tmp_path, name, texts):
    cfg, _, checkpoint = ready
    mine = reading(cfg, train=lakes["same"], test=lakes[name])
    with pytest.raises(ConfigError) as caught:
        deeplake_mmdet.test(mine, checkpoint, work_dir=tmp_path)
    for text in (*texts, str(checkpoint), lakes[name]):
        assert text in str(caught.value)


def test_the_way_out_of_a_lake_with_more_classes(ready, lakes, tmp_path):
    cfg, _, checkpoint = ready
    mine = reading(cfg, test=lake(lakes["more"], metainfo={"classes": CLASS_NAMES}))
    expected = deeplake_mmdet.test(reading(cfg, test=lakes["same"]), checkpoint, work_dir=tmp_path / "a")
    found = deeplake_mmdet.test(mine, checkpoint, work_dir=tmp_path / "b")
    np.testing.assert_equal(found.class_scores, expected.class_scores)


def test_a_checkpoint_without_names_is_taken_by_the_config_and_that_is_told(ready, lakes, tmp_path, capsys):
    cfg, model, _ = ready
    bare = save(model, tmp_path / "bare.pth", classes=None)
    mine = reading(cfg, test=lakes["reversed"])
    mine.train_dataloader.dataset.path = "not/there/any/more"
    assert mine.train_dataloader.dataset.metainfo.classes == CLASS_NAMES
    run = deeplake_mmdet.test(mine, bare, work_dir=tmp_path)
    assert [score.name for score in run.class_scores] == list(CLASS_NAMES)
    told = capsys.readouterr().err
    assert "does not name its classes" in told
    mine = reading(mine, train="not/there/any/more", test=lakes["reversed"])
    run = deeplake_mmdet.test(mine, bare, work_dir=tmp_path)
    assert [score.name for score in run.class_scores] == list(REVERSED)
    assert "taken for those of test_dataloader.dataset" in capsys.readouterr().err


def test_a_checkpoint_of_2x_names_its_classes_in_its_own_place(ready, lakes, tmp_path):
    cfg, model, _ = ready
    old = save(model, tmp_path / "old.pth", classes=None, CLASSES=list(CLASS_NAMES))
    run = deeplake_mmdet.test(reading(cfg, test=lakes["reversed"]), old, work_dir=tmp_path)
    assert [score.name for score in run.class_scores] == list(CLASS_NAMES)


def test_a_detector_that_knows_its_classes_needs_no_checkpoint(ready, lakes, tmp_path):
    cfg, model, _ = ready
    model = copy.deepcopy(model)
    model.dataset_meta = {"classes": CLASS_NAMES}
    expected = run_detector(model, reading(cfg, test=lakes["same"]), work_dir=tmp_path / "a")
    found = run_detector(model, reading(cfg, test=lakes["reversed"]), work_dir=tmp_path / "b")
    np.testing.assert_equal(found.class_scores, expected.class_scores)
    with pytest.raises(ConfigError, match="not those of the detector: missing 'star'"):
        run_detector(model, reading(cfg, test=lakes["some"]), work_dir=tmp_path / "c")


def test_validation_takes_the_order_of_training(ready, lakes, tmp_path, capsys):
    cfg = ready[0]
    runs = {
        name: deeplake_mmdet.train(
            reading(cfg, train=lakes["same"], val=lakes[name], test=lakes[name]), work_dir=tmp_path / name
        )
        for name in ("same", "reversed")
    }
    told = [line for line in capsys.readouterr().err.splitlines() if "in another order" in line]
    assert len(told) == 1
    assert "val_dataloader.dataset has the classes of train_dataloader.dataset" in told[0]
    np.testing.assert_equal(runs["reversed"].class_scores, runs["same"].class_scores)
    saved = torch.load(runs["reversed"].last_checkpoint, weights_only=False)
    assert saved["meta"]["dataset_meta"]["classes"] == CLASS_NAMES


def test_opened_datasets_are_put_in_order_too(ready, lakes, tmp_path):
    cfg, model = reading(ready[0], train=lakes["same"], val=lakes["same"]), copy.deepcopy(ready[1])
    cfg.work_dir = str(tmp_path)
    run = deeplake_mmdet.train_detector(model, cfg, ds_val=deeplake.open_read_only(lakes["reversed"]))
    assert [score.name for score in run.class_scores] == list(CLASS_NAMES)
    assert tuple(model.dataset_meta["classes"]) == CLASS_NAMES
    with pytest.raises(ConfigError, match=r"val_dataloader\.dataset are not those of train.*'Brick'"):
        deeplake_mmdet.train_detector(model, cfg, ds_val=deeplake.open_read_only(lakes["spelt"]))


@pytest.mark.parametrize(
    ("name", "text"),
    {
        "some": r"missing 'star', 'ring'.*metainfo=dict\(classes=\('ball', 'brick', 'cone'\)\) and num_cl",
        "more": r"not among them 'square'.*select them in val_dataloader",
        "spelt": r"written otherwise than 'brick'",
    }.items(),
)
def test_other_classes_than_trainings_are_an_error_before_training(ready, lakes, tmp_path, name, text):
    with pytest.raises(ConfigError, match=text):
        deeplake_mmdet.train(reading(ready[0], train=lakes["same"], val=lakes[name]), work_dir=tmp_path)
    assert not list(tmp_path.rglob("*.log"))


def test_a_selection_of_classes_is_followed(ready, lakes, tmp_path):
    cfg, work = ready[0], tmp_path / "work"
    chosen = ("star", "ball")
    mine = reading(cfg, train=lake(lakes["same"], metainfo={"classes": chosen}), val=lakes["reversed"])
    mine = reading(mine, test=lakes["reversed"])
    mine.train_dataloader.dataset.metainfo = {"classes": chosen}
    mine.model.bbox_head.num_classes = 2
    run = deeplake_mmdet.train(mine, work_dir=work)
    assert [score.name for score in run.class_scores] == list(chosen)
    tested = deeplake_mmdet.test(mine, run.last_checkpoint, work_dir=tmp_path / "test")
    np.testing.assert_equal(tested.class_scores, run.class_scores)


MIXING = [{"type": "Mosaic", "img_scale": (64, 64)}, {"type": "PackDetInputs"}]
SHAPES = {
    "list": lambda a, b: {"type": "ConcatDataset", "datasets": [a, b]},
    "repeated": lambda a, b: {
        "type": "RepeatDataset", "times": 2, "dataset": {"type": "ConcatDataset", "datasets": [a, b]},
    },
    "balanced": lambda a, b: {
        "type": "ConcatDataset",
        "datasets": [{"type": "ClassBalancedDataset", "oversample_thr": 0.1, "dataset": a}, b],
    },
    "mixed": lambda a, b: {
        "type": "MultiImageMixDataset", "pipeline": MIXING,
        "dataset": {"type": "mmengine.ConcatDataset", "datasets": [a, b]},
    },
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_several_lakes_in_one_loader_have_one_order(ready, lakes, tmp_path, shape):
    both = SHAPES[shape](lake(lakes["reversed"]), lake(lakes["same"]))
    runner = runner_of(reading(ready[0], train=both, val=lakes["same"]), tmp_path)
    first, second = runner.train_dataloader.dataset.lakes
    assert first.metainfo["classes"] == second.metainfo["classes"] == REVERSED
    assert classes_of(runner, "val") == [REVERSED]
    for index in range(4):  # the same images, so the same objects
        assert first.get_cat_ids(index) == second.get_cat_ids(index)
    assert runner.train_dataloader.dataset.metainfo["classes"] == REVERSED
    with pytest.raises(ConfigError, match=r"not those of train_dataloader.*missing"):
        runner_of(reading(ready[0], train=SHAPES[shape](lake(lakes["same"]), lake(lakes["some"]))), tmp_path)


def test_what_is_stated_wins_over_what_a_lake_lists_first(ready, lakes, tmp_path):
    stated = (*CLASS_NAMES[2:], *CLASS_NAMES[:2])
    both = SHAPES["list"](lake(lakes["reversed"]), lake(lakes["same"], metainfo={"classes": stated}))
    runner = runner_of(reading(ready[0], train=both, val=lakes["reversed"]), tmp_path)
    assert classes_of(runner, "train") == [stated, stated]
    assert classes_of(runner, "val") == [stated]


def test_the_order_of_a_lake_without_names_cannot_be_changed(ready, lakes, tmp_path):
    nameless = deeplake.open(write_lake(tmp_path / "nameless", CLASS_NAMES))
    nameless["labels"].metadata["class_names"] = []
    nameless.commit("names are gone")
    path = str(tmp_path / "nameless")
    cfg = ready[0]
    with pytest.raises(ConfigError, match=r"names no classes itself"):
        runner_of(reading(cfg, train=lakes["same"], val=lake(path, metainfo={"classes": REVERSED})), tmp_path)
    with pytest.raises(AnnotationError, match="does not name its classes"):
        runner_of(reading(cfg, train=lakes["same"], val=path), tmp_path)
    runner = runner_of(
        reading(cfg, train=lakes["same"], val=lake(path, metainfo={"classes": CLASS_NAMES})), tmp_path
    )
    assert classes_of(runner, "val") == [CLASS_NAMES]


def test_a_config_of_2x_is_put_in_order_too(lakes, tmp_path):
    old = Config(old_config(lakes["same"], lakes["reversed"]))
    assert classes_of(runner_of(old, tmp_path), "val") == [CLASS_NAMES]
    with pytest.raises(ConfigError, match=r"not those of train_dataloader\.dataset: missing 'star'"):
        runner_of(Config(old_config(lakes["same"], lakes["some"])), tmp_path)


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_class_that_a_lake_does_not_have_is_told_as_that(ready, lakes, tmp_path, split):
    wrong = lake(lakes["same"], metainfo={"classes": ("unicorn", *CLASS_NAMES[1:])})
    mine = reading(ready[0], **{"train": lakes["same"], "val": lakes["same"], split: wrong})
    with pytest.raises(ConfigError, match="the lake has no class 'unicorn'"):
        deeplake_mmdet.train(mine, work_dir=tmp_path)


def test_prompts_of_open_vocabularies_are_left_alone(ready, lakes, tmp_path):
    cfg = reading(ready[0], train=lakes["same"], val=lake(lakes["some"], return_classes=True))
    assert classes_of(runner_of(cfg, tmp_path), "val") == [SOME]


def test_a_resumed_run_keeps_its_checkpoints_order(ready, lakes, tmp_path):
    cfg = reading(ready[0], train=lakes["same"], val=lakes["same"])
    deeplake_mmdet.train(cfg, work_dir=tmp_path / "run")
    longer = copy.deepcopy(cfg)
    longer.train_cfg.max_epochs = 2
    longer.train_dataloader.dataset.metainfo = {"classes": REVERSED}
    resumed = deeplake_mmdet.train(longer, work_dir=tmp_path / "run", resume=True)
    assert torch.load(resumed.last_checkpoint, weights_only=False)["meta"]["epoch"] == 2
    assert [score.name for score in resumed.class_scores] == list(CLASS_NAMES)
    for name in ("some", "spelt"):
        other = reading(longer, train=lakes[name], val=lakes[name])
        with pytest.raises(ConfigError, match=r"train_dataloader\.dataset are not those of the checkpoint"):
            deeplake_mmdet.train(other, work_dir=tmp_path / "run", resume=True)
    # Fine-tuning on other names is as it should be; the same names in another order are told.
    fine = reading(cfg, train=lakes["reversed"], val=lakes["reversed"])
    fine.load_from = str(resumed.last_checkpoint)
    runner = runner_of(fine, tmp_path / "fine")
    assert classes_of(runner, "train") == [REVERSED]


def test_fine_tuning_on_the_same_names_in_another_order_is_told(ready, lakes, tmp_path, capsys):
    cfg, _, checkpoint = ready
    fine = reading(cfg, train=lakes["reversed"], val=lakes["reversed"])
    fine.load_from = str(checkpoint)
    deeplake_mmdet.train(fine, work_dir=tmp_path)
    told = [line for line in capsys.readouterr().err.splitlines() if "classes in another order" in line]
    assert len(told) == 1
    assert "Warning: " in told[0]


def test_hooks_notice_it_under_mmdetections_own_runner(ready, lakes, tmp_path):
    cfg, _, checkpoint = ready
    stock = reading(cfg, train=lakes["same"], val=lakes["reversed"], test=lakes["reversed"])
    stock.work_dir = str(tmp_path)
    stock.load_from = str(checkpoint)
    # Without any hook of ours, the metric compares what is scored with what is trained on.
    alone = copy.deepcopy(stock)
    alone.load_from = None
    with pytest.raises(ConfigError, match="in another order than the data that is scored"):
        Runner.from_cfg(alone).train()
    stock.custom_hooks = [{"type": "deeplake_mmdet.ClassCheckHook"}]
    with pytest.raises(ConfigError, match=r"The data of test has its classes in another order than"):
        Runner.from_cfg(copy.deepcopy(stock)).test()
    stock.load_from = None
    with pytest.raises(ConfigError, match=r"The data of val has its classes in another order than"):
        Runner.from_cfg(stock).train()
