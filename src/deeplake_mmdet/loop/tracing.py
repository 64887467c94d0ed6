"""`lineage`: which data made which model, which predictions that made, and which view came of these."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from deeplake_mmdet.errors import ConfigError, DeepLakeMMDetError, SourceFormatError, SourceNotFoundError
from deeplake_mmdet.lake import (
    CredentialRef,
    Source,
    list_versions,
    recorded_source,
    resolve,
    tag_version,
    verify_recorded,
)
from deeplake_mmdet.loop.traced_lakes import Lakes
from deeplake_mmdet.training.record import RECORD_NAME
from deeplake_mmdet.training.resume.checkpoint_files import classes_in, read_data
from deeplake_mmdet.training.resume.checkpoints import newest_checkpoint
from deeplake_mmdet.training.resume.run_state import STATE_KEY

__all__ = ["file_hash", "is_sound", "lineage"]

_BLOCK = 2**22
_LONGEST_TOLD = 2000  # characters of a query in a tag's message


def lineage(
    what: str | os.PathLike[str],
    *,
    run: str | None = None,
    verify: bool = False,
    tag: str | None = None,
    credentials: str | Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Tell where a model, or what lies in a lake, comes from, and what came of it.

    Args:
        what: A checkpoint, the folder of a training, or a lake.
        run: Of a lake, the run to tell of; all runs and views otherwise.
        verify: See whether the lakes still hold what was used, with the same rows.
        tag: Of a checkpoint or a training: put a tag of this name on each version that was trained on. Its
            message names the model.
        credentials: What opens lakes: None, a handle, or public options, see `CredentialRef`.

    Returns:
        Facts as plain JSON values: ``kind`` is ``'checkpoint'``, ``'training'`` or ``'lake'``. Lakes,
        and runs of a lake, have ``verified``, a mapping with ``status`` (``'OK'``, ``'FAILED'`` or
        ``'UNREACHABLE'``) and ``why``, if that was asked for.

    Raises:
        SourceNotFoundError: There is nothing of this name, or the lake has no such run.
        SourceFormatError: It is neither a checkpoint nor a training nor a lake, or would run code.
        ConfigError: The options do not fit, or a training has no record of its data.
        StorageError, CredentialError: The lake cannot be read, or the tag not written.
    """
    ref, name = CredentialRef(credentials), os.fspath(what)
    path = Path(name).expanduser()
    lakes = Lakes(ref)
    if "://" in name or not (path.is_file() or (path / RECORD_NAME).is_file() or _has_checkpoint(path)):
        if tag is not None:
            raise ConfigError(
                "A tag names a model: it needs a checkpoint",
                where=f"--tag {tag!r}, {name}",
                advice="name one",
            )
        return _of_lake(name, ref, lakes, run, verify)
    if run is not None:
        raise ConfigError("Only a lake has runs of predictions", where=f"--run {run!r}, {name}")
    facts = _of_checkpoint(path) if path.is_file() else _of_training(path)
    for lake in facts["lakes"]:
        lake |= lakes.around(lake, facts.get("hash"))
        if verify:
            status, why = verify_recorded(lake, ref)
            lake["verified"] = {"status": status, "why": why}
    if tag is not None:
        _put_tag(facts, tag, ref)
    return facts


def is_sound(facts: Mapping[str, Any]) -> bool:
    """Whether all that was verified holds.

    Args:
        facts: From `lineage`.
    """
    parts = [*facts.get("lakes", ()), *facts.get("runs", ())]
    return all(part.get("verified", {"status": "OK"})["status"] == "OK" for part in parts)


def file_hash(path: str | os.PathLike[str]) -> str:
    """The first 16 hex digits of a file's SHA-256, by which runs name their checkpoint.

    Args:
        path: The file.
    """
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()[:16]


def _has_checkpoint(folder: Path) -> bool:
    return folder.is_dir() and newest_checkpoint(folder) is not None


