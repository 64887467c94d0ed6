"""Makes ``v3_lake``, a small lake in Deep Lake's older format. Run in a throw-away environment:

    python -m venv /tmp/v3 && /tmp/v3/bin/pip install deeplake==3.9.52 'numpy<2'
    BUGGER_OFF=1 /tmp/v3/bin/python tests/data/make_v3_lake.py tests/data/v3_lake

Seven rows on ``main`` in two commits (4, then 3 more rows), a branch ``extra`` with an eighth, and a saved
view ``big`` of the rows with two objects. Boxes are CCWH, fractional, as YOLO data has them.
"""

import json
import shutil
import sys

import deeplake
import numpy as np

NAMES = ["bolt", "nut", "washer"]
SIZE = (40, 60)  # height, width


def write_row(lake: deeplake.Dataset, number: int) -> None:
    rng = np.random.default_rng(number)
    count = number % 3
    masks = np.zeros((*SIZE, count), bool)
    boxes, polygons = np.zeros((count, 4), np.float32), []
    for index in range(count):
        left, top, width, height = 4 + 6 * index, 3 + 5 * index, 12 + number, 9 + number
        masks[top : top + height, left : left + width, index] = True
        boxes[index] = (
            (left + width / 2) / SIZE[1],
            (top + height / 2) / SIZE[0],
            width / SIZE[1],
            height / SIZE[0],
        )
        corners = [[left, top], [left + width, top], [left + width, top + height]]
        polygons.append(np.array(corners + [[left, top + height]] * index, np.float32))
    lake.append(
        {
            "images": rng.integers(0, 255, (*SIZE, 3), np.uint8),
            "boxes": boxes,
            "categories": (np.arange(count) + number).astype(np.uint32) % 3,
            "masks": masks,
            "polygons": polygons,
        }
    )


def main(path: str) -> None:
    shutil.rmtree(path, ignore_errors=True)
    lake = deeplake.empty(path)
    with lake:
        lake.create_tensor("images", htype="image", sample_compression="jpeg")
        coords = {"type": "fractional", "mode": "CCWH"}
        lake.create_tensor("boxes", htype="bbox", dtype="float32", coords=coords)
        lake.create_tensor("categories", htype="class_label", class_names=NAMES)
        lake.create_tensor("masks", htype="binary_mask", sample_compression="lz4")
        lake.create_tensor("polygons", htype="polygon")
        for number in range(4):
            write_row(lake, number)
    first = lake.commit("four rows")
    with lake:
        for number in range(4, 7):
            write_row(lake, number)
    second = lake.commit("seven rows")
    view = lake[[2, 5]].save_view(id="big", message="two objects")
    lake.checkout("extra", create=True)
    with lake:
        write_row(lake, 7)
    lake.commit("eighth row")
    lake.checkout("main")
    print(json.dumps({"first": first, "second": second, "view": str(view)}))


main(sys.argv[1])
