"""``{{_base_.variable}}`` in 2.x configs, whether the base is here or MMDetection 3.x's takes its place."""

from __future__ import annotations

import re

import pytest

from deeplake_mmdet import Config, convert, load_config
from deeplake_mmdet.errors import ConfigError

FASTER = "../mmdetection/configs/faster_rcnn/faster_rcnn_r50_fpn_1x_coco.py"
YOLOX = "../mmdetection/configs/yolox/yolox_s_8x8_300e_coco.py"
IMAGENET = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375], "to_rgb": True}

# What these variables are in MMDetection 2.x's faster_rcnn_r50_fpn_1x_coco.py.
TRAIN = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_bbox": True},
    {"type": "Resize", "img_scale": (1333, 800), "keep_ratio": True},
    {"type": "RandomFlip", "flip_ratio": 0.5},
    {"type": "Normalize", **IMAGENET},
    {"type": "Pad", "size_divisor": 32},
    {"type": "DefaultFormatBundle"},
    {"type": "Collect", "keys": ["img", "gt_bboxes", "gt_labels"]},
]
TEST = [
    {"type": "LoadImageFromFile"},
    {
        "type": "MultiScaleFlipAug",
        "img_scale": (1333, 800),
        "flip": False,
        "transforms": [
            {"type": "Resize", "keep_ratio": True},
            {"type": "RandomFlip"},
            {"type": "Normalize", **IMAGENET},
            {"type": "Pad", "size_divisor": 32},
            {"type": "ImageToTensor", "keys": ["img"]},
            {"type": "Collect", "keys": ["img"]},
        ],
    },
]
OLD = f"""
dataset_type = 'CocoDataset'
data_root = 'data/coco/'
img_norm_cfg = {IMAGENET}
train_pipeline = {TRAIN}
test_pipeline = {TEST}
data = dict(
    samples_per_gpu=2,
    workers_per_gpu=2,
    train=dict(type=dataset_type, ann_file=data_root + 'annotations/instances_train2017.json',
               img_prefix=data_root + 'train2017/', pipeline=train_pipeline),
    val=dict(type=dataset_type, ann_file=data_root + 'annotations/instances_val2017.json',
             img_prefix=data_root + 'val2017/', pipeline=test_pipeline))
evaluation = dict(interval=1, metric='bbox')
optimizer = dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=0.0001)
optimizer_config = dict(grad_clip=None)
lr_config = dict(policy='step', warmup='linear', warmup_iters=500, warmup_ratio=0.001, step=[8, 11])
runner = dict(type='EpochBasedRunner', max_epochs=12)
log_level = 'INFO'
dist_params = dict(backend='nccl')
model = dict(type='FasterRCNN', backbone=dict(type='ResNet', depth=50, out_indices=(0, 1, 2, 3)),
             roi_head=dict(bbox_head=dict(num_classes=80)))
"""


