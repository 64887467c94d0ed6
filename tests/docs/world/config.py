# What config.py is while the pages' commands run: a thin RTMDet on tiny images, for one epoch.
_base_ = "mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py"

model = dict(
    data_preprocessor=dict(batch_augments=None),
    backbone=dict(widen_factor=0.125, init_cfg=None, norm_cfg=dict(type="BN")),
    neck=dict(in_channels=[32, 64, 128], out_channels=32, norm_cfg=dict(type="BN")),
    bbox_head=dict(num_classes=3, in_channels=32, feat_channels=32, norm_cfg=dict(type="BN")),
)

steps = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="Resize", scale=(64, 64), keep_ratio=False),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        _delete_=True,
        type="deeplake_mmdet.DeepLakeDataset",
        path="lakes/train",
        pipeline=[*steps, dict(type="RandomFlip", prob=0.5), dict(type="PackDetInputs")],
    ),
)
val_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        _delete_=True,
        type="deeplake_mmdet.DeepLakeDataset",
        path="lakes/val",
        test_mode=True,
        pipeline=[
            *steps,
            dict(
                type="PackDetInputs",
                meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
            ),
        ],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type="deeplake_mmdet.CocoMetric", metric="bbox")
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=1, val_interval=1, dynamic_intervals=None)
param_scheduler = []
custom_hooks = []
