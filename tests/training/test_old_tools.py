"""Scripts with the calls of MMDetection 2.x's ``tools/train.py`` and ``tools/test.py``, under ``run``."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from old_configs import old_config

from deeplake_mmdet.demo.lakes import write_demo_lake

# The imports and calls of the two tools of 2.28, in their order; all else is left out.
TRAIN = """
import argparse
import copy
import os.path as osp
import time

import mmcv
import torch
import torch.distributed as dist
from mmcv import Config, DictAction
from mmcv.runner import get_dist_info, init_dist
from mmcv.utils import get_git_hash
from mmdet import __version__
from mmdet.apis import init_random_seed, set_random_seed, train_detector
from mmdet.datasets import build_dataset
from mmdet.models import build_detector
from mmdet.utils import (collect_env, get_device, get_root_logger, replace_cfg_vals, rfnext_init_model,
                         setup_multi_processes, update_data_root)

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('config')
    for name in ('--work-dir', '--resume-from'):
        parser.add_argument(name)
    for name in ('--auto-resume', '--no-validate', '--deterministic'):
        parser.add_argument(name, action='store_true')
    parser.add_argument('--seed', type=int)
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    parser.add_argument('--launcher', default='none')
    args = parser.parse_args()
    cfg = replace_cfg_vals(Config.fromfile(args.config))
    update_data_root(cfg)
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    setup_multi_processes(cfg)
    if cfg.get('cudnn_benchmark', False):
        torch.backends.cudnn.benchmark = True
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir', None) is None:
        cfg.work_dir = osp.join('./work_dirs', osp.splitext(osp.basename(args.config))[0])
    if args.resume_from is not None:
        cfg.resume_from = args.resume_from
    cfg.auto_resume = args.auto_resume
    cfg.gpu_ids = [0]
    distributed = args.launcher != 'none'
    if distributed:
        init_dist(args.launcher, **cfg.dist_params)
        cfg.gpu_ids = range(get_dist_info()[1])
    mmcv.mkdir_or_exist(osp.abspath(cfg.work_dir))
    cfg.dump(osp.join(cfg.work_dir, osp.basename(args.config)))
    timestamp = time.strftime('%Y%m%d_%H%M%S', time.localtime())
    log_file = osp.join(cfg.work_dir, f'{timestamp}.log')
    logger = get_root_logger(log_file=log_file, log_level=cfg.log_level)
    meta = dict(env_info='\\n'.join(f'{k}: {v}' for k, v in collect_env().items()), config=cfg.pretty_text)
    logger.info(f'Distributed training: {distributed}')
    cfg.device = get_device()
    seed = init_random_seed(args.seed, device=cfg.device)
    set_random_seed(seed, deterministic=args.deterministic)
    cfg.seed = meta['seed'] = seed
    meta['exp_name'] = osp.basename(args.config)
    model = build_detector(cfg.model, train_cfg=cfg.get('train_cfg'), test_cfg=cfg.get('test_cfg'))
    model.init_weights()
    rfnext_init_model(model, cfg=cfg)
    datasets = [build_dataset(cfg.data.train)]
    if len(cfg.workflow) == 2:
        assert 'val' in [mode for (mode, _) in cfg.workflow]
        val_dataset = copy.deepcopy(cfg.data.val)
        val_dataset.pipeline = cfg.data.train.get('pipeline', cfg.data.train.get('dataset'))
        datasets.append(build_dataset(val_dataset))
    if cfg.checkpoint_config is not None:
        cfg.checkpoint_config.meta = dict(
            mmdet_version=__version__ + get_git_hash()[:7], CLASSES=datasets[0].CLASSES)
    model.CLASSES = datasets[0].CLASSES
    train_detector(model, datasets, cfg, distributed=distributed, validate=(not args.no_validate),
                   timestamp=timestamp, meta=meta)

if __name__ == '__main__':
    main()
"""
TEST = """
import argparse
import os
import os.path as osp

