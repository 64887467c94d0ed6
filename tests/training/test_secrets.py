"""A literal credential in a config reaches no file, no output and no checkpoint of a whole run."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deeplake_mmdet.demo.config import demo_config
from deeplake_mmdet.demo.drawing import CLASS_NAMES
from deeplake_mmdet.demo.lakes import write_demo_lake

TOKEN = "canary-token-4711-4711"
KEY = "canary-key-0815-0815"

CREDENTIALS = f"""
TOKEN = {TOKEN!r}
STORAGE = dict(token=TOKEN, creds=dict(aws_secret_access_key={KEY!r}, aws_access_key_id='canary-id-31415'))
train_dataloader['dataset']['credentials'] = dict(token=TOKEN, username=None, password=None, creds=None)
val_dataloader['dataset']['credentials'] = STORAGE
test_dataloader['dataset']['credentials'] = STORAGE
remark = f'we use {{TOKEN}} here'
"""


@pytest.fixture(scope="module")
def lakes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("lakes")
    for seed, name in enumerate(("train", "val")):
        write_demo_lake(folder / name, count=8, seed=seed)
    return {name: str(folder / name) for name in ("train", "val")}


def write_config(lakes: dict[str, str], folder: Path, workers: int, extra: str = "") -> Path:
    cfg = demo_config(
        lakes["train"],
        lakes["val"],
        CLASS_NAMES,
        str(folder / "run"),
        epochs=1,
        scale=(64, 64),
        num_workers=workers,
    )
    cfg.train_cfg.val_interval = 1
    cfg.fast_loader = "processes"
    config = folder / "inputs" / "config.py"
    config.parent.mkdir()
    config.write_text(cfg.pretty_text + CREDENTIALS + extra)
    return config


def train(config: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[bytes]:
    redirected = {}
    for variable in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "DEEPLAKE_MMDET_CACHE"):
        redirected[variable] = str(folder / variable.lower())
        Path(redirected[variable]).mkdir()
    environment = {**os.environ, **redirected, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "deeplake_mmdet.cli", "train", str(config)]
    if options:
        command += ["--cfg-options", *options]
    with (
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process,
        watched(process.pid) as seen,
    ):
        try:
            out, err = process.communicate(timeout=300)
        finally:
            process.kill()
    assert [pid for pid, told in seen.items() if b"canary" in told] == []
    result = subprocess.CompletedProcess(command, process.returncode, out, err)
    result.children = len(seen) - 1  # type: ignore[attr-defined]
    return result


@contextlib.contextmanager
def watched(root: int) -> Iterator[dict[int, bytes]]:
    """Environments and command lines of a process and of all that descend from it, while it runs."""
    seen: dict[int, bytes] = {}
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            family = {root}
            for stat in sorted(Path("/proc").glob("[0-9]*/stat"), key=lambda path: int(path.parent.name)):
                with contextlib.suppress(OSError, ValueError, IndexError):
                    pid, parent = int(stat.parent.name), int(stat.read_text().rpartition(")")[2].split()[1])
                    if pid != root and parent not in family:
                        continue
                    family.add(pid)
                    told = b"".join((stat.parent / name).read_bytes() for name in ("environ", "cmdline"))
                    seen[pid] = seen.get(pid, b"") + told
            for pid in seen:  # what was seen once is kept once
                seen[pid] = b"\0".join(set(seen[pid].split(b"\0")))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def assert_nowhere(folder: Path, result: subprocess.CompletedProcess[bytes]) -> int:
    """Check everything written below ``folder`` but the config itself; returns the number of files."""
    found = {"stdout": result.stdout, "stderr": result.stderr}
    for path in folder.rglob("*"):
        if not path.is_file() or "inputs" in path.parts:
            continue
        found[str(path)] = path.read_bytes()
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                found.update({f"{path}:{name}": archive.read(name) for name in archive.namelist()})
    leaks = [name for name, content in found.items() if b"canary" in content]
    assert leaks == []
    return len(found)


@pytest.mark.parametrize("start", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_whole_run(lakes: dict[str, str], tmp_path: Path, start: str) -> None:
    config = write_config(lakes, tmp_path, workers=1)
    result = train(config, tmp_path, f"env_cfg.mp_cfg.mp_start_method={start}")
    assert result.returncode == 0, result.stderr.decode()[-3000:]
    assert list((tmp_path / "run").glob("*.pth"))
    assert result.children >= 2  # workers of training and validation
    assert assert_nowhere(tmp_path, result) > 10


@pytest.mark.slow
def test_failing_run(lakes: dict[str, str], tmp_path: Path) -> None:
    config = write_config(lakes, tmp_path, workers=0, extra="model['bbox_head']['type'] = 'NoSuchHead'\n")
    result = train(config, tmp_path)
    assert result.returncode != 0
    assert_nowhere(tmp_path, result)


@pytest.mark.slow
def test_unreachable_lake(lakes: dict[str, str], tmp_path: Path) -> None:
    config = write_config(lakes, tmp_path, workers=0)
    result = train(config, tmp_path, "train_dataloader.dataset.path=s3://no-such-bucket-here/lake",
                   "train_dataloader.dataset.credentials.endpoint_url=http://127.0.0.1:9")  # fmt: skip
    assert result.returncode == 1
    assert b"error:" in result.stderr
    assert_nowhere(tmp_path, result)


def test_a_door_that_is_too_late_names_the_files(lakes: dict[str, str], tmp_path: Path) -> None:
    """MMEngine's own runner writes the config before it builds a dataset."""
    from mmengine.runner import Runner

    from deeplake_mmdet.errors import CredentialError

    cfg = demo_config(
        lakes["train"],
        lakes["val"],
        CLASS_NAMES,
        str(tmp_path / "run"),
        epochs=1,
        scale=(64, 64),
        num_workers=0,
    )
    cfg.train_dataloader.dataset.credentials = {"token": TOKEN}
    # By names MMEngine finds the logs and visualizers of other runs in this process.
    cfg.experiment_name = cfg.visualizer.name = "too_late"
    runner = Runner.from_cfg(cfg)
    with pytest.raises(CredentialError, match=r"credentials\.token") as caught:
        runner.train()
    holding = [path for path in (tmp_path / "run").rglob("*") if path.is_file() and TOKEN in path.read_text()]
    assert len(holding) >= 3, holding  # log, config dump, the visualizer's copy
    for path in holding:
        assert str(path) in str(caught.value)
    assert "canary" not in str(caught.value)


# Each takes a second at most: the others are runs of whole trainings.
QUICK = (
    *("bare text", "dataset's creds", "path with slashes in the key", "query", "resume", "wandb", "mlflow"),
    *("option with a blank", "line that fails", "inspect's endpoint", "import", "2.x wandb", "script's load"),
    "load_config",
)


def canary_runs(*names: str) -> None:
    program = Path(__file__).with_name("canary_runs.py")
    found = subprocess.run([sys.executable, str(program), *names], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr[-3000:]
    assert " 0 canaries found" in found.stdout


@pytest.mark.slow
def test_canaries_of_refused_runs() -> None:
    canary_runs(*QUICK)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.skipif("DEEPLAKE_MMDET_LONG_TESTS" not in os.environ, reason="takes up to half an hour")
def test_canaries_everywhere() -> None:
    canary_runs()
