"""Calls to a storage that may be slow, broken or silent: deadlines, retries and one exception family.

Deep Lake retries by itself (some 200 times in 42 s), blocks for ever on a server that accepts and never
answers, and ignores Ctrl-C meanwhile. Calls are therefore started asynchronously and polled.
"""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from deeplake_mmdet.errors import ConfigError, StorageError
from deeplake_mmdet.lake.calls import lifecycle

__all__ = [
    "AZURE_REFUSALS",
    "DEADLINE_VARIABLE",
    "RETRIES",
    "Background",
    "MissingObjectError",
    "code_of",
    "deadline_seconds",
    "is_denied",
    "is_local",
    "is_transient",
    "missing",
    "pause_before_retry",
    "persist",
    "wait",
]

DEADLINE_VARIABLE = "DEEPLAKE_MMDET_DEADLINE"
RETRIES = 5
_DEFAULT_DEADLINE = 60.0
_FIRST_POLL, _LONGEST_POLL = 2e-4, 5e-3
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
_INTERRUPT_PATIENCE = 1.0  # seconds that Ctrl-C gives a call under way to end by itself

_TRANSIENT = ("StorageInternalError", "StorageNetworkConnectionError", "HTTPRequestFailedError")
_DENIED = ("StorageAccessDenied", "AuthenticationError", "AuthorizationError", "ExpiredTokenError")


_CODE = re.compile(r"\bcode=(\w+)|Error with code(\w+)")  # of S3, and of Azure
_REFUSED = re.compile(r"\bstatus=[34]\d\d\b")
_PASSING = ("RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequests")
#: Azure's codes for whom it lets read nothing.
AZURE_REFUSALS = (
    *("AuthenticationFailed", "InvalidAuthenticationInfo", "NoAuthenticationInformation"),
    *("AuthorizationFailure", "AuthorizationPermissionMismatch", "AuthorizationServiceMismatch"),
    *("AuthorizationResourceTypeMismatch", "AuthorizationProtocolMismatch", "AuthorizationSourceIPMismatch"),
    *("InsufficientAccountPermissions", "PublicAccessNotPermitted", "AccountIsDisabled"),
)
_DENIED_CODES = (
    *("ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired"),
    *AZURE_REFUSALS,
)
_FOR_GOOD = (*AZURE_REFUSALS, "ContainerNotFound")


class MissingObjectError(StorageError, KeyError):
    """The storage says that an object of the lake does not exist (404)."""


def missing(where: str) -> MissingObjectError:
    """Make the error for an object, or a file, of a lake that is not there.

    Args:
        where: The lake and the object, for the message.
    """
    return MissingObjectError(
        "The storage says that an object of the lake does not exist",
        where=where,
        advice="the lake is damaged or was rewritten while in use: start again, or restore it",
    )


