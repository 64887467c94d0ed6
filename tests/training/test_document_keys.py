"""The interface document's keys, from a 2.x config to what a run really reads, loads and scores."""

from __future__ import annotations

import re
from pathlib import Path

import deeplake
import pytest
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from old_configs import innermost, old_config

from deeplake_mmdet import build_detector, train_detector
from deeplake_mmdet.config import fast_loaders
from deeplake_mmdet.demo.lakes import write_demo_lake
from deeplake_mmdet.errors import ColumnError, ConfigError, CredentialError
from deeplake_mmdet.lake import CredentialRef
from deeplake_mmdet.training.prepare import prepare_config


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """With an older version of 6 rows, now of 8; a tag, a saved view, a branch of none of them."""
    path = tmp_path_factory.mktemp("lakes") / "lake"
    write_demo_lake(path, count=8, seed=0)
    opened = deeplake.open(str(path))
    opened.tag("eight")
    older = opened.version
    for _ in range(2):
        opened.delete(len(opened) - 1)
    opened.commit("fewer")
    opened.tag("six")
    opened.query("SELECT * LIMIT 3").tag("three")
    return str(path), older


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    register_all_modules(init_default_scope=False)


def read(content, split="train"):
    """The loader of a split as a run builds it."""
    cfg = prepare_config(Config(content))
    with DefaultScope.overwrite_default_scope("mmdet"):
        return Runner.build_dataloader(cfg[f"{split}_dataloader"], seed=0)


def order_of(loader):
    """The samples' indices as the loader asks for them; ours name the pass too."""
    found = [index for batch in loader.batch_sampler for index in batch]
    return [index[-1] if isinstance(index, tuple) else index for index in found]


SOURCES = {
    "newest": ({}, 6),
    "commit_id": ({"deeplake_commit_id": "OLDER"}, 8),
    "commit": ({"deeplake_commit": "OLDER"}, 8),
    "tag": ({"deeplake_tag_id": "eight"}, 8),
    "view": ({"deeplake_view_id": "three"}, 3),
    "query": ({"deeplake_query": "SELECT * LIMIT 5"}, 5),
    "commit, then query": ({"deeplake_commit_id": "OLDER", "deeplake_query": "SELECT * LIMIT 7"}, 7),
    "query of a view": ({"deeplake_view_id": "three", "deeplake_query": "SELECT * LIMIT 2"}, 2),
    "unset": (
        dict.fromkeys(("commit_id", "view_id", "tag_id", "query"), ""), 6
    ),
}  # fmt: skip


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("case", SOURCES)
def test_what_is_read(lake, case, split):
    path, older = lake
    keys, count = SOURCES[case]
    content = old_config(path, path)
    keys = {name if name.startswith("deeplake") else f"deeplake_{name}": text for name, text in keys.items()}
    content["data"][split] |= {name: text.replace("OLDER", older) for name, text in keys.items()}
    assert len(read(content, split).dataset) == count


def test_the_test_split_has_the_same_keys(lake):
    path, older = lake
    content = old_config(path, path)
    content["data"]["test"] = {**content["data"]["val"], "deeplake_commit_id": older}
    assert len(read(content, "test").dataset) == 8


LOADERS = [
    ({}, {}, (2, 2, 1)),
    ({"samples_per_gpu": 3, "workers_per_gpu": 1}, {}, (3, 1, 3)),
    ({"samples_per_gpu": 3, "workers_per_gpu": 1}, {"batch_size": 4, "num_workers": 0}, (4, 0, 4)),
    ({}, {"batch_size": 4}, (4, 2, 4)),
]


@pytest.mark.parametrize(("beside", "own", "expected"), LOADERS)
def test_batch_size_and_workers_fall_back_as_documented(lake, beside, own, expected):
    content = old_config(lake[0], lake[0])
    content["data"] = {key: content["data"][key] for key in ("train", "val")} | beside
    for split in ("train", "val"):
        content["data"][split]["deeplake_dataloader"] = own
    loaders = fast_loaders(prepare_config(Config(content)))
    batch, workers, val_batch = expected
    for split, size in (("train", batch), ("val", val_batch)):
        loader = loaders[f"{split}_dataloader"]
        assert loader["batch_size"] == size
        # Processes, or threads instead.
        assert loader["num_workers"] + loader["dataset"]["threads"] == workers


