"""``convert``: a 2.x file becomes a 3.x file."""

from __future__ import annotations

import json
from pathlib import Path

import mmdet
import pytest
from mmengine.config import Config

from deeplake_mmdet import convert, load_config
from deeplake_mmdet.errors import ConfigError, CredentialError, ImportRefusedError, SourceNotFoundError

STOCK = Path(mmdet.__file__).parent / ".mim/configs"
EXAMPLE = (Path(__file__).parents[1] / "legacy" / "document_config.py.txt").read_text(encoding="utf-8")
CANARY = "canary-0123456789"


@pytest.fixture
def example(tmp_path):
    path = tmp_path / "work" / "example.py"
    path.parent.mkdir()
    path.write_text(EXAMPLE.replace("INSERT_YOUR_DEEPLAKE_TOKEN", CANARY))
    return path


def without_variables(content):
    return {key: value for key, value in content.items() if key not in ("train_pipeline", "test_pipeline")}


def test_the_new_file_is_read_by_mmengine_alone(example, tmp_path):
    out = tmp_path / "new.py"
    done = convert(example, out)
    read = Config.fromfile(out).to_dict()
    assert without_variables(read) == done.content
    assert done.out == out
    assert out.read_text() == done.text
    assert "import" not in [line.split()[0] for line in done.text.splitlines() if line]
    assert "_base_" not in read


def test_it_trains_as_the_old_one_would(example, tmp_path):
    convert(example, tmp_path / "new.py")
    old, new = load_config(example).to_dict(), load_config(tmp_path / "new.py").to_dict()
    for split in ("train", "val", "test"):
        del old[f"{split}_dataloader"]["dataset"]["credentials"]
    assert without_variables(new) == without_variables(old)


def test_secrets_are_left_out_and_said(example, tmp_path):
    example.write_text(
        example.read_text()
        + "data['val']['deeplake_credentials'] = dict(creds=dict(aws_secret_access_key='canary-storage-key',"
        " endpoint_url='http://127.0.0.1:9'))\n"
    )
    done = convert(example, tmp_path / "new.py", report=tmp_path / "report.json", diff=True)
    written = "".join((tmp_path / name).read_text() for name in ("new.py", "report.json"))
    assert "canary" not in written + repr(done) + "".join(map(str, done.notes))
    assert "deeplake-credentials-" not in written
    assert done.content["val_dataloader"]["dataset"]["credentials"] == {"endpoint_url": "http://127.0.0.1:9"}
    assert "credentials" not in done.content["train_dataloader"]["dataset"]
    told = [note.key for note in done.notes if "ACTIVELOOP_TOKEN" in note.why]
    assert told == [f"data.{split}.deeplake_credentials" for split in ("train", "val", "test")]


@pytest.mark.parametrize(
    "name",
    [
        "rtmdet/rtmdet_tiny_8xb32-300e_coco.py",
        "faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py",
        "mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic.py",
        "openimages/faster-rcnn_r50_fpn_32xb2-1x_openimages.py",
    ],
)
def test_a_3x_config_keeps_its_content(tmp_path, name):
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    done = convert(STOCK / name, first, diff=True)
    assert not done.legacy
    assert done.notes == ()
    stock = Config.fromfile(STOCK / name).to_dict()
    found = Config.fromfile(first).to_dict()
    assert {key: found[key] for key in stock} == stock
    assert set(found) - set(stock) <= {"train_pipeline", "test_pipeline"}
    assert convert(first, second).text == done.text


def test_converting_the_new_file_changes_nothing(example, tmp_path):
    first = convert(example, tmp_path / "first.py")
    second = convert(tmp_path / "first.py", tmp_path / "second.py")
    assert without_variables(second.content) == first.content
    assert not second.legacy


