"""What a run's record tells of its data, against plain counting."""

from __future__ import annotations

import numpy as np

from deeplake_mmdet import DeepLakeDataset
from deeplake_mmdet.dataset import training_facts
from deeplake_mmdet.lake import ImageRecord, LakeWriter


def test_what_is_used_and_what_is_left_out_is_counted(tmp_path):
    import cv2

    image = cv2.imencode(".png", np.zeros((40, 60, 3), np.uint8))[1].tobytes()
    small = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    boxes = [
        [[1, 1, 20, 20], [2, 2, 10, 10], [70, 1, 5, 5]],  # the third lies outside
        [],
        [[0, 0, 4, 4]],
        [[1, 1, 10, 10], [3, 3, 0.2, 9], [5, 5, 9, 9]],  # the second is smaller than a pixel
    ]
    labels = [[0, 1, 0], [], [0], [2, 0, 1]]
    path = str(tmp_path / "lake")
    with LakeWriter(path, class_names=["a", "b", "c"], box_format="ltwh", image_format="png") as lake:
        for number, (own, told) in enumerate(zip(boxes, labels, strict=True)):
            data, wide, high = (small, 8, 8) if number == 2 else (image, 60, 40)
            array = np.array(own, float).reshape(-1, 4)
            lake.append(ImageRecord(data, wide, high, f"{number}.png", array, np.array(told, int)))
    dataset = DeepLakeDataset(
        path=path, metainfo={"classes": ("b", "a")}, filter_cfg={"min_size": 16, "filter_empty_gt": True}
    )
    assert training_facts(dataset) == {
        "images": 4,
        "samples": 2,
        "images_left_out": {"smaller than min_size": 1, "without objects": 1},
        "boxes": 7,
        "boxes_used": 3,
        "boxes_ignored": 0,
        "boxes_left_out": {"outside the image": 1, "smaller than a pixel": 1, "of other classes": 1},
        "classes": {"b": 2, "a": 1},
    }
