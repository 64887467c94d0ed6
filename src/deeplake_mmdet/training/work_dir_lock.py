"""One training at a time in a work dir: ``training.lock`` there names the one that writes into it.

The lock is the system's on that file, which a process keeps to itself and loses when it dies, and which
workers that it forks do not share. Not all network file systems tell other hosts of it: there a run counts as
alive as long as it touches the file, as it does every few seconds.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process

from deeplake_mmdet.errors import ConfigError

__all__ = ["LOCK_NAME", "WorkDirLock", "take_on_first_rank"]

_log = logging.getLogger("deeplake_mmdet")

LOCK_NAME = "training.lock"
_LONG_DEAD = 600.0  # seconds
_BUSY = (BlockingIOError, PermissionError)  # whichever the system has for a file that is locked

_held: set[tuple[int, int]] = set()


class WorkDirLock:
    """The lock of a work dir; nothing is taken yet.

    Args:
        work_dir: The folder.
        beat: Seconds after which a run touches its lock again, as a sign of life for other hosts.
        patience: Seconds for which such a sign is waited for.
    """

    def __init__(self, work_dir: str | Path, *, beat: float = 5.0, patience: float = 30.0) -> None:
        self._interval, self._patience = beat, patience
        self._path = Path(work_dir) / LOCK_NAME
        self._descriptor: int | None = None
        self._over = threading.Event()
        self._process = os.getpid()

    def take(self) -> None:
        """Take the lock, also over from a run that has died without giving it back, and say so.

        Where the file cannot be made or locked at all, this is logged and training goes on without.

        Raises:
            ConfigError: Another run is alive; with its host and process.
        """
        try:
            while not self._try():
                pass
        except OSError as error:
            _log.warning(f"The work dir cannot be locked ({error.strerror or error}): {self._path}")

    def release(self) -> None:
        """Give the lock back, if it was taken by this process."""
        if self._descriptor is None or os.getpid() != self._process:
            return
        self._over.set()
        _held.discard(_identity(os.fstat(self._descriptor)))
        with contextlib.suppress(OSError):
            if self._is_at_place(self._descriptor):
                self._path.unlink()
        os.close(self._descriptor)
        self._descriptor = None

    def _try(self) -> bool:
        """False if the file has been exchanged meanwhile."""
        with contextlib.suppress(FileNotFoundError):
            if (
                _identity(self._path.lstat()) in _held
            ):  # opened and closed again, it would not be locked any more
                raise self._refusal(_myself())
        safely = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | safely, 0o666)
        except PermissionError:  # another user's; it cannot be locked, but read
            descriptor = os.open(self._path, os.O_RDONLY | safely)
        try:
            locked, busy = _lock(descriptor)
            holder = _read(descriptor)
            here = holder is None or (holder.get("host"), holder.get("boot")) == (_host(), _boot())
            # Of a run on this machine, a lock that the system knows of says all.
            alive = busy if here and (busy or locked) else holder is not None and self._lives(holder, here)
            if alive:
                raise self._refusal(holder)
            if not self._is_at_place(descriptor):
                os.close(descriptor)
                return False
            if holder is not None:
                _log.warning(f"The work dir is taken over from a run that has died: {_named(holder)}")
            if busy:  # of a host that is gone; its storage has not noticed
                self._path.unlink()
                os.close(descriptor)
                return False
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(_myself()).encode(), 0)
        except BaseException:
            with contextlib.suppress(OSError):
                os.close(descriptor)
            raise
        self._descriptor = descriptor
        _held.add(_identity(os.fstat(descriptor)))
        threading.Thread(target=self._beat, name="deeplake-mmdet-lock", daemon=True).start()
        return True

    def _lives(self, holder: dict[str, Any], here: bool) -> bool:
        if here:
            return _started(holder.get("process")) == holder.get("ticks")
        touched = self._path.stat().st_mtime_ns
        if time.time() - touched / 1e9 > _LONG_DEAD:
            return False
        _log.info(
            f"The work dir was locked by {_named(holder)}: "
            f"waiting up to {self._patience:g} s for a sign of life"
        )
        end = time.monotonic() + self._patience
        while time.monotonic() < end:
            time.sleep(0.5)
            try:
                if self._path.stat().st_mtime_ns != touched:
                    return True
            except FileNotFoundError:
                return False
        return False

    def _beat(self) -> None:
        while not self._over.wait(self._interval):
            with contextlib.suppress(OSError, TypeError):
                os.utime(self._descriptor)  # type: ignore[arg-type]

    def _is_at_place(self, descriptor: int) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return _identity(os.fstat(descriptor)) == _identity(self._path.lstat())
        return False

    def _refusal(self, holder: dict[str, Any] | None) -> ConfigError:
        return ConfigError(
            f"Another training writes into this work dir: {_named(holder or {})}",
            where=str(self._path),
            advice="choose another work dir (--work-dir), or end that training first",
        )


def take_on_first_rank(lock: WorkDirLock) -> None:
    """Take the lock in the first of the processes that train together; all have to call this.

    Args:
        lock: Of the work dir of the run.

    Raises:
        ConfigError: Another run has the lock; raised in all processes.
    """
    found: list[ConfigError | None] = [None]
    if is_main_process():
        try:
            lock.take()
        except ConfigError as error:
            found = [error]
    broadcast_object_list(found)
    if found[0] is not None:
        raise found[0]


def _lock(descriptor: int) -> tuple[bool, bool]:
    """Whether the system gave the lock, and whether another process has it; neither if it has no locks."""
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except _BUSY:
        return False, True
    except OSError:
        return False, False
    return True, False


def _read(descriptor: int) -> dict[str, Any] | None:
    try:
        found = json.loads(os.pread(descriptor, 4096, 0))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _myself() -> dict[str, Any]:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    process = os.getpid()
    return {"host": _host(), "process": process, "since": since, "boot": _boot(), "ticks": _started(process)}


def _named(holder: dict[str, Any]) -> str:
    facts = [f"{name} {holder[name]}" for name in ("process", "host", "since") if holder.get(name)]
    return ", ".join(facts) or "it has not said yet which"


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _host() -> str:
    return socket.gethostname()


def _boot() -> str:
    """Tells machines apart that have one name, and a machine from itself before it was started anew."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def _started(process: Any) -> str:
    """When a process began, in the system's ticks; empty if there is none of this number."""
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    return ""
