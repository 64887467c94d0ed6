"""The interface document's two examples, read out of the document, and lakes as its config names them."""

from __future__ import annotations

import json
from pathlib import Path

import deeplake
import numpy as np
import pytest
from deeplake import types

DOCUMENT = Path(__file__).resolve().parents[3] / "shared" / "000_679ead6636bca7f9.txt"
UNBALANCED, MENDED = '"gt_masks": "masks}', '"gt_masks": "masks"}'
NEW_IMPORTS = {
    "from mmcv import Config": "from deeplake_mmdet import Config",
    "import mmcv": "import deeplake_mmdet as mmcv",
    "from deeplake.integrations import mmdet as mmdet_deeplake": "import deeplake_mmdet as mmdet_deeplake",
}


def examples() -> tuple[str, str]:
    """The config and the script, as the document has them but for its unbalanced quote."""
    if not DOCUMENT.is_file():
        pytest.skip(f"the interface document is not here: {DOCUMENT}")
    text = DOCUMENT.read_text(encoding="utf-8").partition("MMDetection Config Examples")[2]
    config, _, script = text.partition("And config for training:")
    assert UNBALANCED in config
    return _code(config).replace(UNBALANCED, MENDED), _code(script)


def with_new_imports(script: str) -> str:
    lines = [NEW_IMPORTS.get(line, line) for line in script.splitlines()]
    assert sum(line in NEW_IMPORTS.values() for line in lines) == len(NEW_IMPORTS)
    return "\n".join(lines) + "\n"


def lake_of_coco(lake: Path, annotations: Path, images: Path, count: int) -> None:
    """A lake with the columns of the document's config, of the first images of a COCO file."""
    coco = json.loads(annotations.read_text(encoding="utf-8"))
    names = [category["name"] for category in coco["categories"]]
    label = {category["id"]: number for number, category in enumerate(coco["categories"])}
    made = deeplake.create(
        str(lake),
        schema={
            "images": types.Image(sample_compression="jpeg"),
            "boxes": types.BoundingBox("float32", "LTWH", "pixel"),
            "categories": types.ClassLabel(types.Array("uint32", 1)),
            "masks": types.Polygon(),
        },
    )
    made["categories"].metadata["class_names"] = names
    for image in coco["images"][:count]:
        own = [item for item in coco["annotations"] if item["image_id"] == image["id"]]
        polygons = [np.reshape(item["segmentation"][0], (-1, 2)).astype(np.float32) for item in own]
        made.append(
            {
                "images": [(images / image["file_name"]).read_bytes()],
                "boxes": [np.array([item["bbox"] for item in own], np.float32).reshape(-1, 4)],
                "categories": [np.array([label[item["category_id"]] for item in own], np.uint32)],
                "masks": [polygons],
            }
        )
    made.commit("from COCO")


def drawn_coco(folder: Path, count: int, seed: int) -> Path:
    """A COCO file of drawn images beside it; its path."""
    from deeplake_mmdet.demo.drawing import CLASS_NAMES, demo_images

    images, annotations = [], []
    for number, (encoded, scene) in enumerate(demo_images(count, seed)):
        name = f"{number}.jpg"
        (folder / name).write_bytes(encoded)
        height, width = scene.image.shape[:2]
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        for (left, top, right, bottom), label in zip(scene.boxes, scene.labels, strict=True):
            box = [left, top, right - left, bottom - top]
            corners = [left, top, right, top, right, bottom, left, bottom]
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": number,
                    "category_id": int(label) + 1,
                    "bbox": [float(value) for value in box],
                    "segmentation": [[float(value) for value in corners]],
                }
            )
    categories = [{"id": number + 1, "name": name} for number, name in enumerate(CLASS_NAMES)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "coco.json").write_text(json.dumps(content))
    return folder / "coco.json"


def _code(text: str) -> str:
    return "\n".join(line[4:] for line in text.splitlines() if line[:4] in (">>> ", "... ")) + "\n"
