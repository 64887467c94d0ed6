"""The steps of Deep Lake's old guides under ``run``: train, read the log, look at an image."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from document import drawn_coco, lake_of_coco
from test_document_scripts import SHORT, SMALL_BASE, place

GUIDE = """
import os
import deeplake
import mmcv
from mmcv import Config
from mmdet.models import build_detector

config_path = 'work/yolo.py'
cfg = Config.fromfile(config_path)
cfg.model.bbox_head.num_classes = 5
model = build_detector(cfg.model)
mmcv.mkdir_or_exist(os.path.abspath(cfg.work_dir))
from deeplake.integrations import mmdet as mmdet_deeplake
mmdet_deeplake.train_detector(model, cfg, distributed=False, validate=False)

log_file = os.path.join(cfg.work_dir, 'latest.log')
if os.path.exists(log_file):
    with open(log_file, 'r') as f:
        print('LOG', 'Epoch(train)' in f.read())

from mmdet.apis import inference_detector, init_detector, show_result_pyplot
checkpoint = os.path.join(cfg.work_dir, 'latest.pth')
model = init_detector(config_path, checkpoint)
img = '0.jpg'
result = inference_detector(model, img)
print('FOUND', type(result).__mro__[-2].__name__, len(result), result[0].shape[1], len(model.CLASSES))
show_result_pyplot(model, img, result, score_thr=0.0, out_file='drawn/one.jpg')
model.show_result(mmcv.imread(img), [rows[:1] for rows in result], out_file='drawn/two.png')
many = inference_detector(model, [img, mmcv.imread('1.jpg')])
print('MANY', [len(rows) for rows in many], len(many[0].pred_instances) == sum(map(len, many[0])))
"""
NOTEBOOK = """
import os.path as osp
import deeplake
import mmcv
from mmcv import Config
from mmdet.apis import set_random_seed, train_detector
from mmdet.datasets import build_dataset
from mmdet.models import build_detector
from deeplake.integrations import mmdet as mmdet_deeplake

cfg = Config.fromfile('work/yolo.py')
cfg.model.bbox_head.num_classes = 5
cfg.seed = 0
set_random_seed(0, deterministic=False)
cfg.gpu_ids = range(1)
datasets = [build_dataset(cfg.data.train)]
model = build_detector(cfg.model, train_cfg=cfg.get('train_cfg'), test_cfg=cfg.get('test_cfg'))
model.CLASSES = datasets[0].CLASSES
mmcv.mkdir_or_exist(osp.abspath(cfg.work_dir))
train_detector(model, datasets, cfg, distributed=False, validate=True)

ds_train = deeplake.load(LAKE, None)
ds_train.checkout(ds_train.commit_id)
print('ROWS', len(ds_train), ds_train.boxes[0].numpy().shape[1])
view = ds_train.query('select * limit 4')
cfg.work_dir = './second'
model = mmdet_deeplake.build_detector(cfg.model)
mmdet_deeplake.train_detector(model, cfg, ds_train=view, ds_val=deeplake.load(LAKE), validate=False)
"""


@pytest.fixture
def work(tmp_path):
    coco = drawn_coco(tmp_path, 8, 0)
    lake_of_coco(tmp_path / "lake", coco, tmp_path, 8)
    place(tmp_path, tmp_path / "lake", base=SMALL_BASE, more="work_dir = './mmdet_outputs'\n")
    assert SHORT in (tmp_path / "work" / "yolo.py").read_text()
    return tmp_path


ENVIRONMENT = {"MPLBACKEND": "Agg", "CUDA_VISIBLE_DEVICES": ""}


def test_the_guide_from_training_to_an_image(work, command_in_copy):
    (work / "script.py").write_text(GUIDE)
    done = command_in_copy("run", "script.py", cwd=work, **ENVIRONMENT)
    assert done.returncode == 0, done.stderr[-3000:]
    text = done.stdout + done.stderr
    assert "LOG True" in text
    assert "FOUND list 5 5 5" in text
    assert "MANY [5, 5] True" in text
    assert "num_classes is 5 as in the checkpoint, not 80" in text
    assert {path.name for path in (work / "drawn").iterdir()} == {"one.jpg", "two.png"}
    assert (work / "mmdet_outputs" / "latest.pth").is_symlink()


@pytest.mark.slow
def test_a_notebooks_way_and_opened_lakes(work):
    (work / "script.py").write_text(NOTEBOOK.replace("LAKE", repr(str(work / "lake"))))
    done = subprocess.run(
        [sys.executable, "-m", "deeplake_mmdet.cli", "run", "script.py"],
        cwd=work,
        env={**os.environ, "OMP_NUM_THREADS": "1", **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Exception ignored" not in done.stderr  # the process ends cleanly
    text = done.stdout + done.stderr
    assert "coco/bbox_mAP" in text
    assert "ROWS 8 4" in text
    assert "4 images" in text
    assert (work / "second" / "latest.pth").is_file()
