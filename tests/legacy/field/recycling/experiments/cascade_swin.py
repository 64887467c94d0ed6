_base_ = ['../_base_/datasets/trash.py', '../_base_/default_runtime.py']

fold = 0
exp = f'cascade_swin_fold{fold}'
classes = ('General trash', 'Paper', 'Plastic bag')
num_classes = len(classes)

pretrained = None  # 'https://github.com/SwinTransformer/storage/.../swin_tiny_patch4_window7_224.pth'


def bbox_head(std):
    return dict(
        type='ConvFCBBoxHead', num_shared_convs=1, num_shared_fcs=1, in_channels=32, conv_out_channels=32,
        fc_out_channels=64, roi_feat_size=7, num_classes=num_classes,
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_means=[0.] * 4, target_stds=std),
        reg_class_agnostic=True, reg_decoded_bbox=True,
        norm_cfg=dict(type='BN', requires_grad=True),
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
        loss_bbox=dict(type='GIoULoss', loss_weight=10.0))


def rcnn(thr):
    return dict(
        assigner=dict(
            type='MaxIoUAssigner', pos_iou_thr=thr, neg_iou_thr=thr, min_pos_iou=thr,
            match_low_quality=False, ignore_iof_thr=-1),
        sampler=dict(
            type='RandomSampler', num=32, pos_fraction=0.25, neg_pos_ub=-1, add_gt_as_proposals=True),
        pos_weight=-1, debug=False)


model = dict(
    type='CascadeRCNN',
    backbone=dict(
        type='SwinTransformer', embed_dims=24, depths=[1, 1, 2, 1], num_heads=[1, 2, 3, 6], window_size=7,
        mlp_ratio=4, qkv_bias=True, qk_scale=None, drop_rate=0., attn_drop_rate=0., drop_path_rate=0.2,
        patch_norm=True, out_indices=(0, 1, 2, 3), with_cp=False, convert_weights=True,
        init_cfg=dict(type='Pretrained', checkpoint=pretrained) if pretrained else None),
    neck=dict(type='FPN', in_channels=[24, 48, 96, 192], out_channels=32, num_outs=5),
    rpn_head=dict(
        type='RPNHead', in_channels=32, feat_channels=32,
        anchor_generator=dict(
            type='AnchorGenerator', scales=[8], ratios=[0.5, 1.0, 2.0], strides=[4, 8, 16, 32, 64]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_means=[0.] * 4, target_stds=[1.] * 4),
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
        loss_bbox=dict(type='SmoothL1Loss', beta=1.0 / 9.0, loss_weight=1.0)),
    roi_head=dict(
        type='CascadeRoIHead', num_stages=3, stage_loss_weights=[1, 0.5, 0.25],
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=0),
            out_channels=32, featmap_strides=[4, 8, 16, 32]),
        bbox_head=[bbox_head([0.1, 0.1, 0.2, 0.2]), bbox_head([0.05, 0.05, 0.1, 0.1]),
                   bbox_head([0.033, 0.033, 0.067, 0.067])]),
    train_cfg=dict(
        rpn=dict(
            assigner=dict(
                type='MaxIoUAssigner', pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3,
                match_low_quality=True, ignore_iof_thr=-1),
            sampler=dict(
                type='RandomSampler', num=64, pos_fraction=0.5, neg_pos_ub=-1, add_gt_as_proposals=False),
            allowed_border=0, pos_weight=-1, debug=False),
        rpn_proposal=dict(
            nms_across_levels=False, nms_pre=200, nms_post=100, max_per_img=50,
            nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0),
        rcnn=[rcnn(0.5), rcnn(0.6), rcnn(0.7)]),
    test_cfg=dict(
        rpn=dict(nms_pre=100, max_per_img=50, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0),
        rcnn=dict(score_thr=0.001, nms=dict(type='nms', iou_threshold=0.5), max_per_img=10)))

optimizer = dict(
    type='AdamW', lr=0.0001, betas=(0.9, 0.999), weight_decay=0.05,
    paramwise_cfg=dict(
        custom_keys={
            'absolute_pos_embed': dict(decay_mult=0.),
            'relative_position_bias_table': dict(decay_mult=0.),
            'norm': dict(decay_mult=0.)
        }))
optimizer_config = dict(grad_clip=dict(max_norm=35, norm_type=2))
lr_config = dict(
    policy='CosineRestart', warmup='linear', warmup_iters=10, warmup_ratio=0.001,
    periods=[20, 20, 40, 80], restart_weights=[1, 0.85, 0.75, 0.7], by_epoch=False, min_lr=5e-6)
runner = dict(type='EpochBasedRunner', max_epochs=12)
evaluation = dict(interval=1, metric='bbox', save_best='bbox_mAP_75')
log_config = dict(
    interval=20,
    hooks=[dict(type='TextLoggerHook')])
work_dir = f'./work_dirs/{exp}'
