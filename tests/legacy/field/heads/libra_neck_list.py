_base_ = '../recycling/experiments/faster_r18.py'
# model settings
model = dict(
    neck=[
        dict(type='FPN', in_channels=[64, 128, 256, 512], out_channels=64, num_outs=5),
        dict(type='BFP', in_channels=64, num_levels=5, refine_level=2, refine_type='non_local')
    ],
    roi_head=dict(
        bbox_head=dict(
            loss_bbox=dict(
                _delete_=True, type='BalancedL1Loss', alpha=0.5, gamma=1.5, beta=1.0, loss_weight=1.0))),
    # model training and testing settings
    train_cfg=dict(
        rpn=dict(sampler=dict(neg_pos_ub=5), allowed_border=-1),
        rcnn=dict(
            sampler=dict(
                _delete_=True, type='CombinedSampler', num=64, pos_fraction=0.25, add_gt_as_proposals=True,
                pos_sampler=dict(type='InstanceBalancedPosSampler'),
                neg_sampler=dict(
                    type='IoUBalancedNegSampler', floor_thr=-1, floor_fraction=0, num_bins=3)))))
optimizer = dict(_delete_=True, type='SGD', lr=0.02 / 8, momentum=0.9, weight_decay=0.0001)
optimizer_config = dict(_delete_=True)
lr_config = dict(_delete_=True, policy='CosineAnnealing', by_epoch=False, min_lr=0.)
neck_name = '_'.join([part['type'] for part in model['neck']])
work_dir = f'work_dirs/{neck_name}'
log_config = dict(
    interval=10,
    hooks=[
        dict(type='TextLoggerHook'),
    ])
evaluation = dict(_delete_=True, interval=3, metric='bbox')
