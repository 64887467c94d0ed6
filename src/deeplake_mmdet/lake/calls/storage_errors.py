"""Deep Lake's errors, turned into ours in one place."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, overload

from deeplake_mmdet.errors import (
    CredentialError,
    DeepLakeMMDetError,
    SourceFormatError,
    SourceNotFoundError,
    StorageError,
)
from deeplake_mmdet.lake.calls.faults import AZURE_REFUSALS, code_of, persist
from deeplake_mmdet.lake.calls.protocols import Future

__all__ = ["cause_of", "damaged", "guard", "no_identity", "sound", "translate"]

Result = TypeVar("Result")

_VERSION_KINDS = ("VersionNotFoundError", "BranchNotFoundError", "TagNotFoundError")
_NO_CREDENTIALS = ("credentials", "access token", "unauthorized", "authentication", "401", "403")
_ADVICE = (
    "set ACTIVELOOP_TOKEN (al://), the AWS variables (s3://), GOOGLE_APPLICATION_CREDENTIALS (gs://) or the "
    "Azure variables (azure://), and check that they may read this lake"
)


_REGION = (
    StorageError,
    "The bucket is in another region than the one that is asked",
    "set AWS_REGION, or credentials=dict(aws_region=...), to the bucket's region{region}; where endpoint_url "
    "is set, it must be that of this region",
)
_TOKEN = (
    CredentialError,
    "The storage does not take the session token",
    "get new temporary credentials, and set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN "
    "together: a token belongs to its keys",
)
_EXPIRED = (
    CredentialError,
    "The temporary credentials have expired",
    "get new ones (e.g. by aws sso login), set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
    "AWS_SESSION_TOKEN together; a training goes on by --resume",
)
_BUSY = (
    StorageError,
    "The storage asks for fewer requests",
    "try again later with fewer workers and processes, or keep chunks by cache=...",
)
# Codes of S3 and Azure: what each means, and what helps. {region} is what the answer says of it.
_CAUSES: dict[str, tuple[type[DeepLakeMMDetError], str, str]] = {
    **dict.fromkeys(("ExpiredToken", "ExpiredTokenException", "RequestExpired"), _EXPIRED),
    **dict.fromkeys(("InvalidToken", "TokenRefreshRequired"), _TOKEN),
    "RequestTimeTooSkewed": (
        StorageError,
        "This machine's clock is wrong: it differs from the storage's by more than it allows (15 minutes)",
        "set the clock, e.g. by timedatectl set-ntp true; in a virtual machine or container, the host's",
    ),
    "SignatureDoesNotMatch": (
        CredentialError,
        "The secret key is not the one of this key id",
        "copy AWS_SECRET_ACCESS_KEY anew, whole and without blanks; if it is right, a proxy before the "
        "storage changes the requests, or endpoint_url is not the name that the storage knows itself by",
    ),
    "InvalidAccessKeyId": (
        CredentialError,
        "The storage knows no such key id",
        "check AWS_ACCESS_KEY_ID, and that the keys are those of this storage (endpoint_url); temporary keys "
        "need AWS_SESSION_TOKEN as well",
    ),
    **dict.fromkeys(
        ("AccessDenied", "AllAccessDisabled", "AccountProblem"),
        (
            CredentialError,
            "The storage refused access: these credentials may not read this lake",
            "they need s3:GetObject on the lake's objects and s3:ListBucket on its bucket; {credentials}",
        ),
    ),
    **dict.fromkeys(
        AZURE_REFUSALS,
        (
            CredentialError,
            "The storage refused access: these credentials may not read this lake",
            "check account_key, or that sas_token is whole, has not expired and lets read and list; an "
            "identity needs the role Storage Blob Data Reader",
        ),
    ),
    **dict.fromkeys(
        ("NoSuchBucket", "ContainerNotFound"),
        (
            SourceNotFoundError,
            "There is no such bucket or container",
            "check the address, and that endpoint_url is that of the storage which has it",
        ),
    ),
    **dict.fromkeys(
        ("PermanentRedirect", "TemporaryRedirect", "Redirect", "AuthorizationHeaderMalformed"), _REGION
    ),
    **dict.fromkeys(("IllegalLocationConstraintException", "InvalidRegion"), _REGION),
    **dict.fromkeys(("SlowDown", "ServiceUnavailable", "TooManyRequests", "Throttling"), _BUSY),
    **dict.fromkeys(("ThrottlingException", "RequestLimitExceeded", "BandwidthLimitExceeded"), _BUSY),
    "InvalidObjectState": (
        StorageError,
        "An object of the lake lies in an archive (Glacier)",
        "restore the lake's objects first",
    ),
}
# Deep Lake's words where it gets no keys from those that hand them out.
_NO_IDENTITY = ("web identity credentials", "'aws' cli", "aws cli returned", "failed to authenticate with")
_SHOWN = 120  # characters of an error of Deep Lake's
_WRITING = re.compile(r"action=(Put|Delete)")
_EXPECTED = re.compile(r"expecting '([\w-]+)'|<Region>([\w-]+)</Region>|x-amz-bucket-region: ([\w-]+)")


@overload
def guard(where: str, call: Callable[[], Future[Result]], asked: str = "") -> Result: ...
@overload
def guard(where: str, call: Callable[[], Result], asked: str = "") -> Result: ...
def guard(where: str, call: Callable[[], Any], asked: str = "") -> Any:
    """Run one Deep Lake call and raise its errors as ours (see `translate`).

    A call that gives Deep Lake's future is waited for until the deadline. Any call is retried after faults
    that may pass (see `faults.persist`).

    Args:
        where: The place, ``lake <address>``.
        call: Gives the result, or Deep Lake's future of it.
        asked: What version was asked for, e.g. ``'commit'='0002'``; for messages.

    Returns:
        The result.

    Raises:
        SourceNotFoundError: Nothing is there, or not that version.
        SourceFormatError: What is there cannot be read as a lake.
        CredentialError: The storage refused access.
        StorageError: The storage failed, or the deadline passed.
        OSError, MemoryError: The operating system's own.
    """
    try:
        return persist(call, where)
    except Exception as error:
        ours = translate(error, where, asked)
        if ours is None and isinstance(error, (OSError, MemoryError)):
            raise  # of the system, and no word about the lake
        # Not chained: Deep Lake's own text may hold the address with its credentials.
        raise ours or damaged(error, where) from None


def cause_of(error: Exception, where: str) -> DeepLakeMMDetError | None:
    """Our error for the cause that the storage itself gives by a code such as ``AccessDenied``.

    Args:
        error: What Deep Lake raised.
        where: The place, ``lake <address>``.

    Returns:
        The error, not raised; None if there is no code, or none that we know.
    """
    code = code_of(error)
    if code not in _CAUSES:
        return None
    kind, what, advice = _CAUSES[code]
    if code == "AccessDenied" and _WRITING.search(str(error)):
        what = "The storage refused access: these credentials may not write this lake"
        advice = "they need s3:PutObject and s3:DeleteObject, besides s3:GetObject and s3:ListBucket"
    found = _EXPECTED.search(str(error))
    region = f" ({next(filter(None, found.groups()))})" if found else ""
    return kind(f"{what} ({code})", where=where, advice=advice.format(region=region, credentials=_ADVICE))


@contextlib.contextmanager
def sound(where: str) -> Iterator[None]:
    """Report errors in reading a lake's own records, which may hold anything, as a damaged lake.

    To be used in a ``with`` statement.

    Args:
        where: The place, ``lake <address>``.

    Raises:
        SourceFormatError: The block raised an ``ArithmeticError``, ``AttributeError``, ``LookupError``,
            ``RecursionError``, ``TypeError`` or ``ValueError``. Errors of this package pass unchanged.
    """
    try:
        yield
    except DeepLakeMMDetError:
        raise
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise damaged(error, where) from None


def damaged(error: Exception, where: str) -> SourceFormatError:
    """Make our error for something that cannot be read as a lake; Deep Lake has many kinds that say little.

    Args:
        error: What was raised. The first line of its text is quoted, unless an address in it may hold
            credentials.
        where: The place, ``lake <address>``.
    """
    text = next(iter(str(error).splitlines()), "")[:_SHOWN]
    # A remote address in it may hold credentials.
    told = f"{type(error).__name__}: {text}" if text and "://" not in where + text else type(error).__name__
    return SourceFormatError(
        f"What is there cannot be read as a lake ({told})",
        where=where,
        advice="a file of the lake is damaged, or was written by a newer Deep Lake: restore it from a copy",
    )


def translate(error: Exception, where: str, asked: str = "") -> DeepLakeMMDetError | None:
    """Make our error for one of Deep Lake's, which share no base class.

    Args:
        error: What a Deep Lake call raised.
        where: The place, ``lake <address>``.
        asked: What version was asked for, e.g. ``'commit'='0002'``.

    Returns:
        The error, not raised; None if it is not known as one of Deep Lake's.
    """
    kind, text = type(error).__name__, str(error).lower()
    if isinstance(error, DeepLakeMMDetError):
        return error
    if (cause := cause_of(error, where)) is not None:
        return cause
    if isinstance(error, RuntimeError) and any(word in text for word in _NO_IDENTITY):
        return no_identity(where)
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
            f"The storage did not answer properly ({code_of(error) or kind})",
            where=where,
            advice="check the address, the endpoint_url and the network",
        )
    return None


def no_identity(where: str) -> CredentialError:
    """The error for keys that could not be had at all: the storage itself was never asked.

    Args:
        where: The place, ``lake <address>``.
    """
    return CredentialError(
        "No keys could be had for the storage",
        where=where,
        advice="web identity: the token's file must be readable, its role open to it and sts.amazonaws.com "
        "within reach; a profile: aws configure export-credentials --profile NAME must print keys (aws sso "
        f"login first, where it is SSO); else {_ADVICE}",
    )


def _is_storage(kind: str, error: Exception) -> bool:
    """Azure's and HTTP's faults come as a bare RuntimeError."""
    text = str(error).lower()
    return (
        kind.startswith("Storage")
        or kind == "HTTPRequestFailedError"
        or (isinstance(error, RuntimeError) and ("credentials" in text or "storage reader" in text))
    )
