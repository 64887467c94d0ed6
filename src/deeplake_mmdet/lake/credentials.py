"""Credentials: kept in one in-process store, named elsewhere by an opaque handle.

Configs, checkpoints, pickles and error messages hold the handle, never what it stands for. Another process
resolves credentials again from its environment, or receives them through the pipe by which it is spawned.
"""

from __future__ import annotations

import logging
import multiprocessing.context
import os
import secrets
from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.errors import ConfigError, CredentialError

__all__ = ["ENVIRONMENT", "CredentialRef", "is_handle", "put_away"]

ENVIRONMENT = "ENV"  # as Deep Lake 3 called the storage credentials of the environment

_HANDLE_PREFIX = "deeplake-credentials-"
_PUBLIC_KEYS = {"endpoint_url", "aws_region", "region"}
_KNOWN_KEYS = {"username", "password", "token", "creds"} | _PUBLIC_KEYS

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
        ConfigError: ``creds`` is no mapping.
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
    handle = _HANDLE_PREFIX + secrets.token_hex(8)
    _store[handle] = {"token": given.get("token"), "creds": storage}
    return handle


def is_handle(value: object) -> bool:
    """Whether ``value`` is a handle made by `put_away`."""
    return isinstance(value, str) and value.startswith(_HANDLE_PREFIX)


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
            if literal := sorted(set(flat) - _PUBLIC_KEYS):
                raise CredentialError(
                    f"A dataset was handed literal credentials ({', '.join(literal)})",
                    where="dataset key 'credentials'",
                    advice="MMEngine has by now written them to the log, the config dump in the work dir and "
                    "will write them to every checkpoint: delete those files and renew the credentials. "
                    "Set ACTIVELOOP_TOKEN or the AWS variables instead, or start through deeplake-mmdet "
                    "train/test or deeplake_mmdet.load_config, which take secrets out first",
                )
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
