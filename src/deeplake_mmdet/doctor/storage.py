"""As whom buckets are read. Nothing asks the network, and no value of a key is told."""

from __future__ import annotations

import os
from collections.abc import Iterator

from deeplake_mmdet.doctor.fact import Fact, Status
from deeplake_mmdet.lake.source.identities import Way, identity_of

__all__ = ["storage_facts"]

_STORAGES = (("S3", "s3://bucket"), ("Google Cloud Storage", "gs://bucket"), ("Azure", "az://bucket"))
_UNSURE = (Way.INSTANCE, Way.NOBODY)
_TOKENS = ("ACTIVELOOP_TOKEN", "DEEPLAKE_API_KEY")


def storage_facts() -> Iterator[Fact]:
    """Which identity each storage would be read by."""
    for name, url in _STORAGES:
        who = identity_of(url, {})
        if who is not None:
            status = Status.NOTE if who.way in _UNSURE else Status.OK
            yield Fact("storage", name, str(who), status)
    found = [name for name in _TOKENS if os.environ.get(name)]
    yield Fact("storage", "Deep Lake's platform", f"{found[0]} is set" if found else "no token")
    own = sorted(name for name in os.environ if name.startswith("DEEPLAKE_MMDET_"))
    if own:
        yield Fact("storage", "our variables", ", ".join(own))
