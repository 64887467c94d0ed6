_base_ = '../yolox_lab/yolox_s_manhole.py'
CLASSES = ('General trash', 'Paper', 'Plastic bag')
model = dict(bbox_head=dict(num_classes=len(CLASSES)))
data = dict(
    train=dict(dataset=dict(deeplake_path='lakes/trash-train', classes=CLASSES)),
    val=dict(deeplake_path='lakes/trash-val', classes=CLASSES),
    test=dict(deeplake_path='lakes/trash-val', classes=CLASSES))
custom_hooks = [dict(type='EMAHook', momentum=0.0002, interval=1, warm_up=100, priority=49)]
