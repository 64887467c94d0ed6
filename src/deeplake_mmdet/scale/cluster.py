"""The Ray cluster, and shards as tasks on it."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from deeplake_mmdet.errors import ConfigError, DeepLakeMMDetError, InstallError, ProcessError
from deeplake_mmdet.terminal import Progress

__all__ = ["connected", "load_ray", "run_tasks"]

_log = logging.getLogger("deeplake_mmdet")
_OLDEST = (2, 40)
_PATIENCE = 10.0  # seconds
_RETRIES = 3  # of a task whose worker was lost


def load_ray() -> Any:
    """The package ``ray``.

    Raises:
        InstallError: It is missing, or older than what was tried.
    """
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise InstallError(
            f"Ray is not installed ({error})",
            where="--engine ray, deeplake_mmdet.scale",
            advice="pip install 'deeplake-mmdet[ray]'",
        ) from None
    version = tuple(int(part) for part in ray.__version__.split(".")[:2] if part.isdecimal())
    if version < _OLDEST:
        raise InstallError(
            f"Ray {ray.__version__} is too old",
            where="package ray",
            advice="pip install 'ray>={}.{}'".format(*_OLDEST),
        )
    return ray


@contextlib.contextmanager
def connected() -> Iterator[Any]:
    """Join the cluster that ``RAY_ADDRESS`` names, or start a local one; one that is joined already stays.

    Yields:
        The package ``ray``.

    Raises:
        InstallError: See `load_ray`.
        ProcessError: The cluster cannot be reached.
    """
    ray = load_ray()
    if ray.is_initialized():
        yield ray
        return
    # A look at the internet for statistics, and the workers' output on this terminal, are nobody's need here.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # the first one is raised here
    _check_reachable(os.environ.get("RAY_ADDRESS", ""))
    try:
        ray.init(log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
    except Exception as error:
        raise _unreachable(os.environ.get("RAY_ADDRESS", ""), type(error).__name__) from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Ray itself waits for minutes for a cluster that is not there."""
    host, colon, port = address.rpartition("//")[2].rpartition(":")
    if not (colon and port.isdecimal()):
        return  # of this machine, or none
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
    except OSError as error:
        raise _unreachable(address, error.strerror or type(error).__name__) from None


def _unreachable(address: str, why: str) -> ProcessError:
    return ProcessError(
        f"The Ray cluster cannot be reached ({why})",
        where=f"RAY_ADDRESS={address}" if address else "a local cluster",
        advice="check that it runs (ray status), or leave RAY_ADDRESS out for a local one",
    )


def run_tasks(
    ray: Any,
    function: Callable[..., Any],
    arguments: Sequence[Mapping[str, Any]],
    *,
    what: str,
    cpus: float = 1,
    gpus: float = 0,
    progress: bool = True,
) -> list[Any]:
    """Run a function once for each set of arguments. A task whose worker is lost is run again elsewhere.

    Args:
        ray: From `connected`.
        function: Importable on the workers.
        arguments: By name; may hold Ray's references.
        what: Stands before the progress bar.
        cpus, gpus: What each task takes of the cluster.
        progress: Whether to draw a bar on stderr.

    Returns:
        The results, in the order of the arguments.

    Raises:
        ConfigError: The cluster has no such resources.
        ProcessError: A worker was lost again and again.
        DeepLakeMMDetError: What the function raised first; the others are cancelled.
    """
    there = ray.cluster_resources()
    for name, wanted in (("CPU", cpus), ("GPU", gpus)):
        if wanted > there.get(name, 0):
            raise ConfigError(
                f"Each task is to take {wanted:g} {name}s, and the cluster has {there.get(name, 0):g} in all",
                where=f"Ray cluster, argument {name.lower()}s",
                advice="ask for less, or join a larger cluster by RAY_ADDRESS",
            )
    remote = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=_RETRIES)(function)
    tasks = [remote.remote(**one) for one in arguments]
    try:
        with Progress(what, len(tasks), shown=progress, unit="shards") as bar:
            left = tasks
            while left:
                done, left = ray.wait(left, num_returns=1)
                ray.get(done)
                bar.advance()
        return list(ray.get(tasks))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, DeepLakeMMDetError):
            raise error.cause from None
        raise ProcessError(
            f"A task failed on the cluster: {type(error.cause).__name__}: {error.cause}",
            where=f"Ray task {function.__name__}",
            advice="the worker's log has the traceback: ray logs",
        ) from None
    except ray.exceptions.RayError as error:
        raise ProcessError(
            f"A worker was lost {_RETRIES + 1} times ({type(error).__name__})",
            where=f"Ray task {function.__name__}",
            advice="look at its log (ray logs); a want of memory is the most frequent cause",
        ) from None
    finally:
        for task in tasks:
            with contextlib.suppress(Exception):
                ray.cancel(task, force=False)
