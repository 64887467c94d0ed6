_base_ = ['../recycling/_base_/datasets/trash.py', '../recycling/_base_/default_runtime.py']
num_stages, num_proposals, dim = 2, 10, 32
bbox_head = dict(
    type='DIIHead', num_classes=3, num_ffn_fcs=2, num_heads=4, num_cls_fcs=1, num_reg_fcs=1,
    feedforward_channels=dim, in_channels=dim, dropout=0.0, ffn_act_cfg=dict(type='ReLU', inplace=True),
    dynamic_conv_cfg=dict(
        type='DynamicConv', in_channels=dim, feat_channels=8, out_channels=dim, input_feat_shape=7,
        act_cfg=dict(type='ReLU', inplace=True), norm_cfg=dict(type='LN')),
    loss_bbox=dict(type='L1Loss', loss_weight=5.0), loss_iou=dict(type='GIoULoss', loss_weight=2.0),
    loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=2.0),
    bbox_coder=dict(
        type='DeltaXYWHBBoxCoder', clip_border=True, target_means=[0., 0., 0., 0.],
        target_stds=[0.5, 0.5, 1., 1.]))
mask_head = dict(
    type='DynamicMaskHead',
    dynamic_conv_cfg=dict(
        type='DynamicConv', in_channels=dim, feat_channels=8, out_channels=dim, input_feat_shape=14,
        with_proj=False, act_cfg=dict(type='ReLU', inplace=True), norm_cfg=dict(type='LN')),
    num_convs=1, num_classes=3, roi_feat_size=14, in_channels=dim, conv_kernel_size=3, conv_out_channels=dim,
    class_agnostic=False, norm_cfg=dict(type='BN'), upsample_cfg=dict(type='deconv', scale_factor=2),
    loss_mask=dict(
        type='DiceLoss', loss_weight=8.0, use_sigmoid=True, activate=False, eps=1e-5))
assigner = dict(
    type='HungarianAssigner', cls_cost=dict(type='FocalLossCost', weight=2.0),
    reg_cost=dict(type='BBoxL1Cost', weight=5.0), iou_cost=dict(type='IoUCost', iou_mode='giou', weight=2.0))
model = dict(
    type='QueryInst',
    backbone=dict(
        type='ResNet', depth=18, num_stages=4, out_indices=(0, 1, 2, 3), frozen_stages=1,
        norm_cfg=dict(type='BN', requires_grad=True), norm_eval=True, style='pytorch'),
    neck=dict(
        type='FPN', in_channels=[64, 128, 256, 512], out_channels=dim, start_level=0,
        add_extra_convs='on_input', num_outs=4),
    rpn_head=dict(type='EmbeddingRPNHead', num_proposals=num_proposals, proposal_feature_channel=dim),
    roi_head=dict(
        type='SparseRoIHead', num_stages=num_stages, stage_loss_weights=[1] * num_stages,
        proposal_feature_channel=dim,
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=2),
            out_channels=dim, featmap_strides=[4, 8, 16, 32]),
        mask_roi_extractor=dict(
            type='SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=2),
            out_channels=dim, featmap_strides=[4, 8, 16, 32]),
        bbox_head=[bbox_head for _ in range(num_stages)],
        mask_head=[mask_head for _ in range(num_stages)]),
    train_cfg=dict(
        rpn=None,
        rcnn=[
            dict(assigner=assigner, sampler=dict(type='PseudoSampler'), pos_weight=1, mask_size=28)
            for _ in range(num_stages)
        ]),
    test_cfg=dict(rpn=None, rcnn=dict(max_per_img=num_proposals, mask_thr_binary=0.5)))
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='Resize', img_scale=(128, 128), keep_ratio=True),
    dict(type='RandomFlip', flip_ratio=0.5),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size_divisor=32),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels', 'gt_masks']),
]
data = dict(train=dict(pipeline=train_pipeline))
optimizer = dict(
    type='AdamW', lr=0.0001, weight_decay=0.0001,
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1, decay_mult=1.0)}))
optimizer_config = dict(grad_clip=dict(max_norm=0.1, norm_type=2))
lr_config = dict(policy='step', warmup='linear', warmup_iters=1000, warmup_ratio=0.001, step=[8, 11])
runner = dict(type='EpochBasedRunner', max_epochs=12)
evaluation = dict(metric=['bbox', 'segm'])
