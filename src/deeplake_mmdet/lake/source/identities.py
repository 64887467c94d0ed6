"""As whom Deep Lake reads a bucket: which of the many ways to authenticate it takes.

Whatever else reads the bucket has to be the same identity, and errors name what was tried. The order is Deep
Lake's own (measured with 4.7.4), which is not that of AWS's tools. Nothing here asks the network, and nothing
that is told is a secret.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as ConfigFileError
from enum import Enum
from pathlib import Path
from subprocess import DEVNULL
from typing import NamedTuple
from urllib.parse import urlsplit

__all__ = ["STORAGES", "Identity", "Way", "identity_of", "lacks_keys"]

#: By the scheme of an address, the storage.
STORAGES = {"s3": "s3", "gs": "gcs", "gcs": "gcs", "azure": "azure", "az": "azure"}

_PATIENCE = 30.0  # seconds for a command that may ask the network
_PAIR = ("aws_access_key_id", "aws_secret_access_key")
_SSO = ("sso_session", "sso_start_url")
_CONTAINER = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
_WEB = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN")
_AZURE_WEB = ("AZURE_FEDERATED_TOKEN_FILE", "AZURE_TENANT_ID", "AZURE_CLIENT_ID")
_AZURE_SECRET = ("AZURE_CLIENT_SECRET", "AZURE_TENANT_ID", "AZURE_CLIENT_ID")
_GIVEN = ("account_key", "sas_token", "gcs_oauth_token", "json_credentials")


class Way(Enum):
    """How somebody is known to a storage; the value is for people."""

    GIVEN = "the keys in credentials"
    ENVIRONMENT = "the keys of the environment"
    PROFILE = "a profile"
    WEB = "web identity"
    CONTAINER = "the container's role"
    FILE = "a file of credentials"
    INSTANCE = "the instance's role if there is one, else unsigned requests"
    NOBODY = "unsigned requests, as there are no keys"


class Identity(NamedTuple):
    """A way, and which of its kind.

    Attributes:
        way: The way.
        name: Of the profile, if it is one.
        detail: For people.
    """

    way: Way
    name: str = ""
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.way.value}{f' {self.name!r}' if self.name else ''}" + (
            f" ({self.detail})" if self.detail else ""
        )


def identity_of(url: str, given: Mapping[str, str]) -> Identity | None:
    """As whom Deep Lake reads an address now; None if it is no bucket, or the platform's business.

    Args:
        url: Of the lake.
        given: Storage options, from ``CredentialRef.resolve``.
    """
    storage = STORAGES.get(urlsplit(url).scheme)
    if storage is None:
        return None
    if storage != "s3" and any(given.get(key) for key in _GIVEN):
        return Identity(Way.GIVEN)
    return {"s3": _of_s3, "gcs": _of_gcs, "azure": _of_azure}[storage](given)


def lacks_keys(who: Identity | None) -> bool:
    """Whether it is a profile of which AWS's own command, which Deep Lake asks, has no keys to give.

    Args:
        who: As whom a lake is read.
    """
    if who is None or who.way is not Way.PROFILE:
        return False
    command = ["aws", "configure", "export-credentials", "--profile", who.name, "--format", "process"]
    try:  # what it prints is secret
        done = subprocess.run(
            command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return True
    return done.returncode != 0


def _of_s3(given: Mapping[str, str]) -> Identity:
    if name := given.get("profile_name"):
        return Identity(Way.PROFILE, name, "profile_name")
    if all(given.get(key) for key in _PAIR):
        return Identity(Way.GIVEN)
    if name := _set("AWS_PROFILE"):
        return Identity(Way.PROFILE, name, "AWS_PROFILE")
    if all(_set(key.upper()) for key in _PAIR):
        return Identity(Way.ENVIRONMENT, detail="AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY")
    name = _set("AWS_DEFAULT_PROFILE") or "default"
    keys = _section(_set("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials", name)
    config = _section(
        _set("AWS_CONFIG_FILE") or "~/.aws/config", name if name == "default" else f"profile {name}"
    )
    if all(keys.get(key) for key in _PAIR) or config.get("credential_process"):
        return Identity(Way.PROFILE, name, "~/.aws")
    if all(map(_set, _WEB)):
        detail = ", ".join(f"{variable}={_set(variable)}" for variable in _WEB)
        return Identity(Way.WEB, detail=detail)
    if any(config.get(key) for key in _SSO):
        return Identity(Way.PROFILE, name, "~/.aws/config, SSO")
    if variable := next(filter(_set, _CONTAINER), None):
        return Identity(Way.CONTAINER, detail=variable)
    if _set("AWS_EC2_METADATA_DISABLED").lower() == "true":
        return Identity(Way.NOBODY)
    return Identity(Way.INSTANCE)


def _of_gcs(given: Mapping[str, str]) -> Identity:
    if _set("GOOGLE_APPLICATION_CREDENTIALS"):
        return Identity(Way.FILE, detail="GOOGLE_APPLICATION_CREDENTIALS")
    if Path("~/.config/gcloud/application_default_credentials.json").expanduser().is_file():
        return Identity(Way.FILE, detail="~/.config/gcloud")
    return Identity(Way.INSTANCE)


def _of_azure(given: Mapping[str, str]) -> Identity:
    if all(map(_set, _AZURE_SECRET)):
        return Identity(Way.ENVIRONMENT, detail=", ".join(_AZURE_SECRET))
    if all(map(_set, _AZURE_WEB)):
        return Identity(Way.WEB, detail=", ".join(_AZURE_WEB))
    return Identity(Way.INSTANCE)


def _set(variable: str) -> str:
    return os.environ.get(variable, "").strip()


def _section(file: str, name: str) -> dict[str, str]:
    """A section of one of AWS's files; empty if there is none, or none that can be read."""
    parser = ConfigParser(interpolation=None, strict=False)
    try:
        parser.read(Path(file).expanduser(), "utf-8")
    except (ConfigFileError, OSError, UnicodeError, RuntimeError):
        return {}
    return dict(parser[name]) if parser.has_section(name) else {}
