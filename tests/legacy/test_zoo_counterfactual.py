"""What differs from the official 3.x configs is what their authors changed, and nothing else."""

from __future__ import annotations

import json

import pytest
import zoo
import zoo_compare
from zoo_causes import demanded
from zoo_counterfactual import TABLE, counterfactual, differing, table
from zoo_edits import BASE, CONVERTED

from deeplake_mmdet.legacy import convert_config_dict

pytestmark = pytest.mark.slow  # every config that differs is converted and built

LINES = differing()
COMPARABLE = 600  # configs whose official counterpart builds a model; `test_zoo` counts them


@pytest.fixture(scope="module")
def results():
    try:
        zoo.folder()
    except zoo.NoIndexError as error:
        pytest.skip(str(error))
    return {name: counterfactual(name, line) for name, line in LINES.items()}


def test_with_the_values_of_the_3x_zoo_every_config_equals_the_official_one(results):
    different = {name for name, result in results.items() if demanded({"differences": result.before})}
    assert different == set(LINES)
    left = {name: demanded({"differences": result.after}) for name, result in results.items()}
    assert {name: found for name, found in left.items() if found} == {}


def test_what_differs_besides_is_what_differed_before(results):
    """The edits bring no difference of the model or the preprocessor with them."""
    for name, result in results.items():
        known = LINES[name]["differences"]
        new = {part: set(texts) - set(known.get(part, ())) for part, texts in result.after.items()}
        assert not any(new.values()), name


def test_the_edits_are_those_of_the_table(results):
    assert table(results) == json.loads(TABLE.read_text(encoding="utf-8"))


def test_the_edits_are_few_and_single_values():
    groups = json.loads(TABLE.read_text(encoding="utf-8"))
    names = [name for group in groups for name in group["configs"]]
    assert sorted(names) == sorted(LINES)
    paths = {path for group in groups for path, _, _ in group["edits"]}
    assert max(len(group["edits"]) for group in groups if "legacy_1.x" not in group["configs"][0]) <= 5
    for group in groups:
        for path, old, new in group["edits"]:
            assert old != new
            # Whole steps go or come; all else is one setting.
            if any(isinstance(value, dict) and "type" in value for value in (old, new)):
                assert None in (old, new), path
    # 2.x has no such settings: the formula of one learning rate, and what tests load and pack.
    assert {path for path in paths if path.startswith(CONVERTED)} == {
        f"{CONVERTED}param_scheduler[1].T_max",
        f"{CONVERTED}param_scheduler[1].begin",
        f"{CONVERTED}val_dataloader.dataset.pipeline[2]",
        f"{CONVERTED}val_dataloader.dataset.pipeline[-1].meta_keys",
    }
    assert [group["configs"] for group in groups if any(path == BASE for path, _, _ in group["edits"])] == [
        ["objects365/retinanet_r50_fpn_syncbn_1350k_obj365v1.py"]
    ]


def test_no_conversion_that_keeps_the_values_of_the_2x_files_reaches_95_percent():
    """Not even one that took over what the 3.x files do where 2.x files say nothing."""
    groups = json.loads(TABLE.read_text(encoding="utf-8"))
    without_value = [
        name
        for group in groups
        if all(path.startswith(CONVERTED) for path, _, _ in group["edits"])
        for name in group["configs"]
    ]
    assert len(without_value) == 7  # six of YOLOX, one of Open Images
    assert COMPARABLE - len(LINES) + len(without_value) < 0.95 * COMPARABLE


def broken(change):
    """The conversion with an error in its result."""

    def convert(cfg):
        converted, notes = convert_config_dict(cfg)
        change(converted)
        return converted, notes

    return convert


def steps(split):
    return lambda cfg: zoo_compare.pipelines_of(cfg[f"{split}_dataloader"]["dataset"])[0]


# Errors beside the edited setting, and errors in the very setting.
ERRORS = {
    "another step is lost": (
        "train_pipeline",
        "mask_rcnn/mask_rcnn_r50_fpn_fp16_1x_coco.py",
        lambda cfg: steps("train")(cfg).pop(-2),
    ),
    "another argument": (
        "test_pipeline",
        "mask_rcnn/mask_rcnn_r50_fpn_fp16_1x_coco.py",
        lambda cfg: steps("val")(cfg)[1].update(keep_ratio=False),
    ),
    "another weight decay": (
        "optimizer",
        "mask_rcnn/mask_rcnn_r50_fpn_fp16_1x_coco.py",
        lambda cfg: cfg["optim_wrapper"]["optimizer"].update(weight_decay=0.001),
    ),
    "another batch size": (
        "batch_size",
        "mask_rcnn/mask_rcnn_r50_fpn_fp16_1x_coco.py",
        lambda cfg: cfg["train_dataloader"].update(batch_size=3),
    ),
    "another schedule": (
        "schedule",
        "mask_rcnn/mask_rcnn_r50_fpn_fp16_1x_coco.py",
        lambda cfg: cfg["param_scheduler"][1].update(gamma=0.2),
    ),
    "a metric is lost": (
        "evaluator",
        "mask_rcnn/mask_rcnn_r50_fpn_fp16_1x_coco.py",
        lambda cfg: cfg["val_evaluator"].update(metric="bbox"),
    ),
    "another model": (
        "model",
        "mask_rcnn/mask_rcnn_r50_fpn_fp16_1x_coco.py",
        lambda cfg: cfg["model"]["roi_head"]["bbox_head"].update(num_classes=3),
    ),
    "the loss scale is not read": (
        "optimizer",
        "mask_rcnn/mask_rcnn_r50_fpn_fp16_1x_coco.py",
        lambda cfg: cfg["optim_wrapper"].update(loss_scale=512.0),
    ),
    "the milestones are not read": (
        "schedule",
        "mask_rcnn/mask_rcnn_r50_caffe_fpn_mstrain-poly_2x_coco.py",
        lambda cfg: cfg["param_scheduler"][1].update(milestones=[16, 23]),
    ),
    "the proposals are not counted": (
        "train_pipeline",
        "cascade_rpn/crpn_fast_rcnn_r50_caffe_fpn_1x_coco.py",
        lambda cfg: steps("train")(cfg)[1].update(num_max_proposals=300),
    ),
    "another warm-up": (
        "schedule",
        "mask_rcnn/mask_rcnn_r50_caffe_c4_1x_coco.py",
        lambda cfg: cfg["param_scheduler"][0].update(end=1000),
    ),
}


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_of_the_conversion_stays_visible(results, error):
    section, name, change = ERRORS[error]
    assert not demanded({"differences": results[name].after})
    found = counterfactual(name, LINES[name], broken(change))
    assert section in found.after
