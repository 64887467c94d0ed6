checkpoint_config = dict(max_keep_ckpts=2, interval=1)
# yapf:disable
log_config = dict(
    interval=50,
    hooks=[
        dict(type='TextLoggerHook', interval=50),
        # dict(type='WandbLoggerHook', interval=1000,
        #     init_kwargs=dict(project='trash-detection', entity='team-07', name='faster'))
    ])
# yapf:enable
custom_hooks = [dict(type='NumClassCheckHook')]

dist_params = dict(backend='nccl')
log_level = 'INFO'
load_from = None
resume_from = None
# train and val in each epoch: [('train', 1), ('val', 1)]
workflow = [('train', 1)]
opencv_num_threads = 0
mp_start_method = 'fork'
