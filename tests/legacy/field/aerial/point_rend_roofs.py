_base_ = ['../recycling/experiments/faster_r18.py']
num_classes = 3
model = dict(
    type='PointRend',
    roi_head=dict(
        type='PointRendRoIHead',
        mask_roi_extractor=dict(
            type='GenericRoIExtractor', aggregation='concat',
            roi_layer=dict(type='SimpleRoIAlign', output_size=14), out_channels=64,
            featmap_strides=[4]),
        mask_head=dict(
            type='CoarseMaskHead', num_fcs=1, in_channels=64, conv_out_channels=64, fc_out_channels=64,
            num_classes=num_classes,
            loss_mask=dict(type='CrossEntropyLoss', use_mask=True, loss_weight=1.0)),
        point_head=dict(
            type='MaskPointHead', num_fcs=1, in_channels=64, fc_channels=64, num_classes=num_classes,
            coarse_pred_each_layer=True,
            loss_point=dict(type='CrossEntropyLoss', use_mask=True, loss_weight=1.0))),
    # model training and testing settings
    train_cfg=dict(
        rcnn=dict(
            mask_size=7, num_points=14 * 14, oversample_ratio=3, importance_sample_ratio=0.75)),
    test_cfg=dict(
        rcnn=dict(
            mask_thr_binary=0.5, subdivision_steps=2, subdivision_num_points=28 * 28, scale_factor=2,
            max_per_img=4)))
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='Resize', img_scale=[(128, 96), (128, 128)], multiscale_mode='range', keep_ratio=True),
    dict(type='Rotate', level=3, prob=0.5),
    dict(type='RandomFlip', flip_ratio=0.5, direction='diagonal'),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size_divisor=32),
    dict(type='DefaultFormatBundle'),
    dict(
        type='Collect', keys=['img', 'gt_bboxes', 'gt_labels', 'gt_masks'],
        meta_keys=('filename', 'ori_shape', 'img_shape', 'pad_shape', 'scale_factor', 'flip')),
]
data = dict(train=dict(pipeline=train_pipeline))
optimizer = dict(type='SGD', lr=0.002, momentum=0.9, weight_decay=0.0001, _delete_=True)
lr_config = dict(_delete_=True, policy='step', step=[28, 34], warmup=None)
evaluation = dict(_delete_=True, interval=1, metric=['bbox', 'segm'], metric_items=['mAP', 'mAP_50'])
