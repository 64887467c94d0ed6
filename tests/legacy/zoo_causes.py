"""Why a converted config differs from the official 3.x one; no test of its own.

In nearly all cases MMDetection's authors changed a value, on purpose or not, as they wrote the 3.x config;
the conversion keeps what the 2.x config says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import zoo_compare

OURS_FAILS = "ours does not build"
OFFICIAL = "official 3.x config differs from its 2.x original: "

# Section, pattern of the difference, cause.
_CAUSES = (
    ("evaluator", r"\['bbox', 'segm'\] != \['segm'\]", OFFICIAL + "SOLO is scored by masks only"),
    ("evaluator", r"\['bbox', 'segm'\] != \['bbox'\]", OFFICIAL + "its common ms-3x base scores boxes only"),
    ("evaluator", r"CityScapesMetric", OFFICIAL + "a second metric was added"),
    ("evaluator_options", r"", OFFICIAL + "another annotation file or counting of points"),
    ("optimizer", r"loss_scale", OFFICIAL + "the static loss scale became a dynamic one"),
    (
        "optimizer",
        r"AmpOptimWrapper",
        "no 3.x config with mixed precision; compared with that in full precision",
    ),
    ("optimizer", r"clip_grad|\.lr|weight_decay", OFFICIAL + "learning rate, decay or clipping were changed"),
    ("schedule", r"0\.00309658|yolox", OFFICIAL + "the cosine of YOLOX is stretched by the warm-up epochs"),
    ("schedule", r"length", OFFICIAL + "another length of training"),
    ("schedule", r"differ", OFFICIAL + "another warm-up, or milestones beyond the scheduler's end"),
    ("train_pipeline", r"crop_type|allow_negative_crop", OFFICIAL + "another way of cropping"),
    (
        "train_pipeline",
        r"poly2mask|to_float32|with_mask",
        OFFICIAL + "masks or images are loaded another way",
    ),
    ("train_pipeline", r"num_max_proposals|scale|RandomFlip", OFFICIAL + "other sizes, flips or proposals"),
    (
        "train_pipeline",
        r"FilterAnnotations, Pad",
        "padding with 128 before normalising, as 2.x did; official: after",
    ),
    ("train_pipeline", r"PhotoMetricDistortion", OFFICIAL + "another pipeline"),
    (
        "test_pipeline",
        r"to_float32|num_max_proposals|keep_ratio|scale",
        OFFICIAL + "images are loaded another way",
    ),
    (
        "test_pipeline",
        r"LoadAnnotations, PackDetInputs\] != .*Resize, PackDet",
        OFFICIAL + "no annotations are loaded",
    ),
    ("test_pipeline", r"Resize, Pad, LoadAnnotations", "padding to a fixed size for tests, as 2.x did"),
    ("test_pipeline", r"image_level_labels", OFFICIAL + "no image-level labels"),
    ("batch_size", r"", OFFICIAL + "another batch size"),
    ("model", r"allowed_border", OFFICIAL + "anchors beyond the border are used"),
    ("model", r"sampling", OFFICIAL + "the setting was left out"),
    (
        "model",
        r"add_extra_convs(?!.*syncbn_1350k)",
        OFFICIAL + "the neck takes its extra levels from elsewhere",
    ),
    (
        "model",
        r"retinanet_r50_fpn_syncbn_1350k",
        "the 2.x config is broken: a RetinaNet head in a Faster R-CNN",
    ),
    (
        "parameters",
        r"retinanet_r50_fpn_syncbn_1350k",
        "the 2.x config is broken: a RetinaNet head in a Faster R-CNN",
    ),
    ("model", r"", OFFICIAL + "another model"),
    ("preprocessor", r"pad_mask", "masks are padded like images; official: not"),
    (
        "preprocessor",
        r"batch_augments",
        "padding before normalising stays in the pipeline; official: in the model",
    ),
    ("preprocessor", r"pad_size_divisor", OFFICIAL + "another divisor"),
    ("preprocessor", r"", OFFICIAL + "another normalisation"),
    ("parameters", r"", "the model's parameters differ"),
)


def cause_of(section: str, difference: str, name: str) -> str:
    """The cause of one difference, ``unknown`` if none fits."""
    for where, pattern, cause in _CAUSES:
        if where == section and re.search(pattern, f"{difference} {name}"):
            return cause
    return "unknown"


def demanded(line: Mapping[str, Any]) -> dict[str, list[str]]:
    """Those differences of a line of the table that count: of settings that have to be equal."""
    parts = (*zoo_compare.DEMANDED, "parameters")
    return {part: texts for part, texts in line.get("differences", {}).items() if part in parts}


def all_proven(line: Mapping[str, Any]) -> bool:
    """Whether the raw 2.x and 3.x files differ wherever the converted config differs from the 3.x one."""
    return all(all(line.get("raw", {}).get(part, [[]])) for part in demanded(line))
