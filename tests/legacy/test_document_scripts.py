"""The interface document's own two examples, run over small lakes as a user would run them.

The text comes out of the document. Only what a user has to fill in is filled in: the paths of the lakes, the
token, ``cfg_file``, ``num_classes`` and ``args``; and lines below the config end training after one epoch.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from document import DOCUMENT, drawn_coco, examples, lake_of_coco, with_new_imports

from deeplake_mmdet import run_script
from deeplake_mmdet.errors import DeepLakeMMDetError

TOKEN = "canary-token-4711-4711"
LATER = "canary-later-0815-0815"
PRELUDE = """
from types import SimpleNamespace
cfg_file, num_classes = 'work/yolo.py', {classes}
args = SimpleNamespace(distributed={distributed}, validate=True)
"""
SHORT = "runner = dict(max_epochs=1)\nevaluation = dict(interval=1)\nlog_config = dict(interval=1)\n"
# A YOLOv3 as small as it gets, under the name that the example gives its base.
SMALL_BASE = """
model = dict(
    type='YOLOV3',
    backbone=dict(type='MobileNetV2', out_indices=(2, 4, 6), widen_factor=0.25,
                  act_cfg=dict(type='LeakyReLU')),
    neck=dict(type='YOLOV3Neck', num_scales=3, in_channels=[80, 24, 8], out_channels=[24, 16, 8]),
    bbox_head=dict(
        type='YOLOV3Head', num_classes=80, in_channels=[24, 16, 8], out_channels=[24, 16, 8],
        anchor_generator=dict(
            type='YOLOAnchorGenerator',
            base_sizes=[[(116, 90), (156, 198), (373, 326)], [(30, 61), (62, 45), (59, 119)],
                        [(10, 13), (16, 30), (33, 23)]],
            strides=[32, 16, 8]),
        bbox_coder=dict(type='YOLOBBoxCoder'), featmap_strides=[32, 16, 8],
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True, reduction='sum'),
        loss_conf=dict(type='CrossEntropyLoss', use_sigmoid=True, reduction='sum'),
        loss_xy=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=2.0, reduction='sum'),
        loss_wh=dict(type='MSELoss', loss_weight=2.0, reduction='sum')),
    train_cfg=dict(assigner=dict(type='GridAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0)),
    test_cfg=dict(nms_pre=1000, min_bbox_size=0, score_thr=0.05, conf_thr=0.005,
                  nms=dict(type='nms', iou_threshold=0.45), max_per_img=100))
dataset_type = 'CocoDataset'
data = dict(
    samples_per_gpu=8, workers_per_gpu=4,
    train=dict(type=dataset_type, ann_file='data/coco/train.json', img_prefix='data/coco/train', pipeline=[]),
    val=dict(type=dataset_type, ann_file='data/coco/val.json', img_prefix='data/coco/val', pipeline=[]),
    test=dict(type=dataset_type, ann_file='data/coco/val.json', img_prefix='data/coco/val', pipeline=[]))
optimizer = dict(type='SGD', lr=0.001, momentum=0.9, weight_decay=0.0005)
optimizer_config = dict(grad_clip=dict(max_norm=35, norm_type=2))
lr_config = dict(policy='step', warmup='linear', warmup_iters=2000, warmup_ratio=0.1, step=[218, 246])
runner = dict(type='EpochBasedRunner', max_epochs=273)
evaluation = dict(interval=1, metric=['bbox'])
checkpoint_config = dict(interval=1)
log_config = dict(interval=50, hooks=[dict(type='TextLoggerHook')])
custom_hooks = [dict(type='NumClassCheckHook')]
dist_params = dict(backend='nccl')
log_level = 'INFO'
load_from = None
resume_from = None
workflow = [('train', 1)]
"""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    coco = drawn_coco(folder, 8, 0)
    lake_of_coco(folder / "lake", coco, folder, 8)
    return folder / "lake"


def place(folder, lake, *, base=None, more=""):
    """The folders of a user's machine: the config in ``work``, a checkout beside it if there is a base."""
    config, script = examples()
    (folder / "work").mkdir()
    for remote in ("hub://activeloop/coco-train", "hub://activeloop/coco-val"):
        assert remote in config
        config = config.replace(remote, str(lake))
    config = config.replace("INSERT_YOUR_DEEPLAKE_TOKEN", TOKEN)
    (folder / "work" / "yolo.py").write_text(config + SHORT + more)
    if base is not None:
        checkout = folder / "mmdetection" / "configs" / "yolo"
        checkout.mkdir(parents=True)
        (checkout / "yolov3_d53_mstrain-416_273e_coco.py").write_text(base)
    return script


def redirected(folder):
    names = {name: str(folder / name.lower()) for name in ("HOME", "TMPDIR", "DEEPLAKE_MMDET_CACHE")}
    for path in names.values():
        Path(path).mkdir()
    return names


def start(folder, script, *command, classes, distributed=False):
    (folder / "train.py").write_text(PRELUDE.format(classes=classes, distributed=distributed) + script)
    environment = {
        **os.environ,
        **redirected(folder),
        "OMP_NUM_THREADS": "1",
        "DEEPLAKE_MMDET_VERBOSITY": "verbose",
    }
    return subprocess.run(
        [sys.executable, *command, "train.py"],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=540,
    )  # fmt: skip


def assert_no_canary(folder, done):
    texts = {"stdout": done.stdout.encode(), "stderr": done.stderr.encode()}
    for path in folder.rglob("*"):
        if path.is_file() and path not in (folder / "work" / "yolo.py", folder / "train.py"):
            texts[str(path)] = path.read_bytes()
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    texts |= {f"{path}:{name}": archive.read(name) for name in archive.namelist()}
    assert [name for name, text in texts.items() if b"canary" in text] == []


def scalars_of(folder):
    (path,) = folder.glob("work_dirs/yolo/*/vis_data/scalars.json")
    return [json.loads(line) for line in path.read_text().splitlines()]


def assert_trained(folder, done, iterations):
    assert done.returncode == 0, done.stderr[-3000:]
    scalars = scalars_of(folder)
    losses = [line["loss"] for line in scalars if "loss" in line]
    assert len(losses) == iterations
    assert all(0 < loss < 1e6 for loss in losses)
    assert any("coco/bbox_mAP" in line for line in scalars)
    assert list(folder.glob("work_dirs/yolo/epoch_1.pth"))


@pytest.mark.slow
def test_with_the_import_line_changed_and_the_installed_base(tmp_path):
    # The network of the document: 62 million parameters, so one iteration is enough.
    lake_of_coco(tmp_path / "lake", drawn_coco(tmp_path, 4, 1), tmp_path, 4)

    from mmdet.models import Darknet  # it needs our stand-in for mmcv's ops

    weights = Darknet(53).state_dict()
    torch.save({"state_dict": weights}, tmp_path / "darknet53.pth")
    local = "model = dict(backbone=dict(init_cfg=dict(checkpoint='darknet53.pth')))\n"
    script = place(tmp_path, tmp_path / "lake", more=local)
    done = start(tmp_path, with_new_imports(script), classes=5)
    assert_trained(tmp_path, done, 1)
    assert "taken from the installed MMDetection 3.x" in done.stdout + done.stderr
    assert "darknet53.pth" in done.stdout + done.stderr
    assert_no_canary(tmp_path, done)


def test_unmodified_with_the_base_in_the_users_checkout(drawn, tmp_path):
    script = place(tmp_path, drawn, base=SMALL_BASE)
    done = start(tmp_path, script, "-m", "deeplake_mmdet.cli", "run", classes=5)
    assert_trained(tmp_path, done, 2)
    assert_no_canary(tmp_path, done)


@pytest.mark.slow
def test_real_images(shared_data, tmp_path):
    nuts = shared_data / "nuts"
    lake_of_coco(tmp_path / "lake", nuts / "trainval.json", nuts / "images", 12)
    script = place(tmp_path, tmp_path / "lake", base=SMALL_BASE)
    done = start(tmp_path, script, "-m", "deeplake_mmdet.cli", "run", classes=3)
    assert_trained(tmp_path, done, 3)


def test_credentials_that_the_script_sets_and_its_own_dumps(drawn, tmp_path, command_in_copy):
    script = place(tmp_path, drawn, base=SMALL_BASE)
    later = (
        f"cfg.data.train.deeplake_credentials = dict(token={LATER!r}, creds=None)\n"
        f"cfg.data.val['deeplake_credentials'] = {{'token': {LATER!r}}}\n"
        "mmcv.mkdir_or_exist(cfg.work_dir)\ncfg.dump(os.path.join(cfg.work_dir, 'mine.py'))\n"
        "print(cfg.pretty_text, cfg)\n"
        "meta = dict(config=cfg.pretty_text, seed=0)\n"
    )
    built = "# Build the detector\n"
    assert built in script
    script = script.replace(built, later).replace(
        "validate=args.validate", "validate=args.validate, meta=meta"
    )
    (tmp_path / "train.py").write_text(PRELUDE.format(classes=5, distributed=False) + script)
    done = command_in_copy("run", "train.py", cwd=tmp_path, **redirected(tmp_path))
    assert_trained(tmp_path, done, 2)
    assert "deeplake-credentials-" in (tmp_path / "work_dirs" / "yolo" / "mine.py").read_text()
    assert_no_canary(tmp_path, done)


@pytest.mark.slow
def test_distributed(drawn, tmp_path):
    script = place(tmp_path, drawn, base=SMALL_BASE)
    done = start(tmp_path, script, "-m", "deeplake_mmdet.cli", "run", classes=5, distributed=2)
    assert_trained(tmp_path, done, 1)
    assert_no_canary(tmp_path, done)


WRONG_WEIGHTS = "model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='none.pth')))\n"


@pytest.mark.parametrize(
    ("classes", "lake", "more", "words"),
    [
        (4, None, "", "num_classes"),
        (5, "nowhere", "", "There is nothing at this path"),
        (5, "coco.json", "", "A lake is expected, but there is a file of annotations"),
        (5, None, WRONG_WEIGHTS, r"model\.backbone\.init_cfg.*init_cfg=None"),
        (5, None, "data['train']['deeplake_pth'] = 'x'\n", "deeplake_path"),
    ],
)
def test_what_is_wrong_is_told_before_training(drawn, tmp_path, monkeypatch, classes, lake, more, words):
    lake = drawn if lake is None else drawn.parent / lake
    script = place(tmp_path, lake, base=SMALL_BASE, more=more)
    (tmp_path / "train.py").write_text(PRELUDE.format(classes=classes, distributed=False) + script)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DeepLakeMMDetError, match=words) as caught:
        run_script("train.py")
    assert "canary" not in str(caught.value)
    assert not list(tmp_path.glob("work_dirs/yolo/*/vis_data/scalars.json"))


def test_the_document_is_read_as_it_stands():
    config, script = examples()
    assert config.splitlines()[0].startswith("_base_")
    assert script.splitlines()[-1].startswith("mmdet_deeplake.train_detector(")
    assert DOCUMENT.read_text(encoding="utf-8").count(config.splitlines()[0]) == 1
