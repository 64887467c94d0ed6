_base_ = "../configs/yolo/yolov3_d53_mstrain-416_273e_coco.py"

# Use a smaller backbone than DarkNet-53: the lake is small
img_norm_cfg = dict(mean=[0, 0, 0], std=[255., 255., 255.], to_rgb=True)
model = dict(
    pretrained=None,
    backbone=dict(_delete_=True, type='MobileNetV2', widen_factor=0.5, out_indices=(2, 4, 6)),
    neck=dict(in_channels=[160, 48, 16], out_channels=[64, 48, 32]),
    bbox_head=dict(num_classes=3, in_channels=[64, 48, 32], out_channels=[64, 48, 32]))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='Expand', mean=img_norm_cfg['mean'], to_rgb=img_norm_cfg['to_rgb'], ratio_range=(1, 2)),
    dict(type='Resize', img_scale=[(96, 96), (128, 128)], keep_ratio=True),
    dict(type='RandomFlip', flip_ratio=0.0),
    dict(type='PhotoMetricDistortion'),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size_divisor=32),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels'])
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(128, 128),
        flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='RandomFlip', flip_ratio=0.0),
            dict(type='Normalize', **img_norm_cfg),
            dict(type='Pad', size_divisor=32),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img'])
        ])
]
tensors = {"img": "images", "gt_bboxes": "boxes", "gt_labels": "labels"}
data = dict(
    train=dict(
        pipeline=train_pipeline,
        deeplake_path="lakes/trash-train",
        deeplake_credentials={"username": None, "password": None, "token": None, "creds": None},
        deeplake_commit_id="",
        deeplake_view_id="",
        deeplake_tensors=tensors,
        deeplake_dataloader={"shuffle": True, "batch_size": 2, 'num_workers': 0}),
    val=dict(
        pipeline=test_pipeline,
        deeplake_path="lakes/trash-val",
        deeplake_tensors=tensors,
        deeplake_dataloader={"shuffle": False, "batch_size": 1, 'num_workers': 0}))
# Which dataloader to use
deeplake_dataloader_type = "c++"
# Which metrics to use for evaluation. In MMDET (without Deeplake), this is inferred from the dataset type.
deeplake_metrics_format = "COCO"
evaluation = dict(metric=["bbox"], interval=1)
work_dir = "./mmdet_outputs"
log_config = dict(interval=10)
checkpoint_config = dict(interval=12)
seed = None
device = "cuda"
runner = dict(type='EpochBasedRunner', max_epochs=10)
