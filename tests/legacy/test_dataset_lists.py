"""Lists of datasets, wrappers and the arguments of a lake in 2.x configs."""

from __future__ import annotations

import inspect
import json

import pytest
import torch
from mmdet.registry import DATASETS
from mmdet.utils import register_all_modules
from mmengine.registry import EVALUATOR, DefaultScope

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy import convert_config_dict

LAKE = "deeplake_mmdet.DeepLakeDataset"
NORM = {"mean": [0.0, 0.0, 0.0], "std": [255.0, 255.0, 255.0], "to_rgb": True}
LOAD = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations", "with_bbox": True}]
TRAIN = [*LOAD, {"type": "Normalize", **NORM}, {"type": "Collect", "keys": ["img", "gt_bboxes", "gt_labels"]}]
TEST = [LOAD[0], {"type": "Normalize", **NORM}, {"type": "Collect", "keys": ["img"]}]


def convert(evaluation=None, **data):
    found, notes = convert_config_dict(
        {"data": data, "optimizer": {"type": "SGD", "lr": 1}, "evaluation": evaluation or {"metric": "bbox"}}
    )
    return found, [str(note) for note in notes]


def files(**more):
    return {"type": "CocoDataset", "ann_file": "a.json", "img_prefix": "d/", "pipeline": TEST, **more}


def lake(path, **more):
    return {"deeplake_path": path, "pipeline": TEST, **more}


def leaves(dataset):
    if "datasets" in dataset:
        return [leaf for part in dataset["datasets"] for leaf in leaves(part)]
    return leaves(dataset["dataset"]) if "dataset" in dataset else [dataset]


def write_coco(file, count):
    """Images whose ids begin at 1 in every file, as exports have them, with a box each."""
    images = [{"id": n + 1, "file_name": f"{n}.jpg", "width": 64, "height": 64} for n in range(count)]
    one = {"category_id": 1, "iscrowd": 0, "area": 99}
    boxes = [{**one, "id": n + 1, "image_id": n + 1, "bbox": [n, n, 9 + 7 * n, 30]} for n in range(count)]
    categories = [{"id": 1, "name": "a"}]
    file.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))
    return str(file)


def test_each_of_several_files_is_scored_by_itself(tmp_path):
    paths = [write_coco(tmp_path / f"{count}.json", count) for count in (2, 3)]
    found, notes = convert(val=files(ann_file=paths, classes=("a",)))
    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope("mmdet"):
        dataset = DATASETS.build(found["val_dataloader"]["dataset"])
        evaluator = EVALUATOR.build(found["val_evaluator"])
    evaluator.dataset_meta = dataset.metainfo
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        boxes = torch.tensor([one["bbox"] for one in info["instances"]])
        exact = {"bboxes": boxes, "labels": torch.zeros(1, dtype=torch.long), "scores": torch.ones(1)}
        size = (info["height"], info["width"])
        evaluator.process([{"img_id": info["img_id"], "ori_shape": size, "pred_instances": exact}])
    scores = evaluator.evaluate(len(dataset))
    assert {key: scores[key] for key in ("0/coco/bbox_mAP", "1/coco/bbox_mAP")} == dict.fromkeys(
        ("0/coco/bbox_mAP", "1/coco/bbox_mAP"), 1.0
    )
    assert any("data.val: each of 2 datasets is scored by itself" in note for note in notes)


@pytest.mark.parametrize(
    ("val", "paths", "prefixes"),
    [
        ([lake("a"), lake("b")], ["a", "b"], ["0", "1"]),
        ([[lake("a"), lake("b")], lake("c")], ["a", "b", "c"], ["0_0", "0_1", "1"]),
        ({"type": "ConcatDataset", "datasets": [lake("a"), lake("b")]}, ["a", "b"], ["0", "1"]),
        (
            {"type": "ConcatDataset", "separate_eval": True, "datasets": [lake("a"), lake("b")]},
            ["a", "b"],
            ["0", "1"],
        ),
    ],
)
def test_each_of_several_lakes_too(val, paths, prefixes):
    found, _ = convert(val=val, test=val)
    for split in ("val", "test"):
        dataset, evaluator = found[f"{split}_dataloader"]["dataset"], found[f"{split}_evaluator"]
        assert [part["path"] for part in dataset["datasets"]] == paths
        assert evaluator["type"] == "MultiDatasetsEvaluator"
        assert evaluator["dataset_prefixes"] == prefixes
        assert [metric["type"] for metric in evaluator["metrics"]] == ["deeplake_mmdet.CocoMetric"] * len(
            paths
        )


