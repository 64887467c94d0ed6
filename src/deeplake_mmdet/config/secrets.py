"""Taking literal secrets out of a config's content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake import ENVIRONMENT, is_handle, is_local, put_away

__all__ = ["drop_useless_handles", "extract_secrets", "redact"]

_CREDENTIAL_KEYS = ("credentials", "deeplake_credentials")
_NAMES = ("username", "password", "token", "creds")
_PUBLIC = ("endpoint_url", "aws_region", "region")
_MASK = "<removed by deeplake-mmdet>"
# Shorter ones are words such as 'test', which MinIO's users choose; paths and types hold them too.
_LEAST_MASKED = 8


def extract_secrets(content: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Replace every literal credential by a handle.

    Args:
        content: A config as plain dicts and lists.

    Returns:
        The same content with handles, without top-level variables that hold a secret or credentials and
        with secrets of eight and more characters masked wherever else they stand; and the secret texts.

    Raises:
        ConfigError: Credentials are no mapping.
        CredentialError: See `put_away`.
    """
    secrets: set[str] = set()
    replaced = _replace(content, secrets)
    long = {secret for secret in secrets if len(secret) >= _LEAST_MASKED}
    cleaned = {
        key: _mask(value, long)
        for key, value in replaced.items()
        if not (isinstance(value, str) and value in secrets)
    }
    return cleaned, secrets


def drop_useless_handles(node: Any) -> None:
    """Take the handles of lakes on this machine, which need no credentials, out of a 3.x config, in place.

    In the config that a run leaves behind, a handle means nothing any more.
    """
    if isinstance(node, (list, tuple)):
        for part in node:
            drop_useless_handles(part)
    elif isinstance(node, MutableMapping):
        path = node.get("path")
        local = isinstance(path, (str, Path)) and str(path) and is_local(str(path))
        if local and is_handle(node.get("credentials")):
            del node["credentials"]
        for value in node.values():
            drop_useless_handles(value)


def redact(text: str, secrets: Iterable[str]) -> str:
    """``text`` with every secret masked."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, _MASK)
    return text


def _replace(node: Any, secrets: set[str]) -> Any:
    if isinstance(node, Mapping):
        return {
            key: _put_away(value, secrets) if key in _CREDENTIAL_KEYS else _replace(value, secrets)
            for key, value in node.items()
        }
    if isinstance(node, (list, tuple)):
        return type(node)(_replace(value, secrets) for value in node)
    return node


def _put_away(value: Any, secrets: set[str]) -> Any:
    if not value or is_handle(value):
        return value
    if not isinstance(value, Mapping):  # perhaps a bare token: not to be shown
        raise ConfigError(
            f"Credentials must be a mapping, got {type(value).__name__}",
            where="config key 'credentials'",
            advice="write credentials=dict(token=...)",
        )
    for key in value:
        if near := key not in _NAMES and get_close_matches(str(key), _NAMES, n=1, cutoff=0.75):
            raise ConfigError(
                f"Unknown credentials key {key!r}",
                where="config key 'credentials'",
                advice=f"perhaps {near[0]!r} is meant",
            )
    creds = value.get("creds") or {}
    if creds == ENVIRONMENT:
        value, creds = {**value, "creds": None}, {}
    flat = {**value, **(creds if isinstance(creds, Mapping) else {"creds": creds})}
    literal = {
        key: text for key, text in flat.items() if key not in _PUBLIC and isinstance(text, str) and text
    }
    if not literal:
        return dict(value)
    secrets.update(literal.values())
    return put_away(value)


def _mask(node: Any, secrets: set[str]) -> Any:
    if isinstance(node, Mapping):
        return {key: _mask(value, secrets) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return type(node)(_mask(value, secrets) for value in node)
    return redact(node, secrets) if isinstance(node, str) else node
