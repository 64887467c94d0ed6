"""The one exception family of this package.

Every error says what is wrong, where (config key, column, row) and what to do about it. Each kind is also
the builtin that a caller would expect, so ``except FileNotFoundError`` works as well as
``except DeepLakeMMDetError``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any

__all__ = [
    "ADDRESS",
    "AnnotationError",
    "BoxFormatError",
    "ColumnError",
    "ConfigError",
    "CredentialError",
    "DeepLakeMMDetError",
    "ImageError",
    "ImportRefusedError",
    "InstallError",
    "MissingOpError",
    "ProcessError",
    "SourceFormatError",
    "SourceNotFoundError",
    "StorageError",
    "listed",
    "login_of",
    "readable",
    "was_interrupted",
    "without_secrets",
]

#: An address in a text: its scheme, and what follows. A path that was made of one has a single slash.
ADDRESS = re.compile(r"""([A-Za-z][A-Za-z0-9+.-]+):/{1,2}(?!/)([^\s'"<>`]*)""")
# Keys and passwords hold slashes, too; a number behind the colon is a port, and an '@' in a path a version.
_LOGIN = re.compile(r"[^/?#@:\[]*:(?!\d+(?:[/?#]|$)).*@|[^/?#@]*@", re.DOTALL)
# Of these, a path with a single slash stands for the address that it was made of.
_STORAGES = ("s3", "gs", "gcs", "azure", "az")
# Where a name alone before the '@' is no secret: a container, or a user.
_NAMED = ("abfs", "abfss", "wasb", "wasbs", "hdfs", "sftp", "ssh", "git+ssh")


def login_of(scheme: str, rest: str) -> str:
    """User name and password of an address, with the ``@`` behind them; empty if there are none.

    Args:
        scheme: The part before ``://``, e.g. ``'https'``.
        rest: The part behind it.
    """
    found = _LOGIN.match(rest)
    login = found[0] if found else ""
    return "" if scheme.lower() in _NAMED and ":" not in login else login


def without_secrets(text: str) -> str:
    """A text whose addresses have lost user name, password, query, and a fragment with values.

    Args:
        text: Any text, with or without addresses.
    """

    def shown(match: re.Match[str]) -> str:
        before = match[0][: match.start(2) - match.start()]
        if match[1].lower() in _STORAGES:
            before = f"{match[1]}://"
        rest = match[2][len(login_of(match[1], match[2])) :]
        return before + re.split("[?]|#(?=[^#]*=)", rest)[0]

    return ADDRESS.sub(shown, text) if ":/" in text else text


# Control characters, those that turn the direction of writing, and halves of characters, which stand for
# bytes of a file's name that are no text: a terminal obeys them, or cannot be given them.
_UNPRINTABLE = (
    *range(0x20),
    *range(0x7F, 0xA0),
    *(0x2028, 0x2029),
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
    *range(0xD800, 0xE000),
)
_ESCAPES = {code: repr(chr(code))[1:-1] for code in _UNPRINTABLE}
_IN_LINES = {code: text for code, text in _ESCAPES.items() if chr(code) not in "\n\t"}


def readable(text: object, *, lines: bool = False) -> str:
    """A text with what cannot be printed written out, as in ``\\x1b``.

    Args:
        text: Anything; its ``str`` counts.
        lines: Leave line breaks and tabs alone.
    """
    return str(text).translate(_IN_LINES if lines else _ESCAPES)


class DeepLakeMMDetError(Exception):
    """Base of all errors raised by this package.

    Args:
        what: What is wrong, in one sentence.
        where: The place: a config key, a column, a row, a file.
        advice: What the reader can do about it.

    Addresses in all three are shown without user name, password and query.
    """

    def __init__(self, what: str, *, where: str | None = None, advice: str | None = None) -> None:
        caught = what.startswith("Caught ") and "\nOriginal Traceback" in what
        if caught and not os.environ.get("DEEPLAKE_MMDET_TRACEBACK"):
            what, where, advice = _told_by_worker(what)
        self.what = without_secrets(what)
        self.where = where and without_secrets(where)
        self.advice = advice and without_secrets(advice)
        super().__init__(self.what)

    def __str__(self) -> str:  # KeyError would otherwise print a repr
        parts = [self.what.rstrip(".") + "."]
        if self.where:
            parts.append(f"Where: {self.where.rstrip('.')}.")
        if self.advice:
            parts.append(f"What to do: {self.advice.rstrip('.')}.")
        return readable(" ".join(parts), lines=True)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.where, self.advice)


def listed(rows: Sequence[int] | Any) -> str:
    """Row numbers for people: the first ten.

    Args:
        rows: Any number of them, in a list or an array of shape (n,).
    """
    return ", ".join(str(int(row)) for row in rows[:10]) + (", ..." if len(rows) > 10 else "")


def was_interrupted(error: BaseException) -> bool:
    """Whether an error only follows from a Ctrl-C: some code raises another one while it is unwound.

    Args:
        error: Its causes and contexts are looked through for a ``KeyboardInterrupt``.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


def _told_by_worker(what: str) -> tuple[str, str | None, str | None]:
    """The three parts of what a data loader's worker said.

    Torch raises a worker's error anew, with its traceback for the only argument.
    """
    told = re.split(r"^[\w.]+Error: ", what, flags=re.MULTILINE)[-1].strip().removesuffix(".")
    match = re.fullmatch(r"(.*?)(?: Where: (.*?))?(?: What to do: (.*))?", told, re.DOTALL)
    return (
        (match[1].rstrip("."), match[2] and match[2].rstrip("."), match[3]) if match else (told, None, None)
    )


def _rebuild(
    kind: type[DeepLakeMMDetError], what: str, where: str | None, advice: str | None
) -> DeepLakeMMDetError:
    return kind(what, where=where, advice=advice)


class ConfigError(DeepLakeMMDetError, ValueError):
    """A config or an argument says something that cannot be done."""


class SourceNotFoundError(DeepLakeMMDetError, FileNotFoundError):
    """There is nothing at the path, or not the version that was asked for."""


class SourceFormatError(DeepLakeMMDetError, ValueError):
    """There is something at the path, but no lake, or no checkpoint, that can be read this way."""


class ColumnError(DeepLakeMMDetError, KeyError):
    """A column is missing, ambiguous, or of the wrong type for its role."""


class BoxFormatError(DeepLakeMMDetError, ValueError):
    """The box format is unspecified or unknown; it is never guessed."""


class AnnotationError(DeepLakeMMDetError, ValueError):
    """Annotations contradict each other or their class names."""


class ImageError(DeepLakeMMDetError, ValueError):
    """An image cannot be decoded or has an unusable shape."""


class StorageError(DeepLakeMMDetError, OSError):
    """The storage did not answer, or answered with a fault."""


class CredentialError(DeepLakeMMDetError, PermissionError):
    """Credentials are missing, refused, or stand where they must not."""


class ImportRefusedError(DeepLakeMMDetError, FileExistsError):
    """An import would overwrite something."""


class InstallError(DeepLakeMMDetError, ImportError):
    """The installed packages cannot work together."""


class MissingOpError(DeepLakeMMDetError, NotImplementedError):
    """A compiled mmcv op was called that the stand-in does not provide."""


class ProcessError(DeepLakeMMDetError, RuntimeError):
    """One of several processes of a run was killed, or failed in a way that cannot be told elsewhere."""