import mmcv
from mmcv import Config, DictAction
from mmcv.cnn import fuse_conv_bn
from mmcv.runner import get_dist_info, init_dist, load_checkpoint, wrap_fp16_model
from mmdet.apis import multi_gpu_test, single_gpu_test
from mmdet.datasets import build_dataloader, build_dataset, replace_ImageToTensor
from mmdet.models import build_detector
from mmdet.utils import (build_ddp, build_dp, compat_cfg, get_device, replace_cfg_vals, rfnext_init_model,
                         setup_multi_processes, update_data_root)

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    for name in ('--work-dir', '--out', '--show-dir'):
        parser.add_argument(name)
    parser.add_argument('--fuse-conv-bn', action='store_true')
    parser.add_argument('--eval', nargs='+')
    parser.add_argument('--eval-options', nargs='+', action=DictAction)
    parser.add_argument('--launcher', default='none')
    args = parser.parse_args()
    cfg = replace_cfg_vals(Config.fromfile(args.config))
    update_data_root(cfg)
    cfg = compat_cfg(cfg)
    setup_multi_processes(cfg)
    if 'pretrained' in cfg.model:
        cfg.model.pretrained = None
    elif 'init_cfg' in cfg.model.backbone:
        cfg.model.backbone.init_cfg = None
    cfg.gpu_ids = [0]
    cfg.device = get_device()
    distributed = args.launcher != 'none'
    if distributed:
        init_dist(args.launcher, **cfg.dist_params)
    default = dict(samples_per_gpu=1, workers_per_gpu=2, dist=distributed, shuffle=False)
    if isinstance(cfg.data.test, dict):
        cfg.data.test.test_mode = True
        if cfg.data.test_dataloader.get('samples_per_gpu', 1) > 1:
            cfg.data.test.pipeline = replace_ImageToTensor(cfg.data.test.pipeline)
    test_loader_cfg = {**default, **cfg.data.get('test_dataloader', {})}
    rank, _ = get_dist_info()
    if args.work_dir is not None and rank == 0:
        mmcv.mkdir_or_exist(osp.abspath(args.work_dir))
        json_file = osp.join(args.work_dir, 'eval.json')
    dataset = build_dataset(cfg.data.test)
    data_loader = build_dataloader(dataset, **test_loader_cfg)
    cfg.model.train_cfg = None
    model = build_detector(cfg.model, test_cfg=cfg.get('test_cfg'))
    rfnext_init_model(model, cfg=cfg)
    if cfg.get('fp16', None) is not None:
        wrap_fp16_model(model)
    checkpoint = load_checkpoint(model, args.checkpoint, map_location='cpu')
    if args.fuse_conv_bn:
        model = fuse_conv_bn(model)
    model.CLASSES = checkpoint['meta'].get('CLASSES', dataset.CLASSES)
    if not distributed:
        model = build_dp(model, cfg.device, device_ids=cfg.gpu_ids)
        outputs = single_gpu_test(model, data_loader, False, args.show_dir, 0.3)
    else:
        model = build_ddp(model, cfg.device, device_ids=[int(os.environ['LOCAL_RANK'])],
                          broadcast_buffers=False)
        outputs = multi_gpu_test(model, data_loader, None, cfg.evaluation.get('gpu_collect', False))
    if get_dist_info()[0] == 0:
        if args.out:
            mmcv.dump(outputs, args.out)
        kwargs = {} if args.eval_options is None else args.eval_options
        if args.eval:
            eval_kwargs = cfg.get('evaluation', {}).copy()
            for key in ['interval', 'tmpdir', 'start', 'gpu_collect', 'save_best', 'rule']:
                eval_kwargs.pop(key, None)
            eval_kwargs.update(dict(metric=args.eval, **kwargs))
            metric = dataset.evaluate(outputs, **eval_kwargs)
            if args.work_dir is not None:
                mmcv.dump(dict(config=args.config, metric=metric), json_file)

if __name__ == '__main__':
    main()
