"""Taking literal secrets out of a config's content, or refusing them there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from deeplake_mmdet.config.options import OF_LEGACY
from deeplake_mmdet.config.writing import SETTINGS
from deeplake_mmdet.errors import ConfigError, CredentialError
from deeplake_mmdet.lake import (
    ENVIRONMENT,
    MASK,
    CredentialRef,
    holds_secret,
    is_handle,
    is_local,
    is_secret_name,
    literals_in,
    put_away,
)

__all__ = ["drop_useless_handles", "extract_secrets", "joined", "redact", "taken_apart"]

_OF_SPLITS = "deeplake_credentials"
_CREDENTIAL_KEYS = ("credentials", _OF_SPLITS)
_NAMES = ("username", "password", "token", "creds")
# Shorter ones are words such as 'test', which MinIO's users choose; paths and types hold them too.
_LEAST_MASKED = 8
_GONE = object()
# Beside 3.x's settings; other top-level keys with a text are variables of the file, which nothing reads.
_OLD_SETTINGS = ("resume_from", "pretrained", "dataset_type", "data_root")
_WEIGHTS = ("load_from", "resume", "resume_from", "checkpoint", "pretrained")
_SERVICES = {
    "wandb": "set WANDB_API_KEY instead",
    "clearml": "set CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY instead",
    "mlflow": "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, instead",
    "neptune": "set NEPTUNE_API_TOKEN instead",
    "pavi": "leave it out",
}


def extract_secrets(content: Mapping[str, Any], *, refuse: bool = True) -> tuple[dict[str, Any], set[str]]:
    """Replace every literal credential of a lake by a handle, and refuse all other secrets.

    Which texts are secrets is told by the names of their keys (``api_key``, ``hf_token``), and in addresses
    by a user name or password before the host, or a signature behind the path.

    Args:
        content: A config as plain dicts and lists.
        refuse: False to mask what would be refused.

    Returns:
        The content with handles, without top-level variables that hold a secret or credentials and
        with secrets of eight and more characters masked wherever else they stand; and the secret texts.

    Raises:
        ConfigError: Credentials are no mapping.
        CredentialError: A secret stands where nothing but a literal could be used, as a key of Weights &
            Biases; or see `put_away`.
    """
    walk = _Walk()
    replaced = walk.replace(content, "", "")
    if walk.refused and refuse:
        raise _refusal(walk.refused)
    secrets = walk.secrets
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

    Args:
        node: Any part of the config.
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
    """A text with every secret masked.

    Args:
        text: Any.
        secrets: What it must not show.

    Returns:
        The text with `MASK` in their places.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def taken_apart(node: Any) -> Any:
    """Write each handle as ``username``, ``password``, ``token`` and ``creds``, which hold the handle.

    So an old script can still say ``cfg.data.train.deeplake_credentials.token = ...``.

    Args:
        node: Any part of a 2.x config; not changed.

    Returns:
        A copy with four entries for each handle.
    """
    if isinstance(node, Mapping):
        return {
            key: _entries(value) if key == _OF_SPLITS and is_handle(value) else taken_apart(value)
            for key, value in node.items()
        }
    return type(node)(map(taken_apart, node)) if isinstance(node, (list, tuple)) else node


def joined(node: Any) -> Any:
    """The reverse of `taken_apart`: one handle where no entry was changed, else what the entries stand for.

    Where a script has changed an entry, the result holds literal secrets: `extract_secrets` comes next.

    Args:
        node: Any part of a 2.x config; not changed.

    Returns:
        A copy.
    """
    if isinstance(node, Mapping):
        return {
            key: _value(value) if key == _OF_SPLITS and isinstance(value, Mapping) else joined(value)
            for key, value in node.items()
        }
    return type(node)(map(joined, node)) if isinstance(node, (list, tuple)) else node


def _entries(handle: str) -> dict[str, Any]:
    storage = CredentialRef(handle).resolve()[1]
    return {"username": None, "password": None, "token": handle, "creds": handle if storage else None}