@pytest.mark.parametrize("shuffle", [True, False, None])
def test_shuffle(lake, shuffle):
    content = old_config(lake[0], lake[0])
    if shuffle is not None:
        content["data"]["train"]["deeplake_dataloader"] = {"shuffle": shuffle}
        content["data"]["val"]["deeplake_dataloader"] = {"shuffle": shuffle}
    train, val = order_of(read(content)), order_of(read(content, "val"))
    assert sorted(train) == val == list(range(6))
    assert (train != val) == (shuffle is not False)


def test_what_a_torch_loader_takes(lake):
    content = old_config(lake[0], None)
    options = {"batch_size": 4, "drop_last": True, "num_workers": 1, "prefetch_factor": 3, "shuffle": False}
    content["data"]["train"]["deeplake_dataloader"] = {**options, "persistent_workers": False, "timeout": 5}
    loader = read(content)
    assert len(loader) == 1
    assert (loader.prefetch_factor, loader.persistent_workers, loader.timeout) == (3, False, 5)


def test_a_missing_pipeline_is_taken_from_the_top(lake):
    content = old_config(lake[0], lake[0])
    expected = prepare_config(Config(content))
    for split in ("train", "val"):
        del content["data"][split]["pipeline"]
    cfg = prepare_config(Config(content))
    for split in ("train", "val"):
        loader = f"{split}_dataloader"
        assert innermost(cfg[loader].dataset).pipeline == innermost(expected[loader].dataset).pipeline


def test_the_documents_credentials(lake, monkeypatch):
    monkeypatch.delenv("ACTIVELOOP_TOKEN", raising=False)
    content = old_config(lake[0], None)
    node = content["data"]["train"]
    node["deeplake_credentials"] = dict.fromkeys(("username", "password", "token", "creds"))
    assert len(read(content).dataset) == 6
    node["deeplake_credentials"] = {"token": "canary-1234", "creds": {"aws_region": "eu"}}
    assert "credentials" not in innermost(prepare_config(Config(content)).train_dataloader.dataset)
    node["deeplake_path"] = "s3://bucket/lake"  # which may need them
    cfg = prepare_config(Config(content))
    handle = innermost(cfg.train_dataloader.dataset).credentials
    assert CredentialRef(handle).resolve() == ("canary-1234", {"aws_region": "eu"})
    assert "canary" not in cfg.pretty_text + cfg.text
    node["deeplake_credentials"] = {"username": "me", "password": "canary"}
    with pytest.raises(CredentialError, match="user name and password") as error:
        prepare_config(Config(content))
    assert "canary" not in str(error.value)


@pytest.mark.parametrize("name", ["auto", "c++", "cpp", "python", "C++", None])
def test_loader_types_are_accepted(lake, name):
    content = old_config(lake[0], None)
    content["deeplake_dataloader_type"] = name
    assert len(read(content).dataset) == 6


@pytest.mark.parametrize(
    ("name", "metric", "expected"),
    [
        ("COCO", ["bbox"], {"coco/bbox_mAP", "coco/bbox_mAP_50"}),
        ("coco", "proposal", {"coco/AR@100"}),
        ("Coco", ["bbox", "proposal_fast"], {"coco/bbox_mAP", "coco/AR@300"}),
        ("PascalVOC", "mAP", {"pascal_voc/mAP"}),
        ("pascalvoc", ["recall"], {"pascal_voc/recall@1000@0.5"}),
        ("pascal_voc", None, {"pascal_voc/mAP"}),
        (None, None, {"coco/bbox_mAP"}),
    ],
)
def test_metrics(lake, name, metric, expected):
    cfg = Config(old_config(lake[0], lake[0]))
    cfg.deeplake_metrics_format = name
    cfg.evaluation = {"interval": 1} if metric is None else {"interval": 1, "metric": metric}
    run = train_detector(build_detector(cfg.model), cfg)
    assert expected <= set(run.metrics), run.metrics


