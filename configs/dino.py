# DINO with a ResNet-50 on your lake, starting from weights that were trained on COCO.
#   deeplake-mmdet train configs/dino.py
_base_ = 'mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py'

train_lake = 'lakes/train'
val_lake = 'lakes/val'
num_classes = 1
batch_size = 2  # images for each GPU

train_dataloader = dict(
    batch_size=batch_size,
    dataset=dict(type='deeplake_mmdet.DeepLakeDataset', path=train_lake))
val_dataloader = dict(
    dataset=dict(type='deeplake_mmdet.DeepLakeDataset', path=val_lake))
test_dataloader = val_dataloader

# `load_from` has the backbone's weights too. Without internet: load_from = None, or a file of yours.
model = dict(backbone=dict(init_cfg=None), bbox_head=dict(num_classes=num_classes))
load_from = 'https://download.openmmlab.com/mmdetection/v3.0/dino/dino-4scale_r50_8xb2-12e_coco/dino-4scale_r50_8xb2-12e_coco_20221202_182705-55b2bba2.pth'

# The base file's learning rate is for 16 images a step; this fits it to yours.
auto_scale_lr = dict(enable=True)
default_hooks = dict(checkpoint=dict(save_best='auto'), logger=dict(interval=10))
