# What configs/rtmdet.py is while the pages' commands run.
_base_ = '../config.py'

default_hooks = dict(checkpoint=dict(save_best='coco/bbox_mAP'))