@pytest.mark.parametrize(("name", "best"), [("COCO", "bbox_mAP"), ("PascalVOC", "mAP"), ("COCO", "auto")])
def test_interval_and_save_best(lake, name, best):
    cfg = Config(old_config(lake[0], lake[0], epochs=3))
    cfg.deeplake_metrics_format = name
    cfg.evaluation = {"interval": 2, "save_best": best}
    run = train_detector(build_detector(cfg.model), cfg)
    scored = [path.read_text().count("mAP") for path in run.work_dir.rglob("scalars.json")]
    assert scored
    assert re.fullmatch(r"best_(coco_bbox|pascal_voc)_mAP_epoch_\d\.pth", run.best_checkpoint.name)


MISTAKES = {
    "top key": ({"deeplake_metric_format": "COCO"}, "deeplake_metrics_format"),
    "top value": ({"deeplake_metrics_format": "CCO"}, "COCO"),
    "loader type": ({"deeplake_dataloader_type": "pyhton"}, "python"),
    "split key": ({"data.train.deeplake_comit_id": "x"}, "deeplake_commit_id"),
    "split key of val": ({"data.val.deeplake_tensor": {}}, "deeplake_tensors"),
    "role": ({"data.train.deeplake_tensors": {"gt_boxes": "boxes"}}, "gt_bboxes"),
    "loader key": ({"data.train.deeplake_dataloader": {"batchsize": 4}}, "batch_size"),
    "credentials": ({"data.train.deeplake_credentials": {"tokens": "canary"}}, "token"),
    "metric": ({"evaluation.metric": ["bboxs"]}, "bbox"),
    "place": ({"deeplake_path": "x"}, "move it into data.train"),
    "two commits": (
        {"data.train.deeplake_commit": "a", "data.train.deeplake_commit_id": "b"}, "different commits"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_told_before_training_with_the_nearest_name(lake, tmp_path, case):
    options, text = MISTAKES[case]
    cfg = Config(old_config(lake[0], lake[0]))
    model = build_detector(cfg.model)
    cfg.merge_from_dict(options)
    with pytest.raises(ConfigError, match=re.escape(text)) as error:
        train_detector(model, cfg)
    assert "canary" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_masks_are_optional(lake):
    content = old_config(lake[0], None)
    content["data"]["train"]["deeplake_tensors"] = {
        "img": "images",
        "gt_bboxes": "boxes",
        "gt_labels": "labels",
    }
    sample = next(iter(read(content)))["data_samples"][0]
    assert sample.gt_instances.bboxes.tensor.isfinite().all()
    assert "masks" not in sample.gt_instances


@pytest.mark.parametrize(
    ("name", "best", "near"),
    [("COCO", "bbox_map", "coco/bbox_mAP"), ("PascalVOC", "AP75", "pascal_voc/AP50")],
)
def test_a_best_score_that_no_metric_gives_is_told_before_training(lake, name, best, near):
    cfg = Config(old_config(lake[0], lake[0]))
    cfg.deeplake_metrics_format = name
    cfg.evaluation = {"interval": 1, "save_best": best, "rule": "greater"}
    with pytest.raises(ConfigError, match=f"perhaps '{near}' is meant"):
        train_detector(build_detector(cfg.model), cfg)
    assert not list(Path().rglob("*.pth"))


def test_masks_cannot_be_scored_where_there_are_none(lake):
    cfg = Config(old_config(lake[0], lake[0]))
    cfg.evaluation = {"interval": 1, "metric": ["bbox", "segm"]}
    with pytest.raises(ColumnError, match="this lake has none"):
        train_detector(build_detector(cfg.model), cfg)
    assert not list(Path().rglob("*.pth"))