@pytest.fixture
def write(tmp_path):
    def make(text, name="work/config.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return make


@pytest.fixture(params=["here", "missing"])
def child(request, write):
    """Writes a child of MMDetection 2.x's Faster R-CNN; the base is here, or the installed 3.x's is taken."""

    def make(lines, base=FASTER):
        if request.param == "here":
            write(OLD, base.removeprefix("../"))
        return write(f"_base_ = {base!r}\n{lines}\n")

    return make


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("{{_base_.data_root}}", "data/coco/"),
        ("{{ _base_.dataset_type }}", "CocoDataset"),
        ("{{_base_.data_root}} + 'x.json'", "data/coco/x.json"),
        ("'{{_base_.data_root}}x.json'", "data/coco/x.json"),
        ("'to ' '{{_base_.data_root}}' + '{{_base_.dataset_type}}'", "to data/coco/CocoDataset"),
        (
            "dict(a=[({{_base_.data_root}}, '{{ _base_.data_root }}y')])",
            {"a": [("data/coco/", "data/coco/y")]},
        ),
        ("'depth {{_base_.model.backbone.depth}}'", "depth 50"),
        ("{{_base_.model.backbone.depth}}", 50),
        ("{{_base_.model.backbone.depth}} * 2", 100),
        ("{{_base_.model.roi_head.bbox_head.num_classes}} + 1", 81),
        ("{{_base_.img_norm_cfg}}", IMAGENET),
        ("{{_base_.img_norm_cfg.std}}", IMAGENET["std"]),
        ("dict(type='Normalize', **{{_base_.img_norm_cfg}})", {"type": "Normalize", **IMAGENET}),
        ("{{_base_.train_pipeline}}", TRAIN),
        ("_base_.train_pipeline[2]['img_scale']", (1333, 800)),
        ("{{_base_.test_pipeline}}", TEST),
        ("_base_.train_pipeline[:2] + _base_.train_pipeline[-1:]", [*TRAIN[:2], *TRAIN[-1:]]),
        ("{{_base_.data.train.ann_file}}", "data/coco/annotations/instances_train2017.json"),
        ("{{_base_.data.val.img_prefix}}", "data/coco/val2017/"),
        ("{{_base_.data.samples_per_gpu}}", 2),
        ("{{_base_.evaluation}}", {"interval": 1, "metric": "bbox"}),
        ("{{_base_.optimizer.lr}} / 4", 0.005),
        ("{{_base_.lr_config.step}}", [8, 11]),
        ("{{_base_.runner.max_epochs}} // 3", 4),
        ("{{_base_.log_level}}", "INFO"),
        ("{{_base_.dist_params}}", {"backend": "nccl"}),
        ("_base_.data_root + 'x.json'", "data/coco/x.json"),
    ],
)
def test_a_variable_is_the_same_whether_its_base_is_here_or_not(child, expression, value):
    cfg = Config.fromfile(child(f"found = {expression}\ndata = dict(samples_per_gpu=3)"))
    assert cfg.found == value
    assert cfg.data.samples_per_gpu == 3


def test_a_variable_that_stands_for_one_of_the_bases_can_be_used_on(child):
    cfg = Config.fromfile(child("root = {{_base_.data_root}}\nfound = root + 'x.json'\n"))
    assert (cfg.root, cfg.found) == ("data/coco/", "data/coco/x.json")


def test_what_remarks_and_documents_say_stays(child):
    text = '"""About {{_base_.nothing}}."""\n# {{_base_.nothing}}\n'
    text += 'found = {{_base_.data_root}} + "x"  # {{_base_.no}}\n'
    assert Config.fromfile(child(text)).found == "data/coco/x"


def test_documentation_may_end_with_a_variable(write):
    path = write(f'"""About {{{{_base_.nothing}}}}"""\n_base_ = {FASTER!r}\nfound = _base_.data_root\n')
    assert Config.fromfile(path).found == "data/coco/"


def test_bases_may_say_what_no_file_could(write):
    write("large = float('inf')\nsize = len\n", "work/mine.py")
    path = write(
        f"_base_ = [{FASTER!r}, './mine.py']\nfound = [{{{{_base_.data_root}}}}, -{{{{_base_.large}}}}]\n"
    )
    assert Config.fromfile(path).found == ["data/coco/", -float("inf")]


def test_a_whole_old_config_on_variables_of_a_missing_base(write):
    path = write(f"""
_base_ = {FASTER!r}
classes = ('nut', 'bolt')
root = '/data/{{{{_base_.dataset_type}}}}/'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', img_scale=(640, 480), keep_ratio=True),
    dict(type='Normalize', **{{{{_base_.img_norm_cfg}}}}),
    dict(type='Pad', size_divisor=64),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels'])]
data = dict(
    train=dict(ann_file=root + 'train.json', classes=classes, pipeline=train_pipeline),
    val=dict(ann_file={{{{_base_.data_root}}}} + 'val.json', classes=classes,
             pipeline={{{{_base_.test_pipeline}}}}))
""")
    cfg = load_config(path)
    assert cfg.train_dataloader.dataset.ann_file == "/data/CocoDataset/train.json"
    assert cfg.val_dataloader.dataset.ann_file == "data/coco/val.json"
    assert cfg.val_dataloader.dataset.pipeline[1] == {
        "type": "Resize",
        "scale": (1333, 800),
        "keep_ratio": True,
    }
    assert cfg.model.data_preprocessor.mean == IMAGENET["mean"]
    assert cfg.model.data_preprocessor.pad_size_divisor == 64
    assert cfg.train_dataloader.dataset.pipeline[2].scale == (640, 480)


