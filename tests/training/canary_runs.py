"""Runs with a random secret, a canary, in one place each; then every byte that they wrote is searched for it.

A program: ``python canary_runs.py [PLACE ...]`` runs all places, or some, and prints what was found. Each run
is a process of its own, forked from one that has imported everything. What it leaves in its work dir, its
home, its caches and its temporary folder, and what it printed, is searched for the canary as it is and in
base64, also inside archives and pickles; only the folder of inputs is left out.
"""

from __future__ import annotations

import base64
import io
import json
import multiprocessing
import os
import secrets
import sys
import tempfile
import time
import traceback
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TRAIN, VAL = "train_dataloader['dataset']", "val_dataloader['dataset']"
BACKEND = "visualizer['vis_backends'] = [dict(type={kind!r}, {options})]"
#: Where a run ends.
DONE, REFUSED, FAILED = "done", "refused", "failed"


@dataclass(frozen=True)
class Place:
    """One place for a canary.

    Attributes:
        ends: Whether the run succeeds, is refused with one error, or fails later.
        config: Lines after the demo's config, ``CANARY`` in them; or after one for 2.x.
        command: Instead of ``train``, with ``CONFIG``, ``CHECKPOINT`` and so on in it.
        old: Whether the config is one for 2.x.
        program: Instead of a command: Python code, which finds ``config`` and ``lakes``.
        script: A script for ``run``.
    """

    ends: str = REFUSED
    config: str = ""
    command: tuple[str, ...] = ("train", "CONFIG", "--work-dir", "run")
    old: bool = False
    program: str = ""
    script: str = ""


def _dataset(key: str, value: str, ends: str = REFUSED) -> Place:
    return Place(ends, f"{TRAIN}[{key!r}] = {value}")


def _backend(kind: str, options: str) -> Place:
    return Place(config=BACKEND.format(kind=kind, options=options))


def _options(*options: str, ends: str = REFUSED) -> Place:
    return Place(ends, command=("train", "CONFIG", "--work-dir", "run", "--cfg-options", *options))


def _old(text: str, ends: str = REFUSED, *command: str) -> Place:
    return Place(ends, text, command or ("convert", "CONFIG", "--out", "new.py"), old=True)


_SIGNED = "https://127.0.0.1:9/x.pth?X-Amz-Credential=me&X-Amz-Signature=CANARY"
_STORAGE = "dict(token='CANARY', creds=dict(aws_access_key_id='CANARY', aws_secret_access_key='CANARY'))"
_RUN = ("train", "CONFIG", "--work-dir", "run")

