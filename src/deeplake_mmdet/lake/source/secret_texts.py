"""What among settings is a secret: told by the names of keys, and in addresses by their form.

Configs are written to logs, files and checkpoints, so that what this finds must be gone before that.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from logging import FileHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from deeplake_mmdet.errors import ADDRESS, login_of, without_secrets

__all__ = [
    "HANDLE",
    "MASK",
    "PUBLIC",
    "files_holding",
    "holds_secret",
    "is_literal",
    "is_secret_name",
    "literals_in",
    "masked",
]

MASK = "<removed by deeplake-mmdet>"
#: Entries of credentials that may be shown.
PUBLIC = ("endpoint_url", "aws_region", "region")

#: How a handle begins that stands for credentials.
HANDLE = "deeplake-credentials-"
_NAMES = (
    *("token", "tokens", "auth", "authorization", "bearer", "pass", "pwd", "sas", "cookie", "cookies"),
    *("creds", "secrets", "passwords", "apikeys"),
)
_ENDINGS = (
    *("password", "passwd", "passphrase", "secret", "apikey", "accesskey", "accesskeyid", "secretkey"),
    *("secretid", "privatekey", "accountkey", "authkey", "connectionstring", "credential", "credentials"),
)
# Words of a model's vocabulary are tokens, too: cls_token, mask_token, img_token.
_VOCABULARY = (
    *("cls", "class", "mask", "pad", "unk", "bos", "eos", "eod", "sep", "start", "end", "special", "img"),
    *("image", "patch", "dist", "text", "extra", "sub", "object", "region", "prompt", "query", "learnable"),
)
_LEAST_TOKEN = 8  # characters of what stands under a name such as 'hf_token'
# Of addresses only: under these names a config has other things.
_IN_QUERIES = (
    *("sig", "signature", "key", "policy", "keypairid", "hmac", "jwt", "googleaccessid", "hdnts", "hdnea"),
    *("xamzsignature", "xgoogsignature", "xamzsecuritytoken"),
)
_ASSIGNED = re.compile(r"""(?P<name>[\w-]+)['"]?(?P<sign>\s*[=:]\s*)(?P<quote>['"])(?P<text>.*?)(?P=quote)""")
_VARIABLE = re.compile(r"\$\w+|\$\{\w+\}")
_LARGEST = 64 * 2**20  # bytes of a file that is looked through


def is_secret_name(name: object) -> bool:
    """Whether a key's name says that a secret stands under it, e.g. ``api_key`` or ``aws_secret_access_key``.

    Args:
        name: The key; case and punctuation do not matter.
    """
    plain = _plain(name)
    return plain in _NAMES or plain.endswith(_ENDINGS) or _is_token(plain)


def holds_secret(text: str) -> bool:
    """Whether an address in a text holds a secret: a login before its host, or a signature in its query.

    Args:
        text: Any text, or an address alone.
    """
    return any(
        login_of(match[1], match[2]) or any(map(_is_signed, re.split("[?&;#]", match[2])[1:]))
        for match in ADDRESS.finditer(text)
    ) or bool("://" in text and login_of(*text.strip().split("://", 1)))


def literals_in(
    node: Any, path: str = "", name: object = "", secret: bool = False
) -> Iterator[tuple[str, Any]]:
    """Find the secrets that stand in settings.

    Args:
        node: Mappings, lists and values.
        path: Key of the node.
        name: The last part of it.
        secret: Whether it stands under the name of a secret.

    Yields:
        The full key (``model.hub.token``) and the value of each.
    """
    if isinstance(node, Mapping):
        secret = secret or is_secret_name(name)
        for key, value in node.items():
            place = f"{path}.{key}" if path else str(key)
            yield from literals_in(value, place, key, secret and key not in PUBLIC)
    elif isinstance(node, (list, tuple, set, frozenset)):
        for number, value in enumerate(node):
            yield from literals_in(value, f"{path}[{number}]", name, secret)
    elif (_is_given(node) if secret else is_secret_name(name) and is_literal(node, name)) or (
        isinstance(node, str) and holds_secret(node)
    ):
        yield path, node


def is_literal(value: Any, name: object) -> bool:
    """Whether a value under a secret's name is the secret itself.

    Args:
        value: The value. A handle of ours, a variable (``$NAME``), ``'ENV'``, the path of an existing file
            and an empty value are none.
        name: The key. Under names that end in ``token``, numbers and (but for ``token`` itself) texts shorter
            than eight characters are none, either: a model's vocabulary may have them.
    """
    token = _plain(name)
    if not isinstance(value, str):
        return _is_given(value) and (isinstance(value, bytes) or not token.endswith("token"))
    if token not in _NAMES and _is_token(token) and len(value) < _LEAST_TOKEN:
        return False
    return _is_given(value) and not _VARIABLE.fullmatch(value) and not _is_file(value)


def _is_given(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value.strip()) and not value.startswith((HANDLE, MASK)) and value != "ENV"
    return bool(value) if isinstance(value, bytes) else type(value) in (int, float)


def _is_file(text: str) -> bool:
    try:
        return "/" in text and Path(text).expanduser().is_file()
    except (OSError, ValueError, RuntimeError):
        return False


def _plain(name: object) -> str:
    return re.sub(r"[\W_]", "", str(name).lower())


def masked(text: str) -> str:
    """Remove the secrets from a text for people, such as a traceback.

    Args:
        text: The text.

    Returns:
        The text with addresses cut as `without_secrets` does, and literal values in assignments
        (``password='...'``) replaced by `MASK`.
    """

    def hide(match: re.Match[str]) -> str:
        if not is_secret_name(match["name"]) or not is_literal(match["text"], match["name"]):
            return match[0]
        return match[0].replace(match["quote"] + match["text"] + match["quote"], repr(MASK))

    return without_secrets(_ASSIGNED.sub(hide, text))


def files_holding(secrets: Iterable[str]) -> list[Path]:
    """Find the files of this process's run of MMEngine that hold one of some texts.

    Args:
        secrets: The texts; they are looked for as they are and as Python writes them.

    Returns:
        Sorted paths of files in the run's log folder and in the folder above it. In checkpoints the weights
        are not searched; files above 64 MiB, and those that cannot be read, are left out.
    """
    from mmengine.logging import MMLogger

    wanted = {part for text in secrets for part in (text, repr(text)[1:-1]) if part}
    handlers = MMLogger.get_current_instance().handlers
    logs = [Path(handler.baseFilename) for handler in handlers if isinstance(handler, FileHandler)]
    files = {file for log in logs for file in (*log.parent.rglob("*"), *log.parent.parent.glob("*"))}
    found = [part.encode() for part in wanted]
    return sorted(file for file in files if any(part in data for data in _read(file) for part in found))


def _read(file: Path) -> Iterator[bytes]:
    try:
        if not file.is_file():
            return
        if zipfile.is_zipfile(file):  # a checkpoint: the weights hold no texts
            with zipfile.ZipFile(file) as archive:
                yield from (archive.read(name) for name in archive.namelist() if name.endswith("data.pkl"))
        elif file.stat().st_size <= _LARGEST:
            yield file.read_bytes()
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError):
        return


def _is_token(plain: str) -> bool:
    before = plain.removesuffix("token")
    return before != plain and not before.endswith(_VOCABULARY)


def _is_signed(parameter: str) -> bool:
    name, equals, value = parameter.partition("=")
    plain = _plain(unquote(name))
    return bool(equals and value) and (plain in _IN_QUERIES or is_secret_name(plain))
