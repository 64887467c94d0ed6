"""Checkpoints of other models, in other shapes, and files that are no checkpoints."""

from __future__ import annotations

import copy
import logging
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from reordered_lakes import reading, save
from small_detectors import small_detector

import deeplake_mmdet
from deeplake_mmdet.cli import main
from deeplake_mmdet.errors import ConfigError, SourceFormatError, SourceNotFoundError
from deeplake_mmdet.training import test_detector as run_detector
from deeplake_mmdet.training.resume.weights import fit_of


@pytest.fixture(scope="module")
def ready(tmp_path_factory, untrained_demo):
    """The demo's config on a lake of two images, its detector (a YOLOX), a checkpoint and the lake."""
    folder = tmp_path_factory.mktemp("model")
    cfg, model, _, (lake,) = untrained_demo(folder, [2], score_thr=0.0001)
    cfg = reading(cfg, train=lake, val=lake, test=lake)
    cfg.test_evaluator = {"type": "deeplake_mmdet.CocoMetric", "metric": "bbox", "iou_thrs": 0.05}
    cfg.test_evaluator.update(metric_items=["mAP"])
    return cfg, model, save(model, folder / "own.pth"), lake


@pytest.fixture(scope="module")
def foreign(ready, tmp_path_factory):
    """A checkpoint of a small RTMDet, as a run would have saved it."""
    parts = small_detector("rtmdet", ready[3])
    with torch.random.fork_rng():
        model = MODELS.build(ConfigDict(parts["model"]))
    text = Config({"model": parts["model"]}).pretty_text
    return save(model, tmp_path_factory.mktemp("foreign") / "rtmdet.pth", cfg=text, epoch=1, iter=2)


def scores(run):
    return {key: value for key, value in run.metrics.items() if "time" not in key}


def changed(checkpoint, path, change):
    content = torch.load(checkpoint, weights_only=False)
    torch.save(change(content), path)
    return path


def test_another_models_checkpoint_is_refused_with_its_counts(ready, foreign, tmp_path, capfd):
    cfg = ready[0]
    with pytest.raises(ConfigError) as caught:
        deeplake_mmdet.test(cfg, foreign, work_dir=tmp_path)
    text = str(caught.value)
    own = {name for name in ready[1].state_dict() if "num_batches_tracked" not in name}
    weights = torch.load(foreign, weights_only=False)["state_dict"]
    fits = sum(name in weights and weights[name].shape == ready[1].state_dict()[name].shape for name in own)
    assert fits < 0.9 * len(own)
    assert f"{fits} of its {len(own)} weights fit by name and shape" in text
    assert "bbox_head 0 of" in text
    assert "trained as RTMDet (bbox_head=RTMDetSepBNHead)" in text
    assert "the model is YOLOX (bbox_head=YOLOXHead)" in text
    assert str(foreign) in text
    assert "--allow-partial" in text
    assert "size mismatch" not in "".join(capfd.readouterr()), "MMEngine's own list says it all again"


def test_whoever_means_it_gets_a_warning(ready, foreign, tmp_path, capfd):
    cfg, model, _, _ = ready
    file = tmp_path / "config.py"
    cfg.dump(str(file))
    assert main(["test", str(file), str(foreign), "--work-dir", str(tmp_path)]) == 1
    assert "not one of this model" in capfd.readouterr().err
    assert main(["test", str(file), str(foreign), "--work-dir", str(tmp_path), "--allow-partial"]) == 0
    log = "".join(path.read_text() for path in tmp_path.rglob("*.log"))
    assert "weights fit by name and shape" in log
    assert "WARNING - The checkpoint does not fit the whole model" in log
    with pytest.raises(ConfigError, match="not one of this model"):
        run_detector(copy.deepcopy(model), cfg, foreign, work_dir=tmp_path)
    run_detector(copy.deepcopy(model), cfg, foreign, work_dir=tmp_path, allow_partial=True)