def test_lakes_are_scored_together_where_that_is_asked_for():
    val = {"type": "ConcatDataset", "separate_eval": False, "datasets": [lake("a"), lake("b")]}
    found, _ = convert(val=val)
    assert found["val_evaluator"] == {"type": "deeplake_mmdet.CocoMetric", "metric": "bbox"}
    found, _ = convert(val=[val, lake("c")])
    assert found["val_evaluator"]["dataset_prefixes"] == ["0", "1"]
    assert len(found["val_dataloader"]["dataset"]["datasets"]) == 2


def test_a_list_of_one_is_one_dataset():
    found, _ = convert(val=[lake("a")])
    assert found["val_dataloader"]["dataset"]["path"] == "a"
    assert found["val_evaluator"]["type"] == "deeplake_mmdet.CocoMetric"


def test_files_that_2x_refused_to_score_together_are_scored_apart_with_a_note():
    found, notes = convert(val=files(ann_file=["a.json", "b.json"], separate_eval=False))
    assert [metric["ann_file"] for metric in found["val_evaluator"]["metrics"]] == ["a.json", "b.json"]
    assert "separate_eval" not in str(found)
    assert any("data.val.separate_eval" in note and "[approximated]" in note for note in notes)
    voc = {"type": "VOCDataset", "ann_file": ["a.txt", "b.txt"], "img_prefix": "V/", "pipeline": TEST}
    found, _ = convert({"metric": "mAP"}, val={**voc, "separate_eval": False})
    assert found["val_evaluator"]["type"] == "VOCMetric"


@pytest.mark.parametrize(
    ("best", "expected"),
    [("auto", "auto"), ("1_bbox_mAP_50", "1/coco/bbox_mAP_50"), ("bbox_mAP", "0/coco/bbox_mAP")],
)
def test_the_best_checkpoint_goes_by_the_score_of_one(best, expected):
    found, notes = convert({"metric": "bbox", "save_best": best}, val=[lake("a"), lake("b")])
    assert found["default_hooks"]["checkpoint"]["save_best"] == expected
    assert any("save_best" in note for note in notes) == (best == "bbox_mAP")


def test_lakes_and_files_in_one_list_are_refused():
    with pytest.raises(ConfigError, match=r"no metric scores both.*data\.val"):
        convert(val=[lake("a"), files()])


def test_a_lake_named_on_a_wrapper_is_read_once():
    several = {"type": "ConcatDataset", "datasets": [files(), files(ann_file="b.json")]}
    repeated = {
        "type": "RepeatDataset",
        "times": 3,
        "dataset": several,
        "deeplake_path": "a",
        "pipeline": TRAIN,
    }
    for train in (repeated, {**repeated, "dataset": several["datasets"]}):
        found, notes = convert(train=train)
        dataset = found["train_dataloader"]["dataset"]
        assert dataset["times"] == 3
        assert [leaf["path"] for leaf in leaves(dataset)] == ["a"]
        assert any("read once, in place of 2 datasets" in note for note in notes)


def test_what_2x_did_not_read_from_its_wrappers_is_said_and_left_out():
    train = {"type": "RepeatDataset", "times": 2, "dataset": files(pipeline=TRAIN), "ann_file": "b.json"}
    found, notes = convert(train={**train, "pipeline": TEST})
    assert set(found["train_dataloader"]["dataset"]) == {"type", "times", "dataset"}
    assert leaves(found["train_dataloader"]["dataset"])[0]["ann_file"] == "a.json"
    for key in ("ann_file", "pipeline"):
        assert any(note.startswith(f"[dropped] data.train.{key}:") for note in notes)


