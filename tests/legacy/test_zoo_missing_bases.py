"""A missing base of MMDetection 2.28.2 trains and scores as if it were there, whatever 3.x made of it."""

from __future__ import annotations

import json
import os
import re
import shutil

import pytest
import zoo

from deeplake_mmdet.config.conversion import convert
from deeplake_mmdet.legacy import counterpart

# What makes no other training and no other scores, or what no file of 3.x has.
NO_MATTER = (
    r"custom_hooks.*",  # those that only check; SetEpochInfoHook is looked for below
    r"auto_scale_lr\.enable|default_hooks\.checkpoint\.max_keep_ckpts|load_from|visualizer.*",
    r".*\.num_workers|.*\.data_prefix\.(img|seg)|.*\.persistent_workers",
)
# A base of datasets or of a schedule stands beside these.
BESIDE = ("models/faster_rcnn_r50_fpn", "datasets/coco_detection", "schedules/schedule_1x", "default_runtime")


@pytest.fixture(scope="module")
def names():
    try:
        root = zoo.folder()
    except zoo.NoIndexError as error:
        pytest.skip(str(error))
    paths = [path.relative_to(root).as_posix() for path in sorted(root.rglob("*.py"))]
    found = [name for name in paths if (new := counterpart(name)) and (zoo.OFFICIAL / new).is_file()]
    return [name for name in found if not name.startswith(("_base_/models", "_base_/default"))]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """The configs of 2.28.2, where bases are there."""
    folder = tmp_path_factory.mktemp("checkout") / "configs"
    shutil.copytree(zoo.folder(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def child(folder, name):
    """The converted child of one base that changes nothing."""
    bases = [name]
    if name.startswith("_base_/"):
        kind = name.split("/")[1]
        bases += [f"_base_/{other}.py" for other in BESIDE if not other.startswith(kind)]
    file = folder / "mine" / "child.py"
    file.parent.mkdir(exist_ok=True, parents=True)
    file.write_text(f"_base_ = {[f'../{base}' for base in bases]}\nseed = 0\n")
    content = convert(file).content
    return {key: value for key, value in content.items() if key not in ("model", "tta_pipeline", "tta_model")}


def settings(node, key=""):
    """Dotted keys and values, without pipelines."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name not in ("pipeline", "backend_args"):
                yield from settings(value, f"{key}.{name}" if key else name)
    elif isinstance(node, list) and any(isinstance(part, (dict, list)) for part in node):
        for number, value in enumerate(node):
            yield from settings(value, f"{key}[{number}]")
    else:
        yield key, node


def different(names, checkout, tmp_path):
    found = {}
    for name in names:
        one, two = (
            dict(settings(json.loads(json.dumps(child(folder, name), default=str))))
            for folder in (tmp_path / "alone", checkout)
        )
        keys = [key for key in sorted({*one, *two}) if one.get(key) != two.get(key)]
        hooks = [str(part).count("SetEpochInfoHook") for part in (one, two)]
        if keys := [key for key in keys if not any(re.fullmatch(part, key) for part in NO_MATTER)]:
            found[name] = {key: (one.get(key), two.get(key)) for key in keys}
        if hooks[0] != hooks[1]:
            found.setdefault(name, {})["SetEpochInfoHook"] = tuple(hooks)
    return found


def test_a_sample_of_bases_is_that_of_2_28(names, checkout, tmp_path):
    chosen = ["yolox/yolox_s_8x8_300e_coco.py", "legacy_1.x/ssd300_coco_v1.py", "ssd/ssd300_fp16_coco.py"]
    chosen += ["openimages/faster_rcnn_r50_fpn_32x2_cas_1x_openimages.py", "tood/tood_r50_fpn_1x_coco.py"]
    chosen += ["panoptic_fpn/panoptic_fpn_r50_fpn_mstrain_3x_coco.py", "_base_/datasets/wider_face.py"]
    chosen += ["deepfashion/mask_rcnn_r50_fpn_15e_deepfashion.py", "_base_/datasets/deepfashion.py"]
    chosen += ["mask2former/mask2former_r50_lsj_8x2_50e_coco-panoptic.py", "_base_/schedules/schedule_20e.py"]
    chosen += ["wider_face/ssd300_wider_face.py", "guided_anchoring/ga_fast_r50_caffe_fpn_1x_coco.py"]
    assert set(chosen) <= set(names)
    assert different(chosen, checkout, tmp_path) == {}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif("DEEPLAKE_MMDET_LONG_TESTS" not in os.environ, reason="takes up to half an hour")
def test_every_base_is_that_of_2_28(names, checkout, tmp_path):
    assert len(names) > 620
    assert different(names, checkout, tmp_path) == {}