def _value(entries: Mapping[str, Any]) -> Any:
    given = {key: value for key, value in entries.items() if value not in (None, "")}
    handle = given.get("token")
    if (
        isinstance(handle, str)
        and is_handle(handle)
        and given == {key: value for key, value in _entries(handle).items() if value}
    ):
        return handle
    found = dict(entries)
    if is_handle(found.get("token")):
        found["token"] = CredentialRef(found["token"]).resolve()[0]
    if is_handle(found.get("creds")):
        found["creds"] = CredentialRef(found["creds"]).resolve()[1]
    return found


class _Walk:
    """One walk through a config: what was found on it."""

    def __init__(self) -> None:
        self.secrets: set[str] = set()
        self.refused: list[tuple[str, str, bool]] = []

    def replace(self, node: Any, path: str, kind: str) -> Any:
        """A node without literal secrets.

        Args:
            node: Any part of the config.
            path: Its key.
            kind: Type of the nearest part around it that has one.
        """
        if isinstance(node, Mapping):
            if (own := node.get("type")) is not None:
                kind = own if isinstance(own, str) else str(getattr(own, "__name__", own))
            return {
                key: part
                for key, value in node.items()
                if (part := self._part(key, value, f"{path}.{key}" if path else str(key), kind)) is not _GONE
            }
        if isinstance(node, (list, tuple)):
            return type(node)(self.replace(part, f"{path}[{n}]", kind) for n, part in enumerate(node))
        if isinstance(node, str) and holds_secret(node):
            return self._refuse(node, path, kind, named=False)
        if isinstance(node, (set, frozenset)):
            return type(node)(self.replace(part, path, kind) for part in node)
        return node

    def _part(self, key: Any, value: Any, path: str, kind: str) -> Any:
        if key in _CREDENTIAL_KEYS:
            return _put_away(value, self.secrets)
        if path != str(key) or key in (*SETTINGS, *OF_LEGACY, *_OLD_SETTINGS):
            return self._named(key, value, path, kind)
        variable = _Walk()
        part = variable._named(key, value, path, kind)
        least = _LEAST_MASKED if variable.refused else 0
        self.secrets.update(text for text in variable.secrets if len(text) >= least)
        return _GONE if variable.refused else part

    def _named(self, key: Any, value: Any, path: str, kind: str) -> Any:
        found = [text for _, text in literals_in(value, path, key)] if is_secret_name(key) else []
        for text in found:
            self._refuse(text, path, kind, named=True)
        return MASK if found else self.replace(value, path, kind)

    def _refuse(self, text: Any, path: str, kind: str, *, named: bool) -> str:
        self.secrets.add(text.decode(errors="replace") if isinstance(text, bytes) else str(text))
        if (entry := (path, kind, named)) not in self.refused:
            self.refused.append(entry)
        return MASK


def _refusal(refused: list[tuple[str, str, bool]]) -> CredentialError:
    path, kind, named = refused[0]
    name = path.rpartition(".")[2]
    others = [other for other, _, _ in refused[1:]]
    service = next((told for word, told in _SERVICES.items() if word in kind.lower()), None)
    if not named:
        advice = service or (
            "fetch the file, and name it here"
            if name in _WEIGHTS
            else "give the address alone, and credentials by the environment or a lake's credentials key"
        )
    elif kind.rpartition(".")[2] == "DeepLakeDataset" or name.startswith("deeplake_"):
        advice = "write credentials=dict(token=...), in a 2.x config deeplake_credentials=dict(token=...)"
    else:
        advice = service or "leave it out and give it by the environment"
    return CredentialError(
        f"The config holds a secret {'' if named else 'in an address '}which MMEngine would write to the "
        "log, the work dir and every checkpoint",
        where=f"config key {', '.join(map(repr, (path, *others)))}",
        advice=advice,
    )


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
    if value.get("creds") == ENVIRONMENT:
        value = {**value, "creds": None}
    literal = dict(literals_in(dict(value), "", "credentials"))
    if not literal:
        return dict(value)
    secrets.update(str(text) for text in literal.values())
    return put_away(value)


def _mask(node: Any, secrets: set[str]) -> Any:
    if isinstance(node, Mapping):
        return {key: _mask(value, secrets) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return type(node)(_mask(value, secrets) for value in node)
    return redact(node, secrets) if isinstance(node, str) else node
