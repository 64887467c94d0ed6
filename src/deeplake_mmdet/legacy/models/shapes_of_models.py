"""Refusing settings of a 2.x model that have values of another kind than the conversion reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.legacy.kinds import DICT, NUMBER, PAIR, TEXT, WHOLE, Kind, maybe
from deeplake_mmdet.legacy.settings import check_table

__all__ = ["check_model"]

_DICT, _COUNT = maybe(DICT), maybe(WHOLE)
_TEST = dict.fromkeys(("rcnn", "rpn", "panoptic"), _DICT)
_MODEL = {
    "type": maybe(TEXT),
    **dict.fromkeys(("train_cfg", "test_cfg", "backbone", "data_preprocessor"), _DICT),
}
# Detector -> dotted key -> kind of what only its conversion reads.
_DETR = {"bbox_head": _DICT, "bbox_head.num_query": WHOLE, "bbox_head.transformer": _DICT}
_DETR |= {"neck": _DICT, "bbox_head.transformer.two_stage_num_proposals": WHOLE}
_DETR |= {f"bbox_head.transformer.{name}": _DICT for name in ("encoder", "decoder")}
_DETR |= {"bbox_head.transformer.act_cfg": DICT, "test_cfg.max_per_img": WHOLE}
_OF_KIND: Mapping[str, Mapping[str, Kind]] = {
    **dict.fromkeys(("DETR", "DeformableDETR"), _DETR),
    "YOLACT": {"segm_head": DICT, "mask_head": DICT, "test_cfg": DICT},
    "YOLOX": {
        "random_size_range": PAIR,
        "size_multiplier": NUMBER,
        "random_size_interval": NUMBER,
    },
}


def check_model(cfg: Mapping[str, Any]) -> None:
    """Refuse settings of a model that have a value of another kind than the conversion reads.

    Args:
        cfg: A whole 2.x config with a model; also ``test_cfg`` beside it is looked at.

    Raises:
        ConfigError: With the dotted key, the value and what to write.
    """
    model = cfg["model"]
    check_table(_MODEL, model, "model")
    for where, test in (("model.test_cfg", model.get("test_cfg")), ("test_cfg", cfg.get("test_cfg"))):
        check_table(_TEST, test if isinstance(test, Mapping) else {}, where)
    for key, kind in _OF_KIND.get(str(model.get("type")), {}).items():
        *inside, name = key.split(".")
        node: Any = model
        for part in inside:
            node = node.get(part) or {}
        check_table({name: kind}, node, ".".join(("model", *inside)))