def test_passing_the_bases_pipelines_on_changes_nothing(write):
    plain = load_config(write(f"_base_ = {FASTER!r}\ndata = dict(samples_per_gpu=2)\n"))
    parts = ", ".join(
        f"{split}=dict(pipeline={{{{_base_.{name}_pipeline}}}})"
        for split, name in (("train", "train"), ("val", "test"), ("test", "test"))
    )
    given = load_config(write(f"_base_ = {FASTER!r}\ndata = dict(samples_per_gpu=2, {parts})\n"))
    assert given.model.data_preprocessor == plain.model.data_preprocessor
    for split in ("train", "val", "test"):
        ours, theirs = (cfg[f"{split}_dataloader"].dataset.pipeline for cfg in (given, plain))
        assert [step.type for step in ours] == [step.type for step in theirs]


def test_variables_of_two_missing_bases(write):
    bases = ["../_base_/models/faster_rcnn_r50_fpn.py", "../_base_/datasets/coco_detection.py"]
    text = "found = [{{_base_.data_root}}, {{_base_.model.backbone.depth}}, {{_base_.img_norm_cfg.to_rgb}}]\n"
    cfg = Config.fromfile(write(f"_base_ = {bases}\n{text}"))
    assert cfg.found == ["data/coco/", 50, True]
    assert "data_root" not in cfg


def test_a_base_that_is_here_wins_over_the_missing_one(write):
    mine = f"_base_ = {FASTER!r}\ndata_root = '/mine/'\ndata = dict(train=dict(img_prefix='x'))\n"
    write(mine, "work/dataset.py")
    text = "found = ['{{_base_.data_root}}a', {{_base_.dataset_type}}, {{_base_.data.train.img_prefix}}]\n"
    cfg = Config.fromfile(write(f"_base_ = './dataset.py'\n{text}"))
    assert cfg.found == ["/mine/a", "CocoDataset", "x"]


def test_variables_reach_through_a_base_that_is_here(write):
    write(f"_base_ = {FASTER!r}\nnearer = {{{{_base_.data_root}}}} + 'near/'\n", "work/middle.py")
    path = write(
        "_base_ = './middle.py'\n"
        "found = [{{_base_.nearer}}, {{_base_.data_root}}, 'f{{_base_.total_epochs}}']\n"
    )
    cfg = Config.fromfile(path)
    assert cfg.found == ["data/coco/near/", "data/coco/", "f12"]
    assert "total_epochs" not in cfg


def test_variables_that_only_some_old_bases_had(write):
    text = f"_base_ = {YOLOX!r}\nfound = [{{{{_base_.img_scale}}}},\n"
    text += "    {{_base_.train_dataset.dataset.ann_file}}, {{_base_.num_last_epochs}},\n"
    text += "    {{_base_.max_epochs}} - 5, {{_base_.train_pipeline}}[0]]\n"
    found = Config.fromfile(write(text)).found
    assert found[:4] == [(640, 640), "data/coco/annotations/instances_train2017.json", 15, 295]
    assert found[4] == {"type": "Mosaic", "img_scale": (640, 640), "pad_val": 114.0}


def test_a_child_for_3x_sees_the_variables_of_3x(write):
    text = f"_base_ = {FASTER!r}\nroot = {{{{_base_.data_root}}}} + 'x/'\n"
    text += "train_dataloader = dict(dataset=dict(data_root=root, pipeline={{_base_.train_pipeline}}))\n"
    cfg = load_config(write(text))
    assert cfg.train_dataloader.dataset.data_root == "data/coco/x/"
    assert cfg.train_dataloader.dataset.pipeline[-1].type == "PackDetInputs"


