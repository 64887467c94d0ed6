"""No Deep Lake work in flight at fork or at exit.

Deep Lake's threads survive neither: a fork during a read hangs or kills the process, and so does an exit.
Every call into Deep Lake that may take a while is therefore counted here (`in_flight`).

At exit, calls under way get time to end. One that was given up, because its deadline passed or the user
pressed Ctrl-C, cannot be taken back; the process then ends without the destructors that would trip over it.

At fork the calls of other threads are waited for. This cannot help with `os.fork` itself, which Deep Lake
replaces by a function of its own that trips over calls under way before any hook is run: who reads in threads
starts workers inside `resting`.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from deeplake_mmdet.errors import StorageError

__all__ = ["abandon", "abandoned", "at_exit", "in_flight", "linger", "rest", "resting"]

_REST_PATIENCE = 90.0  # seconds; a read ends within its own deadline, 60 s unless that was changed
_AFTERMATH = 45.0  # seconds that Deep Lake repeats requests after the opening has failed (42 measured)
_EXIT_PATIENCE = 2.0  # seconds that an exit waits for calls under way
_INTERRUPTED_PATIENCE = 0.5  # the same after Ctrl-C, which has waited for them before
_FORK_PATIENCE = 10.0  # seconds that a fork waits
_POLL = 0.005

_log = logging.getLogger("deeplake_mmdet")


class _State:
    """What is under way in this process."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.active: dict[int, int] = {}  # thread -> calls under way
        self.abandoned: list[Any] = []  # futures that nobody waits for any more
        self.interrupted = False  # by Ctrl-C, while a call was under way
        self.endured = 0  # how many of them a fork has waited for in vain
        self.forking = False
        self.rester: int | None = None  # the thread in whose `resting` others have to wait
        self.closers: list[Callable[[], None]] = []
        self.registered = False


_state = _State()
_parents: list[_State] = []  # a child must not run destructors of what belongs to its parent's threads


@contextlib.contextmanager
def in_flight() -> Iterator[None]:
    """Mark that this thread has a Deep Lake call under way. Waits while another thread forks or rests."""
    state, thread = _state, threading.get_ident()
    with state.changed:
        # Calls inside a call that is under way go on: it is being waited for.
        while (state.forking or state.rester not in (None, thread)) and thread not in state.active:
            state.changed.wait()
        state.active[thread] = state.active.get(thread, 0) + 1
    try:
        yield
    finally:
        with state.changed:
            state.active[thread] -= 1
            if not state.active[thread]:
                del state.active[thread]
            state.changed.notify_all()


@contextlib.contextmanager
def resting(seconds: float = _REST_PATIENCE) -> Iterator[None]:
    """Keep this process free of Deep Lake calls, so that it may fork.

    Calls under way in other threads are waited for; new ones wait until the block is left. The thread itself
    may read, and rest again; but no thread must rest while it has a call under way itself.

    Args:
        seconds: How long to wait for calls under way; 0 to see whether there are any.

    Raises:
        StorageError: Some are still under way then. Nothing is kept waiting any more.
    """
    state, me, end = _state, threading.get_ident(), time.monotonic() + seconds
    outermost = state.rester != me
    try:
        with state.changed:
            while not _is_resting(state, me):
                if time.monotonic() >= end:
                    raise _restless(seconds)
                state.changed.wait(_POLL)  # a future that was given up does not tell when it ends
        yield
    finally:
        if outermost:
            with state.changed:
                state.rester = None if state.rester == me else state.rester
                state.changed.notify_all()


def _is_resting(state: _State, me: int) -> bool:
    if state.rester is None:
        state.rester = me  # at once: busy threads might never leave a gap
    return state.rester == me and not _others_are_active(state, me) and not abandoned()


def rest(seconds: float = _REST_PATIENCE) -> None:
    """Wait until no Deep Lake call is under way in this process.

    Others may begin right after; `resting` keeps them waiting.

    Args:
        seconds: How long to wait; 0 to see whether there are any.

    Raises:
        StorageError: Some are still under way after that time.
    """
    with resting(seconds):
        pass


