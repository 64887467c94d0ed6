"""Parts of a run that several machines have predicted, and the run that is made of them.

A part is a branch ``run-shards/<run id>/<number>-of-<count>``: as a run's, but that only the rows of the
part have been predicted on. The metadata of its column ``pred/boxes`` tells between which rows they lie.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from deeplake_mmdet.errors import ImportRefusedError
from deeplake_mmdet.lake.schema.columns import read_metadata
from deeplake_mmdet.lake.shard import Shard
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.pinning import handle_of, list_versions, resolve
from deeplake_mmdet.lake.source.source import ResolvedSource, Source
from deeplake_mmdet.lake.writing.run_branch import (
    RUN_SHARDS,
    delete_branches,
    write_run,
)
from deeplake_mmdet.lake.writing.run_opening import RunBranch, read_run

__all__ = ["merge_run", "run_shards"]

_NAME = re.compile(re.escape(RUN_SHARDS) + r"(.+)/(\d+)-of-(\d+)")
_ROWS = 1024  # read and written at once
_OWN = ("shard", "rows", "created")  # what each part of a run tells of itself alone
_MAY_DIFFER = (*_OWN, "model")  # the name of a checkpoint's file: its hash counts


def run_shards(source: ResolvedSource, credentials: CredentialRef | None = None) -> dict[str, list[Shard]]:
    """The parts that a lake holds and that are not merged, by run.

    Args:
        source: Any version of the lake.
        credentials: What opens it.
    """
    found: dict[str, list[Shard]] = {}
    for name in list_versions(source, credentials).branches:
        if match := _NAME.fullmatch(name):
            found.setdefault(match[1], []).append(Shard(int(match[2]), int(match[3])))
    return {run_id: sorted(parts) for run_id, parts in sorted(found.items())}


def merge_run(path: str, run_id: str, credentials: CredentialRef) -> tuple[str, list[int]]:
    """Make one run of its parts, in one commit; the parts are removed then.

    Args:
        path: The lake.
        run_id: Id of the run.
        credentials: What opens the lake for writing.

    Returns:
        The branch, and how many rows each part has predicted.

    Raises:
        ImportRefusedError: Parts are missing (the error names them), or are of different models, rows or
            options; or the lake has the whole run already.
        StorageError, CredentialError: The lake cannot be written; it is as it was.
    """
    source = resolve(Source(path), credentials)
    there = run_shards(source, credentials).get(run_id, [])
    count = max((part.parts for part in there), default=0)
    missing = [f"{number}/{count}" for number in range(count) if Shard(number, count) not in there]
    where = f"lake {path}, run {run_id}"
    if missing or len({part.parts for part in there}) != 1:
        counts = sorted({part.parts for part in there})
        what = f"{len(missing)} of {count} shards are missing: {', '.join(missing[:20])}"
        raise ImportRefusedError(
            what if len(counts) == 1 else f"Its shards are of {counts} parts",
            where=where,
            advice="predict them with --shard, and merge then",
        )
    names = [f"{RUN_SHARDS}{run_id}/{number}-of-{count}" for number in range(count)]
    parts = [read_run(path, name, run_id, credentials) for name in names]
    filled = [part for part in parts if part.metadata["rows"]] or parts[:1]
    _check_alike(parts, filled, where)
    first = filled[0]
    base = resolve(
        Source(path, branch=first.metadata["base"]["branch"], commit=first.metadata["base"]["version"]),
        credentials,
    )
    told = {key: value for key, value in first.metadata.items() if key not in _OWN}
    rows = [int(part.metadata["rows"]) for part in parts]
    branch = write_run(
        base,
        credentials,
        run_id,
        _blocks(filled, len(handle_of(base, credentials))),
        columns=first.columns,
        class_names=read_metadata(handle_of(first.source, credentials)["pred/labels"].metadata)[
            "class_names"
        ],
        metadata={**told, "rows": sum(rows), "created": max(part.metadata["created"] for part in parts)},
        embedding=int(first.metadata["shard"]["embedding"]),
    )
    delete_branches(base, credentials, names)
    return branch, rows


def _check_alike(parts: Sequence[RunBranch], filled: Sequence[RunBranch], where: str) -> None:
    first = parts[0].metadata
    for part in parts[1:]:
        for key in (key for key in dict.fromkeys([*first, *part.metadata]) if key not in _MAY_DIFFER):
            if first.get(key) != part.metadata.get(key):
                raise ImportRefusedError(
                    f"Its shards have different {key}: {first.get(key)!r:.200} and "
                    f"{part.metadata.get(key)!r:.200}",
                    where=where,
                    advice="predict all shards with one model, on one version, by one set of packages",
                )
    for part in filled:
        if part.columns != filled[0].columns:
            raise ImportRefusedError(
                "Its shards have different columns: "
                f"{', '.join(sorted({*part.columns} ^ {*filled[0].columns}))} not in all",
                where=where,
                advice="predict all shards with the same --loss and --embed",
            )


def _blocks(parts: Sequence[RunBranch], total: int) -> Iterator[dict[str, Any]]:
    """All rows, each from the part that has predicted on it."""
    spans = [part.metadata["shard"]["span"] for part in parts]
    handles: list[Any] = [handle_of(part.source, part.credentials) for part in parts]
    for start in range(0, total, _ROWS):
        stop = min(start + _ROWS, total)
        near = [h for h, (low, high) in zip(handles, spans, strict=True) if low < stop and high > start]
        read = [
            {column: list(handle[column][start:stop]) for column in parts[0].columns}
            for handle in near or handles[:1]
        ]
        block = read[0]
        for other in read[1:]:
            for place in np.flatnonzero(_predicted(other) & ~_predicted(block)).tolist():
                for column in block:
                    block[column][place] = other[column][place]
        yield block


def _predicted(block: Mapping[str, Sequence[Any]]) -> Any:
    """Which rows of a block a part tells anything of; of the others none does, or it makes no difference."""
    told = np.array([len(boxes) > 0 for boxes in block["pred/boxes"]], bool)
    for column, values in block.items():
        if column not in ("pred/boxes", "pred/labels", "pred/scores", "pred/masks", "pred/embedding"):
            told |= np.asarray(values) != -1
    return told
