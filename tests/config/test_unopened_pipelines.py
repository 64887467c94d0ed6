"""Pipelines that no dataset can feed are refused by name, before anything is opened."""

import pytest

from deeplake_mmdet.config.unopened_data import check_unopened_data
from deeplake_mmdet.errors import ConfigError

LAKE = "deeplake_mmdet.DeepLakeDataset"


def check(dataset, **options):
    check_unopened_data({"train_dataloader": {"dataset": dataset}}, **options)


def steps(*kinds):
    return [{"type": kind} for kind in ("LoadImageFromFile", *kinds)]


@pytest.mark.parametrize("kind", ["Mosaic", "MixUp", "CopyPaste", "mmdet.Mosaic"])
@pytest.mark.parametrize("type_", [LAKE, "CocoDataset"])
def test_steps_that_mix_need_their_wrapper(kind, type_):
    dataset = {"type": type_, "pipeline": steps(kind)}
    name = kind.rpartition(".")[2]
    for wrapped in (dataset, {"type": "RepeatDataset", "times": 2, "dataset": dataset}):
        with pytest.raises(ConfigError, match=rf"{name} mixes several images.*MultiImageMixDataset"):
            check(wrapped)
    check({"type": "MultiImageMixDataset", "dataset": {"type": type_}, "pipeline": steps(kind)})
    check({"type": "Tiles", "dataset": dataset})  # whatever somebody's own wrapper does


def test_it_is_found_within_other_steps_and_named_as_the_user_wrote_it():
    inner = {"type": "RandomApply", "transforms": steps("Mosaic")}
    with pytest.raises(ConfigError, match=r"data\.train\.pipeline"):
        check({"type": LAKE, "pipeline": [inner]})
    with pytest.raises(ConfigError, match=r"train_dataloader\.dataset\.pipeline"):
        check({"type": LAKE, "pipeline": [inner]}, legacy=False)


def test_a_lake_has_no_proposals():
    with pytest.raises(ConfigError, match="LoadProposals"):
        check({"type": LAKE, "pipeline": steps("LoadProposals")})
    check({"type": "CocoDataset", "pipeline": steps("LoadProposals")})


def test_others_pass():
    check({"type": LAKE, "pipeline": steps("CachedMosaic", "RandomFlip", "mmyolo.Mosaic")})
    check({"type": LAKE})


def test_pipelines_to_which_a_hook_switches_and_those_inside_a_mixing_wrapper():
    lake = {"type": LAKE, "pipeline": steps()}
    for kind, message in (("Mosaic", "mixes several images"), ("LoadProposals", "holds no proposals")):
        hook = {"type": "PipelineSwitchHook", "switch_epoch": 2, "switch_pipeline": steps(kind)}
        content = {"train_dataloader": {"dataset": lake}, "custom_hooks": [{"type": "Other"}, hook]}
        with pytest.raises(ConfigError, match=rf"{message}.*custom_hooks\[1\]\.switch_pipeline"):
            check_unopened_data(content)
        inner = {"type": LAKE, "pipeline": steps(kind)}
        with pytest.raises(ConfigError, match=rf"{message}.*train\.dataset\.pipeline"):
            check({"type": "MultiImageMixDataset", "dataset": inner, "pipeline": []})