PLACES: dict[str, Place] = {
    "token": _dataset("credentials", "dict(token='CANARY', username=None)", DONE),
    "storage keys": Place(DONE, f"{TRAIN}['credentials'] = {VAL}['credentials'] = {_STORAGE}"),
    "in a wrapper": Place(
        DONE, f"train_dataloader['dataset'] = dict(type='RepeatDataset', times=1, dataset=dict({TRAIN}, "
        f"credentials={_STORAGE}))",
    ),
    "bytes": _dataset("credentials", "dict(token=b'CANARY')"),
    "deeper": _dataset("credentials", "dict(creds=dict(aws=dict(secret='CANARY')))"),
    "bare text": _dataset("credentials", "'CANARY'"),
    "user and password": _dataset("credentials", "dict(username='me', password='CANARY')"),
    "dataset's token": _dataset("token", "'CANARY'"),
    "dataset's creds": _dataset("creds", "dict(aws_secret_access_key='CANARY')"),
    "dataset's list": _dataset("auth", "('me', 'CANARY')"),
    "backend_args": _dataset("backend_args", "dict(backend='petrel', access_key='CANARY')"),
    "file_client_args": _dataset("file_client_args", "dict(backend='x', conf=dict(secret_key='CANARY'))"),
    "transform's backend_args": Place(
        config=f"{TRAIN}['pipeline'][0]['backend_args'] = dict(backend='x', hf_token='CANARY')"
    ),
    "path with password": _dataset("path", "'s3://me:CANARY@bucket/lake'"),
    "path with slashes in the key": _dataset("path", "'s3://me:CANARY/+x@bucket/lake'"),
    "path with user": _dataset("path", "'s3://CANARY@bucket/lake'"),
    "path with SAS": _dataset("path", "'azure://account/container/lake?sv=1&se=2&sig=CANARY'"),
    "path with signature": _dataset("path", "'https://host/lake?X-Amz-Credential=CANARY&X-Amz-Signature=1'"),
    "path of validation": Place(config=f"{VAL}['path'] = 'gs://bucket/x?X-Goog-Signature=CANARY'"),
    "endpoint": _dataset("credentials", "dict(endpoint_url='http://me:CANARY@127.0.0.1:9')"),
    "query": _dataset("query", """'SELECT * FROM "s3://me:CANARY@bucket/lake"'"""),
    "load_from": Place(config=f"load_from = {_SIGNED!r}"),
    "load_from with password": Place(config="load_from = 'https://me:CANARY@127.0.0.1:9/x.pth'"),
    "resume": Place(command=(*_RUN, "--resume", _SIGNED)),
    "init_cfg": Place(
        config="model['backbone']['init_cfg'] = dict(type='Pretrained', "
        "checkpoint='https://127.0.0.1:9/x.pth?token=CANARY')"
    ),
    "wandb": _backend("WandbVisBackend", "init_kwargs=dict(project='x', settings=dict(api_key='CANARY'))"),
    "clearml": _backend("ClearMLVisBackend", "init_kwargs=dict(access_key='x', secret_key='CANARY')"),
    "mlflow": _backend("MLflowVisBackend", "tracking_uri='http://me:CANARY@127.0.0.1:9'"),
    "neptune": _backend("NeptuneVisBackend", "init_kwargs=dict(api_token='CANARY')"),
    "a variable": Place(DONE, "WANDB_API_KEY = 'CANARY'\nremark = 'with CANARY'"),
    "variables": Place(DONE, "secrets = dict(key='CANARY')\nurls = ['https://me:CANARY@host/x']"),
    "option": _options("train_dataloader.dataset.token=CANARY"),
    "option for credentials": _options(
        "train_dataloader.dataset.credentials.token=CANARY", "train_dataloader.num_workers=1", ends=DONE
    ),
    "option with a blank": _options("train_dataloader.dataset.credentials.token=", "CANARY"),
    "option with a bracket": _options("train_dataloader.dataset.credentials.token=[CANARY,(]"),
    "unknown model": Place(REFUSED, f"{TRAIN}['credentials'] = {_STORAGE}\nmodel['neck']['type'] = 'NoNeck'"),
    "line that fails": Place(config=f"{TRAIN}['credentials'] = dict(token='CANARY', creds=1 / 0)"),
    "no syntax": Place(config=f"{TRAIN}['credentials'] = dict(token='CANARY'"),
    "step that fails": Place(
        FAILED,
        f"{TRAIN}['credentials'] = {_STORAGE}\n{TRAIN}['pipeline'].insert(2, dict(type='Resize', "
        "scale=(64, 64), backend='nothing'))\n"
        "train_dataloader['num_workers'] = 1",
    ),
    "unreachable": Place(
        config=f"{TRAIN}.update(path='s3://no-such-bucket-here/lake', credentials=dict(creds=dict("
        "aws_access_key_id='CANARY', aws_secret_access_key='CANARY', endpoint_url='http://127.0.0.1:9')))"
    ),
    "two processes": Place(
        DONE, f"{TRAIN}['credentials'] = {VAL}['credentials'] = {_STORAGE}", (*_RUN, "--processes", "2")
    ),
    "test": Place(
        DONE, f"{VAL}['credentials'] = {_STORAGE}\ntest_dataloader = val_dataloader",
        ("test", "CONFIG", "CHECKPOINT", "--work-dir", "run", "--out", "found.json", "--show-dir", "drawn"),
    ),
    "test's checkpoint": Place(command=("test", "CONFIG", _SIGNED, "--work-dir", "run")),
    "bench": Place(DONE, f"{TRAIN}['credentials'] = {_STORAGE}", ("bench", "CONFIG", "--batches", "2")),
    "bench's token": Place(config=f"{TRAIN}['token'] = 'CANARY'", command=("bench", "CONFIG")),
    "inspect": Place(command=("inspect", "s3://me:CANARY@bucket/lake")),
    "inspect's endpoint": Place(command=("inspect", "s3://b/lake", "--endpoint-url", "http://CANARY@host:9")),
    "eval": Place(command=("eval", "PREDICTIONS", "azure://account/c/lake?sv=1&sig=CANARY")),
    "import": Place(command=("import", "coco", "COCO", "s3://me:CANARY@b/lake", "--images", "IMAGES")),
    "import's endpoint": Place(
        command=("import", "coco", "COCO", "s3://b/l", "--images", "IMAGES", "--endpoint-url",
                 "http://me:CANARY@127.0.0.1:9"),
    ),
    "2.x token": _old("data['train']['deeplake_credentials'] = dict(token='CANARY')", DONE),
    "2.x training": _old(f"data['train']['deeplake_credentials'] = {_STORAGE}", DONE, *_RUN),
    "2.x key": _old("data['train']['deeplake_token'] = 'CANARY'"),
    "2.x path": _old("data['val']['deeplake_path'] = 's3://me:CANARY@bucket/lake'"),
    "2.x resume_from": _old(f"resume_from = {_SIGNED!r}"),
    "2.x wandb": _old(
        "log_config['hooks'].append(dict(type='WandbLoggerHook', init_kwargs=dict(api_key='CANARY')))"
    ),
    "2.x training with a logger's key": _old(
        "log_config['hooks'].append(dict(type='NeptuneLoggerHook', init_kwargs=dict(api_token='CANARY')))",
        REFUSED, *_RUN,
    ),
    "script's load": Place(
        FAILED, command=("run", "SCRIPT"),
        script="import deeplake\nds = deeplake.load('hub://me/nowhere', token='CANARY', nothing=1 / 0)\n",
    ),
    "script's config": Place(
        DONE, "data['train']['deeplake_credentials'] = dict(token='CANARY')", ("run", "SCRIPT"), old=True,
        script="import sys\nfrom mmcv import Config\ncfg = Config.fromfile(CONFIG)\n"
        "cfg.data.val.deeplake_credentials = dict(token=KEY)\ncfg.log_config.token = KEY\n"
        "cfg.dump('dumped.py')\nprint(cfg.pretty_text, cfg)\n",
    ),
    "load_config": Place(
        DONE, f"{TRAIN}['credentials'] = {_STORAGE}\nmy_api_key = 'CANARY'",
        program="from deeplake_mmdet import load_config, convert_config\nimport pickle\n"
        "cfg = load_config(config)\ncfg.dump('dumped.py'), cfg.dump('dumped.json')\n"
        "print(cfg.text, cfg, pickle.dumps(cfg), convert_config(cfg)[0].pretty_text)",
    ),
    "pickled dataset": Place(
        DONE, f"{TRAIN}['credentials'] = {_STORAGE}",
        program="import pickle\nfrom mmdet.utils import register_all_modules\nregister_all_modules()\n"
        "from deeplake_mmdet import load_config, DeepLakeDataset\n"
        "given = load_config(config).train_dataloader.dataset\ngiven.pop('type')\n"
        "data = DeepLakeDataset(**given)\nprint(data, data.view, pickle.dumps(data), vars(data))",
    ),
}  # fmt: skip


