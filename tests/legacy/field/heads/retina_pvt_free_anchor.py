_base_ = ['./_base_/coco_small.py', '../recycling/_base_/default_runtime.py']
model = dict(
    type='RetinaNet',
    backbone=dict(
        type='PyramidVisionTransformerV2', embed_dims=16, num_layers=[1, 1, 1, 1], num_heads=[1, 2, 2, 4],
        init_cfg=None),
    neck=dict(
        type='FPN', in_channels=[16, 32, 32, 64], out_channels=32, start_level=1, add_extra_convs='on_input',
        num_outs=5),
    bbox_head=dict(
        type='FreeAnchorRetinaHead', num_classes=80, in_channels=32, stacked_convs=1, feat_channels=32,
        anchor_generator=dict(
            type='AnchorGenerator', octave_base_scale=4, scales_per_octave=3, ratios=[0.5, 1.0, 2.0],
            strides=[8, 16, 32, 64, 128]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_means=[.0] * 4, target_stds=[0.1, 0.1, 0.2, 0.2]),
        loss_bbox=dict(type='SmoothL1Loss', beta=0.11, loss_weight=0.75)),
    train_cfg=dict(
        assigner=dict(
            type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0, ignore_iof_thr=-1),
        allowed_border=-1, pos_weight=-1, debug=False),
    test_cfg=dict(
        nms_pre=100, min_bbox_size=0, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=10))
# optimizer
optimizer = dict(type='AdamW', lr=0.0001 / 1.4, weight_decay=0.0001)
optimizer_config = dict(grad_clip=None)
lr_config = dict(policy='step', warmup='linear', warmup_iters=500, warmup_ratio=0.001, step=[8, 11])
# dataset settings
data = dict(samples_per_gpu=1, workers_per_gpu=0, val_dataloader=dict(samples_per_gpu=2, workers_per_gpu=0))
runner = dict(type='EpochBasedRunner', max_epochs=12)
optimizer_config = dict(type='Fp16OptimizerHook', loss_scale='dynamic', grad_clip=dict(max_norm=1.0))
