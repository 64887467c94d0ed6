"""The report of a run: what stands in the page, and that nothing in a run's folder becomes code or leaks."""

from __future__ import annotations

import html
import json
import re
import shlex
import shutil
from dataclasses import replace

import numpy as np
import pytest
from run_parts import NAMES, guesses, open_lake, predicted, write_run

import deeplake_mmdet
from deeplake_mmdet.cli import build_parser, main
from deeplake_mmdet.errors import ConfigError, SourceNotFoundError, StorageError
from deeplake_mmdet.evaluation import compare_predictions, read_run_predictions, write_run_predictions
from deeplake_mmdet.lake import views
from deeplake_mmdet.report.page import report
from deeplake_mmdet.report.page.literal_config import read_dumped_config
from deeplake_mmdet.report.page.outlines import outline

_SMALL = 560_000


def data_of(page):
    text = page.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.S)[1])


def words_of(page):
    text = re.sub(r"<(script|style).*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


@pytest.fixture(scope="module")
def made(finished_run, tmp_path_factory):
    return report(finished_run, out=tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="module")
def data(made):
    return data_of(made.path)


def test_the_page_tells_what_was_trained_on(made):
    words = words_of(made.path)
    for part in (
        *("2 of 30 images: without objects", "boxes: outside the image", "3 boxes are crowds"),
        *("2 rows of", "cannot be decoded", "epoch 1, iteration 10", "changed: torch 2.4 → 2.5"),
        *("Started 2 times", "threads", "25.0% of the time of a step"),
        *("differ from rtmdet/rtmdet_tiny_8xb32-300e_coco.py", "model.bbox_head.num_classes", "0.001"),
    ):
        assert part in words
    assert "_scope_" not in words
    assert made.notes == ("Scores and matches are those of the boxes; --metric segm scores the masks.",)


def test_a_resumed_runs_curves_are_joined(data):
    steps, losses = data["runs"][0]["series"]["loss"]["loss"]
    assert steps == list(range(1, 31))
    assert losses[:10] == [9] * 10
    assert losses[10] == pytest.approx(5 / 11, rel=1e-4)
    assert data["runs"][0]["series"]["resumed"] == [11]
    assert data["runs"][0]["series"]["scores"]["coco/bbox_mAP"] == [[10, 20, 30], [0.1, 0.2, 0.3]]


def test_scores_and_galleries_fit_together(data):
    (run,) = data["runs"]
    scores = run["scores"]
    step = round(scores["score"] * 100)
    names = [one["name"] for one in run["galleries"]]
    assert names == ["worst", "missed", "suspicious", "best"]
    shown = {image for one in run["galleries"] for image in one["images"]}
    assert shown == {int(image) for image in run["images"]}
    for image in run["images"].values():
        assert data["pictures"][image["pic"]]
        assert image["w"] == image["h"] == 120
    if len(shown) == 30:  # all images are shown: counted one by one they give the table's numbers
        found = [one for image in run["images"].values() for one in image["objects"]["found"]]
        certain = [one for one in found if one["s"] >= scores["score"]]
        assert sum(one["f"] >= 0 for one in certain) == sum(row[step] for row in scores["right"])
        assert sum(one["f"] == -1 for one in certain) == sum(row[step] for row in scores["wrong"])
    masks = [one.get("m", "") for image in run["images"].values() for one in image["objects"]["truth"]]
    assert all(mask.startswith("M") and mask.endswith("Z") for mask in masks)


def test_plots_are_written_in_both_forms(made):
    names = {path.stem for path in made.plots}
    assert names == {
        *("loss", "learning_rate", "scores", "times", "precision_recall"),
        *("confusion", "errors", "calibration", "thresholds"),
    }
    assert {path.suffix for path in made.plots} == {".png", ".svg"}
    assert all(path.stat().st_size > 1000 for path in made.plots)


def test_no_name_becomes_code_and_nothing_leaks(made):
    text = made.path.read_text(encoding="utf-8")
    assert text.count("<script") == 2
    assert "<b>" not in text
    assert "HIDDEN" not in text
    for name in NAMES:
        assert name in data_of(made.path)["runs"][0]["scores"]["classes"]
        assert html.escape(name, quote=False) in html.unescape(text) or name in words_of(made.path)
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]+)', text)[1])
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert not re.search(r'(src|href)="(https?:)?//', text)


