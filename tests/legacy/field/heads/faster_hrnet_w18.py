_base_ = '../recycling/experiments/faster_r18.py'
model = dict(
    pretrained=None,
    backbone=dict(
        _delete_=True, type='HRNet',
        extra=dict(
            stage1=dict(num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(1, ), num_channels=(16, )),
            stage2=dict(num_modules=1, num_branches=2, block='BASIC', num_blocks=(1, 1), num_channels=(8, 16)),
            stage3=dict(
                num_modules=1, num_branches=3, block='BASIC', num_blocks=(1, 1, 1), num_channels=(8, 16, 32)),
            stage4=dict(
                num_modules=1, num_branches=4, block='BASIC', num_blocks=(1, 1, 1, 1),
                num_channels=(8, 16, 32, 64)))),
    neck=dict(_delete_=True, type='HRFPN', in_channels=[8, 16, 32, 64], out_channels=64))
lr_config = dict(
    _delete_=True, policy='OneCycle', max_lr=0.001, pct_start=0.3, anneal_strategy='linear', div_factor=10)
data = dict(train=dict(filter_empty_gt=True, min_size=4))
