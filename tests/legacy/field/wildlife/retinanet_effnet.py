_base_ = [
    '../_base_/models/retinanet_r50_fpn.py', '../_base_/datasets/coco_detection.py',
    '../_base_/default_runtime.py'
]
cudnn_benchmark = True
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    backbone=dict(
        _delete_=True, type='EfficientNet', arch='b0', drop_path_rate=0.2, out_indices=(3, 4, 5),
        frozen_stages=0, norm_cfg=dict(type='BN', requires_grad=True, eps=1e-3, momentum=0.01),
        norm_eval=False),
    neck=dict(
        in_channels=[40, 112, 320], start_level=0, out_channels=64, relu_before_extra_convs=True,
        no_norm_on_lateral=True, norm_cfg=norm_cfg),
    bbox_head=dict(
        type='RetinaSepBNHead', num_ins=5, norm_cfg=norm_cfg, in_channels=64, feat_channels=64, stacked_convs=2,
        num_classes=3),
    # training and testing settings
    train_cfg=dict(assigner=dict(neg_iou_thr=0.5)))
# dataset settings
img_norm_cfg = dict(mean=[103.53, 116.28, 123.675], std=[57.375, 57.12, 58.395], to_rgb=False)
img_size = (128, 128)
file_client_args = dict(backend='disk')
train_pipeline = [
    dict(type='LoadImageFromFile', file_client_args=file_client_args),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', img_scale=img_size, ratio_range=(0.8, 1.2), keep_ratio=True),
    dict(type='RandomCrop', crop_size=img_size),
    dict(type='RandomFlip', flip_ratio=0.5),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size=img_size),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels']),
]
test_pipeline = [
    dict(type='LoadImageFromFile', file_client_args=file_client_args),
    dict(
        type='MultiScaleFlipAug', img_scale=img_size, flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='RandomFlip'),
            dict(type='Normalize', **img_norm_cfg),
            dict(type='Pad', size=img_size),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ])
]
data_root = 'data/wildlife/'
classes = 'data/wildlife/classes.txt'
data = dict(
    samples_per_gpu=2,
    workers_per_gpu=0,
    train=dict(
        pipeline=train_pipeline, classes=classes, data_root=data_root, ann_file='labels/train.json',
        img_prefix='images/train'),
    val=dict(
        pipeline=test_pipeline, classes=classes, data_root=data_root, ann_file='labels/val.json',
        img_prefix='images/val'),
    test=dict(
        pipeline=test_pipeline, classes=classes, data_root=data_root, ann_file='labels/val.json',
        img_prefix='images/val'))
# optimizer
optimizer = dict(
    type='SGD', lr=0.04, momentum=0.9, weight_decay=0.0001,
    paramwise_cfg=dict(norm_decay_mult=0, bypass_duplicate=True))
optimizer_config = dict(grad_clip=None)
# learning policy
lr_config = dict(policy='step', warmup='linear', warmup_iters=1000, warmup_ratio=0.1, step=[8, 11])
# runtime settings
runner = dict(type='EpochBasedRunner', max_epochs=12)
auto_scale_lr = dict(base_batch_size=32)
