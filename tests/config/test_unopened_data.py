"""A lake where files are expected, and the other way round."""

from __future__ import annotations

import pytest

from deeplake_mmdet import Config, convert_config, load_config
from deeplake_mmdet.demo.lakes import write_demo_lake
from deeplake_mmdet.errors import ConfigError


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("places")
    write_demo_lake(folder / "lake", count=2, seed=0)
    (folder / "v3").mkdir()
    (folder / "v3" / "dataset_meta.json").write_text("{}")
    (folder / "coco.json").write_text("{}")
    for name in ("Annotations", "ImageSets"):
        (folder / "voc" / name).mkdir(parents=True)
    return folder


def old(train):
    return f"data = dict(train=dict(type='CocoDataset', pipeline=[], {train}))\ntotal_epochs = 1\n"


def new(train):
    return f"train_dataloader = dict(dataset=dict({train}))\n"


LAKE = "type='deeplake_mmdet.DeepLakeDataset', "
CASES = [
    (old("ann_file='{0}/lake'"), "data.train.ann_file", "deeplake_path="),
    (old("ann_file='{0}/v3'"), "data.train.ann_file", "deeplake_path="),
    (old("data_root='{0}/', ann_file='lake'"), "data.train.ann_file", "deeplake_path="),
    (old("ann_file='hub://activeloop/coco-train'"), "data.train.ann_file", "deeplake_path="),
    (old("deeplake_path='{0}/coco.json'"), "data.train.deeplake_path", "import coco"),
    (old("deeplake_path='s3://bucket/instances_train2017.json'"), "data.train.deeplake_path", "import coco"),
    (old("deeplake_path='{0}/voc'"), "data.train.deeplake_path", "import voc"),
    (new("type='CocoDataset', ann_file='{0}/lake'"), "train_dataloader.dataset.ann_file", LAKE.rstrip(", ")),
    (new("type='CocoDataset', data_root='{0}/lake', ann_file='x.json'"), "dataset.data_root", "path="),
    (
        new("type='RepeatDataset', times=2, dataset=dict(type='CocoDataset', ann_file='{0}/lake')"),
        "train_dataloader.dataset.dataset.ann_file",
        "path=",
    ),
    (
        new("type='ConcatDataset', datasets=[dict(" + LAKE + "path='{0}/coco.json')]"),
        "train_dataloader.dataset.datasets[0].path",
        "import coco",
    ),
]


@pytest.mark.parametrize(("text", "where", "advice"), CASES)
def test_the_wrong_kind_of_data_is_told(places, tmp_path, text, where, advice):
    path = tmp_path / "config.py"
    path.write_text(text.format(places))
    with pytest.raises(ConfigError, match=r"expected|there is a lake") as caught:
        load_config(path)
    assert where in caught.value.where
    assert advice in caught.value.advice


def test_a_script_is_told_too(places, tmp_path):
    path = tmp_path / "config.py"
    path.write_text(old("ann_file='x.json'"))
    cfg = Config.fromfile(path)
    cfg.data.train.deeplake_path = f"{places}/coco.json"
    with pytest.raises(ConfigError, match="A lake is expected"):
        convert_config(cfg)


@pytest.mark.parametrize(
    "text",
    [
        old("ann_file='{0}/coco.json', img_prefix='{0}/'"),
        old("deeplake_path='{0}/lake'"),
        old("deeplake_path='s3://bucket/lake.v2'"),
        new(LAKE + "path='{0}/lake'"),
        new("type='CocoDataset', data_root='{0}/', ann_file='coco.json'"),
        new("type='VOCDataset', data_root='{0}/voc/', ann_file='ImageSets/Main/train.txt'"),
        "train_dataloader = None\n",
    ],
)
def test_the_right_kind_passes(places, tmp_path, text):
    path = tmp_path / "config.py"
    path.write_text(text.format(places))
    load_config(path)
