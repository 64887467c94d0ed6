_base_ = '../../recycling/_base_/datasets/trash.py'
num_classes = 3
image_size = (128, 128)