class Background:
    """A blocking call in a thread of its own, to be waited for like Deep Lake's futures.

    For the calls that have no asynchronous form. The thread ends with the call.
    """

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._value: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="deeplake-mmdet-open")
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value = self._call()
        except BaseException as error:
            self._error = error

    def is_completed(self) -> bool:
        """Whether the call has ended."""
        return not self._thread.is_alive()

    def result(self) -> Any:
        """What the call gave. Raises what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._value


def deadline_seconds() -> float:
    """Seconds that one read may take, retries included: ``DEEPLAKE_MMDET_DEADLINE``, or 60.

    Raises:
        ConfigError: The variable is no positive number.
    """
    text = os.environ.get(DEADLINE_VARIABLE, "").strip()
    try:
        seconds = float(text) if text else _DEFAULT_DEADLINE
    except ValueError:
        seconds = -1.0
    if not seconds > 0:
        raise ConfigError(
            f"The deadline of reads must be a positive number of seconds, got {text!r}",
            where=f"environment variable {DEADLINE_VARIABLE}",
        )
    return seconds


def is_local(url: str) -> bool:
    """Whether reads of this address need no network.

    Args:
        url: Path or address; paths, ``file://`` and ``mem://`` are local.
    """
    return "://" not in url or url.startswith(("mem://", "file://"))


def is_on_disk(url: str) -> bool:
    """Whether this address is a folder of this machine.

    Args:
        url: Path or address; unlike for `is_local`, ``mem://`` is none.
    """
    return is_local(url) and not url.startswith("mem://")


def wait(start: Callable[[], Any], end: float, where: str) -> Any:
    """Start one asynchronous Deep Lake call and wait for its result; Ctrl-C ends the waiting at any time.

    Args:
        start: Starts the call and returns Deep Lake's future; or its result, if that needs no waiting.
        end: When to give up, by ``time.monotonic()``.
        where: The lake, for the message.

    Returns:
        The call's result.

    Raises:
        StorageError: The deadline passed. The call itself cannot be taken back: see `lifecycle`.
        Exception: What the call raises.
    """
    with lifecycle.in_flight():
        future = start()
        if not hasattr(future, "is_completed"):
            return future
        poll = _FIRST_POLL
        try:
            while not future.is_completed():
                left = end - time.monotonic()
                if left <= 0:
                    raise _silent(where)
                time.sleep(min(poll, left))
                poll = min(poll * 1.5, _LONGEST_POLL)
        except StorageError:
            lifecycle.abandon(future)
            raise
        except BaseException:
            _let_end(future)
            raise
        return future.result()


def _let_end(future: Any) -> None:
    end = time.monotonic() + _INTERRUPT_PATIENCE
    try:
        while not future.is_completed() and time.monotonic() < end:
            time.sleep(_LONGEST_POLL)
    finally:  # a second Ctrl-C
        if not future.is_completed():
            lifecycle.abandon(future, interrupted=True)


def pause_before_retry(attempt: int, end: float) -> bool:
    """Sleep before a retry, longer each time: 0.1 to 0.2 s before the first, 2.5 to 5 s at most.

    Args:
        attempt: Number of the retry, from 1.
        end: When to give up, by ``time.monotonic()``.

    Returns:
        Whether to retry. False, without having slept, after `RETRIES` retries or if the pause would last
        beyond ``end``.
    """
    longest = min(_FIRST_PAUSE * 2 ** (attempt - 1), _LONGEST_PAUSE)
    pause = random.uniform(longest / 2, longest)
    if attempt > RETRIES or time.monotonic() + pause >= end:
        return False
    time.sleep(pause)
    return True


def code_of(error: BaseException) -> str:
    """The storage's own code for what went wrong, such as ``ExpiredToken``.

    Args:
        error: What Deep Lake raised.

    Returns:
        The code; empty if the error's text has none.
    """
    found = _CODE.search(str(error))
    return (found[1] or found[2]) if found else ""


def is_transient(error: BaseException) -> bool:
    """Whether an error may be gone at the next try: server errors (5xx), resets, bodies cut short.

    Args:
        error: What Deep Lake raised. Refusals (status 3xx, 4xx) count only with a code such as ``SlowDown``.
    """
    if type(error).__name__ in _TRANSIENT:
        refused = _REFUSED.search(str(error)) or code_of(error) in _FOR_GOOD
        return not refused or code_of(error) in _PASSING
    text = str(error).lower()
    # A query that ends too early has an "unexpected end", too.
    return type(error) is RuntimeError and "syntax error" not in text and any(word in text for word in _SHORT)


_SHORT = ("corrupt", "unexpected end", "truncated", "decompress", "size mismatch", "out of range of buffer")


def is_denied(error: BaseException) -> bool:
    """Whether the storage refused the credentials (401, 403).

    Args:
        error: What Deep Lake raised.
    """
    return type(error).__name__ in _DENIED or code_of(error) in _DENIED_CODES


def persist(
    call: Callable[[], Any],
    where: str,
    *,
    may_pass: Callable[[BaseException], bool] = is_transient,
    told: Callable[[Exception], Exception] = lambda error: error,
) -> Any:
    """Run one call; repeat it until the deadline as long as it fails for a reason that may pass.

    Args:
        call: Gives the result, or Deep Lake's future of it.
        where: The lake, for messages.
        may_pass: Whether an error's reason may pass.
        told: Gives the error to raise for an error of the call; asked after each.

    Returns:
        The call's result.

    Raises:
        StorageError: The deadline passed.
        Exception: What ``told`` gives for the call's last error.
    """
    end, attempt = time.monotonic() + deadline_seconds(), 0
    last: Exception | None = None
    while True:
        try:
            return wait(call, end, where)
        except Exception as error:
            attempt += 1
            if isinstance(error, StorageError) and last is not None:
                raise last from None  # the reason of the retry says more than that time is up
            problem = told(error)
            if not may_pass(error) or not pause_before_retry(attempt, end):
                if problem is error:
                    raise
                raise problem from None
            last = problem


def _silent(where: str) -> StorageError:
    return StorageError(
        f"The storage did not answer properly within {deadline_seconds():g} s",
        where=where,
        advice=f"check the address, the endpoint_url and the network; {DEADLINE_VARIABLE} sets the seconds",
    )
