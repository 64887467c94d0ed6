_base_ = '../configs/sparse_rcnn/sparse_rcnn_r50_fpn_mstrain_480-800_3x_coco.py'
num_stages = 6
num_proposals = 20
classes = ('balloon', )
model = dict(
    backbone=dict(depth=18, init_cfg=None),
    neck=dict(in_channels=[64, 128, 256, 512], out_channels=32),
    rpn_head=dict(num_proposals=num_proposals, proposal_feature_channel=32),
    roi_head=dict(
        proposal_feature_channel=32, bbox_roi_extractor=dict(out_channels=32),
        bbox_head=[
            dict(
                type='DIIHead', num_classes=len(classes), num_ffn_fcs=2, num_heads=4, num_cls_fcs=1,
                num_reg_fcs=1, feedforward_channels=32, in_channels=32, dropout=0.0,
                ffn_act_cfg=dict(type='ReLU', inplace=True),
                dynamic_conv_cfg=dict(
                    type='DynamicConv', in_channels=32, feat_channels=8, out_channels=32, input_feat_shape=7,
                    act_cfg=dict(type='ReLU', inplace=True), norm_cfg=dict(type='LN')),
                loss_bbox=dict(type='L1Loss', loss_weight=5.0),
                loss_iou=dict(type='GIoULoss', loss_weight=2.0),
                loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=2.0),
                bbox_coder=dict(
                    type='DeltaXYWHBBoxCoder', clip_border=False, target_means=[0., 0., 0., 0.],
                    target_stds=[0.5, 0.5, 1., 1.])) for _ in range(num_stages)
        ]),
    test_cfg=dict(rcnn=dict(max_per_img=num_proposals)))
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
min_values = (64, 80, 96)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='Resize', img_scale=[(160, value) for value in min_values], multiscale_mode='value',
        keep_ratio=True),
    dict(type='RandomFlip', flip_ratio=0.5),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size_divisor=32),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels'])
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
            dict(type='Collect', keys=['img'])
        ])
]
data = dict(
    samples_per_gpu=1,
    workers_per_gpu=0,
    train=dict(
        pipeline=train_pipeline, classes=classes, ann_file='data/balloon/train/annotation_coco.json',
        img_prefix='data/balloon/train'),
    val=dict(
        pipeline=test_pipeline, classes=classes, ann_file='data/balloon/val/annotation_coco.json',
        img_prefix='data/balloon/val'),
    test=dict(
        pipeline=test_pipeline, classes=classes, ann_file='data/balloon/val/annotation_coco.json',
        img_prefix='data/balloon/val'))
fp16 = None
evaluation = dict(interval=36, metric='bbox')
