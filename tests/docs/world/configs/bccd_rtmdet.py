# What configs/bccd_rtmdet.py is while the pages' commands run.
_base_ = '../config.py'

train_dataloader = dict(dataset=dict(path='lakes/bccd-train'))
val_dataloader = dict(dataset=dict(path='lakes/bccd-val'))
test_dataloader = val_dataloader
default_hooks = dict(checkpoint=dict(save_best='coco/bbox_mAP'))
