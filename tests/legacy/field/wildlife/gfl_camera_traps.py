_base_ = ['../../mmdetection/configs/gfl/gfl_r50_fpn_1x_coco.py']
species = ('zebra', 'empty nest', 'lion')
model = dict(
    backbone=dict(depth=18, init_cfg=None),
    neck=dict(in_channels=[64, 128, 256, 512], out_channels=64),
    bbox_head=dict(num_classes=3, in_channels=64, feat_channels=64, stacked_convs=2))
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', img_scale=(128, 96), ratio_range=(0.8, 1.2), keep_ratio=True),
    dict(type='RandomCrop', crop_type='relative_range', crop_size=(0.8, 0.9), allow_negative_crop=True),
    dict(type='RandomFlip', flip_ratio=0.5),
    dict(type='BrightnessTransform', level=5, prob=0.3),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size_divisor=32),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels']),
]
data = dict(
    samples_per_gpu=3,
    workers_per_gpu=0,
    train=dict(
        _delete_=True,
        type='ClassBalancedDataset',
        oversample_thr=1e-3,
        dataset=dict(
            type='CocoDataset', filter_empty_gt=False, classes=species, pipeline=train_pipeline,
            ann_file='data/wildlife/labels/train.json', img_prefix='data/wildlife/images/train')),
    val=dict(
        classes=species, ann_file='data/wildlife/labels/val.json', img_prefix='data/wildlife/images/val'),
    test=dict(
        classes=species, ann_file='data/wildlife/labels/val.json', img_prefix='data/wildlife/images/val'))
optimizer = dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0001, nesterov=True)
lr_config = dict(policy='poly', power=0.9, min_lr=1e-4, by_epoch=False, warmup='exp', warmup_iters=20)
runner = dict(max_epochs=24)
evaluation = dict(interval=2, start=10, metric='bbox', classwise=True)
custom_hooks = [dict(type='NumClassCheckHook'), dict(type='CheckInvalidLossHook', interval=50)]
