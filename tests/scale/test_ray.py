"""A real local Ray cluster: rows of a lake as its data, and shards that are what one process makes."""

from __future__ import annotations

import io
import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

from deeplake_mmdet import DeepLakeDataset, import_coco, predict
from deeplake_mmdet.cli import main
from deeplake_mmdet.demo.drawing import CLASS_NAMES
from deeplake_mmdet.errors import (
    ConfigError,
    CredentialError,
    InstallError,
    ProcessError,
    SourceNotFoundError,
)
from deeplake_mmdet.lake import open_run
from deeplake_mmdet.lake.source.pinning import handle_of

ray = pytest.importorskip("ray", reason="the extra [ray] is not installed")
pytestmark = [
    pytest.mark.gives_up,
    pytest.mark.slow,
    # Ray's own.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::UserWarning:ray", "ignore::FutureWarning"),
]
ROWS = 8

KILLER = """
import os, signal
from pathlib import Path
from mmdet.registry import TRANSFORMS

@TRANSFORMS.register_module()
class KillOnce:
    '''Kills the process at the given image, unless one was killed already.'''

    def __init__(self, marker, images):
        self.marker, self.left = Path(marker), images

    def __call__(self, results):
        self.left -= 1
        if self.left <= 0 and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return results
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two workers of one core each; what they import of ours is this tree."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "kill_once.py").write_text(KILLER)
    paths = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    environment = {"env_vars": {"PYTHONPATH": paths}}
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env=environment,
        logging_level="ERROR",
    )
    yield folder
    ray.shutdown()


@pytest.fixture(scope="module")
def ready(tmp_path_factory, untrained_demo):
    folder = tmp_path_factory.mktemp("ray")
    cfg, model, _, (lake,) = untrained_demo(folder, [ROWS], score_thr=0.0001)
    checkpoint = folder / "epoch_1.pth"
    meta = {"dataset_meta": {"classes": tuple(CLASS_NAMES)}}
    torch.save({"state_dict": model.state_dict(), "meta": meta}, checkpoint)
    cfg.dump(folder / "config.py")
    return folder / "config.py", checkpoint, str(lake)


def contents(lake, run_id):
    run = open_run(lake, run_id)
    handle = handle_of(run.source, run.credentials)
    return {
        column: [np.asarray(handle[column][row]).tolist() for row in range(len(handle))]
        for column in run.columns
    }


def test_rows_are_the_datasets(cluster, ready):
    from deeplake_mmdet.scale import read_lake

    _, _, lake = ready
    rows = sorted(read_lake(lake, blocks=3).take_all(), key=lambda row: row["row"])
    dataset = DeepLakeDataset(path=lake, pipeline=[], test_mode=True)
    assert [row["row"] for row in rows] == list(range(ROWS))
    for row, info in zip(rows, map(dataset.get_data_info, range(ROWS)), strict=True):
        assert np.allclose(np.array(row["boxes"]).reshape(-1, 4), [one["bbox"] for one in info["instances"]])
        assert list(row["labels"]) == [one["bbox_label"] for one in info["instances"]]
        assert [CLASS_NAMES[label] for label in row["labels"]] == list(row["class_names"])
        assert Image.open(io.BytesIO(row["image"])).size == (row["width"], row["height"])
    wide = read_lake(lake, query="SELECT * WHERE width > 100000 OR ROW_NUMBER() < 3", classes=CLASS_NAMES[1:])
    assert wide.count() == 3
    assert {name for row in wide.take_all() for name in row["class_names"]} <= set(CLASS_NAMES[1:])


def test_no_secret_is_in_a_task(ready):
    from deeplake_mmdet.scale import import_on_ray, read_lake

    secret = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "very-secret"}
    with pytest.raises(CredentialError, match="credentials") as error:
        read_lake(ready[-1], credentials=secret)
    assert "very-secret" not in str(error.value)
    with pytest.raises(CredentialError):
        import_on_ray(import_coco, "a.json", "s3://bucket/lake", creds=secret)


def test_predictions_are_those_of_one_process(cluster, ready, tmp_path, capsys):
    config, checkpoint, lake = ready
    alone = predict(
        config, checkpoint, lake, write_back=True, run_id="alone", out=tmp_path / "one.json", batch_size=1
    )
    command = [
        "predict",
        str(config),
        str(checkpoint),
        lake,
        "--engine",
        "ray",
        "--workers",
        "3",
        "--batch-size",
        "1",
    ]
    assert main([*command, "--write-back", "--run-id", "ray", "--out", str(tmp_path / "two.json")]) == 0
    out = capsys.readouterr().out
    assert f"{alone.objects} objects in {ROWS} images" in out
    assert "branch runs/ray" in out
    assert contents(lake, "alone") == contents(lake, "ray")
    files = [json.loads((tmp_path / name).read_text()) for name in ("one.json", "two.json")]
    assert files[0] == files[1]


def test_a_lost_worker_is_replaced(cluster, ready, tmp_path, monkeypatch):
    from mmengine.config import Config

    from deeplake_mmdet.scale import predict_on_ray

    config, checkpoint, lake = ready
    cfg = Config.fromfile(config)
    monkeypatch.syspath_prepend(cluster)
    expected = predict(cfg.copy(), checkpoint, lake, batch_size=1)
    marker = tmp_path / "killed"
    cfg.custom_imports = {"imports": ["kill_once"], "allow_failed_imports": False}
    steps = cfg.test_dataloader.dataset.pipeline
    steps.insert(len(steps) - 1, {"type": "KillOnce", "marker": str(marker), "images": 3})
    found = predict_on_ray(cfg, checkpoint, lake, workers=2, batch_size=1)
    assert marker.exists()
    assert [one.index for one in found.predictions] == list(range(ROWS))
    for one, other in zip(found.predictions, expected.predictions, strict=True):
        assert np.array_equal(one.boxes, other.boxes)
        assert np.array_equal(one.scores, other.scores)


def test_what_fails_on_a_worker_is_told(cluster, ready, tmp_path):
    from deeplake_mmdet.scale import predict_on_ray

    config, checkpoint, lake = ready
    with pytest.raises(SourceNotFoundError, match="nowhere"):
        predict_on_ray(config, checkpoint, str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="9 CPUs"):
        predict_on_ray(config, checkpoint, lake, cpus=9)
    with pytest.raises(ConfigError, match="1 GPUs"):
        predict_on_ray(config, checkpoint, lake, gpus=1, workers=1)
    with pytest.raises(ConfigError, match="show_dir"):
        predict_on_ray(config, checkpoint, lake, show_dir=str(tmp_path))
    with pytest.raises(ConfigError, match="COCO results only"):
        predict_on_ray(config, checkpoint, lake, out=tmp_path / "a.parquet")


def test_an_import_is_that_of_one_process(cluster, tmp_path):
    from deeplake_mmdet.scale import import_on_ray

    images = tmp_path / "images"
    images.mkdir()
    data = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]}
    for number in range(5):
        Image.new("RGB", (20 + number, 20)).save(images / f"{number}.jpg")
        data["images"].append(
            {"id": number, "file_name": f"{number}.jpg", "width": 20 + number, "height": 20}
        )
        data["annotations"].append({"id": number, "image_id": number, "category_id": 1, "bbox": [1, 2, 3, 4]})
    (tmp_path / "all.json").write_text(json.dumps(data))
    summaries = [
        import_coco(tmp_path / "all.json", tmp_path / "one", images=images, progress=False),
        import_on_ray(import_coco, tmp_path / "all.json", tmp_path / "two", images=images, progress=False),
    ]
    assert summaries[0].class_counts == summaries[1].class_counts == {"a": 5}
    lakes = [
        DeepLakeDataset(path=str(tmp_path / name), pipeline=[], test_mode=True) for name in ("one", "two")
    ]
    for number in range(5):
        infos = [lake.get_data_info(number) for lake in lakes]
        assert infos[0]["instances"] == infos[1]["instances"]
        assert infos[0]["width"] == infos[1]["width"] == 20 + number


def test_a_cluster_that_is_not_there(ready, monkeypatch):
    from deeplake_mmdet.scale import cluster as clusters

    monkeypatch.setattr(ray, "__version__", "2.9.3")
    with pytest.raises(InstallError, match="too old"):
        clusters.load_ray()
    monkeypatch.undo()
    if ray.is_initialized():
        ray.shutdown()
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    with pytest.raises(ProcessError, match="cannot be reached"), clusters.connected():
        pass
