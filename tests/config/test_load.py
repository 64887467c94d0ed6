import pickle
from pathlib import Path

import mmdet
import pytest
from mmengine.config import Config

from deeplake_mmdet.config import load_config, parse_options
from deeplake_mmdet.errors import ConfigError, CredentialError, SourceNotFoundError
from deeplake_mmdet.lake import CredentialRef, is_handle

STOCK = Path(mmdet.__file__).parent / ".mim/configs"
TOKEN = "canary-token-0123456789"
STORAGE = "canary-storage-'quoted\\key'"
CANARIES = (TOKEN, STORAGE, "canary")

CONFIG = f"""
# A remark that names {TOKEN}
TOKEN = 'canary-token' '-0123456789'
credentials_of_val = dict(token=TOKEN, creds=dict(
    aws_access_key_id='canary-id-123', aws_secret_access_key={STORAGE!r}, endpoint_url='http://127.0.0.1:9000'))
work_dir = 'runs/' + TOKEN
train_dataloader = dict(
    batch_size=2,
    dataset=dict(type='RepeatDataset', times=2, dataset=dict(
        type='deeplake_mmdet.DeepLakeDataset', path='s3://bucket/train', credentials=dict(token=TOKEN))))
val_dataloader = dict(dataset=dict(
    type='deeplake_mmdet.DeepLakeDataset', path='s3://bucket/val', credentials=credentials_of_val))
test_dataloader = dict(dataset=dict(type='ConcatDataset', datasets=[
    dict(type='deeplake_mmdet.DeepLakeDataset', path='a', credentials=dict(endpoint_url='http://public')),
    dict(type='deeplake_mmdet.DeepLakeDataset', path='b',
         credentials=dict(aws_secret_access_key={STORAGE!r})),
    dict(type='deeplake_mmdet.DeepLakeDataset', path='c', credentials=None)]))
"""


