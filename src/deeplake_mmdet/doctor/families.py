"""Which families of MMDetection's zoo train and predict with what is installed here."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["Family", "families_of_zoo", "try_families"]

_SIDE = 256  # pixels: heads like DINO's need several hundred places to choose from
_SECONDS = 300.0  # for one step of training and one prediction
_TRIED = 6  # configs of a family, until one has a model that can be built
# Not detectors of images on their own.
_OTHERS = {
    "tracking": ("bytetrack", "deepsort", "masktrack_rcnn", "ocsort", "qdtrack", "sort", "strongsort"),
    "re-identification": ("reid",),
    "vision and language": ("glip", "grounding_dino", "mm_grounding_dino"),
    "not a model of its own": (
        "albu_example",
        "dsdl",
        "legacy_1.x",
        "misc",
        "objects365",
        "openimages",
        "strong_baselines",
        "v3det",
        "wider_face",
        "cityscapes",
        "deepfashion",
        "lvis",
        "pascal_voc",
        "seesaw_loss",
        "selfsup_pretrain",
        "recognition",
        "simple_copy_paste",
        "timm_example",
        "rtmdet_rotated",
    ),
}


@dataclass(frozen=True)
class Family:
    """What became of one family.

    Attributes:
        name: Its folder in the zoo.
        config: The config that was tried.
        train: ``'ok'``, or what stopped a step of training.
        predict: ``'ok'``, or what stopped a prediction; empty where training failed.
        kind: Empty for detection and instance segmentation, else what it is.
        seconds: What both took.
    """

    name: str
    config: str
    train: str
    predict: str
    kind: str = ""
    seconds: float = 0.0

    @property
    def works(self) -> bool:
        """Whether it trains and predicts."""
        return self.train == self.predict == "ok"

    def as_json(self) -> dict[str, Any]:
        """The family as JSON has it."""
        return asdict(self)


def families_of_zoo() -> list[str]:
    """The names of all families, sorted: folders of the zoo that the installed MMDetection brings."""
    return sorted(
        folder.name
        for folder in _zoo().iterdir()
        if folder.is_dir() and folder.name != "_base_" and not folder.name.startswith("common")
    )


def try_families(names: Sequence[str], tell: Callable[[Family], None] | None = None) -> list[Family]:
    """Have one config of each family train a step and predict once, on the CPU, without pretrained weights.

    Each is tried in a process of its own, for five minutes at most.

    Args:
        names: Of the families.
        tell: Called with each as soon as it is known.
    """
    from mmdet.utils import register_all_modules

    register_all_modules()
    context = multiprocessing.get_context("fork")  # what is imported here need not be imported again
    found = []
    for name in names:
        here, there = context.Pipe()
        process = context.Process(target=_try_in_child, args=(name, there), daemon=True)
        process.start()
        there.close()
        family = Family(name, "", f"took more than {_SECONDS:.0f} s", "", _kind(name))
        try:
            if here.poll(_SECONDS):
                family = here.recv()
        except EOFError:
            family = Family(name, "", "its process was killed, as for want of memory", "", _kind(name))
        finally:
            process.kill()
            process.join()
        found.append(family)
        if tell is not None:
            tell(family)
    return found


def _zoo() -> Path:
    import mmdet

    return Path(mmdet.__file__).parent / ".mim" / "configs"


def _kind(name: str) -> str:
    return next((kind for kind, names in _OTHERS.items() if name in names), "")


def _try_in_child(name: str, pipe: Any) -> None:
    import torch

    torch.set_num_threads(1)
    begun = time.monotonic()
    family = Family(name, "", "no config with a model", "", _kind(name))
    for path, cfg in _configs(name):
        train, predict = _try(cfg)
        family = Family(name, path.name, train, predict, _kind(name), round(time.monotonic() - begun, 1))
        if not train.startswith("build"):
            break
    pipe.send(family)


def _configs(name: str) -> Iterator[tuple[Path, Any]]:
    """The first few configs of a family that have a model, small backbones first."""
    from mmengine.config import Config

    def size(path: Path) -> tuple[bool, bool, int, str]:
        large = any(part in path.name for part in ("x101", "r101", "swin", "_l_", "_x_"))
        return large, "r50" not in path.name, len(path.name), path.name

    for path in sorted(_zoo().joinpath(name).glob("*.py"), key=size)[:_TRIED]:
        try:
            cfg = Config.fromfile(path)
        except Exception:  # of a base that is another package's
            continue
        if "model" in cfg:
            yield path, cfg


def _try(cfg: Any) -> tuple[str, str]:
    import torch
    from mmdet.registry import MODELS
    from mmengine.logging import MessageHub

    # Read by heads that change with the epoch, as the runner would set it.
    hub = MessageHub.get_current_instance()
    hub.update_info("epoch", 0)
    hub.update_info("iter", 0)
    step = "build"
    try:
        torch.manual_seed(0)
        model = MODELS.build(_without_weights(cfg.model)).train()
        step = "train"
        images = [torch.randint(0, 255, (3, _SIDE, _SIDE), dtype=torch.uint8) for _ in range(2)]
        batch = model.data_preprocessor({"inputs": images, "data_samples": [_sample(), _sample()]}, True)
        losses = model.parse_losses(model(**batch, mode="loss"))[0]
        losses.backward()
        step = "predict"
        model.eval()
        with torch.no_grad():
            batch = model.data_preprocessor({"inputs": images[:1], "data_samples": [_sample()]}, False)
            model(**batch, mode="predict")
    except Exception as error:
        lines = str(error).splitlines() or [""]
        told = f"{step}: {type(error).__name__}: {lines[0][:200]}"
        return ("ok", told) if step == "predict" else (told, "")
    return "ok", "ok"


def _without_weights(node: Any) -> Any:
    if isinstance(node, dict):
        for key in node:
            node[key] = None if key in ("init_cfg", "pretrained") else _without_weights(node[key])
    elif isinstance(node, (list, tuple)):
        for part in node:
            _without_weights(part)
    return node


def _sample() -> Any:
    """Two objects with masks, and the truth of parts that segment everything."""
    import numpy as np
    import torch
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData, PixelData

    size = (_SIDE, _SIDE)
    sample = DetDataSample(
        metainfo={
            "img_shape": size,
            "pad_shape": size,
            "batch_input_shape": size,
            "ori_shape": size,
            "scale_factor": (1.0, 1.0),
            "img_id": 0,
            "flip": False,
            "text": "cat",
            "custom_entities": True,
        }
    )
    boxes = torch.tensor([[20.0, 20, 100, 110], [90, 70, 220, 200]])
    masks = np.zeros((2, _SIDE, _SIDE), np.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes.int().tolist(), strict=True):
        mask[top:bottom, left:right] = 1
    sample.gt_instances = InstanceData(
        bboxes=boxes, labels=torch.tensor([0, 1]), masks=BitmapMasks(masks, _SIDE, _SIDE)
    )
    sample.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
    sample.gt_sem_seg = PixelData(sem_seg=torch.zeros(1, _SIDE, _SIDE, dtype=torch.long))
    return sample
