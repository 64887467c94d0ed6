"""What commands show: progress, quiet and verbose, JSON, exit codes, completion."""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import pty
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deeplake_mmdet.cli import build_parser, main
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.terminal import Progress, duration, print_json, set_verbosity
from deeplake_mmdet.terminal.outputs import results_apart
from deeplake_mmdet.terminal.run_log import command_log
from deeplake_mmdet.terminal.training_view import Standing, TrainingView
from deeplake_mmdet.terminal.verbosity import VARIABLE

# A process that has scored itself cannot be forked for a command that does.
pytestmark = pytest.mark.gives_up

Run = Callable[..., subprocess.CompletedProcess[str]]
NOISE = '"FileClient" will be deprecated in future. Please use io functions instead'


@pytest.fixture(autouse=True)
def _normal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "normal")
    for name in ("NO_COLOR", "FORCE_COLOR", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Callable[[], str]]]:
    """Makes standard error a terminal of 60 columns; gives what reads what has been written to it."""
    outer, inner = pty.openpty()
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm-256color")
    with open(inner, "w", buffering=1, encoding="utf-8", closefd=False) as stream:
        os.set_blocking(outer, False)

        def read() -> str:
            stream.flush()
            parts = []
            while True:
                try:
                    parts.append(os.read(outer, 65536))
                except BlockingIOError:
                    return b"".join(parts).decode()

        def attach() -> Callable[[], str]:  # in the test itself: pytest sets standard error before it
            monkeypatch.setattr(sys, "stderr", stream)
            return read

        yield attach
        monkeypatch.undo()
    os.close(inner)
    os.close(outer)


def standing(**changes: Any) -> Standing:
    facts = {"epoch": 2, "epochs": 3, "iteration": 5, "iterations": 10, "share": 0.5}
    losses = {"loss": 1.5, "loss_cls": 1.0, "loss_bbox": 0.5}
    more = {
        "losses": losses,
        "lr": 0.004,
        "images": 32.0,
        "data": 0.04,
        "left": 130.0,
        "best": "best mAP 0.1",
    }
    return Standing(**{**facts, **more, **changes})


def test_a_training_is_one_block_on_a_terminal(terminal: Callable[[], Callable[[], str]]) -> None:
    read = terminal()
    view = TrainingView()
    view.begin(["Training X"])
    view.show(standing())
    view.tell("Epoch 1/3 validated")
    text = read()
    view.close()
    for told in (
        *("Training X", "Epoch 2/3  iteration 5/10", "loss 1.5 (cls 1, bbox 0.5)", "lr 0.004"),
        *("32.0 images/s", "data 4%", "2:10 left", "best mAP 0.1", "━"),
    ):
        assert told in text
    block = text.split("Epoch 1/3 validated")[0]
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", block).replace("\r", "\n").splitlines()
    assert max(map(len, shown)) < 60
    assert "\x1b[1A" in text or "\x1b[2K" in text  # the block is drawn anew
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # the cursor is there, however it ends
    assert "\x1b[2K" in read()  # closing takes the block off


