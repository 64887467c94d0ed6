"""Every transform of the 2.x vocabulary, one by one."""

from __future__ import annotations

import pytest

from deeplake_mmdet.legacy.notes import Notebook
from deeplake_mmdet.legacy.pipelines.facts import Facts
from deeplake_mmdet.legacy.pipelines.pipeline import convert_pipeline
from deeplake_mmdet.legacy.pipelines.transforms import convert_step


def convert(step, train=True, facts=None):
    notes = Notebook()
    facts = facts or Facts(train=train)
    return convert_step(step, "p", facts, notes), facts, list(notes)


NORM = {"type": "Normalize", "mean": [1, 2, 3], "std": [4, 5, 6], "to_rgb": True}
TABLE = [
    ({"type": "LoadImageFromFile", "file_client_args": {"backend": "disk"}}, [{"type": "LoadImageFromFile"}]),
    (
        {"type": "LoadImageFromFile", "to_float32": True, "color_type": "unchanged"},
        [{"type": "LoadImageFromFile", "to_float32": True, "color_type": "unchanged"}],
    ),
    (
        {"type": "LoadImageFromFile", "file_client_args": {"backend": "petrel", "path_mapping": {"a": "b"}}},
        [{"type": "LoadImageFromFile", "backend_args": {"backend": "petrel", "path_mapping": {"a": "b"}}}],
    ),
    (
        {"type": "LoadAnnotations", "with_bbox": True, "with_mask": True, "poly2mask": False},
        [{"type": "LoadAnnotations", "with_bbox": True, "with_mask": True, "poly2mask": False}],
    ),
    ({"type": "LoadAnnotations", "denorm_bbox": True}, [{"type": "LoadAnnotations", "with_bbox": True}]),
    ({"type": "LoadProposals"}, [{"type": "LoadProposals", "num_max_proposals": None}]),
    ({"type": "Resize", "img_scale": (9, 8)}, [{"type": "Resize", "scale": (9, 8), "keep_ratio": True}]),
    ({"type": "Resize", "img_scale": [(9, 8)]}, [{"type": "Resize", "scale": (9, 8), "keep_ratio": True}]),
    (
        {"type": "Resize", "img_scale": [(9, 8), (7, 6)], "multiscale_mode": "value", "override": True},
        [{"type": "RandomChoiceResize", "scales": [(9, 8), (7, 6)], "keep_ratio": True}],
    ),
    (
        {"type": "Resize", "img_scale": [(9, 8), (7, 6)], "bbox_clip_border": False, "backend": "pillow"},
        [
            {
                "type": "RandomResize",
                "scale": [(9, 8), (7, 6)],
                "keep_ratio": True,
                "clip_object_border": False,
                "backend": "pillow",
            }
        ],
    ),
    (
        {"type": "Resize", "img_scale": (9, 8), "ratio_range": (0.1, 2), "keep_ratio": False},
        [{"type": "RandomResize", "scale": (9, 8), "ratio_range": (0.1, 2), "keep_ratio": False}],
    ),
    ({"type": "RandomFlip", "flip_ratio": 1}, [{"type": "RandomFlip", "prob": 1.0}]),
    (
        {"type": "RandomFlip", "flip_ratio": [0, 0.5], "direction": ["horizontal", "vertical"]},
        [{"type": "RandomFlip", "prob": [0.0, 0.5], "direction": ["horizontal", "vertical"]}],
    ),
    (NORM, []),
    ({"type": "Pad", "size_divisor": 32}, []),
    (
        {"type": "Pad", "pad_to_square": True, "pad_val": {"img": (114.0,) * 3}},
        [{"type": "Pad", "pad_to_square": True, "pad_val": {"img": (114.0,) * 3}}],
    ),
    ({"type": "Pad", "size": (2, 3)}, [{"type": "Pad", "size": (3, 2)}]),
    ({"type": "DefaultFormatBundle", "img_to_float": True}, []),
    ({"type": "ImageToTensor", "keys": ["img"]}, []),
    ({"type": "ToDataContainer", "fields": []}, []),
    (
        {"type": "Mosaic", "img_scale": (2, 3), "pad_val": 114.0, "min_bbox_size": 1},
        [{"type": "Mosaic", "img_scale": (3, 2), "pad_val": 114.0}],
    ),
    ({"type": "MixUp", "img_scale": (2, 3), "max_aspect_ratio": 1}, [{"type": "MixUp", "img_scale": (3, 2)}]),
    ({"type": "RandomAffine", "border": (-2, -3)}, [{"type": "RandomAffine", "border": (-3, -2)}]),
    ({"type": "RandomCrop", "crop_size": (2, 3)}, [{"type": "RandomCrop", "crop_size": (3, 2)}]),
    (
        {"type": "RandomCrop", "crop_size": (2, 3), "crop_type": "absolute_range"},
        [{"type": "RandomCrop", "crop_size": (2, 3), "crop_type": "absolute_range"}],
    ),
    (
        {"type": "RandomCenterCropPad", "crop_size": (2, 3), "border": 8},
        [{"type": "RandomCenterCropPad", "crop_size": (3, 2), "border": 8}],
    ),
    ({"type": "RandomShift", "shift_ratio": 0.3}, [{"type": "RandomShift", "prob": 0.3}]),
    ({"type": "SegRescale", "scale_factor": 0.125}, []),
    (
        {
            "type": "Albu",
            "transforms": [1],
            "bbox_params": {"label_fields": ["gt_labels"]},
            "keymap": {"gt_labels": "x"},
            "update_pad_shape": False,
        },
        [
            {
                "type": "Albu",
                "transforms": [1],
                "bbox_params": {"label_fields": ["gt_bboxes_labels", "gt_ignore_flags"]},
                "keymap": {"gt_bboxes_labels": "x"},
            }
        ],
    ),
    (
        {"type": "AutoAugment", "policies": [[{"type": "RandomFlip", "flip_ratio": 1}], [NORM]]},
        [{"type": "RandomChoice", "transforms": [[{"type": "RandomFlip", "prob": 1.0}], []]}],
    ),
    (
        {"type": "BrightnessTransform", "level": 1},
        [{"type": "deeplake_mmdet.Brightness", "magnitude": 0.28, "prob": 0.5}],
    ),
    ({"type": "EqualizeTransform", "prob": 0.2}, [{"type": "Equalize", "prob": 0.2}]),
    *(
        ({"type": kind, "any": 1}, [{"type": kind, "any": 1}])
        for kind in (
            *("Expand", "MinIoURandomCrop", "PhotoMetricDistortion", "CutOut", "CopyPaste", "InstaBoost"),
            *("YOLOXHSVRandomAug", "Corrupt", "FilterAnnotations"),
        )
    ),
]