def test_a_wrapper_of_ones_own_keeps_what_it_is_given():
    inner = files(pipeline=LOAD)
    train = {"type": "Tiles", "size": 400, "pipeline": TRAIN, "filter_empty_gt": False, "dataset": inner}
    found, notes = convert(train=train)
    dataset = found["train_dataloader"]["dataset"]
    assert (dataset["type"], dataset["size"], dataset["filter_empty_gt"]) == ("Tiles", 400, False)
    assert [step["type"] for step in dataset["pipeline"]][-1] == "PackDetInputs"
    assert [step["type"] for step in dataset["dataset"]["pipeline"]] == [step["type"] for step in LOAD]
    assert any("'Tiles' is passed on" in note for note in notes)
    found, _ = convert(train={"type": "Tiles", "dataset": files(pipeline=TRAIN)})
    assert "pipeline" not in found["train_dataloader"]["dataset"]
    assert leaves(found["train_dataloader"]["dataset"])[0]["pipeline"][-1]["type"] == "PackDetInputs"


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"type": "ConcatDataset", "ann_file": ["a.json"]}, "ConcatDataset without datasets"),
        ({"type": "RepeatDataset", "times": 2}, "RepeatDataset without dataset"),
        ({"type": "CocoDataset", "ann_file": "a", "dataset": {"type": "CocoDataset"}}, "wraps no dataset"),
        (files(ann_file=["a", "b"], img_prefix=["d"]), "2 files of annotations and 1 values of 'img_prefix'"),
        ({**lake("a"), "path": "b"}, "say different things"),
    ],
)
def test_datasets_that_mean_nothing_are_refused(train, message):
    with pytest.raises(ConfigError, match=message):
        convert(train=train)


def test_every_argument_of_a_lake_may_be_given():
    own = {
        "box_format": "ccwh", "on_error": "skip", "cache": "20GB", "prepared": "40GB", "branch": "dev",
        "apply_exif": True, "filter_cfg": {}, "indices": 5, "metainfo": {"palette": [(1, 2, 3)]},
        "max_refetch": 3,
    }  # fmt: skip
    for given in (lake("a", **own), {"type": LAKE, "path": "a", "pipeline": TRAIN, **own}):
        found, notes = convert(train={**given, "classes": ["x"], "preloaded": "40GB"})
        dataset = found["train_dataloader"]["dataset"]
        metainfo = {"palette": [(1, 2, 3)], "classes": ("x",)}
        assert {key: dataset[key] for key in own} == own | {"metainfo": metainfo}
        assert (dataset["type"], dataset["path"]) == (LAKE, "a")
        assert [note for note in notes if "no such argument" in note and "data.train" in note] == [
            "[dropped] data.train.preloaded: dropped ('40GB'): DeepLakeDataset has no such argument"
        ]


def test_no_argument_of_the_dataset_is_unknown():
    from deeplake_mmdet import DeepLakeDataset

    given = {name for name in inspect.signature(DeepLakeDataset).parameters if name != "kwargs"}
    for name in given - {"path"}:
        found, notes = convert(train={"deeplake_path": "a", "pipeline": TRAIN, name: {"probe": 1}})
        assert found["train_dataloader"]["dataset"][name] == {"probe": 1}, notes


def test_boxes_are_taken_as_before_where_nothing_is_said():
    found, _ = convert(train=lake("a"))
    assert found["train_dataloader"]["dataset"]["box_format"] == "legacy"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("hub://org/name@dev", ("hub://org/name", "dev")),
        ("/data/lake@a1b2", ("/data/lake", "a1b2")),
        ("s3://u:p@bucket/lake", ("s3://u:p@bucket/lake", None)),
        ("/data/me@home/lake", ("/data/me@home/lake", None)),
    ],
)
def test_a_version_behind_the_path(path, expected):
    found, _ = convert(train=lake(path))
    dataset = found["train_dataloader"]["dataset"]
    assert (dataset["path"], dataset.get("version")) == expected


def test_how_to_load_may_be_said_as_in_3x():
    content = {"data": {"train": lake("a")}, "fast_loader": "off", "deeplake_dataloader_type": "c++"}
    found, notes = convert_config_dict(content)
    assert found["fast_loader"] == "off"
    assert any("deeplake_dataloader_type" in str(note) for note in notes)
    assert not any("fast_loader" in note.key for note in notes)


def test_a_test_set_that_is_normalised_otherwise_is_no_obstacle_to_training():
    other = [LOAD[0], {"type": "Normalize", **NORM, "to_rgb": False}, TEST[-1]]
    found, notes = convert(train=lake("a"), val=lake("b"), test=lake("c", pipeline=other))
    assert found["model" if "model" in found else "val_dataloader"]
    assert (found["test_dataloader"], found["test_evaluator"], found["test_cfg"]) == (None, None, None)
    assert any(note.startswith("[dropped] data.test: left out") for note in notes)
    alone, _ = convert(test=lake("c", pipeline=other))
    assert alone["test_dataloader"]["dataset"]["path"] == "c"


def test_training_without_validation_data_is_said():
    _, notes = convert(train=lake("a"))
    assert any("training does not validate" in note for note in notes)
