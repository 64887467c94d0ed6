# A slim RTMDet on the BCCD blood cells, from random weights, in minutes on two CPU cores. First:
#   git clone https://github.com/Shenggan/BCCD_Dataset
#   deeplake-mmdet import voc BCCD_Dataset/BCCD lakes/bccd-train --split train
#   deeplake-mmdet import voc BCCD_Dataset/BCCD lakes/bccd-val --split val
_base_ = 'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py'

train_lake = 'lakes/bccd-train'
val_lake = 'lakes/bccd-val'
classes = ('Platelets', 'RBC', 'WBC')
scale = (256, 256)
epochs = 36

model = dict(
    data_preprocessor=dict(batch_augments=None),
    backbone=dict(widen_factor=0.25, init_cfg=None, norm_cfg=dict(type='BN')),
    neck=dict(in_channels=[64, 128, 256], out_channels=64, norm_cfg=dict(type='BN')),
    bbox_head=dict(
        num_classes=len(classes), in_channels=64, feat_channels=64, norm_cfg=dict(type='BN')))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomResize', scale=scale, ratio_range=(0.8, 1.5), keep_ratio=True),
    dict(type='RandomCrop', crop_size=scale),
    dict(type='YOLOXHSVRandomAug'),
    dict(type='RandomFlip', prob=[0.35, 0.35], direction=['horizontal', 'vertical']),
    dict(type='Pad', size=scale, pad_val=dict(img=(114, 114, 114))),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='Pad', size=scale, pad_val=dict(img=(114, 114, 114))),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    dataset=dict(
        _delete_=True,
        type='deeplake_mmdet.DeepLakeDataset',
        path=train_lake,
        metainfo=dict(classes=classes),
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=8,
    num_workers=2,
    dataset=dict(
        _delete_=True,
        type='deeplake_mmdet.DeepLakeDataset',
        path=val_lake,
        metainfo=dict(classes=classes),
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(
    _delete_=True, type='deeplake_mmdet.CocoMetric', metric='bbox', proposal_nums=(100, 1, 10))
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=epochs, val_interval=4, dynamic_intervals=None)
optim_wrapper = dict(optimizer=dict(lr=0.002, weight_decay=0.01), clip_grad=dict(max_norm=10))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=50),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-4,
        begin=0,
        end=epochs,
        T_max=epochs,
        by_epoch=True,
        convert_to_iter_based=True),
]
custom_hooks = []
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(interval=4, max_keep_ckpts=1, save_best='coco/bbox_mAP'))
randomness = dict(seed=0)