@dataclass
class Outcome:
    """What a run came to: how it ended, what holds the canary, and how much was searched."""

    name: str
    ended: str
    leaks: list[str]
    files: int
    output: str

    @property
    def is_right(self) -> bool:
        return not self.leaks and self.ended == PLACES[self.name].ends


def run_place(name: str, folder: Path, shared: Path) -> Outcome:
    """One run in a folder of its own."""
    place, core = PLACES[name], secrets.token_hex(12)
    canary = f"kc{core}" if "/" in name else f"kc{core}=+"
    for part in ("inputs", "home", "tmp", "cache"):
        (folder / part).mkdir(parents=True)
    base = (shared / ("old.py" if place.old else "new.py")).read_text()
    config, script = folder / "inputs" / "config.py", folder / "inputs" / "script.py"
    config.write_text(f"{base}\n{place.config.replace('CANARY', canary)}\n")
    script.write_text(place.script.replace("CANARY", canary).replace("CONFIG", repr(str(config)))
                      .replace("KEY", "open('inputs/key').read()"))  # fmt: skip
    (folder / "inputs" / "key").write_text(canary)
    names = {
        "CONFIG": config, "SCRIPT": script, "CHECKPOINT": shared / "first" / "epoch_1.pth",
        "PREDICTIONS": shared / "predictions.json", "COCO": shared / "coco.json", "IMAGES": shared,
    }  # fmt: skip
    command = [str(names.get(part, part)).replace("CANARY", canary) for part in place.command]
    output = folder / "inputs" / "output"  # searched apart
    work = place.program or command
    status = _in_child(_work, work, str(config), folder, output)
    told = output.read_bytes()
    ended = (
        DONE if status == 0 else REFUSED if told.count(b"error: ") and b"Traceback" not in told else FAILED
    )
    found = {"output": told}
    for path in folder.rglob("*"):
        if path.is_file() and "inputs" not in path.relative_to(folder).parts:
            found[str(path.relative_to(folder))] = path.read_bytes() + path.name.encode()
    needles = [core.encode(), *_in_base64(core.encode())]
    leaks = [where for where, data in found.items() if any(_holds(data, needle) for needle in needles)]
    return Outcome(name, ended, leaks, len(found), told.decode(errors="replace"))


