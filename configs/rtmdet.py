# RTMDet-tiny on your lake, starting from weights that were trained on COCO.
#   deeplake-mmdet train configs/rtmdet.py
_base_ = 'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py'

train_lake = 'lakes/train'
val_lake = 'lakes/val'
num_classes = 1
batch_size = 8  # images for each GPU
max_epochs = 20
last_epochs = 5  # without Mosaic and MixUp

train_dataloader = dict(
    batch_size=batch_size,
    num_workers=2,
    dataset=dict(type='deeplake_mmdet.DeepLakeDataset', path=train_lake))
val_dataloader = dict(
    batch_size=batch_size,
    num_workers=2,
    dataset=dict(type='deeplake_mmdet.DeepLakeDataset', path=val_lake))
test_dataloader = val_dataloader

# `load_from` has the backbone's weights too. Without internet: load_from = None, or a file of yours.
model = dict(backbone=dict(init_cfg=None), bbox_head=dict(num_classes=num_classes))
load_from = 'https://download.openmmlab.com/mmdetection/v3.0/rtmdet/rtmdet_tiny_8xb32-300e_coco/rtmdet_tiny_8xb32-300e_coco_20220902_112414-78e30dcc.pth'

train_cfg = dict(
    max_epochs=max_epochs, val_interval=5, dynamic_intervals=[(max_epochs - last_epochs, 1)])
# The base file's learning rate is for 256 images a step; this fits it to yours.
auto_scale_lr = dict(enable=True, base_batch_size=256)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=True, end=1, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min=0.0002,
        begin=max_epochs // 2,
        end=max_epochs,
        T_max=max_epochs // 2,
        by_epoch=True,
        convert_to_iter_based=True),
]
default_hooks = dict(checkpoint=dict(interval=5, save_best='auto'), logger=dict(interval=10))
custom_hooks = [
    dict(
        type='EMAHook',
        ema_type='ExpMomentumEMA',
        momentum=0.0002,
        update_buffers=True,
        priority=49),
    dict(
        type='PipelineSwitchHook',
        switch_epoch=max_epochs - last_epochs,
        switch_pipeline=_base_.train_pipeline_stage2),
]