def test_files_are_not_replaced_unless_asked(example, tmp_path):
    out, report = tmp_path / "new.py", tmp_path / "report.txt"
    for path in (out, report):
        path.write_text("mine")
        with pytest.raises(ImportRefusedError, match="already") as caught:
            convert(example, out, report=report if path is report else None)
        assert "--overwrite" in caught.value.advice
        assert path.read_text() == "mine"
        path.unlink()
    convert(example, out, report=report)
    convert(example, out, report=report, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.py", "report.txt", "work"]


@pytest.mark.parametrize(
    ("out", "kind", "words"),
    [
        ("nowhere/new.py", ImportRefusedError, "no such folder"),
        ("work", ImportRefusedError, "a folder already"),
        ("new.json", ConfigError, ".py file"),
    ],
)
def test_places_that_cannot_be_written_are_told(example, tmp_path, out, kind, words):
    with pytest.raises(kind, match=words):
        convert(example, tmp_path / out)


def test_nothing_is_left_of_a_failed_conversion(example, tmp_path):
    example.write_text(EXAMPLE + "data['train']['deeplake_pth'] = 'x'\n")
    with pytest.raises(ConfigError, match="deeplake_pth"):
        convert(example, tmp_path / "new.py")
    example.write_text(EXAMPLE + "work_dir = '{' + '{ fileBasename }' + '}'\n")
    with pytest.raises(ConfigError, match="read back"):
        convert(example, tmp_path / "new.py")
    assert [path.name for path in tmp_path.iterdir()] == ["work"]


def test_the_report_lists_the_notes(example, tmp_path):
    done = convert(example, report=tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert [note["key"] for note in report["notes"]] == [note.key for note in done.notes]
    assert report["out"] is None
    convert(example, report=tmp_path / "report.txt")
    lines = (tmp_path / "report.txt").read_text().splitlines()
    assert all(str(note) in lines for note in done.notes)


def test_differences_from_the_stock_config_of_the_bases_name(example):
    done = convert(example, diff=True)
    assert done.stock == "yolo/yolov3_d53_8xb8-ms-416-273e_coco.py"
    found = {item.key: (item.ours, item.theirs) for item in done.differences}
    assert found["train_dataloader.batch_size"] == ("4", "8")
    assert found["train_dataloader.dataset.pipeline[4:RandomFlip].prob"] == ("0.0", "0.5")
    assert found["train_dataloader.dataset.path"] == ("'hub://activeloop/coco-train'", "")
    assert any("MinIoURandomCrop" in key and not ours for key, (ours, _) in found.items())
    assert not any(key.startswith(("test_dataloader", "model.backbone")) for key in found)


def test_a_stock_config_does_not_differ_from_itself(tmp_path):
    # Under its 2.x name, as somebody would have copied it; the name alone says what to compare with.
    path = tmp_path / "faster_rcnn" / "faster_rcnn_r50_fpn_1x_coco.py"
    path.parent.mkdir()
    path.write_bytes(convert(STOCK / "faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py").text.encode())
    done = convert(path, diff=True)
    assert done.stock == "faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py"
    assert done.differences == ()


def test_a_config_of_no_known_name_has_nothing_to_compare_with(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("data = dict(samples_per_gpu=1)\n")
    done = convert(path, diff=True)
    assert (done.stock, done.differences) == (None, ())


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        (None, SourceNotFoundError, "no such config"),
        ("data = dict(", ConfigError, "SyntaxError"),
        ("data = dict()\noptim_wrapper = dict()\n", ConfigError, "half migrated"),
        ("data = dict()\nmodel = dict(type='FasterRCNN', bbox_head=dict())\n", ConfigError, "1.x"),
        ("data = dict()\nmodel = dict(type='EncoderDecoder')\n", ConfigError, "mmsegmentation"),
        ("data = dict()\nmodel = dict(type='TopDown')\n", ConfigError, "mmpose"),
        ("default_scope = 'mmpose'\n", ConfigError, "mmpose"),
        (
            f"data = dict(train=dict(deeplake_credentials=dict(username='me', password={CANARY!r})))",
            CredentialError,
            "user name",
        ),
    ],
)
def test_what_cannot_be_converted_is_told(tmp_path, text, kind, words):
    path = tmp_path / "old.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(kind, match=words) as caught:
        convert(path, tmp_path / "new.py")
    assert CANARY not in str(caught.value)
