"""Credentials: kept in one in-process store, named elsewhere by an opaque handle.

Configs, checkpoints, pickles and error messages hold the handle, never what it stands for. Another process
resolves credentials again from its environment, or receives them through the pipe by which it is spawned.
"""

from __future__ import annotations

import logging
import multiprocessing.context
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deeplake_mmdet.errors import ConfigError, CredentialError
from deeplake_mmdet.lake.source.secret_texts import HANDLE, PUBLIC, files_holding, holds_secret, literals_in

__all__ = [
    "ENVIRONMENT",
    "CredentialRef",
    "check_storage_options",
    "is_handle",
    "put_away",
    "refuse_literals",
]

ENVIRONMENT = "ENV"  # as Deep Lake 3 called the storage credentials of the environment


_store: dict[str, dict[str, Any]] = {}
_told: set[str] = set()
_log = logging.getLogger("deeplake_mmdet")


def put_away(credentials: Mapping[str, Any]) -> str:
    """Move literal credentials into this process's store.

    Args:
        credentials: ``token``, ``username``, ``password`` and ``creds`` (storage keys such as
            ``aws_access_key_id``), or storage keys directly. Empty values mean "not set".

    Returns:
        The handle that may stand in a config.

    Raises:
        CredentialError: ``username`` or ``password`` is set; Deep Lake takes tokens only.
        ConfigError: ``creds`` is no mapping, or an entry is no text.
    """
    given = {key: value for key, value in credentials.items() if value not in (None, "")}
    if "username" in given or "password" in given:
        raise CredentialError(
            "Deep Lake no longer takes a user name and password",
            where="credentials keys 'username' and 'password'",
            advice="create a token on the Deep Lake site and set ACTIVELOOP_TOKEN, or give token=",
        )
    storage = {key: value for key, value in given.items() if key not in ("token", "creds")}
    storage.update(_storage_keys(given))
    check_storage_options({"token": given.get("token"), **storage})
    handle = HANDLE + secrets.token_hex(8)
    _store[handle] = {"token": given.get("token"), "creds": storage}
    return handle


def is_handle(value: object) -> bool:
    """Whether something is a handle made by `put_away`.

    Args:
        value: Anything.
    """
    return isinstance(value, str) and value.startswith(HANDLE)


def check_storage_options(given: Mapping[str, Any]) -> None:
    """Refuse what Deep Lake would refuse with all values in its message, and keys within an endpoint.

    Args:
        given: By name, as Deep Lake takes them.

    Raises:
        ConfigError: A value is no text.
        CredentialError: The endpoint's address holds a user name, a password or a signature.
    """
    for key, value in given.items():
        if value is not None and not isinstance(value, str):
            raise ConfigError(
                f"{key!r} must be text, got {type(value).__name__}", where=f"credentials key {key!r}"
            )
        if key in PUBLIC and holds_secret(value or ""):
            raise CredentialError(
                "The address holds a user name, a password or a signature",
                where=f"credentials key {key!r}",
                advice="give the address alone, and the keys as aws_access_key_id and aws_secret_access_key, "
                "or by the environment",
            )


def _storage_keys(given: Mapping[str, Any]) -> Mapping[str, Any]:
    creds = given.get("creds") or {}
    if creds == ENVIRONMENT:
        return {}
    if not isinstance(creds, Mapping):
        raise ConfigError(
            f"'creds' must be a mapping, got {type(creds).__name__}",
            where="credentials key 'creds'",
            advice="write creds=dict(aws_access_key_id=..., aws_secret_access_key=...), or creds='ENV' for "
            "those of the environment",
        )
    return creds


def literal_error(keys: str, where: str, files: Sequence[Path] = ()) -> CredentialError:
    """The refusal of literal secrets.

    Args:
        keys: Under which names they stood.
        where: Of what.
        files: Files that are known to hold them by now.
    """
    written = (
        f"By now they stand in {', '.join(map(str, files))}"
        if files
        else "If MMEngine's runner has built it, its log, its config dump in the work dir and its "
        "checkpoints hold them"
    )
    return CredentialError(
        f"A dataset was handed literal credentials ({keys})",
        where=where,
        advice=f"{written}: delete those files and renew the credentials. Set ACTIVELOOP_TOKEN or the AWS "
        "variables instead, or start through deeplake-mmdet train/test or deeplake_mmdet.load_config, which "
        "take secrets out first",
    )


class CredentialRef:
    """What a dataset knows of its credentials: a handle, or public options such as an endpoint.

    Args:
        given: None, a handle, or a mapping with public keys only
            (``endpoint_url``, ``aws_region``, ``region``).

    Raises:
        CredentialError: A literal secret was given.
        ConfigError: Something else was given.
    """

    def __init__(self, given: str | Mapping[str, Any] | None = None) -> None:
        self._handle: str | None = None
        self._public: dict[str, Any] = {}
        if not given:
            return
        if is_handle(given):
            self._handle = str(given)
        elif isinstance(given, Mapping):
            flat = {**given, **_storage_keys(given)}
            flat = {key: value for key, value in flat.items() if key != "creds" and value not in (None, "")}
            if literal := sorted(set(map(str, flat)) - set(PUBLIC)):
                raise literal_error(", ".join(literal), "dataset key 'credentials'")
            check_storage_options(flat)
            self._public = flat
        else:
            raise ConfigError(
                f"Credentials must be a mapping, got {type(given).__name__}",
                where="dataset key 'credentials'",
            )

    @property
    def settings(self) -> str | dict[str, Any] | None:
        """What may stand for them in a config: the handle, public options, or nothing."""
        return self._handle or dict(self._public) or None

    def resolve(self) -> tuple[str | None, dict[str, Any]]:
        """The token (or None) and the storage options, as Deep Lake's ``open`` takes them.

        A handle of another process, as in the config in a run's folder, stands for the environment's; the log
        says so once.
        """
        token = os.environ.get("ACTIVELOOP_TOKEN") or os.environ.get("DEEPLAKE_API_KEY") or None
        if self._handle is None:
            return token, dict(self._public)
        kept = _store.get(self._handle)
        if kept is None:
            if self._handle not in _told:
                _told.add(self._handle)
                _log.warning(
                    "The credentials %s were put away by another process: those of the environment are used "
                    "(ACTIVELOOP_TOKEN, the AWS variables)",
                    self._handle,
                )
            return token, {}
        return kept["token"] or token, dict(kept["creds"])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CredentialRef):
            return NotImplemented
        return (self._handle, self._public) == (other._handle, other._public)

    def __hash__(self) -> int:
        return hash((self._handle, *sorted(self._public)))

    def __repr__(self) -> str:
        return f"CredentialRef({'<kept in process>' if self._handle else self._public})"

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = {"handle": self._handle, "public": self._public}
        # Only the pipe to a child that is being spawned right now may carry the secret itself.
        if self._handle and multiprocessing.context.get_spawning_popen() is not None:
            state["kept"] = _store.get(self._handle)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._handle, self._public = state["handle"], state["public"]
        if self._handle and state.get("kept"):
            _store[self._handle] = state["kept"]


def refuse_literals(arguments: Mapping[str, Any]) -> None:
    """Refuse a dataset's arguments that hold a secret: whoever built it has had them written somewhere.

    Args:
        arguments: By name.

    Raises:
        CredentialError: With the files of the run that hold them by now.
    """
    found = dict(literals_in(arguments))
    if found:
        files = files_holding(text for text in found.values() if isinstance(text, str))
        raise literal_error(", ".join(found), "arguments of a DeepLakeDataset", files)
