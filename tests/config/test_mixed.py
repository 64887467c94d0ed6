"""Configs that say some things as MMDetection 2.x did and others as 3.x does."""

from __future__ import annotations

import pytest
from mmengine.config import Config

from deeplake_mmdet import convert, convert_config, load_config
from deeplake_mmdet.errors import ConfigError

BASE = "mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py"
PASCAL = "mmdet::pascal_voc/faster-rcnn_r50_fpn_1x_voc0712.py"


@pytest.fixture
def write(tmp_path):
    def make(text, name="mine.py"):
        file = tmp_path / name
        file.write_text(text)
        return file

    return make


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    file = tmp_path_factory.mktemp("plain") / "plain.py"
    file.write_text(f"_base_ = {BASE!r}\n")
    return load_config(file).to_dict()


CHANGES = {
    "optimizer = dict(lr=0.5)": ({"optim_wrapper"}, lambda c: c.optim_wrapper.optimizer.lr == 0.5),
    "optimizer_config = dict(grad_clip=dict(max_norm=3))": (
        {"optim_wrapper"},
        lambda c: c.optim_wrapper.clip_grad == {"max_norm": 3},
    ),
    "lr_config = dict(policy='step', step=[3, 5])": (
        {"param_scheduler"},
        lambda c: c.param_scheduler[1].milestones == [3, 5] and c.param_scheduler[0].start_factor == 0.001,
    ),
    "fp16 = dict(loss_scale=512.0)": ({"optim_wrapper"}, lambda c: c.optim_wrapper.loss_scale == 512),
    "resume_from = 'a.pth'": ({"load_from", "resume"}, lambda c: c.resume and c.load_from == "a.pth"),
    "auto_resume = True": ({"resume"}, lambda c: c.resume and c.load_from is None),
    "seed = 3": ({"randomness"}, lambda c: c.randomness.seed == 3),
    "cudnn_benchmark = True": ({"env_cfg"}, lambda c: c.env_cfg.cudnn_benchmark),
    "runner = dict(max_epochs=24)": (
        {"train_cfg", "param_scheduler"},
        lambda c: c.train_cfg.max_epochs == 24 == c.param_scheduler[1].end,
    ),
    "total_epochs = 24": ({"train_cfg", "param_scheduler"}, lambda c: c.train_cfg.max_epochs == 24),
    "evaluation = dict(interval=5, metric=['bbox', 'segm'])": (
        {"train_cfg", "val_evaluator", "test_evaluator"},
        lambda c: c.train_cfg.val_interval == 5 and c.val_evaluator.metric == ["bbox", "segm"],
    ),
    "checkpoint_config = dict(interval=5, max_keep_ckpts=2)": (
        {"default_hooks"},
        lambda c: c.default_hooks.checkpoint.interval == 5 and c.default_hooks.checkpoint.max_keep_ckpts == 2,
    ),
    "log_config = dict(interval=7)": ({"default_hooks"}, lambda c: c.default_hooks.logger.interval == 7),
    "data = dict(samples_per_gpu=8, workers_per_gpu=4)": (
        {"train_dataloader"},
        lambda c: (c.train_dataloader.batch_size, c.train_dataloader.num_workers) == (8, 4),
    ),
    "data = dict(train=dict(deeplake_path='lake', box_format='ltwh'))": (
        {"train_dataloader"},
        lambda c: c.train_dataloader.dataset.path == "lake" and c.train_dataloader.batch_size == 2,
    ),
    "data = dict(val=dict(ann_file='my/val.json', img_prefix='my/'))": (
        {"val_dataloader", "val_evaluator"},
        lambda c: c.val_evaluator.ann_file == c.val_dataloader.dataset.ann_file == "my/val.json",
    ),
}


@pytest.mark.parametrize("line", CHANGES)
def test_what_a_child_says_as_2x_is_converted_and_nothing_else(write, plain, line):
    changed, holds = CHANGES[line]
    cfg = load_config(write(f"_base_ = {BASE!r}\n{line}\n"))
    assert holds(cfg)
    content = cfg.to_dict()
    assert {key for key in plain if content.get(key) != plain[key]} <= changed
    assert set(content) - set(plain) <= {"randomness"}


def test_the_command_does_not_call_it_nothing(write):
    done = convert(write(f"_base_ = {BASE!r}\noptimizer = dict(lr=0.5)\n"))
    assert done.legacy
    assert any(note.key == "optimizer" and note.what == "converted" for note in done.notes)


