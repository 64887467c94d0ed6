"""``{{_base_.variable}}`` of bases that are here has its value; of a missing one it is refused."""

from __future__ import annotations

import re
from pathlib import Path

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


@pytest.fixture
def child(write):
    """Writes a child of MMDetection 2.x's Faster R-CNN, which is here."""

    def make(lines, base=FASTER):
        write(OLD, base.removeprefix("../"))
        return write(f"_base_ = {base!r}\n{lines}\n")

    return make


def refused(path, variable, line, file=None, base=FASTER):
    """The one error of a variable of a missing base, from every door."""
    for read in (Config.fromfile, load_config, convert):
        with pytest.raises(
            ConfigError, match=re.escape(f"it uses '_base_.{variable}', a variable")
        ) as caught:
            read(path)
        error = caught.value
        assert "base that is not here" in error.what
        assert f"{file or path}{'' if line is None else f', line {line}'}" in error.where
        assert repr(base) in error.where
        assert f"configs/{'/'.join(Path(base).parts[-2:])} to " in error.advice
        assert str(path.parents[1] / base.removeprefix("../")) in error.advice
        assert "MMDetection 2.28.2" in error.advice
        assert f"_base_.{variable}" in error.advice
    return error


EXPRESSIONS = pytest.mark.parametrize(
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


@EXPRESSIONS
def test_a_variable_of_a_missing_base_is_refused_however_it_is_written(write, expression, value):
    del value
    path = write(f"_base_ = {FASTER!r}\nfound = dict(a=[0, dict(b={expression})])\n")
    name = re.search(r"_base_\.([\w.]+)", expression)[1]
    assert "config key 'found.a.b" in refused(path, name, 2).where


@EXPRESSIONS
def test_a_variable_of_a_base_that_is_here_has_its_value(child, expression, value):
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
    text = '"""About {{_base_.nothing}}"""\n'
    write(OLD, FASTER.removeprefix("../"))
    path = write(f"{text}_base_ = {FASTER!r}\nfound = {{{{_base_.data_root}}}} + 'x'\n")
    assert Config.fromfile(path).found == "data/coco/x"
    # Here the base is missing, and nothing is taken from it.
    assert Config.fromfile(write(f"{text}_base_ = {YOLOX!r}\nfound = 1\n")).found == 1


def test_bases_may_say_what_no_file_could(write):
    write("large = float('inf')\nsize = len\n", "work/mine.py")
    path = write(
        f"_base_ = [{FASTER!r}, './mine.py']\nfound = [{{{{_base_.size}}}}([1]), -{{{{_base_.large}}}}]\n"
    )
    assert Config.fromfile(path).found == [1, -float("inf")]  # another base is missing


def test_a_base_that_is_here_wins_over_the_missing_one(write):
    mine = f"_base_ = {FASTER!r}\ndata_root = '/mine/'\ndata = dict(train=dict(img_prefix='x'))\n"
    write(
        mine + "steps = dict(a=1)\noptimizer = dict(_delete_=True, type='Adam', lr=0.5)\n", "work/dataset.py"
    )
    text = "found = ['{{_base_.data_root}}a', {{_base_.data.train.img_prefix}}, {{_base_.steps}},"
    cfg = Config.fromfile(write(f"_base_ = './dataset.py'\n{text} {{{{_base_.optimizer}}}}]\n"))
    assert cfg.found == ["/mine/a", "x", {"a": 1}, {"type": "Adam", "lr": 0.5}]
    assert cfg.model.type == "FasterRCNN"


@pytest.mark.parametrize("name", ["dataset_type", "data.train", "data.train.ann_file", "img_norm_cfg"])
def test_what_a_missing_base_may_say_more_of_is_refused(write, name):
    """A part of a dict is here; the rest of it only the missing file of 2.x can say."""
    middle = write(
        f"_base_ = {FASTER!r}\ndata = dict(train=dict(img_prefix='x'))\nimg_norm_cfg = dict(to_rgb=False)\n",
        "work/middle.py",
    )
    path = write(f"_base_ = './middle.py'\ndata = dict()\nfound = {{{{_base_.{name}}}}}\n")
    assert str(middle) in refused(path, name, 3).where


def test_a_variable_is_refused_in_the_base_that_uses_it(write):
    middle = write(f"_base_ = {FASTER!r}\nnearer = {{{{_base_.data_root}}}} + 'near/'\n", "work/middle.py")
    path = write("_base_ = './middle.py'\nfound = {{_base_.nearer}}\n")
    assert f"a base of {path}" in refused(path, "data_root", 2, file=middle).where


def test_of_two_missing_bases_the_one_with_the_variable_is_named(write):
    bases = [
        "../mmdetection/_base_/models/faster_rcnn_r50_fpn.py",
        "../mmdetection/_base_/datasets/coco_detection.py",
    ]
    path = write(f"_base_ = {bases}\nfound = {{{{_base_.img_norm_cfg}}}}\n")
    with pytest.raises(ConfigError, match="img_norm_cfg") as caught:
        load_config(path)
    assert "configs/_base_/datasets/coco_detection.py to" in caught.value.advice
    assert "models" not in caught.value.advice + caught.value.where


def test_the_file_that_the_advice_names_is_all_that_is_needed(write):
    """The advice followed: the named file at the named place."""
    path = write(f"_base_ = {FASTER!r}\nfound = {{{{_base_.img_norm_cfg}}}}\n")
    advice = refused(path, "img_norm_cfg", 2).advice
    place = Path(re.search(r" to (/\S+\.py)", advice)[1])
    place.parent.mkdir(parents=True)
    place.write_text(OLD)
    assert Config.fromfile(path).found == IMAGENET


def test_a_child_for_3x_is_told_the_base_of_3x(write):
    text = f"_base_ = {FASTER!r}\nroot = {{{{_base_.data_root}}}} + 'x/'\n"
    text += "train_dataloader = dict(dataset=dict(data_root=root, pipeline={{_base_.train_pipeline}}))\n"
    path = write(text)
    with pytest.raises(ConfigError, match=r"_base_\.data_root") as caught:
        load_config(path)
    assert "2.28.2" not in caught.value.advice
    base = re.search(r"'(mmdet::\S+)'", caught.value.advice)[1]
    cfg = load_config(write(text.replace(FASTER, base)))
    assert cfg.train_dataloader.dataset.data_root == "data/coco/x/"
    assert cfg.train_dataloader.dataset.pipeline[-1].type == "PackDetInputs"


def test_the_files_own_names_and_imports_go_with_variables_of_a_base(child):
    text = "import numpy as np\nsides = int(np.sqrt(64))\n"
    text += "work_dir = '{{ fileBasenameNoExtension }}/{{_base_.dataset_type}}'\n"
    cfg = Config.fromfile(child(text))
    assert (cfg.work_dir, cfg.sides) == ("config/CocoDataset", 8)


def test_variables_of_the_environment_go_with_those_of_a_base(child, monkeypatch):
    path = child("found = {{_base_.data_root}} + '{{$OF_THE_TEST:own}}/{{$OF_ANOTHER:}}'\n")
    with pytest.raises(ConfigError, match="OF_ANOTHER"):
        Config.fromfile(path)
    monkeypatch.setenv("OF_ANOTHER", "x")
    assert Config.fromfile(path).found == "data/coco/own/x"


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


def test_a_misspelt_variable_is_told_with_the_one_that_is_like_it(child):
    with pytest.raises(ConfigError, match="img_norm_cgf") as caught:
        Config.fromfile(child("found = {{_base_.img_norm_cgf}} + 1\n"))
    assert "_base_.img_norm_cfg" in caught.value.advice


def test_what_is_no_text_cannot_stand_within_one(child):
    with pytest.raises(ConfigError, match=re.escape("'_base_.model'")) as caught:
        Config.fromfile(child("found = 'x{{_base_.model}}'\n"))
    assert "without quotes" in caught.value.advice


def test_another_error_has_its_line(child):
    path = child("root = {{_base_.data_root}} + 'x'\nfound = 1 / 0")
    with pytest.raises(ConfigError, match="ZeroDivisionError") as caught:
        load_config(path)
    assert caught.value.where == f"{path}, line 3"


CHANGES = pytest.mark.parametrize(
    "lines",
    [
        "_base_.optimizer.lr = 0.5",
        "_base_['optimizer']['lr'] = 0.5",
        "_base_.optimizer = dict(type='SGD', lr=0.5, momentum=0.9, weight_decay=0.0001)",
        "_base_.optimizer.pop('momentum')\n_base_.optimizer.update(lr=0.5, momentum=0.9)",
    ],
)


@CHANGES
def test_a_file_may_change_what_its_base_says(child, lines):
    """As MMEngine has it, whether it reads the file itself or leaves a made-up name in it."""
    for more in ("", "\nfound = {{_base_.data_root}} + 'x'"):
        cfg = Config.fromfile(child(lines + more))
        assert cfg.optimizer == {"type": "SGD", "lr": 0.5, "momentum": 0.9, "weight_decay": 0.0001}
        assert cfg.model.type == "FasterRCNN"


def test_a_file_may_take_keys_of_its_base_away(child):
    lines = "del _base_['dist_params']\n_base_.optimizer.pop('momentum')\nnew = {{_base_.data_root}} + 'x'"
    cfg = Config.fromfile(child(lines))
    assert "dist_params" not in cfg._cfg_dict
    assert cfg.optimizer == {"type": "SGD", "lr": 0.02, "weight_decay": 0.0001}


def test_a_change_of_what_is_here_reaches_over_a_missing_base(write):
    write(f"_base_ = {FASTER!r}\nmine = dict(a=1, b=2)\n", "work/middle.py")
    cfg = Config.fromfile(write("_base_ = './middle.py'\n_base_.mine.a = 3\ndata = dict()\n"))
    assert cfg.mine == {"a": 3, "b": 2}
    assert cfg.model.type == "FasterRCNN"


@CHANGES
def test_a_change_of_a_missing_base_is_refused(write, lines):
    path = write(f"_base_ = {FASTER!r}\ndata = dict()\n{lines}\n")
    with pytest.raises(ConfigError, match=r"'_base_\.optimizer.*', a variable of a base that is not here"):
        load_config(path)


@pytest.mark.parametrize(
    "expression",
    [
        "_base_.get('lr', 3)",
        "dict(_base_)",
        "getattr(_base_, 'lr', 3)",
        "len(_base_)",
        "list(_base_.items())",
    ],
)
def test_a_missing_base_cannot_be_used_as_a_whole_either(write, expression):
    path = write(f"_base_ = {FASTER!r}\ndata = dict()\nfound = {expression}\n")
    with pytest.raises(ConfigError, match="'_base_', all variables of a base that is not here") as caught:
        load_config(path)
    assert f"{path}, line 3, config key 'found" in caught.value.where