@pytest.fixture(autouse=True)
def no_token_in_the_environment(monkeypatch):
    for name in ("ACTIVELOOP_TOKEN", "DEEPLAKE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def write(tmp_path):
    def make(text, name="config.py"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return make


def everything_of(cfg, tmp_path):
    texts = [cfg.pretty_text, cfg.text, repr(cfg), str(cfg), str(pickle.dumps(cfg)), str(cfg.to_dict())]
    for name in ("dump.py", "dump.json", "dump.yaml"):
        cfg.dump(tmp_path / name)
        texts.append((tmp_path / name).read_text())
    return texts


def assert_clean(cfg, tmp_path):
    for text in everything_of(cfg, tmp_path):
        for canary in CANARIES:
            assert canary not in text


def test_no_secret_is_left_anywhere(write, tmp_path):
    assert_clean(load_config(write(CONFIG)), tmp_path)


def test_datasets_still_get_their_secrets_by_the_handles(write):
    cfg = load_config(write(CONFIG))
    train = cfg.train_dataloader.dataset.dataset.credentials
    assert is_handle(train)
    assert CredentialRef(train).resolve() == (TOKEN, {})
    assert CredentialRef(cfg.val_dataloader.dataset.credentials).resolve() == (
        TOKEN,
        {
            "aws_access_key_id": "canary-id-123",
            "aws_secret_access_key": STORAGE,
            "endpoint_url": "http://127.0.0.1:9000",
        },
    )
    parts = cfg.test_dataloader.dataset.datasets
    assert CredentialRef(parts[1].credentials).resolve() == (None, {"aws_secret_access_key": STORAGE})


def test_public_options_and_everything_else_stay(write):
    cfg = load_config(write(CONFIG))
    parts = cfg.test_dataloader.dataset.datasets
    assert parts[0].credentials == {"endpoint_url": "http://public"}
    assert parts[2].credentials is None
    assert (cfg.train_dataloader.batch_size, cfg.train_dataloader.dataset.times) == (2, 2)
    assert cfg.val_dataloader.dataset.path == "s3://bucket/val"
    assert "TOKEN" not in cfg
    assert cfg.work_dir.startswith("runs/")


def test_secrets_of_base_files_are_taken_out_too(write, tmp_path):
    write(CONFIG, "base.py")
    cfg = load_config(write("_base_ = 'base.py'\ntrain_dataloader = dict(batch_size=4)\n"))
    assert_clean(cfg, tmp_path)
    assert cfg.train_dataloader.batch_size == 4
    assert CredentialRef(cfg.train_dataloader.dataset.dataset.credentials).resolve() == (TOKEN, {})


def test_secrets_among_the_options_are_taken_out_too(write, tmp_path):
    path = write("train_dataloader = dict(dataset=dict(type='deeplake_mmdet.DeepLakeDataset', path='p'))\n")
    options = parse_options(
        [f"train_dataloader.dataset.credentials.token={TOKEN}", f"train_dataloader.note=see:{TOKEN}", "x=1"]
    )
    cfg = load_config(path, options)
    assert_clean(cfg, tmp_path)
    assert cfg.x == 1
    assert CredentialRef(cfg.train_dataloader.dataset.credentials).resolve() == (TOKEN, {})


def test_a_dumped_config_loads_again_with_the_same_handles(write, tmp_path):
    cfg = load_config(write(CONFIG))
    cfg.dump(tmp_path / "dump.py")
    again = load_config(tmp_path / "dump.py")
    assert again.to_dict() == cfg.to_dict()


def test_a_short_secret_spoils_no_other_value(write, tmp_path):
    # MinIO's and moto's users are often called 'test'.
    path = write("""
KEY = 'test'
test_dataloader = dict(dataset=dict(
    type='deeplake_mmdet.DeepLakeDataset', path='s3://test/lake',
    credentials=dict(aws_secret_access_key=KEY)))
test_cfg = dict(type='test', out='runs/test')
""")
    cfg = load_config(path)
    assert cfg.test_dataloader.dataset.path == "s3://test/lake"
    assert cfg.test_cfg == {"type": "test", "out": "runs/test"}
    assert "KEY" not in cfg
    assert CredentialRef(cfg.test_dataloader.dataset.credentials).resolve()[1] == {
        "aws_secret_access_key": "test"
    }
    assert "aws_secret_access_key" not in cfg.text


def test_a_config_without_secrets_keeps_its_text(write):
    path = write("# a remark\ntrain_dataloader = dict(batch_size=1)\n")
    cfg = load_config(path)
    assert "# a remark" in cfg.text
    assert cfg.filename == str(path)


def test_user_name_and_password_are_refused_without_repeating_them(write):
    path = write(f"val_dataloader = dict(dataset=dict(credentials=dict(username='me', password='{TOKEN}')))")
    with pytest.raises(CredentialError, match="user name and password") as caught:
        load_config(path)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("value", [repr(TOKEN), f"[{TOKEN!r}]", f"dict(creds={TOKEN!r})"])
def test_credentials_that_are_no_mapping_are_refused_without_repeating_them(write, value):
    with pytest.raises(ConfigError, match="must be a mapping") as caught:
        load_config(write(f"val_dataloader = dict(dataset=dict(credentials={value}))"))
    assert TOKEN not in str(caught.value)


def test_empty_credentials_stay_as_they_are(write):
    cfg = load_config(
        write("a = dict(credentials=None)\nb = dict(credentials='')\nc = dict(credentials={})\n")
    )
    assert (cfg.a.credentials, cfg.b.credentials, cfg.c.credentials) == (None, "", {})
    cfg = load_config(write("a = dict(credentials=dict(token='', username=None, creds=None))"))
    assert not is_handle(cfg.a.credentials)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(SourceNotFoundError, match=r"none\.py"):
        load_config(tmp_path / "none.py")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("train_dataloader = dict(", "SyntaxError"),
        ("train_dataloader = unknown", "NameError"),
        ("_base_ = 'missing.py'", "missing.py"),
        ("a = 1 / 0", "ZeroDivisionError"),
        ("custom_imports = dict(imports=['no_such_module'])", "no_such_module"),
    ],
)
def test_a_file_that_does_not_load_is_told_with_the_reason(write, text, what):
    path = write(text)
    with pytest.raises(ConfigError, match="cannot be loaded") as caught:
        load_config(path)
    assert what in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_config_for_mmdetection_2_is_converted(write):
    path = write("data = dict(train=dict(type='CocoDataset'))\ntotal_epochs = 12\n")
    cfg = load_config(path)
    assert "data" not in cfg
    assert cfg.train_dataloader.dataset.type == "CocoDataset"
    assert cfg.train_cfg.max_epochs == 12


def test_json_and_yaml_files_are_configs_too(write):
    assert load_config(write('{"a": {"b": [1, 2]}}', "config.json")).a.b == [1, 2]
    assert load_config(write("a: {b: [1, 2]}", "config.yaml")).a.b == [1, 2]


@pytest.mark.parametrize(
    "name", ["faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py", "yolox/yolox_s_8xb8-300e_coco.py"]
)
def test_stock_configs_come_out_as_mmengine_loads_them(name):
    path = STOCK / name
    if not path.is_file():
        pytest.skip(f"mmdet brings no {path}")
    assert load_config(path).to_dict() == Config.fromfile(path).to_dict()


def test_configs_with_imports_lose_their_secrets_too(write, tmp_path):
    path = write(f"""
from mmengine.config import read_base
from deeplake_mmdet.dataset import DeepLakeDataset
train_dataloader = dict(dataset=dict(type=DeepLakeDataset, path='p', credentials=dict(token={TOKEN!r})))
""")
    cfg = load_config(path)
    assert_clean(cfg, tmp_path)
    assert cfg.train_dataloader.dataset.type == "deeplake_mmdet.dataset.DeepLakeDataset"
