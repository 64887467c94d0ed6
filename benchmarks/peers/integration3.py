"""Peer: the loader of Deep Lake 3.9's own ``deeplake.integrations.mmdet``, for MMDetection 2.x, on a v3 lake.

Its Python loader (the other one asks Activeloop's server even for local data), in ascending order: with
``shuffle`` and workers it fails. It decodes by itself, with Pillow, to float32, and takes MMDetection 2.x's
steps; those that normalise and pad, as 2.x's configs do, are left out.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

# Deep Lake 3 reports each call and its arguments to a third party.
os.environ["BUGGER_OFF"] = "1"


class _NoCompiledOps(ModuleType):
    """In place of ``mmcv._ext``, not built here: MMDetection 2.x can be imported, its ops not run."""

    __path__: list[str] = []  # noqa: RUF012  # as modules have it

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: sys.exit(f"op {name} was called")


sys.modules["mmcv._ext"] = _NoCompiledOps("mmcv._ext")

import deeplake  # noqa: E402
import torchvision_ops  # noqa: E402, F401  # before mmcv
from deeplake.integrations.mmdet.mmdet_ import build_dataloader  # noqa: E402
from work import BATCH_SIZE, main  # noqa: E402

from loaders.data import CLASSES, BenchSet  # noqa: E402
from s3_server import BUCKET  # noqa: E402

_PIPELINE = [
    {"type": "Resize", "img_scale": (640, 640), "keep_ratio": True},
    {"type": "RandomFlip", "flip_ratio": 0.5},
    {"type": "DefaultFormatBundle"},
    {"type": "Collect", "keys": ["img", "gt_bboxes", "gt_labels"], "meta_keys": ("img_shape", "flip")},
]


def prepare(made: BenchSet, store: Path) -> None:
    """Write a v3 lake with the encoded images as they are."""
    shutil.rmtree(store, ignore_errors=True)
    lake = deeplake.empty(str(store))
    lake.create_tensor("images", htype="image", sample_compression="jpeg")
    lake.create_tensor("boxes", htype="bbox", coords={"type": "pixel", "mode": "LTRB"})
    lake.create_tensor("labels", htype="class_label", class_names=list(CLASSES))
    with lake:
        for row, (_, boxes, labels) in enumerate(made.samples()):
            image = deeplake.read(str(made.images / f"{row:07d}.jpg"))
            lake.append({"images": image, "boxes": boxes, "labels": labels.astype("uint32")})


def open_loader(spec: dict[str, Any]) -> Callable[[int], Iterable[Any]]:
    """The loader as ``train_detector`` builds it."""
    if spec.get("endpoint"):
        creds = {"aws_access_key_id": "an-id", "aws_secret_access_key": "a-secret"}
        creds |= {"endpoint_url": spec["endpoint"], "aws_region": "us-east-1"}
        lake = deeplake.load(f"s3://{BUCKET}/{spec['prefix']}", creds=creds, read_only=True, verbose=False)
    else:
        lake = deeplake.load(spec["store"], read_only=True, verbose=False)
    loader = build_dataloader(
        lake,
        "images",
        None,
        "boxes",
        "labels",
        "python",
        _PIPELINE,
        samples_per_gpu=BATCH_SIZE,
        num_workers=spec["workers"],
        num_gpus=1,
        dist=False,
        shuffle=False,
        drop_last=True,
        metrics_format="COCO",
    )
    return lambda number: loader


if __name__ == "__main__":
    main(prepare, open_loader, size=lambda batch: len(batch["img"].data[0]))