def test_markup_in_all_that_a_folder_holds(run_copy):
    record = json.loads((run_copy / "run.json").read_text())
    evil = "</script><script>alert(1)</script><!--"
    for start in record["starts"]:
        start.update(started=evil, seed=evil, ranks=evil, loader={evil: evil}, packages={evil: evil})
        start["lakes"][0].update(
            url=f"s3://user:HIDDEN@{evil}?token=HIDDEN", branch=evil, queries=[evil], rows=evil
        )
        start["data"][0].update(classes={evil: 3}, images_left_out={evil: evil}, images=evil)
    (run_copy / "run.json").write_text(json.dumps(record))
    (run_copy / "20260102_040506" / "vis_data" / "config.py").write_text(f"model = dict(type={evil!r})\n")
    with (run_copy / "20260102_040506" / "vis_data" / "scalars.json").open("a") as file:
        file.write(json.dumps({evil: 0.5, "step": 3}) + "\n")
        file.write('{"loss": NaN, "step": 31}\n{"loss": 1e999}\n{"cut')
    done = report(run_copy, plots=False)
    text = done.path.read_text(encoding="utf-8")
    assert text.count("<script") == 2
    assert text.count("<!--") == 0
    assert "HIDDEN" not in text
    assert any("cannot be read" in note for note in done.notes)


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        (["evaluation"], "No predictions are kept"),
        (["run.json"], "no run.json"),
        (["20260102_030405", "20260102_040506"], "before the first"),
        (["run.json", "evaluation", "skipped_rows.json"], "No predictions are kept"),
        (["run.json", "20260102_030405", "20260102_040506", "skipped_rows.json"], ""),
    ],
)
def test_what_a_folder_lacks_is_said(run_copy, gone, told):
    for name in gone:
        path = run_copy / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    done = report(run_copy, plots=False)
    assert told in " ".join(done.notes)
    assert all(note in words_of(done.path) or "'" in note for note in done.notes)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"starts": 3}', b'{"starts": [3, {"lakes": 3}]}', b"\xff\xfe{"]
)
def test_damaged_records_are_no_trouble(run_copy, content):
    for name in ("run.json", "skipped_rows.json", "evaluation/val.npz"):
        (run_copy / name).write_bytes(content)
    for file in run_copy.glob("*/vis_data/*"):
        file.write_bytes(content)
    (run_copy / "20260102_030405" / "vis_data" / "scalars.json").write_text('{"loss": 1.5, "step": 1}\n')
    done = report(run_copy, plots=True)
    assert done.notes


def test_a_run_that_was_never_validated_has_a_page(hostile_lake, tmp_path):
    write_run(tmp_path / "run", open_lake(hostile_lake), validated=False)
    (tmp_path / "run" / "report").mkdir()
    (tmp_path / "run" / "report" / "confusion.png").touch()  # of an earlier report
    done = report(tmp_path / "run")
    assert "has not been validated" in words_of(done.path)
    assert not (tmp_path / "run" / "report" / "confusion.png").exists()
    assert {path.stem for path in done.plots} == {"loss", "learning_rate", "times"}


def test_a_lake_that_is_gone_is_said(run_copy, hostile_lake, monkeypatch, tmp_path):
    lake = tmp_path / "lake"
    shutil.copytree(hostile_lake, lake)
    view = open_lake(lake)
    write_run_predictions(run_copy / "evaluation" / "val.npz", predicted(view, guesses(view)))
    monkeypatch.setattr(views, "_views", {})  # as in another process
    view.close()
    shutil.rmtree(lake)
    done = report(run_copy)
    (note,) = done.notes
    assert "cannot be compared with the lake" in note
    assert str(lake) in note
    assert data_of(done.path)["pictures"] == {}
    assert "0.500" in words_of(done.path)  # what the run had scored


