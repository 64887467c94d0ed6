"""What stock MMDetection reads out of a COCO file, and a lake's data-infos in the same form."""

import json

from deeplake_mmdet import DeepLakeDataset

KEYS = ("bbox", "bbox_label", "ignore_flag")


def stock_infos(path, data, classes):
    """Image id to instances, as stock CocoDataset reads them; raises whatever it raises."""
    from mmdet.datasets import CocoDataset

    path.write_text(json.dumps(data))
    found = CocoDataset(
        ann_file=str(path),
        data_prefix={"img": ""},
        metainfo={"classes": tuple(classes)},
        pipeline=[],
        test_mode=True,
        serialize_data=False,  # it collects garbage, most of a second
    )
    return by_id(found)


def lake_infos(lake):
    """Image id to instances, as `DeepLakeDataset` has them."""
    return by_id(DeepLakeDataset(path=str(lake), pipeline=[], test_mode=True))


def by_id(dataset):
    infos = (dataset.get_data_info(index) for index in range(len(dataset)))
    return {
        info["img_id"]: [tuple(instance[key] for key in KEYS) for instance in info["instances"]]
        for info in infos
    }