def make_shared(folder: Path) -> None:
    """Lakes, configs without secrets, a checkpoint, and small files for `eval` and `import`."""
    for part in ("home", "tmp", "cache"):
        (folder / part).mkdir()
    _in_child(_make_lakes, folder)
    _in_child(_make_configs, folder)
    (folder / "predictions.json").write_text("[]")
    (folder / "coco.json").write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
    status = _in_child(
        _work, ["train", str(folder / "new.py"), "--work-dir", str(folder / "first")], "", folder,
        folder / "output",
    )  # fmt: skip
    assert status == 0, (folder / "output").read_text()[-3000:]


def _make_lakes(folder: Path) -> None:
    from deeplake_mmdet.demo.lakes import write_demo_lake

    for seed, name in enumerate(("train", "val")):
        write_demo_lake(folder / name, count=4, seed=seed)


def _make_configs(folder: Path) -> None:
    from old_configs import old_config

    from deeplake_mmdet.demo.config import demo_config
    from deeplake_mmdet.demo.drawing import CLASS_NAMES

    lakes = [str(folder / name) for name in ("train", "val")]
    cfg = demo_config(*lakes, CLASS_NAMES, "run", epochs=1, scale=(64, 64), num_workers=0)
    cfg.train_cfg.val_interval = 1
    cfg.fast_loader = "processes"
    cfg.pop("work_dir")
    (folder / "new.py").write_text(cfg.pretty_text)
    old = old_config(*lakes)
    (folder / "old.py").write_text("".join(f"{key} = {value!r}\n" for key, value in old.items()))


def _in_child(function: Callable[..., Any], *args: Any) -> int:
    child = multiprocessing.get_context("fork").Process(target=function, args=args)
    child.start()
    child.join(300)
    if child.is_alive():
        child.kill()
    child.join()
    return child.exitcode if child.exitcode is not None else -1


def _work(work: str | list[str], config: str, folder: Path, output: Path) -> None:
    os.chdir(folder)
    os.environ.update(
        HOME=str(folder / "home"), TMPDIR=str(folder / "tmp"), XDG_CACHE_HOME=str(folder / "cache"),
        DEEPLAKE_MMDET_CACHE=str(folder / "cache" / "own"), DEEPLAKE_MMDET_DEADLINE="2",
    )  # fmt: skip
    for variable in ("ACTIVELOOP_TOKEN", "DEEPLAKE_API_KEY"):
        os.environ.pop(variable, None)
    tempfile.tempdir = None
    with output.open("wb", buffering=0) as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), write_through=True)
    sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb", closefd=False), write_through=True)
    from deeplake_mmdet.cli import main

    try:
        if isinstance(work, str):
            exec(work, {"config": config})
            status = 0
        else:
            status = main(work)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.exit(status)


def _in_base64(core: bytes) -> list[bytes]:
    """What base64 makes of it within a longer text, at each of three offsets, but for its ends."""
    return [base64.b64encode(b"\0" * shift + core)[4 if shift else 0 : -4] for shift in range(3)]


def _holds(data: bytes, needle: bytes) -> bool:
    if needle in data or needle.upper() in data:
        return True
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return any(_holds(archive.read(name), needle) for name in archive.namelist())
    if data[:2] == b"\x1f\x8b":
        return needle in zlib.decompress(data, 31)
    return False


def run_all(names: list[str]) -> list[Outcome]:
    """Run some places, or all, and print a line for each."""
    import deeplake_mmdet.training  # noqa: F401, I001 - once for all runs; lets mmdet do without compiled ops
    import mmdet.datasets
    import mmdet.models  # noqa: F401

    outcomes = []
    with tempfile.TemporaryDirectory(prefix="canaries-") as folder:
        make_shared(Path(folder))
        for number, name in enumerate(names or PLACES):
            place = Path(folder) / f"run{number}"
            start = time.monotonic()
            outcome = run_place(name, place, Path(folder))
            outcomes.append(outcome)
            told = "" if outcome.is_right else f"  WRONG {outcome.leaks}\n{outcome.output[-3000:]}"
            seconds = time.monotonic() - start
            print(
                f"{name:34} {outcome.ended:8} {outcome.files:4} searched {seconds:5.1f} s{told}", flush=True
            )
    leaks = sum(bool(outcome.leaks) for outcome in outcomes)
    done = sum(outcome.ended == DONE for outcome in outcomes)
    searched = sum(outcome.files for outcome in outcomes)
    print(
        f"{len(outcomes)} runs, {done} of them successful; {searched} files searched; {leaks} canaries found"
    )
    return outcomes


if __name__ == "__main__":
    sys.exit(not all(outcome.is_right for outcome in run_all(sys.argv[1:])))