def test_images_that_cannot_be_decoded_leave_a_place(run_copy, monkeypatch):
    from deeplake_mmdet.errors import ImageError
    from deeplake_mmdet.lake import LakeView

    plain = LakeView.fetch

    def fetch(self, rows, **options):
        found = plain(self, rows, **options)
        return [ImageError("it's <b>broken</b>"), b"no image", *found[2:]]

    monkeypatch.setattr(LakeView, "fetch", fetch)
    found = data_of(report(run_copy, plots=False).path)
    why = [one["why"] for one in found["runs"][0]["images"].values() if "why" in one]
    assert sorted(set(why)) == ["it's <b>broken</b>", "the image cannot be decoded"]


def test_a_small_page_leaves_images_out_and_says_so(run_copy, monkeypatch):
    from deeplake_mmdet.report.page import make

    monkeypatch.setattr(make, "_LARGEST", _SMALL)
    monkeypatch.setattr("deeplake_mmdet.report.page.thumbnails._AT_ONCE", 2)
    done = report(run_copy, plots=False)
    found = data_of(done.path)
    assert done.path.stat().st_size < _SMALL
    assert 0 < len(found["runs"][0]["images"]) < 30
    assert "images are left out, for the size of this page" in words_of(done.path)


@pytest.fixture(scope="module")
def two(finished_run, hostile_lake, tmp_path_factory):
    folder = tmp_path_factory.mktemp("second") / "run"
    view = open_lake(hostile_lake)
    write_run(folder, view, stock=None)
    write_run_predictions(folder / "evaluation" / "val.npz", predicted(view, guesses(view, seed=5)))
    return finished_run, folder


def test_two_runs_are_compared_as_their_predictions_are(two, hostile_lake, tmp_path):
    done = report(*two, out=tmp_path / "two.html", resamples=50, seed=3)
    found = data_of(done.path)
    view = open_lake(hostile_lake)
    entries = []
    for folder in two:
        own = read_run_predictions(folder / "evaluation" / "val.npz")
        images = np.repeat(np.arange(len(own)), np.diff(own.starts)).tolist()
        xywh = own.boxes.astype(np.float64)
        xywh[:, 2:] -= xywh[:, :2]
        entries.append(
            [
                {"image_id": view.table.image_id(int(own.rows[images[at]])), "bbox": xywh[at].tolist(),
                 "category_id": int(own.labels[at]) + 1, "score": float(own.scores_of_boxes[at])}
                for at in range(len(images))
            ]
        )  # fmt: skip
    told = compare_predictions(*entries, hostile_lake, resamples=50, seed=3)
    ours = found["comparison"]["overall"]
    assert ours["difference"] == pytest.approx(told.overall.difference, abs=1e-4)
    assert (ours["low"], ours["high"]) == pytest.approx((told.overall.low, told.overall.high), abs=1e-4)
    assert [len(pair["images"]) > 0 for pair in found["pairs"]] == [True, True]
    assert set(found["runs"][0]["images"]) >= set(map(str, found["pairs"][0]["images"]))
    assert "in 95 % of 50 draws" in words_of(done.path).lower()
    assert "Their settings are the same" in words_of(done.path)


def test_masks_can_be_scored_in_place_of_boxes(run_copy, data):
    found = data_of(report(run_copy, metric="segm", plots=False).path)
    assert 0 < found["runs"][0]["scores"]["map"] < data["runs"][0]["scores"]["map"]


