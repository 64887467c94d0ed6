_base_ = ['../heads/_base_/coco_small.py', '../recycling/_base_/default_runtime.py']
model = dict(
    type='FOVEA',
    backbone=dict(
        type='RegNet',
        arch='regnetx_400mf', out_indices=(0, 1, 2, 3),
        frozen_stages=1, norm_cfg=dict(type='BN', requires_grad=True), norm_eval=True, style='pytorch'),
    neck=dict(
        type='FPN', in_channels=[32, 64, 160, 384], start_level=1, out_channels=32, num_outs=5,
        add_extra_convs='on_input'),
    bbox_head=dict(
        type='FoveaHead', num_classes=80, in_channels=32, stacked_convs=1, feat_channels=32,
        strides=[8, 16, 32, 64, 128], base_edge_list=[16, 32, 64, 128, 256],
        scale_ranges=((1, 64), (32, 128), (64, 256), (128, 512), (256, 2048)), sigma=0.4, with_deform=False,
        loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=1.50, alpha=0.4, loss_weight=1.0),
        loss_bbox=dict(type='SmoothL1Loss', beta=0.11, loss_weight=1.0)),
    train_cfg=dict(),
    test_cfg=dict(
        nms_pre=100, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=10))
val = dict(
    type='CocoDataset', ann_file='data/coco/annotations/instances_val2017.json', img_prefix='data/coco/val2017/',
    pipeline={{_base_.test_pipeline}})
again = dict(val, ann_file='data/coco/annotations/instances_train2017.json', img_prefix='data/coco/train2017/')
data = dict(
    val=dict(
        _delete_=True, type='ConcatDataset', separate_eval=True, datasets=[val, again]),
    test=val)
optimizer = dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0001)
optimizer_config = dict(grad_clip=None)
lr_config = dict(policy='LinearAnnealing', min_lr_ratio=0.1, warmup='linear', warmup_iters=3, warmup_ratio=0.1)
runner = dict(type='EpochBasedRunner', max_epochs=24)
