"""What newcomers get wrong: one clear error with the place and the way out, and no traceback."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deeplake_mmdet.cli import main
from deeplake_mmdet.cli.unforeseen import as_error
from deeplake_mmdet.demo.config import demo_config
from deeplake_mmdet.demo.drawing import CLASS_NAMES
from deeplake_mmdet.demo.lakes import write_demo_lake

STEPS = "train_dataloader['dataset']['pipeline']"
COCO = (
    "dict(type='CocoDataset', data_root='data/coco/', ann_file='annotations/instances_val2017.json', "
    "data_prefix=dict(img='val2017/'), test_mode=True, pipeline=val_dataloader['dataset']['pipeline'])"
)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("lakes")
    for seed, name in enumerate(("train", "val")):
        write_demo_lake(folder / name, count=8, seed=seed)
    lakes = [str(folder / name) for name in ("train", "val")]
    return demo_config(*lakes, CLASS_NAMES, "run", epochs=1, scale=(96, 64), num_workers=0).pretty_text


def refused(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    assert main([*command]) == 1
    told = capsys.readouterr().err
    assert "Traceback" not in told
    lines = [line for line in told.splitlines() if line.startswith("deeplake-mmdet: error: ")]
    assert len(lines) == 1, told
    assert " Where: " in lines[0]
    assert " What to do: " in lines[0]
    return lines[0]


# What is added to a sound config, and what the error says; all before torch has anything to do.
EARLY: dict[str, tuple[str, list[str]]] = {
    "a dataset's key": ("train_dataloader['dataset']['paht'] = 'x'", ["'path' is meant", "dataset.paht"]),
    "no scope": (
        "val_dataloader['dataset']['type'] = 'DeepLakeDataset'",
        ["'deeplake_mmdet.DeepLakeDataset'"],
    ),
    "a path": ("val_dataloader['dataset']['path'] += '1'", ["nothing at this path", "/val' is meant"]),
    "two paths": ("train_dataloader['dataset']['path'] = ['a', 'b']", ["must be text", "ConcatDataset"]),
    "a class": (
        "train_dataloader['dataset']['metainfo'] = dict(classes=('Ball', 'cone'))",
        ["no class 'Ball' (perhaps 'ball' is meant)", "train_dataloader.dataset"],
    ),
    "a forgotten comma": (
        "train_dataloader['dataset']['metainfo'] = dict(classes=('ball'))",
        ["must be a list", "train_dataloader.dataset"],
    ),
    "metainfo": ("train_dataloader['dataset']['metainfo'] = ['ball']", ["no dict", "metainfo=dict(classes="]),
    "filter_cfg": ("train_dataloader['dataset']['filter_cfg'] = 'empty'", ["no dict", "dataset.filter_cfg"]),
    "tensors": ("train_dataloader['dataset']['tensors'] = 'boxes'", ["no dict", "dataset.tensors"]),
    "num_classes": ("model['bbox_head']['num_classes'] = 80", ["80 classes", "has 5 (ball", "num_classes"]),
    "num_classes as text": ("model['bbox_head']['num_classes'] = '5'", ["no whole number", "num_classes=5"]),
    "files of the base": (
        f"val_dataloader['dataset'] = {COCO}",
        [
            "CocoDataset reads files",
            "data/coco/annotations/instances_val2017.json",
            "val_dataloader.dataset.ann_file",
        ],
    ),
}
# The same, before the model is built and before the log.
BEFORE_BUILDING: dict[str, tuple[str, list[str]]] = {
    "no evaluator": ("val_evaluator = None", ["no val_evaluator", "CocoMetric", "to None"]),
    "no loop": ("train_cfg = None", ["no train_cfg", "EpochBasedTrainLoop"]),
    "a model's key": (
        "model['bbox_head']['num_clases'] = model['bbox_head'].pop('num_classes')",
        ["perhaps 'num_classes' is meant", "model.bbox_head.num_clases"],
    ),
    "a step's key": (f"{STEPS}[2]['keep_ration'] = True", ["'keep_ratio' is meant", "dataset.pipeline[2]"]),
    "an optimizer's key": (
        "optim_wrapper['optimizer']['weigth_decay'] = 0.1",
        ["'weight_decay' is meant", "optim_wrapper.optimizer.weigth_decay"],
    ),
    "a wrapper's key": (
        "optim_wrapper['clip_gard'] = None",
        ["'clip_grad' is meant", "optim_wrapper.clip_gard"],
    ),
    "an evaluator's key": ("val_evaluator['metrc'] = 'bbox'", ["'metric' is meant", "val_evaluator.metrc"]),
    "a loop's key": ("train_cfg['max_epoch'] = 3", ["'max_epochs' is meant", "train_cfg.max_epoch"]),
    "a hook": ("custom_hooks = [dict(type='EMAHok')]", ["'EMAHook'", "custom_hooks[0].type"]),
    "a scheduler": ("param_scheduler = [dict(type='MultiStepLr', milestones=[1])]", ["'MultiStepLR'"]),
    "a sampler": ("train_dataloader['sampler']['type'] = 'DefaultSamplr'", ["'DefaultSampler'"]),
    "a pipeline that is no list": (f"{STEPS} = {STEPS}[0]", ["no list of steps"]),
    "a step without a type": (f"{STEPS}[2].pop('type')", ["Step 2 of the pipeline", "has no type"]),
    "a list of datasets": (
        "train_dataloader['dataset'] = [train_dataloader['dataset']]",
        ["is a list", "ConcatDataset"],
    ),
    "a loader's key": (
        "train_dataloader['batchsize'] = 2",
        ["'batch_size' is meant", "train_dataloader.batchsize"],
    ),
    "a seed": ("randomness = dict(seed='one')", ["randomness.seed is 'one'"]),
    "a scope": ("default_scope = 'mmyolo'", ["default_scope is 'mmyolo'"]),
    "a level": ("log_level = 'LOUD'", ["log_level is 'LOUD'", "WARNING"]),
    "no epoch": ("train_cfg['max_epochs'] = 0", ["nothing to do", "train_cfg.max_epochs"]),
    "no image": (f"{STEPS} = {STEPS}[1:]", ["loads no image", "LoadImageFromFile"]),
    "no boxes": (f"{STEPS} = [{STEPS}[0], *{STEPS}[2:]]", ["nothing to learn", "LoadAnnotations"]),
    "no packing": (f"{STEPS} = {STEPS}[:-1]", ["packs no sample", "PackDetInputs"]),
    "batch size": ("train_dataloader['batch_size'] = 0", ["batch_size is 0", "train_dataloader.batch_size"]),
    "workers": ("train_dataloader['num_workers'] = -1", ["num_workers is -1"]),
    "a folder to load from": ("load_from = '/tmp'", ["'/tmp'", "load_from"]),
}
# What only its building shows.
BUILDING: dict[str, tuple[str, list[str]]] = {
    "a tuple by its comma": ("train_cfg['max_epochs'] = 5,", ["cannot be built", "'train_cfg'"[1:-1]]),
    "a rate as text": ("optim_wrapper['optimizer']['lr'] = '0.01'", ["AdamW cannot be built", "optimizer"]),
    "a missing key": ("param_scheduler = [dict(type='MultiStepLR')]", ["'milestones'", "param_scheduler[0]"]),
    "a scheduler that is none": ("param_scheduler = 3", ["config key 'param_scheduler'"]),
    "a way to start processes": (
        "env_cfg['mp_cfg']['mp_start_method'] = 'frok'",
        ["config key 'env_cfg'", "frok"],
    ),
    "a metric": ("val_evaluator['metric'] = 'boxx'", ["Unknown metric: boxx", "bbox, segm"]),
    "a checkpoint hook's key": (
        "default_hooks['checkpoint']['intervall'] = 3",
        ["'interval' is meant", "default_hooks.checkpoint.intervall"],
    ),
    "a hook's key": (
        "custom_hooks = [dict(type='EMAHook', momentun=0.1)]",
        ["'momentum' is meant", "custom_hooks[0].momentun"],
    ),
    "a step's value": (f"{STEPS}[2]['scale'] = '96,64'", ["step Resize fails", "TypeError"]),
}  # fmt: skip


def run_with(text: str, addition: str, capsys: Any, monkeypatch: Any, folder: Path, *more: str) -> str:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(logging, "raiseExceptions", False)  # loggers keep the streams of tests before
    Path("config.py").write_text(f"{text}\n{addition}\n")
    return refused(capsys, "train", "config.py", "--work-dir", "run", *more)


@pytest.mark.parametrize("case", [*EARLY, *BEFORE_BUILDING, *BUILDING])
def test_a_mistake_is_told(
    text: str, case: str, capsys: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    addition, said = {**EARLY, **BEFORE_BUILDING, **BUILDING}[case]
    told = run_with(text, addition, capsys, monkeypatch, tmp_path)
    for part in said:
        assert part in told
    if case not in BUILDING:  # nothing has been begun
        assert not Path("run").exists()


def test_data_are_looked_at_before_torch_is_imported(text: str, tmp_path: Path) -> None:
    for number, (addition, _) in enumerate((EARLY["a path"], EARLY["num_classes"], EARLY["a class"])):
        (tmp_path / f"config{number}.py").write_text(f"{text}\n{addition}\n")
    script = (
        "import sys\nfrom deeplake_mmdet.cli import main\n"
        "found = [main(['train', f'config{number}.py']) for number in range(3)]\n"
        "sys.exit(found != [1, 1, 1] or 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_command_line_itself(
    text: str, capsys: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "needs a GPU" in run_with(text, "", capsys, monkeypatch, tmp_path, "--amp")
    assert "Not an option" in refused(capsys, "train", "config.py", "--cfg-options", "nonsense")
    assert "no such checkpoint" in refused(capsys, "train", "config.py", "--resume", "none.pth")
    assert "config.py" in refused(capsys, "train", ".")  # a folder
    assert "'config.py' is meant" in refused(capsys, "train", "confg.py")
    Path("file").touch()
    for place in ("file", "file/inside"):
        assert "is a file" in refused(capsys, "train", "config.py", "--work-dir", place)
    broken = run_with(text, "model = dict(type='A'", capsys, monkeypatch, tmp_path)
    assert "config.py, line" in broken


def test_files_of_other_editors(
    text: str, capsys: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    written = f"{text}\nmodel['bbox_head']['num_classes'] = 7\n"
    for encoded, said in (
        (written.encode().replace(b"\n", b"\r\n"), "7 classes"),
        (b"\xef\xbb\xbf" + written.encode(), "without"),
        (written.encode("utf-16"), "save the file as UTF-8"),
        (f"# \xe4\n{written}".encode("latin-1"), "save the file as UTF-8"),
    ):
        Path("config.py").write_bytes(encoded)
        assert said in refused(capsys, "train", "config.py")


@pytest.mark.parametrize("option", ["param_scheduler.7.end=3", "train_cfg.type.x=3"])
def test_options_without_a_place(
    text: str, option: str, capsys: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = run_with(text, "", capsys, monkeypatch, tmp_path, "--cfg-options", "seed=1", option)
    assert option.partition("=")[0] in told
    assert "--cfg-options" in told


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "make room"), (errno.EACCES, "permissions"), (errno.EROFS, "can be written")],
)
def test_what_the_system_refuses(number: int, advice: str) -> None:
    told = str(as_error(OSError(number, os.strerror(number), "run/log")))
    assert "run/log" in told
    assert advice in told


def test_libraries_of_windows_are_named() -> None:
    told = str(as_error(ImportError("libGL.so.1: cannot open shared object file: No such file or directory")))
    assert "opencv-python-headless" in told


def test_no_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/nowhere"])
    monkeypatch.setattr(tempfile, "tempdir", None)
    with pytest.raises(OSError, match="temporary directory") as caught:
        tempfile.gettempdir()
    assert "TMPDIR" in str(as_error(caught.value))


def test_a_temporary_folder_that_is_not_there(tmp_path: Path) -> None:
    write_demo_lake(tmp_path / "lake", count=2, seed=0)
    done = subprocess.run(
        [sys.executable, "-m", "deeplake_mmdet.cli", "inspect", str(tmp_path / "lake")],
        capture_output=True, text=True, env={**os.environ, "TMPDIR": "/nowhere"}, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "There is no temporary folder" in done.stderr
    assert "TMPDIR='/nowhere'" in done.stderr


def test_what_nobody_foresaw_is_one_line_and_its_traceback_is_kept() -> None:
    try:
        raise RuntimeError("of a stranger")
    except RuntimeError as error:
        told = str(as_error(error))
    assert "of a stranger" in told
    kept = Path(told.rpartition("traceback is in ")[2].rstrip("."))
    assert "RuntimeError: of a stranger" in kept.read_text()
    kept.unlink()