def test_runs_on_other_rows_stand_side_by_side_all_the_same(two, run_copy, hostile_lake):
    view = open_lake(hostile_lake)
    write_run_predictions(run_copy / "evaluation" / "val.npz", predicted(view, guesses(view)[:9]))
    done = report(two[0], run_copy, out=run_copy / "x.html", plots=False)
    assert "different rows" in " ".join(done.notes)
    assert len(data_of(done.path)["runs"]) == 2
    own = read_run_predictions(run_copy / "evaluation" / "val.npz")
    lakes = (dict(own.lakes[0], version="another"),)
    write_run_predictions(run_copy / "evaluation" / "val.npz", replace(own, lakes=lakes))
    done = report(two[0], run_copy, out=run_copy / "x.html", plots=False)
    assert "versions of a lake" in " ".join(done.notes)


def test_no_run_is_one_clear_error(tmp_path, finished_run, capsys):
    (tmp_path / "file").touch()
    for path, what in (
        (tmp_path / "none", "no such folder"),
        (tmp_path / "file", "no folder"),
        (tmp_path, "no run"),
    ):
        with pytest.raises(SourceNotFoundError, match=what):
            report(path)
    with pytest.raises(SourceNotFoundError, match="test split"):
        report(finished_run, split="test")
    with pytest.raises(StorageError, match="cannot be written"):
        report(finished_run, out=tmp_path / "file" / "x.html", images=0)
    for options in (
        {"split": "train"},
        {"score": 2},
        {"images": -1},
        {"resamples": 1},
        {"browse": "http://x/"},
    ):
        with pytest.raises(ConfigError):
            report(finished_run, **options)
    assert main(["report", str(tmp_path / "none")]) == 1
    assert "no such folder" in capsys.readouterr().err


def test_the_command_says_where_the_page_is(run_copy, capsys):
    assert main(["report", str(run_copy), "--images", "0", "--no-plots", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["path"] == str(run_copy / "report.html")
    assert main(["report", str(run_copy), "--images", "2", "--browse", "http://127.0.0.1:9/?token=t"]) == 0
    assert "report.html" in capsys.readouterr().out
    image = next(iter(data_of(run_copy / "report.html")["runs"][0]["images"].values()))
    assert image["link"] == f"http://127.0.0.1:9/?token=t#start={image['row']}"
    assert build_parser().parse_args(shlex.split(image["command"])[1:]).lake
    assert "--commit" in image["command"]


def test_the_room_can_be_called_by_its_name(run_copy):
    assert deeplake_mmdet.report(run_copy, images=0, plots=False).path == run_copy / "report.html"


@pytest.mark.parametrize(
    "text",
    [
        "a = __import__('os').system('touch /tmp/x')", "import os", "a = [x for x in (1,)]", "a.b = 3",
        "a = (", "a = dict(**{})", "a = open('x')", "a = {**{}}", "a = dict([(1, 2)])",
    ],
)  # fmt: skip
def test_configs_are_read_and_never_run(tmp_path, text):
    (tmp_path / "config.py").write_text(text)
    with pytest.raises(ValueError, match=r"."):
        read_dumped_config(tmp_path / "config.py")


def test_what_mmengine_dumps_is_read(tmp_path):
    from mmengine.config import Config

    content = {
        "a": {"b": [1, -2.5, None, True], "c": (1, (2,)), 3: "x"},
        "d": float("inf"),
        "e": {"_scope_": "m"},
    }
    Config(content).dump(tmp_path / "config.py")
    found = read_dumped_config(tmp_path / "config.py")
    assert found["a"]["b"] == [1, -2.5, None, True]
    assert found["a"]["c"] == (1, (2,))
    assert found["d"] == float("inf")
    assert found["e"] == {}


def test_an_outline_lies_on_its_mask():
    from deeplake_mmdet.evaluation.rle import compress

    counts = compress([[10, 20, 50, 20, 50, 60, 10, 60]], 100, 80)
    points = [tuple(map(int, point.split(","))) for point in outline(counts, 100, 80, 0.5)[1:-1].split("L")]
    assert np.ptp(points, axis=0).tolist() == pytest.approx([20, 20], abs=1)
    assert min(points) == pytest.approx((5, 10), abs=1)