"""


@pytest.fixture(scope="module")
def lakes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lakes")
    for seed, name in enumerate(("train", "val")):
        write_demo_lake(folder / name, count=6, seed=seed)
    return folder


@pytest.fixture
def place(lakes, tmp_path):
    content = old_config(str(lakes / "train"), str(lakes / "val"))
    for key in ("workflow", "seed"):  # a child of a base that is not here lacks them
        del content[key]
    text = "\n".join(f"{key} = {value!r}" for key, value in content.items())
    (tmp_path / "yolo.py").write_text(text + "\n")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "train.py").write_text(TRAIN)
    (tmp_path / "tools" / "test.py").write_text(TEST)
    return tmp_path


def run(folder, *args, launch=()):
    command = [sys.executable, *launch, "-m", "deeplake_mmdet.cli", "run", *map(str, args)]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Exception ignored" not in done.stderr  # the exit is clean
    return done.stdout + done.stderr


@pytest.mark.slow
def test_train_then_test(place, command_in_copy):
    text = run(
        place, "tools/train.py", "yolo.py", "--work-dir", "out", "--cfg-options", "optimizer.lr=0.0005"
    )
    work = place / "out"
    assert "coco/bbox_mAP" in text
    assert "lr: 5.0000e-04" in text
    assert (work / "latest.pth").readlink() == Path("epoch_1.pth")
    assert "Epoch(train) [1][2/2]" in (work / "latest.log").read_text()
    assert Path((work / "last_checkpoint").read_text().strip()).name == "epoch_1.pth"
    options = ("--eval", "bbox", "--out", "found.pkl", "--work-dir", "scores", "--show-dir", "shown")
    done = command_in_copy("run", "tools/test.py", "yolo.py", "out/latest.pth", *options, cwd=place)
    assert done.returncode == 0, done.stderr[-3000:]
    scores = json.loads((place / "scores" / "eval.json").read_text())["metric"]
    found = pickle.loads((place / "found.pkl").read_bytes())
    assert [len(image) for image in found] == [5] * 6
    assert len(list((place / "shown").iterdir())) == 6
    validated = [
        json.loads(line) for path in work.glob("*/vis_data/*.json") for line in path.read_text().splitlines()
    ]
    validated = next(line for line in validated if "coco/bbox_mAP" in line)
    assert scores == {key: pytest.approx(validated[f"coco/{key}"]) for key in scores}
    assert "bbox_mAP_50" in scores


@pytest.mark.slow
def test_resumes_and_the_second_flow(place):
    # Without --seed each start draws one by chance, which must not stand in the way.
    run(place, "tools/train.py", "yolo.py", "--no-validate")
    more = ("--cfg-options", "runner.max_epochs=2", "workflow=[(train,1),(val,1)]")
    latest = "work_dirs/yolo/latest.pth"
    text = run(place, "tools/train.py", "yolo.py", "--no-validate", "--resume-from", latest, *more)
    assert "resumed epoch: 1, iter: 2" in text
    assert "no losses of the validation data" in text
    more = ("--auto-resume", "--cfg-options", "runner.max_epochs=3")
    assert "resumed epoch: 2, iter: 4" in run(place, "tools/train.py", "yolo.py", "--no-validate", *more)
    assert (place / latest).readlink() == Path("epoch_3.pth")


@pytest.mark.slow
def test_in_two_processes(place):
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    tools = [
        ("tools/train.py", "yolo.py", "--work-dir", "out", "--launcher", "pytorch"),
        ("tools/test.py", "yolo.py", "out/latest.pth", "--launcher", "pytorch"),
    ]
    run(place, *tools[0], launch=launch)
    run(place, *tools[1], "--eval", "bbox", "--work-dir", "two", launch=launch)
    run(place, "tools/test.py", "yolo.py", "out/latest.pth", "--eval", "bbox", "--work-dir", "one")
    one, two = (json.loads((place / name / "eval.json").read_text())["metric"] for name in ("one", "two"))
    assert one == {key: pytest.approx(value) for key, value in two.items()}
