_base_ = ['../recycling/_base_/datasets/trash.py', '../recycling/_base_/default_runtime.py']
model = dict(
    type='SOLO',
    backbone=dict(
        type='ResNet', depth=18, num_stages=4, out_indices=(0, 1, 2, 3), frozen_stages=1, style='pytorch'),
    neck=dict(
        type='FPN', in_channels=[64, 128, 256, 512], out_channels=32, start_level=0, num_outs=5),
    mask_head=dict(
        type='SOLOHead', num_classes=3, in_channels=32, stacked_convs=1, feat_channels=32,
        strides=[8, 8, 16, 32, 32], scale_ranges=((1, 24), (12, 48), (24, 96), (48, 192), (96, 512)),
        pos_scale=0.2, num_grids=[10, 8, 6, 4, 3], cls_down_index=0,
        loss_mask=dict(type='DiceLoss', use_sigmoid=True, loss_weight=3.0),
        loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
        norm_cfg=dict(type='GN', num_groups=8, requires_grad=True)),
    test_cfg=dict(
        nms_pre=50, score_thr=0.0, mask_thr=0.005, filter_thr=0.0, kernel='gaussian', sigma=2.0, max_per_img=10))
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
data = dict(
    train=dict(
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
            dict(type='Resize', img_scale=(128, 96), keep_ratio=True),
            dict(type='RandomFlip', flip_ratio=0.5),
            dict(type='Normalize', **img_norm_cfg),
            dict(type='Pad', size_divisor=32),
            dict(type='DefaultFormatBundle'),
            dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels', 'gt_masks']),
        ]))
optimizer = dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0001)
optimizer_config = dict(grad_clip=None)
lr_config = dict(
    policy='step', warmup='linear', warmup_iters=500, warmup_ratio=1.0 / 3, step=[27, 33], min_lr=1e-5)
runner = dict(type='EpochBasedRunner', max_epochs=36)
evaluation = dict(interval=1, metric='segm', classwise=False, save_best='segm_mAP', rule='greater')
