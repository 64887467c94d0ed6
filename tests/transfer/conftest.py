import io
import json

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def make_image():
    def make(width=32, height=24, encoding="jpeg", seed=0, **options):
        pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, encoding, **options)
        return out.getvalue()

    return make


@pytest.fixture
def make_coco(tmp_path, make_image):
    """Write a COCO data set of ``count`` JPEG images with one box each; return JSON path and folder."""

    def make(count=3, change=None, files=None):
        images = tmp_path / "images"
        images.mkdir(exist_ok=True)
        data = {
            "images": [],
            "annotations": [],
            "categories": [{"id": 4, "name": "a"}, {"id": 2, "name": "b"}],
        }
        for i in range(count):
            (images / f"{i}.jpg").write_bytes(make_image(seed=i))
            data["images"].append({"id": i, "file_name": f"{i}.jpg", "width": 32, "height": 24})
            data["annotations"].append(
                {"id": i, "image_id": i, "category_id": 2, "bbox": [1, 2, 3.5, 4], "area": 9.25, "iscrowd": 0}
            )
        for name, content in (files or {}).items():
            (images / name).write_bytes(content)
        if change:
            change(data)
        path = tmp_path / "coco.json"
        path.write_text(json.dumps(data))
        return path, images

    return make
