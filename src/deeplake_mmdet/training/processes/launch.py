"""Several processes for one run: started on this machine, or joined where a launcher has started them."""

from __future__ import annotations

import atexit
import contextlib
import gc
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from mmengine.device import get_device

from deeplake_mmdet.environment import available_cores
from deeplake_mmdet.errors import ConfigError, ProcessError
from deeplake_mmdet.terminal.verbosity import CHILD

__all__ = ["LAUNCHERS", "count_processes", "join", "launch", "on_cpu", "running_launcher"]

_log = logging.getLogger("deeplake_mmdet")

LAUNCHERS = ("none", "pytorch", "slurm", "mpi")
_TALKATIVE = ("torch.distributed.elastic", "torch.multiprocessing.spawn")
_TO_LET_GO = 0.05  # seconds
_LONGEST_TEXT = 20_000  # characters; a pipe nobody reads yet holds 65 536 bytes


def on_cpu() -> bool:
    """Whether MMEngine trains on the CPU here: there is no accelerator, or all are hidden."""
    return str(get_device()) == "cpu"


def running_launcher() -> str | None:
    """``'pytorch'`` in a process that torchrun started, ``'slurm'`` in a step of several tasks, else None."""
    if {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= set(os.environ):
        return "pytorch"
    # An allocation sets most of these variables too, with nobody there to join.
    if "SLURM_PROCID" in os.environ and int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        return "slurm"
    return None


def count_processes(asked: bool | int) -> int:
    """How many processes to start: one per visible GPU, or as many as asked for.

    Args:
        asked: True for one per visible GPU, one if there is none; or a number.

    Raises:
        ConfigError: More than there are GPUs, or less than one.
    """
    gpus = 0 if on_cpu() else torch.cuda.device_count()
    if asked is True:
        if not gpus:
            _log.info("There is no GPU: one process trains on the CPU; ask for more by number")
        return max(gpus, 1)
    if asked < 1 or (gpus and asked > gpus):
        raise ConfigError(
            f"{asked} processes cannot be started" + (f" on {gpus} GPUs" if gpus else ""),
            where="argument distributed or processes",
            advice="NCCL takes one process per GPU" if gpus else "give a number from 1 on",
        )
    return int(asked)


def join(launcher: str, timeout: float | None = None) -> None:
    """Join the other processes by gloo if this run is on the CPU; MMEngine itself does so on GPUs.

    Args:
        launcher: Who has started the processes; nothing happens with ``'none'``.
        timeout: Seconds that processes wait for one another; torch's default otherwise.

    Raises:
        ConfigError: The variables that the launcher sets are missing.
    """
    if launcher == "none" or not on_cpu() or dist.is_initialized():
        return
    if launcher == "slurm":
        _translate("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID")
        if "MASTER_ADDR" not in os.environ:
            nodes = os.environ.get("SLURM_STEP_NODELIST") or os.environ.get("SLURM_NODELIST", "")
            hosts = subprocess.run(
                ["scontrol", "show", "hostname", nodes], capture_output=True, text=True, check=True
            )
            os.environ["MASTER_ADDR"] = hosts.stdout.split()[0]
        os.environ.setdefault("MASTER_PORT", "29500")
    elif launcher == "mpi":
        _translate(*(f"OMPI_COMM_WORLD_{name}" for name in ("RANK", "SIZE", "LOCAL_RANK")))
    missing = [key for key in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT") if key not in os.environ]
    if missing:
        raise ConfigError(
            f"This process was not started by the launcher {launcher!r}: {', '.join(missing)} not set",
            where="launcher",
            advice="start it by torchrun or srun, or ask for processes=N instead",
        )
    dist.init_process_group("gloo", timeout=None if timeout is None else timedelta(seconds=timeout))
    atexit.register(_leave)


def _leave() -> None:
    """Leave the process group, with its threads gone before the interpreter is.

    After a collective, a thread of gloo's lets go of its tensors, for which it needs the interpreter. If that
    ends first, C++ aborts the process ("terminate called without an active exception").
    """
    if not dist.is_initialized():
        return
    time.sleep(_TO_LET_GO)  # what other threads wait for is free meanwhile
    gc.collect()  # a distributed model that a cycle keeps would keep the group, and so its threads
    dist.destroy_process_group()


def _translate(*names: str) -> None:
    for key, name in zip(("RANK", "WORLD_SIZE", "LOCAL_RANK"), names, strict=True):
        if name in os.environ:
            os.environ[key] = os.environ[name]


def launch(function: Callable[..., Any], *args: Any, processes: int) -> Any:
    """Run ``function(*args)`` in several new processes of this machine, which torch's launcher watches over.

    Processes are spawned, never forked: Deep Lake's threads survive no fork. Arguments go through the pipe by
    which a process is spawned, which is the only way that lets a `CredentialRef` take its secrets along.
    Tensors would be shared between the processes: pass bytes. If one process fails, all are ended.

    Args:
        function: Of a module, not of ``__main__``.
        args: Its arguments; they must be picklable.
        processes: How many.

    Returns:
        What the function returned in the first process (rank 0).

    Raises:
        ConfigError: This very process is being started by a script without ``__main__`` guard.
        ProcessError: A process was killed, or failed in a way that cannot be brought here.
        Exception: Whatever the first process to fail raised, with its traceback as the cause.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise ConfigError(
            "Each new process runs this script again, and starts processes itself",
            where=str(getattr(sys.modules["__main__"], "__file__", "the script")),
            advice="put what starts training below 'if __name__ == \"__main__\":', or use torchrun",
        )
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    reports = multiprocessing.get_context("spawn").SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="deeplake-mmdet-") as folder, _as_before():
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=f"deeplake-mmdet-{os.getpid()}",
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,
            start_method="spawn",
            logs_specs=DefaultLogsSpecs(log_dir=folder),
            signals_to_handle="SIGTERM,SIGINT",
        )
        try:
            values = elastic_launch(config, _work)(processes, reports, function, args)
        except ChildFailedError as error:
            failed = _reported(reports, error.get_first_failure())
            raise failed from failed.__cause__
        except SignalException as error:
            if error.sigval == signal.SIGINT:
                raise KeyboardInterrupt from None
            raise SystemExit(128 + int(error.sigval)) from None
    return values[0]


def _work(processes: int, reports: Any, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """One process: run the function, and report an error before dying of it."""
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, available_cores() // processes))
    rank = int(os.environ["RANK"])
    try:
        value = function(*args)
    except Exception as error:
        # Written by whoever fails first; others fail because of it, and are read no more.
        reports.put((rank, _portable(error), traceback.format_exc()[-_LONGEST_TEXT:]))
        raise
    _leave()
    return value if rank == 0 else None


def _portable(error: Exception) -> Exception | None:
    from multiprocessing.reduction import ForkingPickler

    try:
        packed = bytes(ForkingPickler.dumps(error))
        ForkingPickler.loads(packed)
    except Exception:  # pickling runs the error's own code, which may fail in any way
        return None
    return error if len(packed) < _LONGEST_TEXT else None


class _Elsewhere(Exception):
    """The traceback of another process."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def _reported(reports: Any, failure: tuple[int, Any]) -> BaseException:
    rank, record = failure
    code = record.exitcode
    killed = code < 0 and code != -signal.SIGTERM  # SIGTERM ends the others
    if killed or reports.empty():
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return ProcessError(
            f"The process of rank {rank} {how}",
            where=f"process {record.pid}",
            advice="look for its last lines above; SIGKILL mostly means that memory ran out",
        )
    rank, error, text = reports.get()
    if error is None:
        last = text.strip().splitlines()[-1]
        error = ProcessError(f"The process of rank {rank} failed: {last}")
    error.__cause__ = _Elsewhere(text)
    return error  # type: ignore[no-any-return]


@contextlib.contextmanager
def _as_before() -> Iterator[None]:
    """Give signals back their handlers; keep the launcher from telling at length what is raised anyway."""
    main = threading.current_thread() is threading.main_thread()
    levels = {log: log.level for log in map(logging.getLogger, _TALKATIVE)}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    variables = {key: os.environ.get(key) for key in ("TORCHELASTIC_SIGNALS_TO_HANDLE", CHILD)}
    os.environ[CHILD] = "1"
    for log in levels:
        log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for log, level in levels.items():
            log.setLevel(level)
        for number, handler in handlers.items() if main else ():
            signal.signal(number, handler)
        for key, value in variables.items():
            os.environ.pop(key, None) if value is None else os.environ.update({key: value})