def test_the_files_own_names_and_imports_go_with_variables_of_a_base(write):
    text = f"import numpy as np\n_base_ = {FASTER!r}\nsides = int(np.sqrt(64))\n"
    text += "work_dir = '{{ fileBasenameNoExtension }}/{{_base_.dataset_type}}'\n"
    cfg = Config.fromfile(write(text))
    assert (cfg.work_dir, cfg.sides) == ("config/CocoDataset", 8)


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("{{_base_.nothing}}", "nothing"),
        ("{{_base_.model.backbone.nothing.deep}}", "model.backbone.nothing.deep"),
        ("'{{_base_.nothing}}/x'", "nothing"),
        ("{{_base_.nothing}} + 'x'", "nothing"),
        ("_base_.nothing + 'x'", "nothing"),
    ],
)
def test_a_variable_that_no_base_has_is_told_with_all_places(child, expression, name):
    path = child(f"data = dict()\nfound = {expression}")
    for read in (Config.fromfile, load_config, convert):
        with pytest.raises(ConfigError, match="cannot be loaded") as caught:
            read(path)
        error = caught.value
        assert f"'_base_.{name}'" in error.what
        assert f"{path}, line 3" in error.where
        assert str(path.parent.parent / FASTER.removeprefix("../")) in error.where
        assert error.advice


def test_the_file_that_was_taken_instead_is_named(write):
    path = write(f"_base_ = {FASTER!r}\nfound = {{{{_base_.img_norm_cgf}}}}\n")
    with pytest.raises(ConfigError) as caught:
        Config.fromfile(path)
    assert "faster-rcnn_r50_fpn_1x_coco.py" in caught.value.where
    assert "img_norm_cfg" in caught.value.advice
    assert "MMDetection 2.x" in caught.value.advice


def test_a_file_of_data_alone_normalises_as_the_old_one_did(write):
    # In 3.x, the model says how images are normalised.
    text = "found = [{{_base_.img_norm_cfg}}, {{_base_.train_pipeline}}, {{_base_.test_pipeline}}]\n"
    path = write("_base_ = '../_base_/datasets/coco_detection.py'\n" + text)
    assert Config.fromfile(path).found == [IMAGENET, TRAIN, TEST]
    path = write("_base_ = '../_base_/datasets/wider_face.py'\nfound = {{_base_.img_norm_cfg}}\n")
    assert Config.fromfile(path).found == {**IMAGENET, "std": [1, 1, 1]}


@pytest.mark.parametrize(
    ("base", "name"),
    [
        (YOLOX, "img_norm_cfg"),  # neither version normalises
        ("../common/lsj_100e_coco_instance.py", "train_pipeline"),  # padded to the size in 3.x's model
        ("../_base_/datasets/coco_panoptic.py", "train_pipeline"),  # scaled maps as 3.x's model does
        (FASTER, "train_cfg"),  # another thing in 3.x
        (FASTER, "model.pretrained"),
    ],
)
def test_what_does_not_follow_from_3x_is_told_and_not_guessed(write, base, name):
    path = write(f"_base_ = {base!r}\nfound = {{{{_base_.{name}}}}}\n")
    with pytest.raises(ConfigError, match=re.escape(f"'_base_.{name}'")):
        Config.fromfile(path)


def test_what_is_no_text_cannot_stand_within_one(child):
    with pytest.raises(ConfigError, match=re.escape("'_base_.model'")) as caught:
        Config.fromfile(child("found = 'x{{_base_.model}}'\n"))
    assert "without quotes" in caught.value.advice


def test_another_error_has_its_line(child):
    path = child("root = {{_base_.data_root}} + 'x'\nfound = 1 / 0")
    with pytest.raises(ConfigError, match="ZeroDivisionError") as caught:
        load_config(path)
    assert caught.value.where == f"{path}, line 3"
