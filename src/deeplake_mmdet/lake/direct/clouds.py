"""obstore's stores of S3, Google's and Azure's buckets, with the identity by which Deep Lake reads them.

obstore itself authenticates by keys, web identity, and the roles of containers and instances, and fetches new
keys before the old ones expire. Profiles (roles to be assumed and SSO among them) need boto3.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple
from urllib.parse import SplitResult, quote

from deeplake_mmdet.lake.source.identities import Identity, Way

__all__ = ["LeftToDeepLake", "Stores", "bucket_region", "stores_of"]

_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
_REGIONS = ("aws_region", "region")
_UNDERSTOOD = {
    "s3": {*_KEYS, *_REGIONS, "endpoint_url", "profile_name"},
    "gcs": {"gcs_oauth_token", "json_credentials"},
    "azure": {"account_name", "account_key", "sas_token", "blob_endpoint"},
}
# What obstore takes from the environment, unlike Deep Lake: another identity, or another place.
_OBSTORES_OWN = {
    "s3": ("AWS_TOKEN", "AWS_ENDPOINT", "AWS_SKIP_SIGNATURE", "AWS_S3_EXPRESS"),
    "gcs": (
        *("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "GOOGLE_SERVICE_ACCOUNT_KEY"),
        *("SERVICE_ACCOUNT", "GOOGLE_BEARER_TOKEN", "GOOGLE_SKIP_SIGNATURE", "GOOGLE_BASE_URL"),
    ),
    "azure": (
        *("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_MASTER_KEY"),
        *("AZURE_STORAGE_SAS_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_TOKEN", "AZURE_SKIP_SIGNATURE"),
        *("AZURE_STORAGE_USE_EMULATOR", "AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT", "AZURE_USE_AZURE_CLI"),
        *("AZURE_STORAGE_CLIENT_ID", "AZURE_STORAGE_CLIENT_SECRET", "AZURE_CREDENTIAL_TYPE"),
    ),
}
_AMAZON = "https://s3.amazonaws.com"
_PATIENCE = 5.0  # seconds
_SHORTLY = timedelta(minutes=1)


Stores = list[Any] | Callable[[], list[Any]]


class LeftToDeepLake(Exception):
    """Only Deep Lake can read this bucket; the text says why."""


class Place(NamedTuple):
    """A bucket's address and what all clients of it have in common."""

    address: SplitResult
    common: dict[str, Any]


def stores_of(
    storage: str, address: SplitResult, given: Mapping[str, str], who: Identity, common: dict[str, Any]
) -> Stores:
    """The stores by which an address may be read: the first that answers is right. Asks no network.

    What makes them may be given in their place; that does.

    Args:
        storage: One of `identities.STORAGES`.
        address: Of the lake.
        given: Storage options as Deep Lake takes them.
        who: As whom Deep Lake reads it.
        common: ``client_options`` and ``retry_config`` of obstore's stores.

    Raises:
        LeftToDeepLake: obstore cannot do that.
        Exception: obstore's, of options that make no sense.
    """
    if unknown := set(given) - _UNDERSTOOD[storage]:
        raise LeftToDeepLake(f"only Deep Lake understands {', '.join(sorted(unknown))}")
    if own := [name for name in _OBSTORES_OWN[storage] if os.environ.get(name)]:
        raise LeftToDeepLake(f"Deep Lake does not heed {', '.join(own)}")
    make = {"s3": _s3, "gcs": _gcs, "azure": _azure}[storage]
    return make(Place(address, common), given, who)


def _s3(place: Place, given: Mapping[str, str], who: Identity) -> Stores:
    options: dict[str, Any] = {}
    of_environment = os.environ.get("AWS_ENDPOINT_URL_S3")
    endpoint = given.get("endpoint_url") or of_environment or os.environ.get("AWS_ENDPOINT_URL")
    if of_environment and endpoint != of_environment:
        raise LeftToDeepLake("AWS_ENDPOINT_URL_S3 is not the endpoint_url of the lake")
    if endpoint:
        options["endpoint"] = endpoint
    bucket = place.address.netloc
    region = next((given[key] for key in _REGIONS if given.get(key)), None)
    here = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    make = partial(_s3_stores, place, given, who, options)
    if region or endpoint:
        return make(region or here)
    make(here)  # finds out whether it can be done
    # The variables tell where the machine is, which need not be where the bucket is.
    return lambda: make(bucket_region(bucket) or here)


def bucket_region(bucket: str, storage: str = "") -> str:
    """In which region of Amazon's a bucket lies, which is told to anybody; empty if it is not told.

    Args:
        bucket: Its name.
        storage: Whom to ask; Amazon, if empty.
    """
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    try:
        with urlopen(
            Request(f"{storage or _AMAZON}/{quote(bucket)}", method="HEAD"), timeout=_PATIENCE
        ) as got:
            headers = got.headers
    except HTTPError as error:  # as to those who may not read it
        headers = error.headers
    except OSError:
        return ""
    return str(headers.get("x-amz-bucket-region") or "")


