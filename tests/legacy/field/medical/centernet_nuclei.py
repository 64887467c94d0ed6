_base_ = '../../configs/centernet/centernet_resnet18_140e_coco.py'
CLASSES = ['balloon']
model = dict(
    backbone=dict(init_cfg=None),
    neck=dict(num_deconv_filters=(64, 32, 32), num_deconv_kernels=(4, 4, 4)),
    bbox_head=dict(num_classes=1, in_channel=32, feat_channel=32))
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile', to_float32=True, color_type='color'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PhotoMetricDistortion', brightness_delta=32, contrast_range=(0.5, 1.5),
        saturation_range=(0.5, 1.5), hue_delta=18),
    dict(
        type='RandomCenterCropPad', crop_size=(128, 128), ratios=(0.6, 0.8, 1.0, 1.2), mean=[0, 0, 0],
        std=[1, 1, 1], to_rgb=True, test_pad_mode=None),
    dict(type='Resize', img_scale=(128, 128), keep_ratio=True),
    dict(type='RandomFlip', flip_ratio=0.5),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels']),
]
data = dict(
    samples_per_gpu=2, workers_per_gpu=0,
    train=dict(
        _delete_=True, type='RepeatDataset', times=2,
        dataset=dict(
            type='CocoDataset', classes=CLASSES, ann_file='data/balloon/train/annotation_coco.json',
            img_prefix='data/balloon/train', pipeline=train_pipeline)),
    val=dict(
        classes=CLASSES, ann_file='data/balloon/val/annotation_coco.json', img_prefix='data/balloon/val'),
    test=dict(
        classes=CLASSES, ann_file='data/balloon/val/annotation_coco.json', img_prefix='data/balloon/val'))
optimizer = dict(type='SGD', lr=0.0025, momentum=0.9, weight_decay=0.0001)
evaluation = dict(interval=7, metric='bbox', save_best='bbox_mAP')