def test_a_loaded_config_too(write):
    cfg = Config.fromfile(str(write(f"_base_ = {BASE!r}\n")))
    cfg.lr_config = {"policy": "step", "step": [2]}  # as scripts do
    found, notes = convert_config(cfg)
    assert found.param_scheduler[1].milestones == [2]
    assert notes


def test_a_lake_in_place_of_files_that_a_3x_base_concatenates_is_read_once(write):
    cfg = load_config(write(f"_base_ = {PASCAL!r}\ndata = dict(train=dict(deeplake_path='lake'))\n"))
    dataset = cfg.train_dataloader.dataset
    assert dataset.times == 3
    assert dataset.dataset.path == "lake"


def test_a_later_file_of_3x_counts(write):
    base = write(
        f"_base_ = {BASE!r}\noptimizer = dict(lr=0.5)\nlr_config = dict(policy='step', step=[2])\n", "a.py"
    )
    text = f"_base_ = './{base.name}'\noptim_wrapper = dict(optimizer=dict(lr=0.25))\n"
    done = convert(write(text))
    assert done.content["optim_wrapper"]["optimizer"]["lr"] == 0.25
    assert done.content["param_scheduler"][1]["milestones"] == [2]
    assert any("as far as optim_wrapper says otherwise" in note.what for note in done.notes)


def test_a_2x_config_with_test_data_as_3x_has_them(write):
    steps = "[dict(type='LoadImageFromFile'), dict(type='Collect', keys=['img'])]"
    old = write(
        "model = dict(type='FCOS')\noptimizer = dict(type='SGD', lr=1)\nrunner = dict(max_epochs=1)\n"
        f"data = dict(train=dict(deeplake_path='a', pipeline={steps}),\n"
        f"  val=dict(deeplake_path='b', pipeline={steps}))\nlr_config = dict(policy='fixed')\n",
        "old.py",
    )
    dataset = "dict(type='deeplake_mmdet.DeepLakeDataset', path='c')"
    new = f"test_dataloader = dict(batch_size=3, dataset={dataset})\n"
    cfg = load_config(write(f"_base_ = './{old.name}'\n{new}test_cfg = dict(type='TestLoop')\n"))
    assert [cfg[f"{split}_dataloader"].dataset.path for split in ("train", "val", "test")] == ["a", "b", "c"]
    assert cfg.test_dataloader.batch_size == 3


def test_one_file_that_says_a_thing_twice_is_refused(write):
    text = f"_base_ = {BASE!r}\noptimizer = dict(lr=0.5)\noptim_wrapper = dict(optimizer=dict(lr=0.25))\n"
    with pytest.raises(ConfigError, match=r"twice.*optimizer.*optim_wrapper"):
        load_config(write(text))


def test_variables_of_a_3x_config_are_left_alone(write, plain):
    optimizer = "optimizer = dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=0.0001)\n"
    text = f"_base_ = {BASE!r}\n{optimizer}optim_wrapper = dict(optimizer=optimizer)\ntotal_epochs = 300\n"
    cfg = load_config(write(text + "train_cfg = dict(max_epochs=total_epochs - 15)\n"))
    assert cfg.optim_wrapper == plain["optim_wrapper"]
    assert cfg.train_cfg.max_epochs == 285


def test_leftovers_in_mmdetections_own_files_are_not_taken_for_the_users(write):
    cfg = load_config(write("_base_ = 'mmdet::guided_anchoring/ga-fast-rcnn_r50-caffe_fpn_1x_coco.py'\n"))
    assert "ga_rpn" not in str(cfg.train_dataloader.dataset)


def test_what_cannot_be_converted_names_the_keys(write):
    with pytest.raises(ConfigError, match=r"step is missing.*2\.x keys lr_config"):
        load_config(
            write(f"_base_ = {BASE!r}\nlr_config = dict(policy='step', warmup=None, _delete_=True)\n")
        )


@pytest.mark.parametrize(
    "text",
    [
        "seed = 3\nrandomness = dict(seed=seed)\n",
        "resume_from = fp16 = seed = None\n",
        "auto_resume = False\n",
    ],
)
def test_variables_that_say_nothing_more_than_3x_does_are_left_alone(write, text):
    done = convert(write(f"_base_ = {BASE!r}\n{text}"))
    assert not done.legacy
    assert not done.notes
