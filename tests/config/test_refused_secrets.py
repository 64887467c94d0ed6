"""Secrets that no handle can stand for: refused by every door for configs, or taken out, never repeated."""

from __future__ import annotations

import pytest
from mmengine.config import Config
from mmengine.hub import get_config

from deeplake_mmdet import convert_config, load_config
from deeplake_mmdet.config import convert, extract_secrets, parse_options
from deeplake_mmdet.errors import ConfigError, CredentialError, ImageError, without_secrets
from deeplake_mmdet.lake import Source, is_secret_name

KEY = "canary-0123456789"
LAKE = "train_dataloader = dict(dataset=dict(type='deeplake_mmdet.DeepLakeDataset', path={}, {}))\n"
BACKEND = "visualizer = dict(type='DetLocalVisualizer', vis_backends=[dict(type={!r}, {})])\n"


@pytest.fixture
def write(tmp_path):
    def make(text):
        path = tmp_path / "config.py"
        path.write_text(text)
        return path

    return make


def with_setting(text):
    return LAKE.format("'lake'", text)


def at_path(text):
    return LAKE.format(f"{text!r}", "")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (with_setting(f"token={KEY!r}"), "dataset.token"),
        (with_setting(f"api_key=b'{KEY}'"), "dataset.api_key"),
        (with_setting("password=1234567"), "dataset.password"),
        (with_setting(f"creds=[dict(x={KEY!r})]"), "dataset.creds"),
        (with_setting(f"backend_args=dict(conf=dict(Secret_Access_Key={KEY!r}))"), "Secret_Access_Key"),
        (at_path(f"s3://me:{KEY}@bucket/lake"), "dataset.path"),
        (at_path(f"s3://me:a/b{KEY}@bucket/lake"), "dataset.path"),
        (at_path(f"azure://a/b?%73ig={KEY}"), "dataset.path"),
        (f"load_from = 'https://host/x.pth?a=1;X-Amz-Security-Token={KEY}'\n", "load_from"),
        (f"resume = 'https://{KEY}@host/x.pth'\n", "resume"),
        (f"model = dict(backbone=dict(pretrained='https://host/x.pth#access_token={KEY}'))\n", "pretrained"),
        (BACKEND.format("WandbVisBackend", f"init_kwargs=dict(api_key={KEY!r})"), "init_kwargs.api_key"),
        (
            BACKEND.format("mmdet.MLflowVisBackend", f"tracking_uri='postgresql://me:{KEY}@host/db'"),
            "tracking",
        ),
        (f"log_config = dict(hooks=[dict(type='NeptuneLoggerHook', api_token={KEY!r})])\n", "api_token"),
        (f"data = dict(train=dict(type='CocoDataset', ann_file='x', bearer={KEY!r}))\n", "train.bearer"),
    ],
)
def test_secrets_are_refused_with_their_key(write, tmp_path, text, key):
    file = write(text)
    for door in (
        lambda: load_config(file),
        lambda: convert_config(Config.fromfile(file)),
        lambda: convert(file, tmp_path / "new.py"),
    ):
        with pytest.raises(CredentialError) as caught:
            door()
        assert key in str(caught.value)
        assert "canary" not in str(caught.value)
    assert not (tmp_path / "new.py").exists()


@pytest.mark.parametrize(
    ("kind", "variable"),
    [("WandbVisBackend", "WANDB_API_KEY"), ("ClearMLVisBackend", "CLEARML"), ("MLflowVisBackend", "MLFLOW")],
)
def test_the_variable_to_set_is_named(write, kind, variable):
    with pytest.raises(CredentialError, match=variable):
        load_config(write(BACKEND.format(kind, f"init_kwargs=dict(secret_key={KEY!r})")))


def test_all_keys_are_named_at_once(write):
    text = with_setting(f"token={KEY!r}") + f"load_from = 'https://me:{KEY}@host/x'\n"
    with pytest.raises(CredentialError, match=r"dataset\.token.*load_from"):
        load_config(write(text))


