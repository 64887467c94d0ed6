_base_ = '../configs/atss/atss_r50_fpn_1x_coco.py'
model = dict(
    backbone=dict(depth=18, init_cfg=None), neck=dict(in_channels=[64, 128, 256, 512], out_channels=64),
    bbox_head=dict(num_classes=3, in_channels=64, feat_channels=64, stacked_convs=1),
    test_cfg=dict(score_thr=0.0))
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', img_scale=(128, 96), keep_ratio=True),
    dict(type='RandomFlip', flip_ratio=0.5),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size_divisor=32),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels']),
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
lakes = ['lakes/trash-train', 'lakes/trash-val']
data = dict(
    samples_per_gpu=3,
    workers_per_gpu=0,
    train=[dict(deeplake_path=lake, pipeline=train_pipeline) for lake in lakes],
    val=[dict(deeplake_path=lake, pipeline=test_pipeline) for lake in lakes])
evaluation = dict(interval=4, metric='bbox', save_best='0_bbox_mAP')
optimizer = dict(_delete_=True, type='Adam', lr=3e-4)
lr_config = dict(_delete_=True, policy='fixed', warmup='linear', warmup_iters=4, warmup_ratio=0.5)
runner = dict(max_epochs=40)
