"""Kill training runs and their workers at random moments, resume each, and check that no row is lost.

    python benchmarks/kills.py --kills 100 --worker-kills 100

A tiny model writes down every row that it is trained on; its notes are part of its weights. So each
checkpoint tells which rows its lineage was trained on, and that is checked after each kill and at the end:
every pass has every row once. Every wait has a deadline. Ends with 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "training"))

from counting import passes, recording_config, rows_of
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from deeplake_mmdet.demo.lakes import write_demo_lake
from deeplake_mmdet.training import train
from deeplake_mmdet.training.resume.checkpoints import newest_checkpoint

ROWS, BATCH, PASSES = 22, 4, 6
ITERATIONS = -(-ROWS // BATCH) * PASSES
PROCESS_ERROR = "deeplake_mmdet.errors.ProcessError: Worker"
LONGEST = 120.0  # seconds for anything to happen
MOST_WORKERS = 8
_fork = multiprocessing.get_context("fork")  # the parent opens no lake
_iteration, _workers = _fork.Value("i", -1), _fork.Array("i", MOST_WORKERS)


@HOOKS.register_module()
class Beacon(Hook):
    """Tells the parent how far the run is and which workers it has; makes steps last."""

    priority = "VERY_HIGH"

    def before_run(self, runner: Any) -> None:
        """Drop the config: MMEngine formats it for each checkpoint, and every kill would fall into that."""
        runner.cfg = Config()

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Tell."""
        pids = [child.pid or 0 for child in multiprocessing.active_children()][:MOST_WORKERS]
        _workers[:] = pids + [0] * (MOST_WORKERS - len(pids))
        _iteration.value = runner.iter
        time.sleep(random.uniform(0, 0.02))


class Lineage:
    """One run, however often it is resumed."""

    def __init__(self, folder: Path, lake: Path, seed: int, iterations: bool, mode: str) -> None:
        self.folder, self.lake, self.seed = folder, lake, seed
        self.iterations, self.mode = iterations, mode
        self.log = folder.parent / f"{folder.name}.log"
        self.kept = 0

    def start(self) -> Any:
        """A process that trains on."""
        _iteration.value = -1
        _workers[:] = [0] * MOST_WORKERS
        process = _fork.Process(target=self._train)
        process.start()
        return process

    def check(self) -> bool:
        """Check the newest checkpoint that can be read; whether the run is complete.

        Raises:
            AssertionError: A row is missing or there twice, or progress that had been saved is gone.
        """
        newest = newest_checkpoint(self.folder)
        if newest is None:
            assert self.kept == 0, f"all checkpoints are gone: {self.folder}"
            return False
        rows = rows_of(newest)
        assert len(rows) >= self.kept, f"{newest} has {len(rows)} rows, there were {self.kept}"
        self.kept = len(rows)
        for number, part in enumerate(passes(rows, ROWS)):
            whole = (number + 1) * ROWS <= len(rows)
            assert len(set(part)) == len(part), f"{newest}: pass {number} has rows twice: {part}"
            assert not whole or part == list(range(ROWS)), f"{newest}: pass {number} is {part}"
        return len(rows) == ROWS * PASSES

    def _train(self) -> None:
        log = self.log.open("a")
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        random.seed(os.getpid())
        cfg = recording_config(str(self.lake), self.folder, iterations=self.iterations, mode=self.mode)
        cfg.train_cfg.pop("val_interval", None)
        cfg.train_cfg.update({"max_iters": ITERATIONS} if self.iterations else {"max_epochs": PASSES})
        cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
        cfg.default_hooks.checkpoint.max_keep_ckpts = 1
        cfg.custom_hooks = [{"type": "Beacon"}]
        cfg.randomness.seed = self.seed
        cfg.env_cfg = {"mp_cfg": {"mp_start_method": "fork", "opencv_num_threads": 0}}
        try:
            train(cfg, resume=True)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(3)
        os._exit(0)


def wait_for(condition: Any, process: Any, what: str) -> bool:
    """Wait for something that a process is to do; False if the process ends before.

    Raises:
        TimeoutError: Neither happened.
    """
    end = time.monotonic() + LONGEST
    while not condition():
        if not process.is_alive():
            return bool(condition())
        if time.monotonic() > end:
            os.kill(process.pid, signal.SIGABRT)
            raise TimeoutError(f"no {what} within {LONGEST:.0f} s")
        time.sleep(0.001)
    return True


