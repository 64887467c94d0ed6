_base_ = '../recycling/_base_/default_runtime.py'
img_size = 138
norm = dict(type='Normalize', mean=[123.68, 116.78, 103.94], std=[58.40, 57.12, 57.38], to_rgb=True)
model = dict(
    type='YOLACT',
    backbone=dict(
        type='ResNet', depth=18, num_stages=4, out_indices=(0, 1, 2, 3), frozen_stages=-1,
        norm_cfg=dict(type='BN', requires_grad=True), norm_eval=False, zero_init_residual=False, style='pytorch'),
    neck=dict(
        type='FPN', in_channels=[64, 128, 256, 512], out_channels=32, start_level=1, add_extra_convs='on_input',
        num_outs=5, upsample_cfg=dict(mode='bilinear')),
    bbox_head=dict(
        type='YOLACTHead', num_classes=3, in_channels=32, feat_channels=32,
        anchor_generator=dict(
            type='AnchorGenerator', octave_base_scale=3, scales_per_octave=1, base_sizes=[8, 16, 32, 64, 128],
            ratios=[0.5, 1.0, 2.0], strides=[138.0 / x for x in [18, 9, 5, 3, 2]],
            centers=[(138 * 0.5 / x, 138 * 0.5 / x) for x in [18, 9, 5, 3, 2]]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_means=[.0] * 4, target_stds=[0.1, 0.1, 0.2, 0.2]),
        loss_cls=dict(
            type='CrossEntropyLoss', use_sigmoid=False, reduction='none', loss_weight=1.0),
        loss_bbox=dict(type='SmoothL1Loss', beta=1.0, loss_weight=1.5), num_head_convs=1, num_protos=32,
        use_ohem=True),
    mask_head=dict(
        type='YOLACTProtonet', in_channels=32, num_protos=32, num_classes=3, max_masks_to_train=20,
        loss_mask_weight=6.125),
    segm_head=dict(
        type='YOLACTSegmHead', num_classes=3, in_channels=32,
        loss_segm=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0)),
    train_cfg=dict(
        assigner=dict(
            type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0., ignore_iof_thr=-1,
            gt_max_assign_all=False),
        allowed_border=-1, pos_weight=-1, neg_pos_ratio=3, debug=False),
    test_cfg=dict(nms_pre=100, min_bbox_size=0, score_thr=0.0, iou_thr=0.5, top_k=20, max_per_img=10))
train_pipeline = [
    dict(type='LoadImageFromFile', to_float32=True),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='FilterAnnotations', min_gt_bbox_wh=(4.0, 4.0)),
    dict(type='Expand', mean=norm['mean'], to_rgb=norm['to_rgb'], ratio_range=(1, 2)),
    dict(type='MinIoURandomCrop', min_ious=(0.1, 0.3, 0.5, 0.7, 0.9), min_crop_size=0.3),
    dict(type='Resize', img_scale=(img_size, img_size), keep_ratio=False),
    dict(type='RandomFlip', flip_ratio=0.5),
    dict(type='PhotoMetricDistortion'), norm,
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels', 'gt_masks']),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug', img_scale=(img_size, img_size), flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=False), norm,
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ])
]
fields = dict(type='CocoDataset', img_prefix='data/trash/', classes='data/trash/classes.txt')
data = dict(
    samples_per_gpu=2, workers_per_gpu=0,
    train=dict(ann_file='data/trash/train.json', pipeline=train_pipeline, **fields),
    val=dict(ann_file='data/trash/val.json', pipeline=test_pipeline, **fields),
    test=dict(ann_file='data/trash/val.json', pipeline=test_pipeline, **fields))
optimizer = dict(type='SGD', lr=1e-3, momentum=0.9, weight_decay=5e-4)
optimizer_config = dict()
lr_config = dict(policy='step', warmup='linear', warmup_iters=500, warmup_ratio=0.1, step=[20, 42, 49, 52])
runner = dict(type='EpochBasedRunner', max_epochs=55)
cudnn_benchmark = True
evaluation = dict(metric=['bbox', 'segm'])
auto_scale_lr = dict(base_batch_size=8)