def test_variables_that_no_setting_is_are_taken_out(write):
    text = f"WANDB_API_KEY = {KEY!r}\nurl = 'https://me:{KEY}@host'\nextra = dict(token={KEY!r})\n"
    cfg = load_config(write(text + f"remark = 'I use {KEY}'\nnum_classes = 3\n"))
    assert set(cfg) == {"remark", "num_classes"}
    assert "canary" not in cfg.pretty_text + cfg.text


def test_what_only_looks_like_a_secret_stays(write):
    text = (
        "model = dict(type='GLIP', with_cls_token=True, cls_token='[CLS_TOKEN]', mask_token='[MASK-TOKEN]', "
        "num_tokens=256, max_tokens=12, token=None, password='', tokenizer='bert-base', api_key='$API_KEY')\n"
        "load_from = 'https://download.openmmlab.com/x.pth?versionId=7'\n"
        "data_root = 'abfss://container@account.dfs.core.windows.net/x'\n"
    ) + LAKE.format("'s3://bucket/a@b/c'", "credentials=dict(endpoint_url='http://host:9000', creds='ENV')")
    cfg = load_config(write(text))
    assert cfg.model.api_key == "$API_KEY"
    assert cfg.load_from.endswith("versionId=7")
    assert cfg.text.endswith(text)


@pytest.mark.parametrize(
    "name",
    [
        "glip/glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365",
        "grounding_dino/grounding_dino_swin-t_finetune_16xb2_1x_coco",
    ],
)
def test_configs_of_the_zoo_hold_no_secrets(name):
    content = get_config(f"mmdet::{name}.py").to_dict()
    assert extract_secrets(content) == (content, set())


@pytest.mark.parametrize(
    "items",
    [
        ["x.credentials.token=", KEY],
        ["x.credentials.token=", f"{KEY}=="],
        ["x.credentials.token=begins", KEY],
        [f"x.credentials.token=[{KEY},(]"],
    ],
)
def test_options_are_refused_without_their_secret(items):
    with pytest.raises(ConfigError, match="Not an option") as caught:
        parse_options(items)
    assert "canary" not in str(caught.value)
    assert "token=..." in str(caught.value)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (f"s3://me:{KEY}@bucket/lake", "s3://bucket/lake"),
        (f"s3://me:x/{KEY}@bucket/lake", "s3://bucket/lake"),
        (f"https://host:80/x?sig={KEY}#y", "https://host:80/x"),
        (f"https:/host/x?sig={KEY}", "https:/host/x"),
        (f"https://host/x#token={KEY}", "https://host/x"),
        ("s3://host:9000/lake@main", "s3://host:9000/lake@main"),
        ("s3://bucket/a#1/x.png", "s3://bucket/a#1/x.png"),
        ("http://[::1]:9000/a@b", "http://[::1]:9000/a@b"),
        ("deeplake://0123/images/4.jpg", "deeplake://0123/images/4.jpg"),
    ],
)
def test_errors_show_addresses_without_what_is_secret(address, shown):
    assert without_secrets(address) == shown
    error = ImageError(f"see {address}, please", where=f"link {address!r}", advice=f"look at <{address}>")
    assert (error.what, error.where, error.advice) == (
        f"see {shown}, please" if "sig" not in address and "#t" not in address else error.what,
        f"link {shown!r}",
        f"look at <{shown}>",
    )
    assert "canary" not in str(error) + repr(error)


@pytest.mark.parametrize("address", [f"s3://me:{KEY}@b/l", f"gs://{KEY}@b/l", f"azure://a/b?sv=1&sig={KEY}"])
def test_a_source_refuses_an_address_with_a_secret(address):
    for given in ({"path": address}, {"path": "", "query": f'SELECT * FROM "{address}"'}):
        with pytest.raises(CredentialError, match="user name or a secret") as caught:
            Source(**given)
        assert "canary" not in str(caught.value)


def test_names():
    secret = (
        "token",
        "hf_token",
        "X-Api-Key",
        "awsSecretAccessKey",
        "client.secret",
        "PASSWORD",
        "AccountKey",
    )
    assert all(map(is_secret_name, secret))
    assert not any(
        map(is_secret_name, ("key", "tokens_positive", "img_token", "secretary", "authors", "path"))
    )