def kill_once(lineage: Lineage, workers: bool, draw: random.Random) -> tuple[str | None, float]:
    """Start a run and kill it, or one of its workers, at a random moment.

    Returns:
        Where the blow fell (None if the run ended before), and seconds until the run had ended.
    """
    written = len(lineage.log.read_text()) if lineage.log.exists() else 0
    process = lineage.start()
    if not workers and draw.random() < 0.2:
        time.sleep(draw.uniform(0, 1.5))  # while it starts, mostly
    else:
        wait_for(lambda: _iteration.value >= 0, process, "first iteration")
        goal = max(_iteration.value, 0) + draw.randint(0, 9)
        if not wait_for(lambda: _iteration.value >= goal, process, f"iteration {goal}"):
            process.join(LONGEST)
            return None, 0.0
        time.sleep(draw.uniform(0, 0.05))
    where = "starting" if _iteration.value < 0 else "training"
    victim = process.pid
    if workers:
        pids = [pid for pid in _workers if pid]
        victim = draw.choice(pids) if pids else None
    struck = time.monotonic()
    try:
        if victim is not None and process.is_alive():
            os.kill(victim, signal.SIGKILL)
        else:
            where = ""
    except ProcessLookupError:
        where = ""
    process.join(LONGEST)
    if process.is_alive():
        os.kill(process.pid, signal.SIGABRT)
        raise TimeoutError(f"the run did not end within {LONGEST:.0f} s after the kill: {lineage.log}")
    if process.exitcode == 3:
        # not always the last line: other workers may complain that the run has gone
        told = [line for line in lineage.log.read_text()[written:].splitlines() if "Error: " in line]
        assert workers, told
        assert any(line.startswith(PROCESS_ERROR) for line in told), told
    elif workers and process.exitcode == 0:
        where = ""  # the worker had nothing left to send
    elif process.exitcode not in (0, -signal.SIGKILL):
        raise AssertionError(f"exit code {process.exitcode}: {lineage.log}")
    return where or None, time.monotonic() - struck


def series(count: int, workers: bool, folder: Path, lake: Path, draw: random.Random) -> dict[str, Any]:
    """Kill as often as asked, each time resuming; complete the last run as well."""
    done: dict[str, int] = {}
    longest, complete, resumed, number = 0.0, 0, 0, 0
    lineage: Lineage | None = None
    while sum(done.values()) < count or lineage is not None:
        if lineage is None:
            mode = "processes" if workers else draw.choice(["threads", "processes"])
            name = f"{'workers' if workers else 'runs'}-{number}"
            lineage = Lineage(folder / name, lake, draw.randrange(1000), draw.random() < 0.5, mode)
            number += 1
        if sum(done.values()) < count:
            resumed += lineage.kept > 0
            where, seconds = kill_once(lineage, workers, draw)
            longest = max(longest, seconds)
            if where is not None:
                done[where] = done.get(where, 0) + 1
                print(f"\r{sum(done.values())} of {count}", end="", flush=True)
        else:
            process = lineage.start()
            process.join(LONGEST)
            assert process.exitcode == 0, f"the last resume failed: {lineage.log}"
        if lineage.check():
            complete += 1
            shutil.rmtree(lineage.folder)
            lineage = None
    print("\r", end="")
    return {"kills": done, "resumes": resumed, "complete_runs": complete, "longest_end_seconds": longest}


def main() -> int:
    """Run both series and print a summary."""
    parser = argparse.ArgumentParser(description="Kill runs at random moments and check what survives.")
    parser.add_argument("--kills", type=int, default=100, help="of training processes")
    parser.add_argument("--worker-kills", type=int, default=100, help="of data loader workers")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--out", type=Path, help="also write the summary to this .json file")
    args = parser.parse_args()
    seed = random.randrange(2**31) if args.seed is None else args.seed
    draw = random.Random(seed)
    start = time.monotonic()
    summary: dict[str, Any] = {"seed": seed, "rows": ROWS, "passes": PASSES}
    folder = Path(tempfile.mkdtemp(prefix="deeplake-mmdet-kills-"))
    os.environ.setdefault("DEEPLAKE_MMDET_CACHE", str(folder / "cache"))
    maker = _fork.Process(target=write_demo_lake, args=(folder / "lake", ROWS, 0))
    maker.start()
    maker.join(LONGEST)
    try:
        for name, count in (("training", args.kills), ("workers", args.worker_kills)):
            if count:
                summary[name] = series(count, name == "workers", folder, folder / "lake", draw)
    except (AssertionError, TimeoutError) as error:
        print(f"\nFAILED (seed {seed}; logs in {folder}): {error}")
        return 1
    summary["seconds"] = round(time.monotonic() - start, 1)
    shutil.rmtree(folder)
    for name in ("training", "workers"):
        if name in summary:
            part = summary[name]
            kills = ", ".join(f"{number} while {where}" for where, number in sorted(part["kills"].items()))
            print(
                f"{name}: {sum(part['kills'].values())} SIGKILLs ({kills}), {part['resumes']} starts "
                f"from a checkpoint, {part['complete_runs']} runs of {PASSES} passes complete; "
                f"ended at the latest {part['longest_end_seconds']:.1f} s after the kill"
            )
    print(f"Each pass had each row once. Seed {seed}, {summary['seconds']} s")
    if args.out is not None:
        args.out.write_text(json.dumps(summary, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