@pytest.mark.parametrize(("old", "new"), TABLE, ids=lambda value: str(value)[:60])
def test_the_table(old, new):
    before = repr(old)
    found, _, notes = convert(old)
    assert found == new
    assert repr(old) == before
    assert not [note for note in notes if note.severity != "info"]


@pytest.mark.parametrize(
    ("step", "key", "severity"),
    [
        ({"type": "Resize", "img_scale": (9, 8), "unknown": 1}, "p.unknown", "dropped"),
        ({"type": "Mosaic", "skip_filter": False}, "p.skip_filter", "approximated"),
        ({"type": "LoadImageFromFile", "channel_order": "rgb"}, "p.channel_order", "info"),
        ({"type": "LoadAnnotations", "with_label": False}, "p.with_label", "info"),
        ({"type": "MyOwn", "a": 1}, "p", "info"),
        ({"type": "Rotate", "level": 5, "scale": 2}, "p.scale", "dropped"),
        ({"type": "Translate", "level": 5}, "p", "info"),
        ({"type": "Albu", "transforms": [], "update_pad_shape": True}, "p.update_pad_shape", "info"),
    ],
)
def test_what_changes_is_noted(step, key, severity):
    _, _, notes = convert(step)
    assert (key, severity) in [(note.key, note.severity) for note in notes]


def test_steps_of_the_user_pass_unchanged():
    assert convert({"type": "MyOwn", "a": 1})[0] == [{"type": "MyOwn", "a": 1}]


def test_magnitudes():
    (shear,) = convert({"type": "Shear", "level": 5, "direction": "vertical", "prob": 0.4})[0]
    assert (shear["type"], shear["magnitude"]) == ("deeplake_mmdet.ShearY", pytest.approx(0.15))
    (rotate,) = convert({"type": "Rotate", "level": 5, "random_negative_prob": 0.2})[0]
    assert (rotate["magnitude"], rotate["negative_prob"]) == (15.0, 0.2)
    (translate,) = convert({"type": "Translate", "level": 2.5, "max_translate_offset": 111, "min_size": 3})[0]
    assert (translate["magnitude"], translate["min_size"]) == (27, 3)
    for level in range(11):
        (contrast,) = convert({"type": "ContrastTransform", "level": level})[0]
        assert contrast["magnitude"] == pytest.approx(0.1 + 0.18 * level)


def kept(*between, train=True):
    steps = [{"type": "Pad", "size_divisor": 32}, *between]
    notes = Notebook()
    done = convert_pipeline([*steps, {"type": "Collect", "keys": ["img"]}], "p", notes, train=train)
    return [step["type"] for step in done.steps[:-1]], done.facts, [n for n in notes if n.severity != "info"]


def test_padding_stays_where_steps_or_the_normalisation_come_behind_it():
    albu = {"type": "Albu", "transforms": []}
    assert kept(albu, NORM)[0] == ["Pad", "Albu"]
    assert kept(NORM)[0] == ["Pad"]
    assert kept({"type": "RandomFlip", "flip_ratio": 0.5})[0] == ["Pad", "RandomFlip"]
    for _, facts, notes in (kept(albu, NORM), kept(NORM)):
        assert (facts.divisor, notes) == (None, [])
    # Nothing behind it: the model pads.
    kinds, facts, notes = kept()
    assert (kinds, facts.divisor, notes) == ([], 32, [])
    # A test pipeline's img_shape must not be that of the padding: masks are cut by it.
    kinds, facts, notes = kept(NORM, train=False)
    assert (kinds, facts.divisor) == ([], 32)
    assert ["Normalize" in str(note) or "padded" in str(note) for note in notes] == [True]


