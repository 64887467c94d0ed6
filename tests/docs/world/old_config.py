# What old_config.py is while the pages' commands run: a thin YOLOv3 as it was written for MMDetection 2.x.
norm = dict(mean=[10.0, 20.0, 30.0], std=[200.0, 210.0, 220.0], to_rgb=True)
loss = dict(type="CrossEntropyLoss", use_sigmoid=True, loss_weight=1.0, reduction="sum")
model = dict(
    type="YOLOV3",
    backbone=dict(type="MobileNetV2", out_indices=(4, 6), widen_factor=0.25, act_cfg=dict(type="LeakyReLU")),
    neck=dict(type="YOLOV3Neck", num_scales=2, in_channels=[80, 24], out_channels=[24, 24]),
    bbox_head=dict(
        type="YOLOV3Head",
        num_classes=3,
        in_channels=[24, 24],
        out_channels=[24, 24],
        anchor_generator=dict(
            type="YOLOAnchorGenerator",
            strides=[32, 16],
            base_sizes=[[(40, 40), (24, 48), (48, 24)], [(16, 16), (12, 24), (24, 12)]],
        ),
        bbox_coder=dict(type="YOLOBBoxCoder"),
        featmap_strides=[32, 16],
        loss_cls=loss,
        loss_conf=loss,
        loss_xy=loss,
        loss_wh=dict(type="MSELoss", loss_weight=2.0),
    ),
    train_cfg=dict(assigner=dict(type="GridAssigner", pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0)),
    test_cfg=dict(
        nms_pre=100,
        min_bbox_size=0,
        score_thr=0.001,
        conf_thr=0.0005,
        nms=dict(type="nms", iou_threshold=0.45),
        max_per_img=20,
    ),
)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="Resize", img_scale=(64, 64), keep_ratio=True),
    dict(type="RandomFlip", flip_ratio=0.5),
    dict(type="Normalize", **norm),
    dict(type="Pad", size_divisor=32),
    dict(type="DefaultFormatBundle"),
    dict(type="Collect", keys=["img", "gt_bboxes", "gt_labels"]),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(
        type="MultiScaleFlipAug",
        img_scale=(64, 64),
        flip=False,
        transforms=[
            dict(type="Resize", keep_ratio=True),
            dict(type="RandomFlip"),
            dict(type="Normalize", **norm),
            dict(type="Pad", size_divisor=32),
            dict(type="ImageToTensor", keys=["img"]),
            dict(type="Collect", keys=["img"]),
        ],
    ),
]
data = dict(
    samples_per_gpu=2,
    workers_per_gpu=0,
    train=dict(pipeline=train_pipeline, deeplake_path="lakes/train"),
    val=dict(pipeline=test_pipeline, deeplake_path="lakes/val"),
)
optimizer = dict(type="SGD", lr=0.001, momentum=0.9)
optimizer_config = dict(grad_clip=dict(max_norm=10, norm_type=2))
lr_config = dict(policy="step", step=[1])
runner = dict(type="EpochBasedRunner", max_epochs=1)
checkpoint_config = dict(interval=1)
log_config = dict(interval=1, hooks=[dict(type="TextLoggerHook")])
evaluation = dict(interval=1, metric=["bbox"])
deeplake_metrics_format = "COCO"
seed = 0
workflow = [("train", 1)]
