_base_ = '../configs/fcos/fcos_center-normbbox-centeronreg-giou_r50_caffe_fpn_gn-head_1x_coco.py'
import os

root = os.environ.get('CONES_ROOT', 'data/balloon')
names = ['balloon']
model = dict(
    pretrained=None,
    backbone=dict(depth=18, style='pytorch', init_cfg=None),
    neck=dict(in_channels=[64, 128, 256, 512], out_channels=64),
    bbox_head=dict(num_classes=len(names), in_channels=64, feat_channels=64, stacked_convs=1))
img_norm_cfg = dict(mean=[102.9801, 115.9465, 122.7717], std=[1.0, 1.0, 1.0], to_rgb=False)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', img_scale=[(160, 96), (160, 128)], multiscale_mode='value', keep_ratio=True),
    dict(type='RandomFlip', flip_ratio=[0.3, 0.2], direction=['horizontal', 'vertical']),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size_divisor=32),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels']),
]
data = dict(
    samples_per_gpu=2,
    workers_per_gpu=0,
    train=dict(
        ann_file=os.path.join(root, 'train/annotation_coco.json'), img_prefix=os.path.join(root, 'train'),
        classes=names, pipeline=train_pipeline),
    val=dict(
        ann_file=os.path.join(root, 'val/annotation_coco.json'), img_prefix=os.path.join(root, 'val'),
        classes=names))
data['test'] = data['val']
optimizer = dict(lr=0.00125, paramwise_cfg=dict(bias_lr_mult=2., bias_decay_mult=0.))
optimizer_config = dict(_delete_=True, grad_clip=dict(max_norm=35, norm_type=2))
lr_config = dict(warmup='constant', warmup_iters=500, warmup_ratio=1.0 / 3, step=[40, 50])
total_epochs = 60
runner = dict(max_epochs=total_epochs)
checkpoint_config = dict(interval=total_epochs // 4)
evaluation = dict(interval=5, metric=['bbox'], save_best='auto')