def _of_checkpoint(path: Path) -> dict[str, Any]:
    content = read_data(path)
    content = content if isinstance(content, Mapping) else {}
    found = content.get("meta")
    meta: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    state = content.get(STATE_KEY)
    pins = state.get("pins") if isinstance(state, Mapping) else None
    record: Mapping[str, Any] = {}
    if not isinstance(pins, Mapping):
        raise SourceFormatError(
            "The checkpoint has no record of the data that it was trained on",
            where=str(path),
            advice="those that deeplake-mmdet train writes have one; the folder's run.json may tell more",
        )
    record = _last_start(path.parent / RECORD_NAME)
    text, packages = meta.get("cfg"), state.get("packages") if isinstance(state, Mapping) else None
    return {
        "kind": "checkpoint",
        "path": str(path),
        "hash": file_hash(path),
        "epoch": _whole(meta.get("epoch")),
        "iter": _whole(meta.get("iter")),
        "config": {
            "name": str(meta.get("experiment_name") or ""),
            "hash": hashlib.sha256(text.encode()).hexdigest()[:16] if isinstance(text, str) else "",
        },
        "classes": list(classes_in(content) or ()),
        "seed": pins.get("seed") if pins.get("seed") is not None else _whole(meta.get("seed")),
        "samples": pins.get("length"),
        "packages": dict(packages or record.get("packages") or {}),
        "lakes": _lakes_in(pins.get("lakes"), path),
    }


def _of_training(folder: Path) -> dict[str, Any]:
    newest = newest_checkpoint(folder)
    record = _last_start(folder / RECORD_NAME)
    if newest is None and not record:
        raise ConfigError(
            "The training has no record of its data",
            where=str(folder / RECORD_NAME),
            advice="name a checkpoint",
        )
    made = {"kind": "training", "path": str(folder)}
    if newest is not None:
        return {**_of_checkpoint(Path(newest)), **made, "checkpoint": str(newest)}
    known = {key: record.get(key) for key in ("started", "seed", "samples", "packages")}
    return {**made, **known, "lakes": _lakes_in(record.get("lakes"), folder / RECORD_NAME)}


def _last_start(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text())["starts"][-1])
    except (OSError, ValueError, TypeError, LookupError):
        return {}


def _lakes_in(found: Any, file: Path) -> list[dict[str, Any]]:
    if not isinstance(found, list) or not all(isinstance(lake, Mapping) for lake in found):
        raise SourceFormatError("The record of the lakes trained on is damaged", where=str(file))
    for lake in found:
        recorded_source(lake)  # whole
    return [dict(lake) for lake in found]


def _of_lake(
    name: str, credentials: CredentialRef, lakes: Lakes, run: str | None, verify: bool
) -> dict[str, Any]:
    try:
        source = resolve(Source(name), credentials)
    except (SourceFormatError, SourceNotFoundError) as error:
        if "://" in name:
            raise
        raise type(error)(
            error.what, where=error.where, advice="name a checkpoint, the folder of a training, or a lake"
        ) from None
    if source.format != "v4" and run is None:
        return {"kind": "lake", "url": source.url, "format": source.format, "runs": [], "views": []}
    facts = {
        "kind": "lake",
        "url": source.url,
        "dataset_id": source.dataset_id,
        "version": source.version,
        "branches": list(list_versions(source, credentials).branches),
        **lakes.everything(source.url, run),
    }
    if verify:
        for one in facts["runs"]:
            status, why = lakes.verify_run(source.url, one["run_id"])
            one["verified"] = {"status": status, "why": why}
    return facts


def _put_tag(facts: dict[str, Any], tag: str, credentials: CredentialRef) -> None:
    if not facts["lakes"]:
        raise ConfigError("No lake was trained on", where=facts["path"])
    for lake in facts["lakes"]:
        message = {
            "kind": "model",
            "checkpoint": Path(facts.get("checkpoint", facts["path"])).name,
            "checkpoint_hash": facts.get("hash", ""),
            "config": facts.get("config", {}),
            "view": lake.get("view", ""),
            "queries": [query[:_LONGEST_TOLD] for query in lake["queries"]],
            "created": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
        }
        if lake.get("format", "v4") != "v4":
            raise DeepLakeMMDetError(
                "A lake in Deep Lake's old format (v3) takes no tag", where=f"lake {lake['url']}"
            )
        tag_version(recorded_source(lake), credentials, tag, message=json.dumps(message))
    facts["tag"] = tag


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, int) else None