def test_a_head_for_other_classes_is_refused(ready, tmp_path):
    cfg, _, _, _ = ready
    other = copy.deepcopy(cfg.model)
    other.bbox_head.num_classes = 80
    checkpoint = save(MODELS.build(other), tmp_path / "coco.pth", classes=None)
    with pytest.raises(ConfigError, match=r"have another shape, as bbox_head\.multi_level_conv_cls\.0\."):
        deeplake_mmdet.test(cfg, checkpoint, work_dir=tmp_path)
    # The head fits, the data does not.
    wide = copy.deepcopy(cfg)
    wide.model.bbox_head.num_classes = 80
    with pytest.raises(ConfigError, match="predicts 80 classes, and the data of test has 5"):
        deeplake_mmdet.test(wide, checkpoint, work_dir=tmp_path)


def test_some_missing_weights_are_a_warning_a_missing_part_is_an_error(ready, tmp_path):
    cfg, _, checkpoint, _ = ready

    def without(part, count):
        def change(content):
            names = [name for name in content["state_dict"] if name.startswith(part)][:count]
            return {
                **content,
                "state_dict": {k: v for k, v in content["state_dict"].items() if k not in names},
            }

        return change

    few = changed(checkpoint, tmp_path / "few.pth", without("neck", 2))
    deeplake_mmdet.test(cfg, few, work_dir=tmp_path)
    log = "".join(path.read_text() for path in tmp_path.rglob("*.log"))
    assert "2 are missing, as neck." in log
    headless = changed(checkpoint, tmp_path / "headless.pth", without("bbox_head", None))
    with pytest.raises(ConfigError, match=r"bbox_head 0 of"):
        deeplake_mmdet.test(cfg, headless, work_dir=tmp_path)


def _distributed(content):
    weights = OrderedDict((f"module.{name}", value) for name, value in content["state_dict"].items())
    return {**content, "state_dict": weights}


SHAPES = {
    "distributed": _distributed,
    "bare": lambda content: content["state_dict"],
    "bare, distributed": lambda content: _distributed(content)["state_dict"],
    "averaged": lambda content: {
        **content,
        "ema_state_dict": {f"module.{k}": v * 0 for k, v in content["state_dict"].items()} | {"steps": 7},
    },
}


@pytest.fixture(scope="module")
def averaging(ready, tmp_path_factory):
    """A config that averages weights, and the scores of its checkpoint."""
    cfg = copy.deepcopy(ready[0])
    # It loads the weights as well, and would test with its own initial ones if it did not find them.
    cfg.custom_hooks = [{"type": "EMAHook", "ema_type": "ExpMomentumEMA", "momentum": 0.01}]
    return cfg, scores(deeplake_mmdet.test(cfg, ready[2], work_dir=tmp_path_factory.mktemp("averaging")))


@pytest.mark.parametrize("shape", SHAPES)
def test_all_shapes_that_mmengine_loads_score_alike(ready, averaging, tmp_path, shape):
    cfg, expected = averaging
    other = changed(ready[2], tmp_path / "other.pth", SHAPES[shape])
    np.testing.assert_equal(scores(deeplake_mmdet.test(cfg, other, work_dir=tmp_path)), expected)


def test_weights_under_another_name_are_told(ready, tmp_path):
    cfg, _, checkpoint, _ = ready
    nested = changed(checkpoint, tmp_path / "nested.pth", lambda c: {"model": c["state_dict"], "epoch": 3})
    with pytest.raises(SourceFormatError, match=r"it has 'model', 'epoch'.*under 'model' as 'state_dict'"):
        deeplake_mmdet.test(cfg, nested, work_dir=tmp_path)
    prefixed = changed(
        checkpoint, tmp_path / "prefixed.pth",
        lambda c: {"state_dict": {f"student.{k}": v for k, v in c["state_dict"].items()}},
    )  # fmt: skip
    with pytest.raises(ConfigError, match=r"0 of its \d+ weights fit.*without 'student\.' in front"):
        deeplake_mmdet.test(cfg, prefixed, work_dir=tmp_path)


def _truncated(path, checkpoint):
    path.write_bytes(checkpoint.read_bytes()[:-2000])


def _damaged(path, checkpoint):
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def _archive(path, _):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "nothing of torch's")


