# RTMDet-tiny on a lake in Deep Lake's older format (v3), as those that Deep Lake 3 wrote.
# The tensors have the names of Activeloop's COCO lakes. Such lakes are read where they are: nothing is
# converted, and `path` may as well be 'al://activeloop/coco-train' or 's3://bucket/folder'.
#   deeplake-mmdet inspect lakes/old
#   deeplake-mmdet train configs/v3_lake.py
_base_ = './rtmdet.py'

lake = 'lakes/old'
num_classes = 3
# Where one tensor fits each role, this can be left out: `inspect` shows what is taken.
tensors = dict(img='images', gt_bboxes='boxes', gt_labels='categories')

train_dataloader = dict(dataset=dict(path=lake, tensors=tensors))
# A branch or a commit of the lake, or a part of it by a query. A validation lake of its own is better.
val_dataloader = dict(dataset=dict(path=lake, tensors=tensors, query='SELECT * LIMIT 3'))
test_dataloader = val_dataloader

model = dict(bbox_head=dict(num_classes=num_classes))
