# What train.py is while the pages' commands run: a script as people wrote it for deeplake.integrations.mmdet.
import argparse

from deeplake.integrations import mmdet as mmdet_deeplake
from mmcv import Config

parser = argparse.ArgumentParser()
parser.add_argument("--work-dir")
cfg = Config.fromfile("old_config.py")
cfg.work_dir = parser.parse_args().work_dir
model = mmdet_deeplake.build_detector(cfg.model)
mmdet_deeplake.train_detector(model, cfg, distributed=False, validate=True)