def test_colours_are_left_out_where_they_are_not_wanted(
    terminal: Callable[[], Callable[[], str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    read = terminal()
    view = TrainingView()
    view.begin([])
    view.show(standing())
    view.close()
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", read())


def test_a_training_is_few_lines_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    view = TrainingView()
    view.begin(["Training X"])
    for epoch in (1, 2):
        for iteration in range(1, 1001):
            if view.wants(epoch, iteration / 1000):
                view.show(standing(epoch=epoch, iteration=iteration, iterations=1000))
    view.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[1] == ("Epoch 1/3  iteration 1/1,000  loss 1.5  lr 0.004  32.0 images/s  data 4%  2:10 left")
    assert [line.partition("  loss")[0] for line in lines[2:]] == [
        "Epoch 1/3  iteration 1,000/1,000",
        "Epoch 2/3  iteration 1,000/1,000",
    ]


@pytest.mark.parametrize("level", ["quiet", "verbose"])
def test_neither_quiet_nor_verbose_draw(level: str, capsys: pytest.CaptureFixture[str]) -> None:
    set_verbosity(level)  # type: ignore[arg-type]
    view = TrainingView()
    view.begin(["Training X"])
    assert not view.wants(1, 1.0)
    view.close()
    assert capsys.readouterr().err == ("" if level == "quiet" else "Training X\n")


def test_other_processes_than_the_first_say_nothing_but_errors(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with command_log():
        log = logging.getLogger("deeplake_mmdet")
        log.info("a line")
        log.warning("a doubt")
        log.error("a fault")
        TrainingView().begin(["Training X"])
    assert capsys.readouterr().err == "Error: a fault\n"


def test_an_unknown_verbosity_is_refused() -> None:
    with pytest.raises(ConfigError, match="no verbosity 'loud'"):
        set_verbosity("loud")  # type: ignore[arg-type]


def test_what_nobody_can_act_on_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with command_log(), warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)  # of the block above: pytest's own recording hides it
        logging.captureWarnings(True)
        logging.getLogger("deeplake_mmdet").warning("ours, to act on")
        logging.getLogger("mmengine").warning(NOISE)
        logging.getLogger("mmengine").warning("a checkpoint that does not fit")
        warnings.warn("a doubt of the user's data", UserWarning, stacklevel=1)
        warnings.warn("gone in 2030", FutureWarning, stacklevel=1)
        warnings.warn("torch.meshgrid: in an upcoming release, it will", UserWarning, stacklevel=1)
    assert capsys.readouterr().err.splitlines() == [
        "Warning: ours, to act on",
        "Warning: a checkpoint that does not fit",
        "Warning: a doubt of the user's data",
    ]


def test_json_is_one_document_and_all_else_is_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with results_apart(as_json=True):
        print("Could not import OneDL. Skipping OneDL datasets.")
        print("what some package prints")
        print_json({"path": Path("x"), "nan": float("nan"), "two": (1, 2)})
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"path": "x", "nan": None, "two": [1, 2]}
    assert shown.err == "what some package prints\n"
    with results_apart(as_json=True):  # a command that prints its document itself
        print("{}")
    assert capsys.readouterr().out == "{}\n"


def test_prints_that_are_noise_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    with results_apart(as_json=False):
        print("Could not import OneDL. Skipping OneDL datasets.")
        print("a result")
    assert capsys.readouterr().out == "a result\n"


def test_progress_on_a_terminal_is_a_bar(terminal: Callable[[], Callable[[], str]]) -> None:
    read = terminal()
    with Progress("Importing", 3) as bar:
        for _ in range(3):
            bar.advance()
    text = read()
    assert "Importing" in text
    assert "3/3" in text


def test_progress_elsewhere_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import deeplake_mmdet.terminal.progress as module

    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    with Progress("Importing", 1000) as bar:
        for _ in range(1000):
            now[0] += 0.03
            bar.advance()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert re.fullmatch(r"Importing: 33[34] of 1,000 images, 33.3/s, about 0:20 left", lines[0])


def test_durations() -> None:
    assert [duration(seconds) for seconds in (0, 42.4, 725, 11220, -3)] == [
        *("0:00", "0:42", "12:05", "3:07:00", "0:00"),
    ]


def commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    below = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    for action in below:
        for one in action.choices.values():
            yield from commands(one)
    if not below:
        yield parser


def test_every_command_can_be_quiet_and_verbose_and_those_with_facts_print_json() -> None:
    options = {
        command.prog.partition(" ")[2]: {
            name for action in command._actions for name in action.option_strings
        }
        for command in commands(build_parser())
    }
    assert [name for name, has in options.items() if not {"--quiet", "--verbose"} <= has] == ["run"]
    facts = ["train", "test", "eval", "inspect", "bench", "check", "mine", "lineage", "predict", "cache"]
    facts += [
        "prepare",
        *(f"{way} {form}" for way in ("import", "export") for form in ("coco", "voc", "yolo")),
    ]
    assert [name for name in facts if "--json" not in options[name]] == []


def test_exit_codes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import deeplake_mmdet.lake

    assert main(["cache", "show", "--folder", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["chunks"] == {"count": 0, "bytes": 0}
    assert main(["inspect", str(tmp_path / "none"), "--json"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    with pytest.raises(SystemExit) as stopped:
        main(["inspect"])
    assert stopped.value.code == 2

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(deeplake_mmdet.lake, "inspect", interrupt)
    capsys.readouterr()
    assert main(["inspect", "somewhere"]) == 130
    assert capsys.readouterr().err == "deeplake-mmdet: interrupted\n"
    documented = Path(__file__).parents[2].joinpath("docs/terminal.md").read_text()
    assert all(f"| {code} |" in documented for code in (0, 1, 2, 130))
    assert "Exit codes: 0 done" in " ".join(build_parser().format_help().split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    text = capsys.readouterr().out
    assert "deeplake-mmdet" in text
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_the_shell_is_told_what_fits() -> None:
    line = "deeplake-mmdet train --res"
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    done = subprocess.run(
        ["bash", "-c", f"exec 8>&1; exec {sys.executable} -m deeplake_mmdet.cli"],
        env={**os.environ, **asked, "_ARGCOMPLETE_SUPPRESS_SPACE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "--resume", done.stderr


@pytest.fixture(scope="module")
def trained(
    bccd_lakes: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, command_in_copy: Run
) -> Any:
    """A training of two short epochs, seen by a pipe."""
    import deeplake_mmdet.training  # so that the copy has it

    folder = tmp_path_factory.mktemp("shown")
    (folder / "config.py").write_text(
        f"""
_base_ = 'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py'
p = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
     dict(type='Resize', scale=(64, 64)),
     dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]
model = dict(backbone=dict(init_cfg=None), bbox_head=dict(num_classes=3))
d = dict(type='deeplake_mmdet.DeepLakeDataset', path='{bccd_lakes["val"]}', pipeline=p, indices=16)
train_dataloader = dict(_delete_=True, batch_size=8, num_workers=0, dataset=d,
                        sampler=dict(type='DefaultSampler', shuffle=True))
val_dataloader = dict(_delete_=True, batch_size=8, num_workers=0, dataset=dict(test_mode=True, **d),
                      sampler=dict(type='DefaultSampler', shuffle=False))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='deeplake_mmdet.CocoMetric', metric='bbox')
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=2, val_interval=1, dynamic_intervals=None)
custom_hooks = []
param_scheduler = []
"""
    )
    assert deeplake_mmdet.training
    done = command_in_copy(
        *("train", "config.py", "--work-dir", "run", "--tracker", "tensorboard"), cwd=folder, COLUMNS="100"
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, done


def test_a_training_tells_little_and_its_file_everything(trained: Any) -> None:
    folder, done = trained
    told, results = done.stderr.splitlines(), done.stdout.splitlines()
    assert len(told) + len(results) < 40
    assert "  loss " in "\n".join(told[:6])
    assert sum("validated" in line for line in told) == 2
    assert done.stdout.count("┃ class") == 1
    assert results[-1].startswith("Next: deeplake-mmdet test config.py")
    for word in ("OneDL", "FileClient", "HardDiskBackend", "meshgrid", "mmengine - INFO", "Traceback"):
        assert word not in done.stdout + done.stderr
    (log,) = (folder / "run").rglob("*.log")
    text = log.read_text()
    for word in (
        *("System environment", "Config:\n", "Hooks will be executed", "Epoch(train) [1][2/2]"),
        *("Epoch(val) [2][2/2]", "Evaluating bbox...", "train_dataloader: deeplake_mmdet.Feed", "roles: "),
        "FileClient",
    ):
        assert word in text, word


def test_tensorboard_reads_what_a_training_has_tracked(trained: Any) -> None:
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder, _ = trained
    (events,) = (folder / "run").rglob("events.out.tfevents*")
    found = accumulators.EventAccumulator(str(events.parent)).Reload()
    assert {"loss", "lr", "coco/bbox_mAP"} <= set(found.Tags()["scalars"])
    assert len(found.Scalars("coco/bbox_mAP")) == 2


def test_a_test_prints_its_scores_once(trained: Any, command_in_copy: Run) -> None:
    folder, _ = trained
    args = ("test", "config.py", "run/epoch_2.pth", "--work-dir", "test")
    done = command_in_copy(*args, cwd=folder, COLUMNS="100")
    assert done.returncode == 0, done.stderr[-3000:]
    assert (done.stdout + done.stderr).count("coco/bbox_mAP") == 1
    assert len((done.stdout + done.stderr).splitlines()) < 25
    done = command_in_copy(*args, "--json", "--quiet", cwd=folder)
    facts = json.loads(done.stdout)
    # A copy of a process that has scored is warned of pycocotools in the place of hotcoco.
    assert [
        line for line in done.stderr.splitlines() if not line.startswith("Warning: This process is a fork")
    ] == []
    assert {one["name"] for one in facts["classes"]} == {"Platelets", "RBC", "WBC"}
    done = command_in_copy(*args, "--verbose", cwd=folder)
    assert "mmengine - INFO" in done.stderr
    assert "INFO" not in done.stdout


def test_python_trains_as_quietly(trained: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from mmengine.logging import MMLogger

    from deeplake_mmdet.training import train

    folder, _ = trained
    streams = [type(handler) for handler in MMLogger.get_current_instance().handlers]
    before = logging.captureWarnings, warnings.showwarning
    train(str(folder / "config.py"), work_dir=folder / "python", cfg_options={"train_cfg.max_epochs": 1})
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "mmengine - INFO" not in shown.err
    assert "Epoch 1/1 validated" in shown.err
    assert (logging.captureWarnings, warnings.showwarning) == before
    first = [type(handler) for handler in MMLogger.get_current_instance().handlers]
    assert logging.StreamHandler in first  # as MMEngine has left it
    assert streams.count(logging.StreamHandler) <= 1


def test_ctrl_c_says_how_to_go_on(
    trained: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import deeplake_mmdet.training

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    folder, _ = trained
    monkeypatch.chdir(folder)
    monkeypatch.setattr(deeplake_mmdet.training, "train", interrupt)
    assert main(["train", "config.py", "--work-dir", "run"]) == 130
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == (
        "deeplake-mmdet: interrupted; go on from epoch_2.pth by: deeplake-mmdet train config.py --resume "
        "--work-dir run"
    )


def test_trackers_that_are_unknown_or_missing_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from mmengine.config import Config

    from deeplake_mmdet.errors import InstallError
    from deeplake_mmdet.training import tracking

    with pytest.raises(ConfigError, match="no tracker 'none'"):
        tracking.use_trackers(Config({"work_dir": "x"}), "none")
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(InstallError, match=r"deeplake-mmdet\[mlflow\]"):
        tracking.use_trackers(Config({"work_dir": "x"}), "mlflow")


def test_the_log_of_an_error_is_shown_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with command_log():
        try:
            raise ValueError("inside")
        except ValueError:
            logging.getLogger("deeplake_mmdet").exception("it failed")
    shown = capsys.readouterr().err
    assert shown.startswith("Error: it failed\nTraceback")
    assert "ValueError: inside" in shown


def test_results_of_no_terminal_hold_no_escape(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["cache", "show", "--folder", str(tmp_path)]) == 0
    assert "\x1b" not in capsys.readouterr().out
    assert isinstance(sys.stdout, io.TextIOBase)
