# faster r-cnn, baseline of the team
_base_ = [
    '../_base_/models/faster.py',
    '../_base_/datasets/trash.py',
    '../_base_/schedules/adamw_cosine.py',
    '../_base_/default_runtime.py',
]
model = dict(roi_head=dict(bbox_head=dict(num_classes=3)))
evaluation = dict(interval=1, metric='bbox', save_best='bbox_mAP_50', classwise=True)
seed = 2022
gpu_ids = range(0, 1)
work_dir = './work_dirs/faster_r18_trash'
