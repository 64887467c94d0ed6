_base_ = [
    '../mmdetection/configs/_base_/models/faster_rcnn_r50_fpn.py', './_base_/coco_small.py',
    '../mmdetection/configs/_base_/schedules/schedule_2x.py',
    '../mmdetection/configs/_base_/default_runtime.py'
]
model = dict(
    backbone=dict(_delete_=True, type='MobileNetV2', out_indices=(1, 2, 4, 6), widen_factor=0.5),
    neck=dict(in_channels=[16, 16, 48, 160], out_channels=32),
    rpn_head=dict(in_channels=32, feat_channels=32),
    roi_head=dict(
        type='DoubleHeadRoIHead', reg_roi_scale_factor=1.3, bbox_roi_extractor=dict(out_channels=32),
        bbox_head=dict(
            _delete_=True, type='DoubleConvFCBBoxHead', num_convs=1, num_fcs=1, in_channels=32,
            conv_out_channels=32, fc_out_channels=32, roi_feat_size=7, num_classes=80,
            bbox_coder=dict(
                type='DeltaXYWHBBoxCoder', target_means=[0., 0., 0., 0.], target_stds=[0.1, 0.1, 0.2, 0.2]),
            reg_class_agnostic=False,
            loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=2.0),
            loss_bbox=dict(type='SmoothL1Loss', beta=1.0, loss_weight=2.0))),
    test_cfg=dict(rcnn=dict(score_thr=0.0)))
optimizer = dict(lr=0.005)
lr_config = dict(warmup_iters=100, gamma=0.5)
evaluation = dict(interval=2, metric=['bbox'], proposal_nums=(10, 30, 100))