def _restless(seconds: float) -> StorageError:
    lost = abandoned()
    what = f"{lost} of them were given up as they were not answered" if lost else "other threads read"
    return StorageError(
        f"Deep Lake calls are still under way after {seconds:g} s ({what})",
        where="this process, before it starts others",
        advice="start data loader workers by 'spawn', or let the threads that read end first",
    )


def abandon(future: Any, interrupted: bool = False) -> None:
    """Remember a Deep Lake future that is given up while its call is under way, and log what follows.

    Args:
        future: What is not waited for any more.
        interrupted: Whether by Ctrl-C; an exit then does not wait for long.
    """
    _state.abandoned.append(future)
    _state.interrupted |= interrupted
    _register()  # the very first call of a process may be given up
    _log.warning(
        "A call was given up that is still under way inside Deep Lake. Until it ends this process must not "
        "fork, or it hangs: end the run, or start data loader workers by 'spawn'"
    )


def linger(seconds: float = _AFTERMATH) -> None:
    """Count a failed opening as still under way for some time.

    Deep Lake has raised its error by then, but its threads go on sending requests.

    Args:
        seconds: For how long; by default 45, a little more than the 42 that were measured.
    """
    _state.abandoned.append(_Ended(time.monotonic() + seconds))
    _register()


class _Ended:
    """Stands for work that ends after some time, as nothing else tells when it has ended."""

    def __init__(self, end: float) -> None:
        self._end = end

    def is_completed(self) -> bool:
        return time.monotonic() >= self._end


def abandoned() -> int:
    """How many given-up calls are still under way."""
    _state.abandoned[:] = [future for future in _state.abandoned if not future.is_completed()]
    return len(_state.abandoned)


def at_exit(close: Callable[[], None]) -> None:
    """Register a function to be called when the process ends normally, if by then no call is under way.

    To be called after the import of deeplake: what Python registers last at exit runs first.

    Args:
        close: The function. It is called once, however often it is registered.
    """
    if close not in _state.closers:
        _state.closers.append(close)
    _register()


def _register() -> None:
    if not _state.registered:
        atexit.register(_exit)
        _state.registered = True


def _busy() -> bool:
    me = threading.get_ident()
    return bool(abandoned()) or _others_are_active(_state, me)


def _in_the_way(me: int) -> bool:
    """Whether a fork should wait for calls; not again for those that an earlier one waited for in vain."""
    return abandoned() > _state.endured or _others_are_active(_state, me)


def _others_are_active(state: _State, me: int) -> bool:
    return any(thread != me for thread in state.active)


def _exit() -> None:
    with contextlib.suppress(ValueError):  # not in the main thread
        # One more Ctrl-C would leave out what follows, and Deep Lake then aborts the process.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    end = time.monotonic() + (_INTERRUPTED_PATIENCE if _state.interrupted else _EXIT_PATIENCE)
    while _busy() and time.monotonic() < end:
        time.sleep(_POLL)
    if not _busy():
        for close in _state.closers:
            close()
        return
    # Python has still to flush its files; only the C library's own exit handlers, Deep Lake's among them, are
    # left out. on_exit hands _exit the exit code, and handlers run last in, first out.
    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):
        libc.on_exit(libc._exit, None)
    # A thread whose call ends while Python shuts down is ended by Python, which C++ takes for a reason to
    # abort the process. It is to sleep instead until the process is gone.
    with contextlib.suppress(OSError, AttributeError):
        set_terminate = ctypes.CDLL("libstdc++.so.6")._ZSt13set_terminatePFvvE
        set_terminate(ctypes.cast(libc.pause, ctypes.c_void_p))


def _before_fork() -> None:
    state, me = _state, threading.get_ident()
    state.changed.acquire()
    state.forking = True
    end = time.monotonic() + _FORK_PATIENCE
    # The lock is released while waiting and held, without any call under way, through the fork itself.
    while _in_the_way(me) and me not in state.active and time.monotonic() < end:
        state.changed.wait(_POLL)
    state.endured = abandoned()


def _after_fork_in_parent() -> None:
    _state.forking = False
    _state.changed.notify_all()
    _state.changed.release()


def _after_fork_in_child() -> None:
    global _state
    _parents.append(_state)
    registered, closers = _state.registered, _state.closers
    _state = _State()
    _state.registered, _state.closers = registered, list(closers)


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
)
