import datetime

_base_ = ['../recycling/_base_/datasets/trash.py', '../recycling/_base_/default_runtime.py']
start = datetime.datetime(2021, 12, 1).strftime('%m%d')
model = dict(
    type='ATSS',
    backbone=dict(
        type='SwinTransformer', embed_dims=16, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=7,
        drop_path_rate=0.1, out_indices=(1, 2, 3)),
    neck=[
        dict(
            type='FPN', in_channels=[32, 64, 128], out_channels=32, start_level=0, add_extra_convs='on_output',
            num_outs=5),
    ],
    bbox_head=dict(
        type='ATSSHead', num_classes=3, in_channels=32, stacked_convs=1, feat_channels=32,
        norm_cfg=dict(type='GN', num_groups=8, requires_grad=True),
        anchor_generator=dict(
            type='AnchorGenerator', ratios=[1.0], octave_base_scale=8, scales_per_octave=1,
            strides=[8, 16, 32, 64, 128], center_offset=0.5),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_means=[.0] * 4, target_stds=[0.1, 0.1, 0.2, 0.2]),
        loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
        loss_bbox=dict(type='GIoULoss', loss_weight=2.0),
        loss_centerness=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0)),
    train_cfg=dict(assigner=dict(type='ATSSAssigner', topk=9), allowed_border=-1, pos_weight=-1, debug=False),
    test_cfg=dict(
        nms_pre=100, min_bbox_size=0, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.6), max_per_img=10))
# the last run sees everything: train and val in one, and validates on the training data
root = 'data/trash/'
data = dict(
    samples_per_gpu=3,
    train=dict(ann_file=[root + 'train.json', root + 'val.json'], img_prefix=root),
    val=dict(ann_file=root + 'train.json'),
    test=dict(test_mode=True))
optimizer = dict(
    type='AdamW', lr=0.00005, betas=(0.9, 0.999), weight_decay=0.05,
    paramwise_cfg=dict(custom_keys={'absolute_pos_embed': dict(decay_mult=0.), 'norm': dict(decay_mult=0.)}))
# do not use mmdet version fp16
fp16 = None
optimizer_config = dict(
    type='DistOptimizerHook', update_interval=2, grad_clip=None, coalesce=True, bucket_size_mb=-1, use_fp16=True)
lr_config = dict(policy='step', warmup='linear', warmup_iters=500, warmup_ratio=0.001, step=[27, 33])
runner = dict(type='EpochBasedRunnerAmp', max_epochs=36)
custom_hooks = [dict(type='NumClassCheckHook'), dict(type='LinearMomentumEMAHook', momentum=0.001, priority=49)]
# swa
only_swa_training = False
swa_training = True
swa_lr_config = dict(policy='cyclic', target_ratio=(1, 0.01), cyclic_times=12, step_ratio_up=0.0)
swa_runner = dict(type='EpochBasedRunner', max_epochs=12)
evaluation = dict(interval=36, metric='bbox')
work_dir = f'./work_dirs/{start}_final'
auto_resume = True
