# YOLOX-s on your lake with Mosaic and MixUp, starting from weights that were trained on COCO.
#   deeplake-mmdet train configs/yolox.py
_base_ = 'mmdet::yolox/yolox_s_8xb8-300e_coco.py'

train_lake = 'lakes/train'
val_lake = 'lakes/val'
num_classes = 1
batch_size = 8  # images for each GPU
max_epochs = 30
last_epochs = 5  # without Mosaic and MixUp

# Mosaic and MixUp mix images of the inner dataset: only that is exchanged, the wrapper stays.
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=2,
    dataset=dict(dataset=dict(type='deeplake_mmdet.DeepLakeDataset', path=train_lake)))
val_dataloader = dict(
    batch_size=batch_size,
    num_workers=2,
    dataset=dict(type='deeplake_mmdet.DeepLakeDataset', path=val_lake))
test_dataloader = val_dataloader

# Without internet: load_from = None, or a file of yours.
model = dict(bbox_head=dict(num_classes=num_classes))
load_from = 'https://download.openmmlab.com/mmdetection/v2.0/yolox/yolox_s_8x8_300e_coco/yolox_s_8x8_300e_coco_20211121_095711-4592a793.pth'

train_cfg = dict(max_epochs=max_epochs, val_interval=5)
# The base file's learning rate is for 64 images a step; this fits it to yours.
auto_scale_lr = dict(enable=True)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=True, end=1, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min=0.0005,
        begin=1,
        end=max_epochs - last_epochs,
        T_max=max_epochs - last_epochs - 1,
        by_epoch=True,
        convert_to_iter_based=True),
]
default_hooks = dict(checkpoint=dict(interval=5, save_best='auto'), logger=dict(interval=10))
custom_hooks = [
    dict(type='YOLOXModeSwitchHook', num_last_epochs=last_epochs, priority=48),
    dict(type='SyncNormHook', priority=48),
    dict(
        type='EMAHook',
        ema_type='ExpMomentumEMA',
        momentum=0.0001,
        update_buffers=True,
        priority=49),
]
