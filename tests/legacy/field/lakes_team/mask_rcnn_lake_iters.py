# masks out of the lake, iterations instead of epochs
_base_ = ['../configs/_base_/models/mask_rcnn_r50_fpn.py', '../configs/_base_/default_runtime.py']
model = dict(
    pretrained=None,
    backbone=dict(
        type='ResNeXt', depth=50, groups=4, base_width=4, base_channels=16, init_cfg=None),
    neck=dict(in_channels=[64, 128, 256, 512], out_channels=32),
    rpn_head=dict(in_channels=32, feat_channels=32),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=32), mask_roi_extractor=dict(out_channels=32),
        bbox_head=dict(in_channels=32, fc_out_channels=64, num_classes=3),
        mask_head=dict(num_convs=1, in_channels=32, conv_out_channels=32, num_classes=3)))
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='Resize', img_scale=(128, 96), keep_ratio=True),
    dict(type='RandomFlip', flip_ratio=0.5),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size_divisor=32),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels', 'gt_masks']),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug', img_scale=(128, 96), flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='RandomFlip'),
            dict(type='Normalize', **img_norm_cfg),
            dict(type='Pad', size_divisor=32),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ])
]
data = dict(
    samples_per_gpu=2, workers_per_gpu=0,
    train=dict(
        type='RepeatDataset', times=3,
        dataset=dict(deeplake_path='lakes/trash-train', pipeline=train_pipeline)),
    val=dict(deeplake_path='lakes/trash-val', pipeline=test_pipeline))
optimizer = dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=0.0001)
optimizer_config = dict(type='GradientCumulativeOptimizerHook', cumulative_iters=2, grad_clip=None)
lr_config = dict(
    policy='step', warmup='linear', warmup_iters=1000, warmup_ratio=0.001, step=[60000, 80000], by_epoch=False)
runner = dict(type='IterBasedRunner', max_iters=90000)
checkpoint_config = dict(interval=10000, by_epoch=False, max_keep_ckpts=3, save_optimizer=False)
evaluation = dict(interval=10000, metric=['bbox', 'segm'], by_epoch=False)
log_config = dict(interval=50, hooks=[dict(type='TextLoggerHook', by_epoch=False)])
