"""Children of bases that exist only in 3.x's form find the datasets where 2.28.2 had them."""

from __future__ import annotations

import pytest

from deeplake_mmdet import load_config


@pytest.fixture
def loaded(tmp_path):
    def load(base, data):
        file = tmp_path / "work" / "mine.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"_base_ = '../mmdetection/configs/{base}'\ndata = {data!r}\n")
        return load_config(file)

    return load


def chain(dataset):
    """Times of repetition, and the innermost datasets."""
    times = 1
    while dataset["type"] == "RepeatDataset":
        times, dataset = times * dataset["times"], dataset["dataset"]
    return times, dataset.get("datasets", [dataset])


VOC = "pascal_voc/faster_rcnn_r50_fpn_1x_voc0712.py"
FASHION = "deepfashion/mask_rcnn_r50_fpn_15e_deepfashion.py"
FACES = "wider_face/ssd300_wider_face.py"
PANOPTIC = "panoptic_fpn/panoptic_fpn_r50_fpn_mstrain_3x_coco.py"


@pytest.mark.parametrize(
    ("base", "wrapped", "times"),
    [(VOC, True, 3), (FASHION, False, 1), (FACES, True, 2), (PANOPTIC, True, 3)],
)
def test_a_lake_is_read_as_often_as_2x_read_the_files(loaded, base, wrapped, times):
    lake = {"deeplake_path": "lake"}
    for train in (lake, {"dataset": lake} if wrapped else lake):
        cfg = loaded(base, {"train": train, "val": lake})
        found, datasets = chain(cfg.train_dataloader.dataset)
        assert found == times
        assert [dataset["path"] for dataset in datasets] == ["lake"]


def test_files_of_a_childs_own_take_the_place_of_all(loaded):
    files = {"ann_file": "my/train.txt", "img_prefix": "my/VOC2007/"}
    cfg = loaded(VOC, {"train": {"dataset": files}})
    times, datasets = chain(cfg.train_dataloader.dataset)
    assert times == 3
    assert [dataset["ann_file"] for dataset in datasets] == ["my/train.txt"]
    untouched = chain(loaded(VOC, {"samples_per_gpu": 1}).train_dataloader.dataset)[1]
    assert ["VOC2007" in dataset["ann_file"] for dataset in untouched] == [True, False]


def test_what_3x_trains_longer_is_repeated_instead(loaded):
    cfg = loaded(PANOPTIC, {"samples_per_gpu": 1})
    assert cfg.train_cfg.max_epochs == 12
    assert [item.milestones for item in cfg.param_scheduler if item.type == "MultiStepLR"] == [[8, 11]]
    assert chain(cfg.train_dataloader.dataset)[0] == 3


def test_small_faces_are_ignored_as_before(loaded):
    dataset = chain(loaded(FACES, {"samples_per_gpu": 1}).train_dataloader.dataset)[1][0]
    assert dataset["filter_cfg"]["bbox_min_size"] == 17