FILES = {
    "text": (lambda path, _: path.write_text("see the other folder\n"), "it is text"),
    "page": (lambda path, _: path.write_text("<!DOCTYPE html><p>§ 404 – größer"), "it is text"),
    "empty": (lambda path, _: path.write_bytes(b""), "it is empty"),
    "noise": (lambda path, _: path.write_bytes(bytes(range(128, 256))), "no checkpoint"),
    "truncated": (_truncated, "incomplete or damaged"),
    "damaged": (_damaged, "incomplete or damaged"),
    "archive": (_archive, "no checkpoint that can be read"),
    "folder": (lambda path, _: path.mkdir(), "is a folder"),
    "tensor": (lambda path, _: torch.save(torch.zeros(3), path), "object of type Tensor"),
    "model": (
        lambda path, _: torch.save(torch.nn.Linear(2, 2), path),
        r"more than data: .*nn\.modules\.linear\.Linear",
    ),
    "nothing": (lambda path, _: torch.save({}, path), "holds no weights"),
    "missing": (lambda path, _: None, "There is no such checkpoint"),
}


@pytest.mark.parametrize("kind", FILES)
def test_what_is_no_checkpoint_is_one_clear_error(ready, tmp_path, kind):
    cfg, _, checkpoint, _ = ready
    write, text = FILES[kind]
    path = tmp_path / "weights.pth"
    write(path, checkpoint)
    for refused in (
        lambda: deeplake_mmdet.test(cfg, path, work_dir=tmp_path / "run"),
        lambda: deeplake_mmdet.train(cfg, work_dir=tmp_path / "run", resume=path),
    ):
        with pytest.raises((SourceFormatError, SourceNotFoundError), match=text) as caught:
            refused()
        assert str(path) in str(caught.value)
    if kind not in ("folder", "missing"):
        start = copy.deepcopy(cfg)
        start.load_from = str(path)
        with pytest.raises(SourceFormatError, match=text):
            deeplake_mmdet.train(start, work_dir=tmp_path / "run")


def test_a_folder_of_a_run_names_its_newest_checkpoint(ready, tmp_path):
    cfg, _, checkpoint, _ = ready
    (tmp_path / "epoch_3.pth").write_bytes(checkpoint.read_bytes())
    with pytest.raises(SourceFormatError, match=r"its newest is .*epoch_3\.pth"):
        deeplake_mmdet.test(cfg, tmp_path, work_dir=tmp_path)


def test_swapped_arguments_are_told(ready, tmp_path, capsys):
    cfg, _, checkpoint, _ = ready
    file = tmp_path / "config.py"
    cfg.dump(str(file))
    assert main(["test", str(checkpoint), str(file)]) == 1
    assert "swapped" in capsys.readouterr().err
    assert main(["train", str(checkpoint)]) == 1
    assert "The config is a checkpoint file" in capsys.readouterr().err
    with pytest.raises(SourceFormatError, match="it is a config"):
        deeplake_mmdet.test(cfg, file, work_dir=tmp_path)


@pytest.fixture(scope="module")
def trained(ready, tmp_path_factory):
    """A run of one epoch."""
    return deeplake_mmdet.train(ready[0], work_dir=tmp_path_factory.mktemp("trained"))


def test_resuming_in_another_models_folder_is_refused(ready, trained, tmp_path, capfd):
    cfg, _, _, lake = ready
    parts = small_detector("rtmdet", lake)
    other = copy.deepcopy(cfg)
    other.model = parts["model"]
    other.train_cfg.max_epochs = 2
    other.optim_wrapper.paramwise_cfg = None  # it wants to know of RTMDet's shared weights
    with pytest.raises(ConfigError) as caught:
        deeplake_mmdet.train(other, work_dir=trained.work_dir, resume=True)
    text = str(caught.value)
    assert "The checkpoint to resume from is not one of this model" in text
    assert "bbox_head 0 of" in text
    assert "trained as YOLOX" in text
    assert "size mismatch" not in "".join(capfd.readouterr())
    # Not even by those who test with parts.
    with pytest.raises(ConfigError, match="not one of this model"):
        deeplake_mmdet.train(
            other, work_dir=trained.work_dir, resume=True, cfg_options={"allow_partial": True}
        )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"optimizer": {"type": "SGD", "lr": 0.1, "weight_decay": 0.01}},
            r"another kind \(settings .*betas",
        ),
        ({"paramwise_cfg": None}, r"its parameters stand in \d+ groups"),
    ],
)
def test_another_optimizers_state_is_refused(ready, trained, change, text):
    longer = copy.deepcopy(ready[0])
    longer.train_cfg.max_epochs = 2
    for key, value in change.items():
        longer.optim_wrapper[key] = value
    with pytest.raises(ConfigError, match=text):
        deeplake_mmdet.train(longer, work_dir=trained.work_dir, resume=True)


