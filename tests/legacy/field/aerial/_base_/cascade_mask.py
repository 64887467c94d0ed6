_base_ = ['../../mmdetection/configs/_base_/models/cascade_mask_rcnn_r50_fpn.py']
