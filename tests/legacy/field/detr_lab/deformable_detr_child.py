_base_ = '../../mmdetection/configs/deformable_detr/deformable_detr_refine_r50_16x2_50e_coco.py'
model = dict(
    backbone=dict(depth=18, init_cfg=None),
    neck=dict(in_channels=[128, 256, 512], out_channels=32),
    bbox_head=dict(
        num_query=20, num_classes=3, in_channels=512,
        transformer=dict(
            encoder=dict(
                num_layers=1, transformerlayers=dict(
                    attn_cfgs=dict(embed_dims=32, num_heads=4), feedforward_channels=64)),
            decoder=dict(
                num_layers=2, transformerlayers=dict(
                    attn_cfgs=[
                        dict(type='MultiheadAttention', embed_dims=32, num_heads=4, dropout=0.1),
                        dict(type='MultiScaleDeformableAttention', embed_dims=32, num_heads=4)
                    ],
                    feedforward_channels=64))),
        positional_encoding=dict(num_feats=16)),
    test_cfg=dict(max_per_img=20))
classes = ('General trash', 'Paper', 'Plastic bag')
small = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug', img_scale=(128, 96), flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='RandomFlip'),
            dict(type='Normalize', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True),
            dict(type='Pad', size_divisor=1),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img'])
        ])
]
data = dict(
    workers_per_gpu=0,
    train=dict(
        deeplake_path='lakes/trash-train', classes=classes,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='RandomFlip', flip_ratio=0.5),
            dict(type='Resize', img_scale=(128, 96), keep_ratio=True),
            dict(type='Normalize', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True),
            dict(type='Pad', size_divisor=1),
            dict(type='DefaultFormatBundle'),
            dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels']),
        ]),
    val=dict(deeplake_path='lakes/trash-val', classes=classes, pipeline=small),
    test=dict(deeplake_path='lakes/trash-val', classes=classes, pipeline=small))
optimizer = dict(lr=1e-4)
runner = dict(max_epochs=30)
lr_config = dict(step=[24])