def test_weights_alone_cannot_be_resumed_from(ready, tmp_path):
    cfg, _, checkpoint, _ = ready
    with pytest.raises(SourceFormatError, match=r"weights only.*epoch, iter.*load_from"):
        deeplake_mmdet.train(cfg, work_dir=tmp_path, resume=checkpoint)


def test_training_starts_from_a_part_under_a_warning(ready, tmp_path):
    cfg, _, checkpoint, _ = ready
    backbone = changed(
        checkpoint, tmp_path / "backbone.pth",
        lambda c: {"state_dict": {k: v for k, v in c["state_dict"].items() if k.startswith("backbone")}},
    )  # fmt: skip
    start = copy.deepcopy(cfg)
    start.load_from = str(backbone)
    deeplake_mmdet.train(start, work_dir=tmp_path / "run")
    log = "".join(path.read_text() for path in (tmp_path / "run").rglob("*.log"))
    assert "WARNING - The checkpoint does not fit the whole model" in log
    assert "neck 0 of" in log
    alone = changed(
        backbone, tmp_path / "alone.pth",
        lambda c: {k.removeprefix("backbone."): v for k, v in c["state_dict"].items()},
    )  # fmt: skip
    start.load_from = str(alone)
    with pytest.raises(ConfigError, match=r"0 of its \d+ weights fit.*with 'backbone\.' in front"):
        deeplake_mmdet.train(start, work_dir=tmp_path / "run")


def test_hooks_notice_it_under_mmdetections_own_runner(ready, foreign, tmp_path):
    from mmengine.runner import Runner

    stock = copy.deepcopy(ready[0])
    stock.work_dir, stock.load_from = str(tmp_path), str(foreign)
    stock.custom_hooks = [{"type": "deeplake_mmdet.CheckpointCheckHook"}]
    with pytest.raises(ConfigError, match="not one of this model"):
        Runner.from_cfg(stock).test()


class _Renamed(torch.nn.Module):
    """Its first version called the weight ``old``."""

    _version = 2

    def __init__(self) -> None:
        super().__init__()
        self.new = torch.nn.Parameter(torch.ones(3))

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
        if local_metadata.get("version") is None and f"{prefix}old" in state_dict:
            state_dict[f"{prefix}new"] = state_dict.pop(f"{prefix}old")
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


def test_what_a_module_translates_fits_and_nothing_is_loaded(caplog):
    caplog.set_level(logging.DEBUG)
    model = torch.nn.ModuleDict({"part": _Renamed(), "norm": torch.nn.BatchNorm2d(3)})
    weights = {"part.old": torch.zeros(3)}
    weights |= {f"norm.{name}": torch.zeros(3) for name in ("weight", "bias", "running_mean")}
    fit = fit_of(model, weights)
    assert fit.missing == ("norm.running_var",)
    assert (fit.fitting, len(fit.names), fit.mismatched, fit.unexpected) == (4, 5, {}, 0)
    assert model["part"].new.tolist() == [1, 1, 1]
    assert model["norm"].weight.tolist() == [1, 1, 1]
    shorter = fit_of(model, {**weights, "norm.weight": torch.zeros(2), "more": torch.zeros(1)})
    assert shorter.mismatched == {"norm.weight": "(2) for (3)"}
    assert (shorter.fitting, shorter.unexpected) == (3, 1)
