# A config for MMDetection 2.x and `deeplake.integrations.mmdet`, as it was. It runs unchanged:
#   deeplake-mmdet train configs/yolov3_2x.py
# The base file is one of MMDetection 2.x. Where it is missing, as here, its 3.x counterpart is taken.
_base_ = '../mmdetection/configs/yolo/yolov3_d53_mstrain-416_273e_coco.py'

num_classes = 1
img_norm_cfg = dict(mean=[0, 0, 0], std=[255., 255., 255.], to_rgb=True)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='Expand',
        mean=img_norm_cfg['mean'],
        to_rgb=img_norm_cfg['to_rgb'],
        ratio_range=(1, 2)),
    dict(type='Resize', img_scale=[(320, 320), (416, 416)], keep_ratio=True),
    dict(type='RandomFlip', flip_ratio=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size_divisor=32),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels']),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(416, 416),
        flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='RandomFlip'),
            dict(type='Normalize', **img_norm_cfg),
            dict(type='Pad', size_divisor=32),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ]),
]

data = dict(
    samples_per_gpu=4,
    workers_per_gpu=2,
    train=dict(
        pipeline=train_pipeline,
        deeplake_path='lakes/train',
        deeplake_tensors=dict(img='images', gt_bboxes='boxes', gt_labels='labels'),
        deeplake_dataloader=dict(shuffle=True)),
    val=dict(
        pipeline=test_pipeline,
        deeplake_path='lakes/val',
        deeplake_tensors=dict(img='images', gt_bboxes='boxes', gt_labels='labels')),
    test=dict(
        pipeline=test_pipeline,
        deeplake_path='lakes/val',
        deeplake_tensors=dict(img='images', gt_bboxes='boxes', gt_labels='labels')))
deeplake_dataloader_type = 'auto'
deeplake_metrics_format = 'COCO'

model = dict(bbox_head=dict(num_classes=num_classes))
load_from = 'https://download.openmmlab.com/mmdetection/v2.0/yolo/yolov3_d53_mstrain-416_273e_coco/yolov3_d53_mstrain-416_273e_coco-2b60fcd9.pth'

optimizer = dict(type='SGD', lr=0.001, momentum=0.9, weight_decay=0.0005)
optimizer_config = dict(grad_clip=dict(max_norm=35, norm_type=2))
lr_config = dict(policy='step', warmup='linear', warmup_iters=100, warmup_ratio=0.1, step=[20, 25])
runner = dict(type='EpochBasedRunner', max_epochs=30)
evaluation = dict(interval=5, metric=['bbox'])
