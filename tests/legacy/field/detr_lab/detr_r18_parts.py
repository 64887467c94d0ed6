_base_ = ['../recycling/_base_/datasets/trash.py', '../recycling/_base_/default_runtime.py']
num_layers = 1
dim = 32
model = dict(
    type='DETR',
    backbone=dict(
        type='ResNet', depth=18, num_stages=4, out_indices=(3, ), frozen_stages=1,
        norm_cfg=dict(type='BN', requires_grad=False), norm_eval=True, style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='checkpoints/resnet18.pth')),
    bbox_head=dict(
        type='DETRHead', num_classes=3, num_query=15, in_channels=512,
        transformer=dict(
            type='Transformer',
            encoder=dict(
                type='DetrTransformerEncoder', num_layers=num_layers,
                transformerlayers=dict(
                    type='BaseTransformerLayer',
                    attn_cfgs=[dict(type='MultiheadAttention', embed_dims=dim, num_heads=4, dropout=0.1)],
                    feedforward_channels=64, ffn_dropout=0.1,
                    operation_order=('self_attn', 'norm', 'ffn', 'norm'))),
            decoder=dict(
                type='DetrTransformerDecoder', return_intermediate=True, num_layers=num_layers,
                transformerlayers=dict(
                    type='DetrTransformerDecoderLayer',
                    attn_cfgs=dict(type='MultiheadAttention', embed_dims=dim, num_heads=4, dropout=0.1),
                    feedforward_channels=64, ffn_dropout=0.1,
                    operation_order=('self_attn', 'norm', 'cross_attn', 'norm', 'ffn', 'norm')))),
        positional_encoding=dict(type='SinePositionalEncoding', num_feats=dim // 2, normalize=True),
        loss_cls=dict(
            type='CrossEntropyLoss', bg_cls_weight=0.1, use_sigmoid=False, loss_weight=1.0, class_weight=1.0),
        loss_bbox=dict(type='L1Loss', loss_weight=5.0),
        loss_iou=dict(type='GIoULoss', loss_weight=2.0)),
    train_cfg=dict(
        assigner=dict(
            type='HungarianAssigner', cls_cost=dict(type='ClassificationCost', weight=1.),
            reg_cost=dict(type='BBoxL1Cost', weight=5.0), iou_cost=dict(type='IoUCost', iou_mode='giou', weight=2.0))),
    test_cfg=dict(max_per_img=15))
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
sizes = [(s, 160) for s in (64, 80, 96)]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomFlip', flip_ratio=0.5),
    dict(
        type='AutoAugment',
        policies=[
            [dict(type='Resize', img_scale=sizes, multiscale_mode='value', keep_ratio=True)],
            [
                dict(type='Resize', img_scale=[(48, 160), (64, 160)], multiscale_mode='value', keep_ratio=True),
                dict(
                    type='RandomCrop', crop_type='absolute_range', crop_size=(40, 60), allow_negative_crop=True),
                dict(
                    type='Resize', img_scale=sizes, multiscale_mode='value', override=True, keep_ratio=True)
            ]
        ]),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size_divisor=1),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels']),
]
data = dict(samples_per_gpu=2, train=dict(pipeline=train_pipeline))
optimizer = dict(
    type='AdamW', lr=0.0001, weight_decay=0.0001,
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1, decay_mult=1.0)}))
optimizer_config = dict(grad_clip=dict(max_norm=0.1, norm_type=2))
lr_config = dict(policy='step', step=[100])
runner = dict(type='EpochBasedRunner', max_epochs=150)
