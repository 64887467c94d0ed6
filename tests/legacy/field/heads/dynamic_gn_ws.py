_base_ = '../recycling/experiments/faster_r18.py'
conv_cfg = dict(type='ConvWS')
norm_cfg = dict(type='GN', num_groups=8, requires_grad=True)
model = dict(
    backbone=dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, frozen_stages=0),
    neck=dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg),
    roi_head=dict(
        type='DynamicRoIHead',
        bbox_head=dict(
            type='Shared4Conv1FCBBoxHead', conv_out_channels=64, conv_cfg=conv_cfg, norm_cfg=norm_cfg,
            loss_bbox=dict(type='SmoothL1Loss', beta=1.0, loss_weight=1.0))),
    train_cfg=dict(
        rpn_proposal=dict(nms=dict(iou_threshold=0.85)),
        rcnn=dict(
            dynamic_rcnn=dict(
                iou_topk=75, beta_topk=10, update_iter_interval=100, initial_iou=0.4, initial_beta=1.0))),
    test_cfg=dict(rpn=dict(nms=dict(iou_threshold=0.85))))
optimizer = dict(_delete_=True, type='RMSprop', lr=1e-4, alpha=0.9)
lr_config = dict(_delete_=True, policy='exp', gamma=0.95, by_epoch=True)
checkpoint_config = dict(max_keep_ckpts=3, interval=5, create_symlink=False)
momentum_config = None
