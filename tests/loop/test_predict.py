"""`predict` against `test`, between lake and files, batches and processes, and what it refuses."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest
import torch

import deeplake_mmdet
from deeplake_mmdet import DeepLakeDataset, predict
from deeplake_mmdet.demo.drawing import CLASS_NAMES
from deeplake_mmdet.errors import (
    ConfigError,
    ImageError,
    ImportRefusedError,
    SourceFormatError,
    SourceNotFoundError,
)
from deeplake_mmdet.loop import config_beside

ONE = {"batch_size": 1}  # MMDetection pads the images of a batch to one size, which a model notices


@pytest.fixture(scope="module")
def ready(tmp_path_factory, untrained_demo):
    """A config, a checkpoint, a lake, and its images as files."""
    folder = tmp_path_factory.mktemp("run")
    cfg, model, _, (lake,) = untrained_demo(folder, [6], score_thr=0.0001)
    checkpoint = folder / "epoch_1.pth"
    meta = {"dataset_meta": {"classes": tuple(CLASS_NAMES)}}
    torch.save({"state_dict": model.state_dict(), "meta": meta}, checkpoint)
    view = DeepLakeDataset(path=lake, pipeline=[], test_mode=True).view
    (folder / "files").mkdir()
    for name, data in zip(view.file_names(range(6)), view.images(range(6)), strict=True):
        (folder / "files" / name).write_bytes(data)
    return cfg, checkpoint, lake, folder / "files"


@pytest.fixture(scope="module")
def whole(ready):
    """What is found on the files, one by one."""
    cfg, checkpoint, _, files = ready
    return predict(cfg, checkpoint, files, **ONE).predictions


def entries(file):
    found = json.loads(file.read_text())
    return sorted(found, key=lambda one: (str(one["image_id"]), -one["score"], one["bbox"]))


def same(first, second):
    assert len(first) == len(second) > 0
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.boxes, other.boxes)
        assert np.array_equal(one.labels, other.labels)
        assert np.array_equal(one.scores, other.scores)
        assert one.size == other.size


def test_a_lake_gives_what_a_test_writes(ready, tmp_path):
    cfg, checkpoint, lake, _ = ready
    deeplake_mmdet.test(cfg, checkpoint, work_dir=tmp_path, out=tmp_path / "tested.json")
    found = predict(cfg, checkpoint, lake, out=tmp_path / "found.json")
    assert entries(tmp_path / "found.json") == entries(tmp_path / "tested.json")
    assert (found.images, found.objects) == (6, len(entries(tmp_path / "found.json")))
    assert found.classes == tuple(CLASS_NAMES)
    assert not found.predictions
    assert not list(tmp_path.glob(".*"))


def test_a_table_of_a_lake_is_as_a_tests(ready, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    cfg, checkpoint, lake, _ = ready
    deeplake_mmdet.test(cfg, checkpoint, work_dir=tmp_path, out=tmp_path / "tested.parquet")
    predict(cfg, checkpoint, lake, out=tmp_path / "found.parquet")
    tested, found = (parquet.read_table(tmp_path / f"{name}.parquet") for name in ("tested", "found"))
    assert found.schema.equals(tested.schema)
    order = [("row", "ascending"), ("score", "descending"), ("x", "ascending"), ("y", "ascending")]
    assert found.sort_by(order).to_pylist() == tested.sort_by(order).to_pylist()


def test_files_give_what_their_lake_gives(ready, whole, tmp_path):
    cfg, checkpoint, lake, files = ready
    same(predict(cfg, checkpoint, lake, **ONE).predictions, whole)
    assert [one.name for one in whole] == sorted(file.name for file in files.iterdir())
    assert [one.index for one in whole] == list(range(6))
    assert all((np.diff(one.scores) <= 0).all() for one in whole)
    predict(cfg, checkpoint, files, out=tmp_path / "found.json", **ONE)
    written = json.loads((tmp_path / "found.json").read_text())
    assert {one["image_id"] for one in written} == set(range(1, 7))
    assert {one["category_id"] for one in written} <= set(range(1, len(CLASS_NAMES) + 1))


def test_batches_of_images_of_one_size_give_the_same(ready, tmp_path):
    cfg, checkpoint, _, files = ready
    for file in sorted(files.iterdir())[:5]:
        cv2.imwrite(str(tmp_path / f"{file.stem}.png"), cv2.resize(cv2.imread(str(file)), (96, 64)))
    first, second = (predict(cfg, checkpoint, tmp_path, batch_size=size).predictions for size in (1, 3))
    assert len(first) == len(second) == 5
    for one, other in zip(first, second, strict=True):
        assert len(one.boxes) > 0
        for here, there in ((one, other), (other, one)):  # in whatever order equal scores come
            sure = here.boxes[here.scores > 0.000101]  # others may fall below the model's threshold
            assert (np.abs(sure[:, None] - there.boxes[None]).max(-1).min(1) < 0.01).all()


def test_loader_processes_give_the_same(ready, whole):
    cfg, checkpoint, lake, files = ready
    options = {"test_dataloader.num_workers": 2}
    for source in (lake, files):
        same(whole, predict(cfg, checkpoint, source, cfg_options=options, **ONE).predictions)


def test_a_lake_of_images_alone_with_one_that_is_damaged(ready, whole, tmp_path):
    import deeplake

    cfg, checkpoint, _, files = ready
    images = [file.read_bytes() for file in sorted(files.iterdir())]
    bare = deeplake.create(str(tmp_path / "bare"))
    bare.add_column("picture", deeplake.types.Image(sample_compression="jpeg"))
    bare.append({"picture": [*images[:2], images[2][:300], *images[3:]]})
    bare.commit()
    del bare
    found = predict(cfg, checkpoint, tmp_path / "bare", out=tmp_path / "found.json", keep=True, **ONE)
    assert [one.index for one in found.predictions] == [0, 1, 3, 4, 5]
    assert list(found.left_out.counts.values()) == [1]
    assert "row 2" in str(found.left_out)
    same(found.predictions, [*whole[:2], *whole[3:]])
    assert {one["category_name"] for one in entries(tmp_path / "found.json")} <= set(CLASS_NAMES)


def test_what_is_no_image_is_named_and_others_go_on(ready, tmp_path):
    cfg, checkpoint, _, files = ready
    shutil.copytree(files, tmp_path / "photos" / "deep")
    first = min((tmp_path / "photos" / "deep").iterdir())
    shutil.copy(first, tmp_path / "photos" / first.name)
    (tmp_path / "photos" / "notes.jpg").write_text("no image")
    (tmp_path / "photos" / "torn.jpg").write_bytes(first.read_bytes()[:200])
    found = predict(cfg, checkpoint, tmp_path / "photos", show_dir=tmp_path / "drawn", keep=True)
    assert found.images == len(found.predictions) == 7
    assert sorted(found.left_out.counts.values()) == [1, 1]
    assert "notes.jpg" in str(found.left_out)
    assert "torn.jpg" in str(found.left_out)
    drawn = {str(file.relative_to(tmp_path / "drawn")) for file in (tmp_path / "drawn").rglob("*.jpg")}
    assert drawn == {one.name for one in found.predictions}
    with pytest.raises(ImportRefusedError, match="drawings"):
        predict(cfg, checkpoint, tmp_path / "photos", show_dir=tmp_path / "drawn")


def test_a_video_is_predicted_frame_by_frame_and_drawn_as_a_video(ready, tmp_path):
    cfg, checkpoint, _, files = ready
    video = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 7, (128, 96))
    for file in sorted(files.iterdir()):
        writer.write(cv2.resize(cv2.imread(str(file)), (128, 96)))
    writer.release()
    capture = cv2.VideoCapture(str(video))
    (tmp_path / "frames").mkdir()
    for number in range(6):
        cv2.imwrite(str(tmp_path / "frames" / f"{number}.png"), capture.read()[1])
    found = predict(cfg, checkpoint, video, show_dir=tmp_path / "drawn", keep=True, **ONE)
    same(found.predictions, predict(cfg, checkpoint, tmp_path / "frames", **ONE).predictions)
    assert [one.name for one in found.predictions] == [f"{video}#{number}" for number in range(6)]
    assert found.videos == (tmp_path / "drawn" / "clip.mp4",)
    drawn = cv2.VideoCapture(str(found.videos[0]))
    assert sum(iter(drawn.grab, False)) == 6
    assert drawn.get(cv2.CAP_PROP_FPS) == 7
    assert [file.name for file in (tmp_path / "drawn").iterdir()] == ["clip.mp4"]


def test_a_limit_and_a_query_choose_rows(ready, whole):
    cfg, checkpoint, lake, files = ready
    same(predict(cfg, checkpoint, lake, limit=4, **ONE).predictions, whole[:4])
    same(predict(cfg, checkpoint, files, limit=4, **ONE).predictions, whole[:4])
    chosen = predict(cfg, checkpoint, lake, query="SELECT * LIMIT 2 OFFSET 3", **ONE).predictions
    same(chosen, whole[3:5])
    first = min(files.iterdir())
    same(predict(cfg, checkpoint, [first, first], **ONE).predictions, whole[:1] * 2)


def test_a_threshold_leaves_objects_out(ready, whole):
    cfg, checkpoint, _, files = ready
    middle = float(np.median(np.concatenate([one.scores for one in whole])))
    found = predict(cfg, checkpoint, files, score_thr=middle, **ONE)
    assert [len(one.scores) for one in found.predictions] == [(one.scores >= middle).sum() for one in whole]
    assert sum(found.by_class.values()) == found.objects


def test_augmented_predictions_are_those_of_an_augmented_test(ready, tmp_path):
    cfg, checkpoint, lake, files = ready
    deeplake_mmdet.test(cfg, checkpoint, work_dir=tmp_path, out=tmp_path / "tested.json", tta=True)
    predict(cfg, checkpoint, lake, out=tmp_path / "found.json", tta=True)
    assert entries(tmp_path / "found.json") == entries(tmp_path / "tested.json")
    alone = predict(cfg, checkpoint, min(files.iterdir()), tta=True, **ONE)
    assert alone.images == 1
    assert len(alone.entries) == alone.objects > 0


def test_a_checkpoint_alone_finds_its_config(ready, tmp_path):
    cfg, checkpoint, _, files = ready
    shutil.copy(checkpoint, tmp_path)
    here = tmp_path / checkpoint.name
    with pytest.raises(ConfigError, match="none lies beside it"):
        predict(None, here, files)
    later = tmp_path / "20260102_000000" / "vis_data" / "config.py"
    for folder in ("20260101_000000", "20260102_000000"):
        (tmp_path / folder / "vis_data").mkdir(parents=True)
        (tmp_path / folder / "vis_data" / "config.py").write_text("")
    assert config_beside(here) == later
    cfg.dump(tmp_path / "own.py")
    first = min(files.iterdir())
    same(predict(None, here, first).predictions, predict(cfg, checkpoint, first).predictions)
    (tmp_path / "other.py").write_text("")
    with pytest.raises(ConfigError, match=r"other\.py, own\.py"):
        predict(None, here, files)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"limit": 0}, ConfigError, "limit"),
        ({"batch_size": 0}, ConfigError, "batch_size"),
        ({"score_thr": 1.5}, ConfigError, "score_thr"),
        ({"device": "cuda:99"}, ConfigError, "cuda:99"),
        ({"device": "tpu"}, ConfigError, "tpu"),
        ({"view": "mine"}, ConfigError, "rows of a lake"),
        ({"out": "found.csv"}, ConfigError, r"\.json or a \.parquet"),
        ({"out": f"{__file__}/found.json"}, ConfigError, "is a file"),
    ],
)
def test_options_that_cannot_be_used_are_refused(options, error, words, ready):
    cfg, checkpoint, _, files = ready
    with pytest.raises(error, match=words):
        predict(cfg, checkpoint, files, **options)


def test_a_file_that_is_there_is_refused_before_anything_is_read(ready, tmp_path):
    cfg, checkpoint, _, files = ready
    (tmp_path / "found.json").write_text("mine")
    with pytest.raises(ImportRefusedError, match="already"):
        predict(cfg, tmp_path / "no.pth", "no_images", out=tmp_path / "found.json")
    assert (tmp_path / "found.json").read_text() == "mine"
    predict(cfg, checkpoint, files, out=tmp_path / "found.json", overwrite=True, limit=1)
    assert json.loads((tmp_path / "found.json").read_text())


def test_other_checkpoints_and_classes_are_refused(ready, tmp_path):
    cfg, checkpoint, lake, files = ready
    content = torch.load(checkpoint, weights_only=True)
    others = ("a", *CLASS_NAMES[1:])
    torch.save({**content, "meta": {"dataset_meta": {"classes": others}}}, tmp_path / "other.pth")
    with pytest.raises(ConfigError, match="'a'"):
        predict(cfg, tmp_path / "other.pth", lake)
    torch.save({**content, "hook": print}, tmp_path / "code.pth")
    with pytest.raises(SourceFormatError, match="more than data"):
        predict(cfg, tmp_path / "code.pth", files)
    with pytest.raises(SourceNotFoundError, match="no such checkpoint"):
        predict(cfg, tmp_path / "none.pth", files)
    few = dict(list(content["state_dict"].items())[:5])
    torch.save({"state_dict": few}, tmp_path / "few.pth")
    with pytest.raises(ConfigError, match="not one of this model"):
        predict(cfg, tmp_path / "few.pth", files)


def test_only_undecodable_images_leave_nothing(ready, tmp_path):
    cfg, checkpoint, _, files = ready
    (tmp_path / "torn.jpg").write_bytes(min(files.iterdir()).read_bytes()[:200])
    found = predict(cfg, checkpoint, tmp_path, out=tmp_path / "found.json")
    assert found.images == 0
    assert list(found.left_out.counts.values()) == [1]
    assert json.loads((tmp_path / "found.json").read_text()) == []
    with pytest.raises(ImageError, match="no image"):
        predict(cfg, checkpoint, tmp_path / "found.json")


def test_what_fails_on_the_way_leaves_no_file(ready, tmp_path, monkeypatch):
    cfg, checkpoint, lake, _ = ready
    from mmdet.models import YOLOX

    calls = []

    def fail(self, *args, **kwargs):
        calls.append(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(YOLOX, "test_step", fail)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with pytest.raises(KeyboardInterrupt):
        predict(cfg, checkpoint, lake, out=tmp_path / "found.json")
    assert calls
    assert not list(tmp_path.iterdir())


def torn_lake(path, files, torn):
    """A lake of PNG images whose pixels cannot be decoded in some rows, which their headers do not show."""
    import deeplake

    images = [cv2.imencode(".png", cv2.imread(str(file)))[1].tobytes() for file in files]
    for row in torn:
        images[row] = images[row][:60] + b"\7" * (len(images[row]) - 60)
    lake = deeplake.create(str(path))
    lake.add_column("picture", deeplake.types.Image(sample_compression="png"))
    lake.append({"picture": images})
    lake.commit()
    return path


def test_rows_that_only_decoding_shows_to_be_damaged_are_left_out(ready, tmp_path):
    cfg, checkpoint, _, files = ready
    torn = torn_lake(tmp_path / "torn", sorted(files.iterdir()), [0, 3, 5])
    found = predict(cfg, checkpoint, torn, keep=True)
    assert [one.index for one in found.predictions] == [1, 2, 4]
    assert found.images == 3
    assert list(found.left_out.counts.values()) == [3]
    assert "row 0, row 3, row 5" in str(found.left_out)


@pytest.mark.slow
def test_two_processes_give_what_one_gives(ready, tmp_path):
    cfg, checkpoint, lake, files = ready
    (tmp_path / "photos").mkdir()
    for file in files.iterdir():
        shutil.copy(file, tmp_path / "photos")
    (tmp_path / "photos" / "0.jpg").write_bytes(min(files.iterdir()).read_bytes()[:200])
    torn = torn_lake(tmp_path / "torn", sorted(files.iterdir()), [0, 4])
    for source in (lake, torn, tmp_path / "photos"):
        alone = predict(cfg, checkpoint, source, **ONE)
        options = {"keep": True, "show_dir": tmp_path / "drawn", "overwrite": True, **ONE}
        both = predict(cfg, checkpoint, source, processes=2, **options)
        same(alone.predictions, both.predictions)
        assert (alone.images, alone.objects, alone.by_class) == (both.images, both.objects, both.by_class)
        assert alone.left_out.counts == both.left_out.counts
    assert len(list((tmp_path / "drawn").iterdir())) >= 6
