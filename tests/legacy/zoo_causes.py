"""Why a converted config differs from the official 3.x one; no test of its own.

In nearly all cases MMDetection's authors changed a value, on purpose or not, as they wrote the 3.x config;
the conversion keeps what the 2.x config says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import zoo_compare

OURS_FAILS = "ours does not build"
OFFICIAL = "official 3.x config differs from its 2.x original: "
# Names of the settings that the raw files have different values of.
SETTINGS = OFFICIAL + "{}"

# Section, pattern of the difference, cause.
_CAUSES = (
    ("evaluator", r"\['bbox', 'segm'\] != \['segm'\]", OFFICIAL + "SOLO is scored by masks only"),
    ("evaluator", r"\['bbox', 'segm'\] != \['bbox'\]", OFFICIAL + "its common ms-3x base scores boxes only"),
    ("evaluator", r"CityScapesMetric", OFFICIAL + "a second metric was added"),
    ("evaluator_options", r"CityScapesMetric", OFFICIAL + "a second metric was added"),
    ("evaluator_options", r"", SETTINGS),
    ("optimizer", r"loss_scale: 512", OFFICIAL + "the static loss scale became a dynamic one"),
    ("optimizer", r"loss_scale: .*init_scale", OFFICIAL + "the dynamic loss scale begins at another value"),
    (
        "optimizer",
        r"AmpOptimWrapper",
        "no 3.x config with mixed precision; compared with that in full precision",
    ),
    ("optimizer", r"clip_grad|\.lr|weight_decay", SETTINGS),
    (
        "schedule",
        r"0\.00309658|yolox",
        "the cosine of YOLOX as 2.x computes it; official: stretched by the warm-up",
    ),
    ("schedule", r"", SETTINGS),
    ("train_pipeline", r"FilterAnnotations, Pad", "padding before normalising, as 2.x did; official: after"),
    ("train_pipeline", r"", SETTINGS),
    (
        "test_pipeline",
        r"LoadAnnotations, PackDetInputs\] != .*Resize, PackDet",
        "annotations are loaded, as in nearly all tests of 3.x; official: not",
    ),
    ("test_pipeline", r"Resize, Pad, LoadAnnotations", "padding to a fixed size for tests, as 2.x did"),
    (
        "test_pipeline",
        r"image_level_labels",
        "image-level labels are packed for the metric; official: read, but not packed",
    ),
    ("test_pipeline", r"", SETTINGS),
    ("batch_size", r"", SETTINGS),
    ("model", r"allowed_border", OFFICIAL + "anchors beyond the border are used"),
    ("model", r"sampling", "what 3.x does not take is left out; official: still there"),
    (
        "model",
        r"num_classes: 1 only in ours",
        "the RPN has its number of classes, as 3.x asks; official: not",
    ),
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
    ("preprocessor", r"pad_mask", "masks are padded like images; official: not"),
    (
        "preprocessor",
        r"batch_augments",
        "padding before normalising stays in the pipeline; official: in the model",
    ),
    ("preprocessor", r"", SETTINGS),
)


def cause_of(section: str, difference: str, name: str, values: Sequence[Sequence[Any]]) -> str:
    """The cause of one difference, ``unknown`` if none fits; ``values`` are those of `zoo_raw`."""
    for where, pattern, cause in _CAUSES:
        if where == section and re.search(pattern, f"{difference} {name}"):
            return cause.format(_settings(values)) if values or cause != SETTINGS else "unknown"
    return "unknown"


def _settings(values: Sequence[Sequence[Any]]) -> str:
    """Names of changed settings, and steps that went or came."""
    names = []
    for name, old, new in values:
        if name == "steps":
            names += [f"no {kind}" for kind in old if kind not in new]
            names += [f"with {kind}" for kind in new if kind not in old]
        else:
            names.append(name)
    return ", ".join(names)


def demanded(line: Mapping[str, Any]) -> dict[str, list[str]]:
    """Those differences of a line of the table that count: of settings that have to be equal."""
    parts = (*zoo_compare.DEMANDED, "parameters")
    return {part: texts for part, texts in line.get("differences", {}).items() if part in parts}


def all_proven(line: Mapping[str, Any]) -> bool:
    """Whether the raw 2.x and 3.x files differ wherever the converted config differs from the 3.x one."""
    return all(all(line.get("raw", {}).get(part, [[]])) for part in demanded(line))
