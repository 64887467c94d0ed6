"""Deep Lake's errors, turned into ours in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from deeplake_mmdet.errors import (
    CredentialError,
    DeepLakeMMDetError,
    SourceFormatError,
    SourceNotFoundError,
    StorageError,
)
from deeplake_mmdet.lake.faults import persist

__all__ = ["guard", "translate"]

Result = TypeVar("Result")

_VERSION_KINDS = ("VersionNotFoundError", "BranchNotFoundError", "TagNotFoundError")
_NO_CREDENTIALS = ("credentials", "access token", "unauthorized", "authentication", "401", "403")
_ADVICE = (
    "set ACTIVELOOP_TOKEN (al://), the AWS variables (s3://), GOOGLE_APPLICATION_CREDENTIALS (gs://) or the "
    "Azure variables (azure://), and check that they may read this lake"
)


def guard(where: str, call: Callable[[], Result], asked: str = "") -> Result:
    """Run one Deep Lake call and raise its errors as ours, see `translate`.

    A call that gives Deep Lake's future is waited for until the deadline, and retried: see `faults`.
    """
    try:
        return cast(Result, persist(call, where))
    except Exception as error:
        ours = translate(error, where, asked)
        if ours is None:
            raise
        # Not chained: Deep Lake's own text may hold the address with its credentials.
        raise ours from None


def translate(error: Exception, where: str, asked: str = "") -> DeepLakeMMDetError | None:
    """Our error for one of Deep Lake's, which share no base class; None if it is none of theirs.

    Args:
        error: What a Deep Lake call raised.
        where: The place, ``lake <address>``.
        asked: What version was asked for, e.g. ``'commit'='0002'``.
    """
    kind, text = type(error).__name__, str(error).lower()
    if isinstance(error, DeepLakeMMDetError):
        return error
    if kind == "LogNotexistsError" or "query source" in text:
        return SourceFormatError("This is not a Deep Lake dataset", where=where, advice="check the path")
    if kind in _VERSION_KINDS:
        return SourceNotFoundError(
            f"The lake has no such version ({asked})",
            where=f"dataset key {asked or 'commit'}, {where}",
            advice="deeplake-mmdet inspect lists its versions",
        )
    if kind == "KeyError":
        return SourceNotFoundError(
            "The bucket or the object does not exist", where=where, advice="check the address"
        )
    if kind in ("StorageAccessDenied", "AuthorizationError", "AuthenticationError", "ExpiredTokenError") or (
        _is_storage(kind, error) and any(word in text for word in _NO_CREDENTIALS)
    ):
        return CredentialError("The storage refused access", where=where, advice=_ADVICE)
    if isinstance(error, RuntimeError) and "schema" in text:
        return SourceFormatError(
            "Deep Lake knows no storage with this scheme",
            where=where,
            advice="use a folder, mem://, s3://, gs://, azure:// or al://",
        )
    if _is_storage(kind, error):
        return StorageError(
            f"The storage did not answer properly ({kind})",
            where=where,
            advice="check the address, the endpoint_url and the network",
        )
    return None


def _is_storage(kind: str, error: Exception) -> bool:
    """Azure's and HTTP's faults come as a bare RuntimeError."""
    text = str(error).lower()
    return (
        kind.startswith("Storage")
        or kind == "HTTPRequestFailedError"
        or (isinstance(error, RuntimeError) and ("credentials" in text or "storage reader" in text))
    )