def test_facts():
    notes = Notebook()
    steps = [
        {"type": "LoadImageFromFile"},
        {"type": "LoadAnnotations", "with_mask": True, "with_seg": True},
        NORM,
        {"type": "Pad", "size_divisor": 16},
        {"type": "SegRescale", "scale_factor": 0.5},
    ]
    facts = convert_pipeline(steps, "p", notes, train=True).facts
    assert facts.normalize == {"mean": [1, 2, 3], "std": [4, 5, 6], "to_rgb": True}
    assert (facts.divisor, facts.masks, facts.seg, facts.seg_scale) == (16, True, True, 0.5)


def test_padding_to_a_size_after_normalising():
    _, facts, _ = convert({"type": "Pad", "size": (2, 3)}, facts=Facts(True, normalize={"mean": [1, 2, 3]}))
    assert facts.fixed_pad == (2, 3)
    given = Facts(False, normalize={"mean": [1, 2, 3], "to_rgb": True})
    (pad,), _, notes = convert({"type": "Pad", "size": (2, 3)}, facts=given)
    assert pad == {"type": "Pad", "size": (3, 2), "pad_val": {"img": (3, 2, 1)}}
    assert notes[0].severity == "approximated"


def augmented(**changes):
    inner = [
        {"type": "Resize", "keep_ratio": True},
        {"type": "RandomFlip"},
        NORM,
        {"type": "Collect", "keys": ["img"]},
    ]
    return [
        {"type": "LoadImageFromFile"},
        {"type": "MultiScaleFlipAug", "img_scale": (9, 8), "flip": False, "transforms": inner, **changes},
    ]


def test_one_scale_without_flip_is_a_plain_pipeline():
    done = convert_pipeline(augmented(), "p", Notebook(), train=False)
    kinds = [step["type"] for step in done.steps]
    assert kinds == ["LoadImageFromFile", "Resize", "PackDetInputs"]
    assert done.steps[1]["scale"] == (9, 8)
    assert done.tta is None


@pytest.mark.parametrize(
    ("changes", "sizes", "flips"),
    [
        ({"flip": True}, 1, 2),
        ({"flip": True, "flip_direction": ["horizontal", "vertical"]}, 1, 3),
        ({"img_scale": [(9, 8), (7, 6)]}, 2, 0),
        ({"img_scale": [(9, 8), (7, 6)], "flip": True}, 2, 2),
    ],
)
def test_test_time_augmentation_is_kept_apart(changes, sizes, flips):
    notes = Notebook()
    done = convert_pipeline(augmented(**changes), "p", notes, train=False)
    assert [step["type"] for step in done.steps] == ["LoadImageFromFile", "Resize", "PackDetInputs"]
    groups = done.tta[-1]["transforms"]
    by_kind = {group[0]["type"]: group for group in groups}
    assert len(by_kind["Resize"]) == sizes
    assert len(by_kind.get("RandomFlip", [])) == flips
    assert by_kind["PackDetInputs"][0]["meta_keys"][-2:] == ("flip", "flip_direction")
    assert [note.severity for note in notes] == ["approximated"]


def test_a_scale_factor_of_one_resizes_nothing():
    done = convert_pipeline(augmented(img_scale=None, scale_factor=1.0), "p", Notebook(), train=False)
    assert [step["type"] for step in done.steps] == ["LoadImageFromFile", "PackDetInputs"]


def test_proposals_are_transformed_with_the_image():
    steps = [
        {"type": "LoadImageFromFile"},
        {"type": "LoadProposals", "num_max_proposals": 5},
        {"type": "LoadAnnotations"},
        {"type": "Resize", "img_scale": (9, 8)},
        {"type": "RandomFlip", "flip_ratio": 0.5},
        {"type": "Collect", "keys": ["img", "proposals"]},
    ]
    done = convert_pipeline(steps, "p", Notebook(), train=True)
    kinds = [step["type"] for step in done.steps]
    assert kinds == [
        "LoadImageFromFile",
        "LoadProposals",
        "LoadAnnotations",
        "ProposalBroadcaster",
        "PackDetInputs",
    ]
    assert [step["type"] for step in done.steps[3]["transforms"]] == ["Resize", "RandomFlip"]


def test_meta_keys():
    steps = [
        {
            "type": "Collect",
            "keys": ["img", "odd"],
            "meta_keys": ("filename", "pad_shape", "img_norm_cfg", "x"),
        }
    ]
    notes = Notebook()
    done = convert_pipeline(steps, "p", notes, train=True)
    assert done.steps == [{"type": "PackDetInputs", "meta_keys": ("img_id", "img_path", "x")}]
    assert [(note.old, note.severity) for note in notes] == [("odd", "dropped")]