def _s3_stores(
    place: Place, given: Mapping[str, str], who: Identity, options: Mapping[str, Any], region: str
) -> list[Any]:
    from obstore.store import S3Store

    endpoint = str(options.get("endpoint", ""))

    def store(**more: Any) -> Any:
        allowed = {**place.common["client_options"], "allow_http": endpoint.startswith("http://")}
        return S3Store(
            place.address.netloc,
            prefix=place.address.path.strip("/"),
            region=region,
            virtual_hosted_style_request=False,
            **{**place.common, "client_options": allowed, **options, **more},
        )

    if who.way in (Way.GIVEN, Way.ENVIRONMENT):
        source = given if who.way is Way.GIVEN else {key: os.environ.get(key.upper(), "") for key in _KEYS}
        keys = {key: source[key] for key in _KEYS if source.get(key)}
        if "aws_session_token" not in keys and os.environ.get("AWS_SESSION_TOKEN"):
            # obstore would send this token, which belongs to other keys
            raise LeftToDeepLake("AWS_SESSION_TOKEN belongs to other keys")
        return [store(**keys)]
    if who.way is Way.PROFILE:
        return [store(credential_provider=_ByBoto3(lambda: _of_profile(who.name)))]
    if who.way is Way.CONTAINER and not _container_is_plain():
        return [store(credential_provider=_ByBoto3(_of_container))]
    if who.way is Way.NOBODY:
        return [store(skip_signature=True)]
    if who.way is Way.INSTANCE:
        metadata = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT")
        instance = store(**({"metadata_endpoint": metadata} if metadata else {}))
        return [instance, store(skip_signature=True)]
    return [store()]  # web identity and containers stand in the environment


def _container_is_plain() -> bool:
    """Whether obstore takes the endpoint of containers as it is."""
    relative = os.environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    return bool(relative or os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"))


def _gcs(place: Place, given: Mapping[str, str], who: Identity) -> list[Any]:
    from obstore.store import GCSStore

    options: dict[str, Any] = dict(place.common)
    if emulator := os.environ.get("CLOUD_STORAGE_EMULATOR_ENDPOINT"):
        options["base_url"] = emulator
        options["client_options"] = {
            **options["client_options"],
            "allow_http": emulator.startswith("http://"),
        }

    def store(**more: Any) -> Any:
        return GCSStore(place.address.netloc, prefix=place.address.path.strip("/"), **options, **more)

    if token := given.get("gcs_oauth_token"):
        return [store(credential_provider=lambda: {"token": token, "expires_at": None})]
    if account := given.get("json_credentials"):
        return [store(service_account_key=account)]
    return [store()]


def _azure(place: Place, given: Mapping[str, str], who: Identity) -> list[Any]:
    from obstore.store import AzureStore

    container, _, prefix = place.address.path.strip("/").partition("/")
    if not container:
        raise LeftToDeepLake("the address names no container")
    options: dict[str, Any] = {
        **place.common,
        "account_name": given.get("account_name") or place.address.netloc,
    }
    if endpoint := given.get("blob_endpoint"):
        options["endpoint"] = endpoint.rstrip("/")
        options["client_options"] = {
            **options["client_options"],
            "allow_http": endpoint.startswith("http://"),
        }

    def store(**more: Any) -> Any:
        return AzureStore(container, prefix=prefix, **options, **more)

    if key := given.get("account_key"):
        return [store(account_key=key)]
    if sas := given.get("sas_token"):
        return [store(sas_key=sas)]
    return [store(), store(skip_signature=True)]  # as Deep Lake does, whom nobody gives a token


class _ByBoto3:
    """Keys that boto3 finds at the first read and renews, as obstore asks for them. Safe to use from threads.

    Args:
        find: Gives boto3's credentials.

    Raises:
        LeftToDeepLake: There is no boto3.
    """

    def __init__(self, find: Callable[[], Any]) -> None:
        if find_spec("botocore") is None:
            raise LeftToDeepLake("boto3 is not installed, which this needs: pip install boto3")
        self._find = find
        self._found: Any = None
        self._finding = threading.Lock()

    def __call__(self) -> dict[str, Any]:
        from botocore.credentials import RefreshableCredentials

        with self._finding:
            if self._found is None:
                self._found = self._find()
        if self._found is None:
            raise LookupError("boto3 finds no credentials")
        keys = self._found.get_frozen_credentials()
        passing = isinstance(self._found, RefreshableCredentials)
        # boto3 knows when they expire, and renews them before: it is asked again all the time.
        return {
            "access_key_id": keys.access_key,
            "secret_access_key": keys.secret_key,
            "token": keys.token,
            "expires_at": datetime.now(timezone.utc) + _SHORTLY if passing else None,
        }

    def __repr__(self) -> str:
        return "_ByBoto3()"

    def __reduce__(self) -> Any:
        raise TypeError("Credentials cannot be pickled")


def _of_profile(name: str) -> Any:
    from botocore.session import Session

    return Session(profile=name).get_credentials()


def _of_container() -> Any:
    from botocore.credentials import ContainerProvider

    return ContainerProvider().load()
