"""``mmdet.datasets`` and ``mmdet.apis`` under ``run``, without a process for each: results and scores."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData
from old_configs import old_config

from deeplake_mmdet.cli.old_scripts.datasets import build_dataloader, build_dataset, replace_ImageToTensor
from deeplake_mmdet.cli.old_scripts.results import OldBoxes, OldResult, instances_of, to_old
from deeplake_mmdet.demo.drawing import CLASS_NAMES
from deeplake_mmdet.demo.lakes import write_demo_lake
from deeplake_mmdet.errors import ConfigError


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    path = tmp_path_factory.mktemp("lakes") / "val"
    write_demo_lake(path, count=6, seed=1)
    return str(path)


@pytest.fixture
def val(lake):
    return Config(old_config(None, lake)).data.val


def truth_of(dataset):
    """The objects of each image as if they had been found."""
    found = []
    for row in range(len(dataset)):
        objects = dataset.get_data_info(row)["instances"]
        rows = [[] for _ in CLASS_NAMES]
        for item in objects:
            rows[item["bbox_label"]].append([*item["bbox"], 0.9])
        found.append([np.array(part, np.float32).reshape(-1, 5) for part in rows])
    return found


def test_a_split_is_built_for_training_or_for_testing(lake, val):
    train = build_dataset(Config(old_config(lake, None)).data.train)
    assert tuple(train.CLASSES) == CLASS_NAMES
    assert len(train) == 6
    assert train[0]["inputs"].shape[0] == 3
    assert not train.test_mode
    assert build_dataset(val, {"test_mode": True}).test_mode
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = train.no_such_thing
    with pytest.raises(ConfigError, match=r"cfg\.data\.train"):
        build_dataset("train")


def test_results_in_the_old_form_are_scored_against_the_lake(val):
    dataset = build_dataset(val, {"test_mode": True})
    perfect = truth_of(dataset)
    assert dataset.evaluate(perfect, metric="bbox")["bbox_mAP"] == pytest.approx(1)
    assert dataset.evaluate(perfect, metric=["bbox"], classwise=True)["bbox_mAP_50"] == pytest.approx(1)
    assert dataset.evaluate(perfect, metric="mAP", iou_thr=0.5)["mAP"] == pytest.approx(1)
    nothing = [[np.empty((0, 5), np.float32)] * len(CLASS_NAMES)] * len(dataset)
    assert dataset.evaluate(nothing, metric="bbox")["bbox_mAP"] == pytest.approx(0)
    shifted = [[part + np.array([30, 30, 30, 30, 0]) for part in image] for image in perfect]
    assert dataset.evaluate(shifted, metric="bbox")["bbox_mAP"] < 0.5
    with pytest.raises(ConfigError, match="5 results of 6 images"):
        dataset.evaluate(perfect[:5])


def test_each_dataset_of_a_list_is_scored_by_itself(val):
    parts = [{**val, "indices": 4}, {**val, "indices": 3}]
    dataset = build_dataset(parts, {"test_mode": True})
    found = truth_of(dataset)
    scores = dataset.evaluate([*found[:4], *([[part[:0] for part in found[0]]] * 3)], metric="bbox")
    assert scores["0_bbox_mAP"] == pytest.approx(1)
    assert scores["1_bbox_mAP"] == pytest.approx(0)
    dataset.evaluate(found, metric="mAP", iou_thr=0.5)


def test_a_loader_gives_the_dataset_in_its_order(val):
    loader = build_dataloader(build_dataset(val, {"test_mode": True}), 2, 0, dist=False, shuffle=False)
    assert len(loader) == 3
    names = [sample.img_path for batch in loader for sample in batch["data_samples"]]
    assert names == [loader.dataset.get_data_info(row)["img_path"] for row in range(6)]
    assert tuple(loader.dataset.CLASSES) == CLASS_NAMES


def sample_of(masks):
    found = InstanceData(
        bboxes=torch.tensor([[1.0, 2, 30, 40], [5, 6, 7, 8], [0, 0, 9, 9]]),
        scores=torch.tensor([0.5, 0.25, 0.75]),
        labels=torch.tensor([2, 0, 2]),
    )
    if masks:
        found.masks = torch.arange(3 * 4 * 5).reshape(3, 4, 5) % 3 == 0
    sample = DetDataSample()
    sample.pred_instances = found
    return sample


@pytest.mark.parametrize("masks", [False, True])
def test_results_have_the_old_form_and_the_new_ones_attributes(masks):
    result = to_old(sample_of(masks), 4)
    boxes = result[0] if masks else result
    assert isinstance(result, OldResult if masks else OldBoxes)
    assert isinstance(result, tuple if masks else list)
    assert [part.shape for part in boxes] == [(1, 5), (0, 5), (2, 5), (0, 5)]
    np.testing.assert_allclose(boxes[2], [[1, 2, 30, 40, 0.5], [0, 0, 9, 9, 0.75]])
    assert len(result.pred_instances) == 3
    with pytest.raises(AttributeError):
        _ = result.no_such_thing
    again = instances_of(result)
    assert sorted(again.scores.tolist()) == [0.25, 0.5, 0.75]
    assert again.labels.tolist() == [0, 2, 2]
    if masks:
        assert [len(part) for part in result[1]] == [1, 0, 2, 0]
        np.testing.assert_array_equal(result[1][2][1], sample_of(True).pred_instances.masks[2].numpy())
        assert again.masks.shape == (3, 4, 5)
    stored = pickle.loads(pickle.dumps(result))
    assert type(stored) is (tuple if masks else list)  # no class of ours: any tool reads the file


def test_image_to_tensor_is_replaced_inside_of_the_augmentation_too(val):
    before = val.pipeline
    after = replace_ImageToTensor(before)
    assert [step.type for step in after] == ["LoadImageFromFile", "MultiScaleFlipAug"]
    kinds = [step.type for step in after[1].transforms]
    assert "ImageToTensor" not in kinds
    assert kinds[-2] == "DefaultFormatBundle"
    assert "ImageToTensor" in [step.type for step in before[1].transforms]
