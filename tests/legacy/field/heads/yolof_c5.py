_base_ = './_base_/coco_small.py'
load_from = None
resume_from = None
workflow = [('train', 1)]
checkpoint_config = dict(interval=1, max_keep_ckpts=1, save_last=True)
log_level = 'INFO'
log_config = dict(interval=50, hooks=[dict(type='TextLoggerHook')])
dist_params = dict(backend='nccl')
model = dict(
    type='YOLOF',
    backbone=dict(
        type='ResNet', depth=18, num_stages=4, out_indices=(3, ), frozen_stages=1,
        norm_cfg=dict(type='BN', requires_grad=False), norm_eval=True, style='pytorch'),
    neck=dict(
        type='DilatedEncoder', in_channels=512, out_channels=64, block_mid_channels=32, num_residual_blocks=2,
        block_dilations=[2, 4]),
    bbox_head=dict(
        type='YOLOFHead', num_classes=80, in_channels=64, num_cls_convs=1, num_reg_convs=1, reg_decoded_bbox=True,
        anchor_generator=dict(type='AnchorGenerator', ratios=[1.0], scales=[1, 2, 4], strides=[32]),
        bbox_coder=dict(
            type='DeltaXYWHBBoxCoder', target_means=[.0, .0, .0, .0], target_stds=[1., 1., 1., 1.],
            add_ctr_clamp=True, ctr_clamp=32),
        loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
        loss_bbox=dict(type='GIoULoss', loss_weight=1.0)),
    train_cfg=dict(
        assigner=dict(type='UniformAssigner', pos_ignore_thr=0.15, neg_ignore_thr=0.7), allowed_border=-1,
        pos_weight=-1, debug=False),
    test_cfg=dict(
        nms_pre=100, min_bbox_size=0, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.6), max_per_img=10))
# optimizer
optimizer = dict(
    type='SGD', lr=0.12, momentum=0.9, weight_decay=0.0001,
    paramwise_cfg=dict(norm_decay_mult=0., custom_keys={'backbone': dict(lr_mult=1. / 3)}))
optimizer_config = dict(grad_clip=None)
lr_config = dict(policy='step', warmup='linear', warmup_iters=1500, warmup_ratio=0.00066667, step=[15000, 20000],
                 by_epoch=False)
runner = dict(type='IterBasedRunner', max_iters=22500)
checkpoint_config['by_epoch'] = False
checkpoint_config['interval'] = 2500
evaluation = dict(interval=4500, metric='bbox')
