_base_ = ['../recycling/_base_/default_runtime.py']
img_scale = (128, 128)  # height, width
num_last_epochs = 15
max_epochs = 120
interval = 10
resume_from = None
CLASSES = ('balloon', )
# model settings
model = dict(
    type='YOLOX', input_size=img_scale, random_size_range=(3, 5), random_size_interval=10,
    backbone=dict(type='CSPDarknet', deepen_factor=0.33, widen_factor=0.25),
    neck=dict(type='YOLOXPAFPN', in_channels=[64, 128, 256], out_channels=64, num_csp_blocks=1),
    bbox_head=dict(type='YOLOXHead', num_classes=len(CLASSES), in_channels=64, feat_channels=64),
    train_cfg=dict(assigner=dict(type='SimOTAAssigner', center_radius=2.5)),
    # In order to align the source code, the threshold of the val phase is 0.01, and of the test phase 0.001.
    test_cfg=dict(score_thr=0.01, nms=dict(type='nms', iou_threshold=0.65)))
data_root = 'data/balloon/'
train_pipeline = [
    dict(type='Mosaic', img_scale=img_scale, pad_val=114.0),
    dict(type='RandomAffine', scaling_ratio_range=(0.1, 2), border=(-img_scale[0] // 2, -img_scale[1] // 2)),
    dict(type='MixUp', img_scale=img_scale, ratio_range=(0.8, 1.6), pad_val=114.0),
    dict(type='YOLOXHSVRandomAug'),
    dict(type='RandomFlip', flip_ratio=0.5),
    # According to the official implementation, multi-scale training is not considered here.
    dict(type='Resize', img_scale=img_scale, keep_ratio=True),
    dict(type='Pad', pad_to_square=True, pad_val=dict(img=(114.0, 114.0, 114.0))),
    dict(type='FilterAnnotations', min_gt_bbox_wh=(1, 1), keep_empty=False),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels']),
]
train_dataset = dict(
    type='MultiImageMixDataset',
    dataset=dict(
        type='CocoDataset', ann_file=data_root + 'train/annotation_coco.json', img_prefix=data_root + 'train/',
        pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)],
        filter_empty_gt=False, classes=CLASSES),
    pipeline=train_pipeline)
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug', img_scale=img_scale, flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='RandomFlip'),
            dict(type='Pad', pad_to_square=True, pad_val=dict(img=(114.0, 114.0, 114.0))),
            dict(type='DefaultFormatBundle'),
            dict(type='Collect', keys=['img']),
        ])
]
data = dict(
    samples_per_gpu=2, workers_per_gpu=0, persistent_workers=True,
    train=train_dataset,
    val=dict(
        type='CocoDataset', ann_file=data_root + 'val/annotation_coco.json', img_prefix=data_root + 'val/',
        pipeline=test_pipeline, classes=CLASSES),
    test=dict(
        type='CocoDataset', ann_file=data_root + 'val/annotation_coco.json', img_prefix=data_root + 'val/',
        pipeline=test_pipeline, classes=CLASSES))
# default 8 gpu
optimizer = dict(
    type='SGD', lr=0.01 / 8, momentum=0.9, weight_decay=5e-4, nesterov=True,
    paramwise_cfg=dict(norm_decay_mult=0., bias_decay_mult=0.))
optimizer_config = dict(grad_clip=None)
lr_config = dict(
    policy='YOLOX', warmup='exp', by_epoch=False, warmup_by_epoch=True, warmup_ratio=1, warmup_iters=5,
    num_last_epochs=num_last_epochs, min_lr_ratio=0.05)
runner = dict(type='EpochBasedRunner', max_epochs=max_epochs)
custom_hooks = [
    dict(type='YOLOXModeSwitchHook', num_last_epochs=num_last_epochs, priority=48),
    dict(type='SyncNormHook', num_last_epochs=num_last_epochs, interval=interval, priority=48),
    dict(type='ExpMomentumEMAHook', resume_from=resume_from, momentum=0.0001, priority=49)
]
checkpoint_config = dict(interval=interval)
evaluation = dict(
    save_best='auto', interval=interval, dynamic_intervals=[(max_epochs - num_last_epochs, 1)], metric='bbox')
log_config = dict(interval=50)
