"""Putting a lake's shards together: once, in the order of their numbers, all or none."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deeplake_mmdet.errors import ImportRefusedError, SourceNotFoundError
from deeplake_mmdet.lake.images.exif_choice import EXIF_KEY
from deeplake_mmdet.lake.schema.columns import read_metadata
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.pinning import resolve
from deeplake_mmdet.lake.source.source import Source
from deeplake_mmdet.lake.writing.append_target import AppendTarget
from deeplake_mmdet.lake.writing.run_branch import RUNS
from deeplake_mmdet.lake.writing.run_shards import merge_run, run_shards
from deeplake_mmdet.lake.writing.shard_target import FACTS, SHARD, SHARDS
from deeplake_mmdet.lake.writing.targets import METADATA, storage_errors

__all__ = ["MergeSummary", "merge"]


@dataclass
class MergeSummary:
    """What was merged.

    Attributes:
        lake: Folder or address.
        shards: Rows by shard.
        rows: All of them.
        branch: Where they are.
        notes: What else the user should know, in sentences.
    """

    lake: str
    shards: list[int]
    rows: int
    branch: str = "main"
    notes: list[str] = field(default_factory=list)


def merge(
    lake: str | Path, *, run: str | None = None, creds: Mapping[str, str] | None = None
) -> MergeSummary:
    """Put the shards of a lake together, in one commit: of its import, or of a run of ``predict``.

    Images are not copied. The shards' branches are removed then.

    Args:
        lake: Folder or address of the lake that ``import --shard`` or ``predict --write-back --shard`` wrote
            shards into.
        run: Id of the run; may be left out of a lake with shards of one run only, or of its import.
        creds: Keys of the storage, by Deep Lake's names; None for the environment's.

    Returns:
        How many rows there are. Row for row they are as without shards.

    Raises:
        SourceNotFoundError: There is no lake.
        ImportRefusedError: Shards are missing (the error names them), or there are none, or are of different
            arguments.
        StorageError, CredentialError: The storage failed or refused access; the lake is as it was.
    """
    merging = _Merging(str(lake), creds)
    head = merging.open()
    if run is None and not len(head):
        return merging.run()
    credentials = CredentialRef(dict(creds)) if creds else CredentialRef()
    there = run_shards(resolve(Source(merging.name), credentials), credentials)
    if run is None and len(there) == 1:
        [run] = there
    if run is None or run.removeprefix(RUNS) not in there:
        known = f"It has shards of the runs {', '.join(there)}" if there else "It has no shards"
        raise ImportRefusedError(
            f"There is nothing to merge in this lake{f' for run {run}' if run else ''}. {known}",
            where=f"lake {merging.name}",
            advice="name one: --run ID"
            if there and run is None
            else "they are made by: deeplake-mmdet import, or predict --write-back, with --shard 0/2",
        )
    branch, rows = merge_run(merging.name, run.removeprefix(RUNS), credentials)
    return MergeSummary(merging.name, rows, sum(rows), branch)


class _Merging(AppendTarget):
    _state = "merging"

    def open(self) -> Any:
        with storage_errors("The lake cannot be examined", self.name, self.creds):
            try:
                self._head = self._open()
            except Exception as error:
                if type(error).__name__ != "LogNotexistsError":
                    raise
                raise SourceNotFoundError("There is no lake", where=self._where) from None
        return self._head

    def run(self) -> MergeSummary:
        head = self._head
        names = self._shards(head)
        try:
            lake = super().begin({}, lambda _: None)
            with storage_errors("The shards cannot be merged", self.name, self.creds):
                sizes, facts = self._collect(lake, head, names)
                self._set_facts(head, facts)
            self.publish(lake, f"Merge {len(names)} shards", sum(sizes), {})
        except BaseException:
            self.discard()
            raise
        for name in names:
            try:
                self._run(self._head.branches[name].delete)
            except Exception as error:
                self.notes.append(f"The lake is whole; branch {name} remains ({type(error).__name__})")
        return MergeSummary(self.name, sizes, self.rows, notes=self.notes)

    def _shards(self, head: Any) -> list[str]:
        """The names of all shards' branches, in order."""
        images = head["images"] if "images" in [column.name for column in head.schema.columns] else None
        stated = read_metadata(images.metadata, (SHARDS,)).get(SHARDS) if images is not None else None
        found = [name for name in head.branches.names() if SHARD.fullmatch(name)]
        if stated is None:
            raise ImportRefusedError(
                "There is nothing to merge in this lake. It has neither rows nor shards",
                where=self._where,
                advice="Shards are imported by: deeplake-mmdet import FORMAT ... --shard 0/2",
            )
        count = int(json.loads(stated)["shards"])
        wanted = [f"shard-{number}-of-{count}" for number in range(count)]
        missing = [f"{number}/{count}" for number, name in enumerate(wanted) if name not in found]
        if missing:
            running = sum(name.startswith("sharding-") for name in head.branches.names())
            raise ImportRefusedError(
                f"{len(missing)} of {count} shards are missing: {_first(missing)}",
                where=self._where,
                advice="Import them, and merge then"
                + f"; {running} {'is' if running == 1 else 'are'} being written, or were when killed"
                * bool(running),
            )
        return wanted

    def _collect(self, lake: Any, head: Any, names: list[str]) -> tuple[list[int], list[dict[str, Any]]]:
        """Merge the shards' branches into the one that becomes ``main``; sizes, and what is known of each."""
        sizes, facts = [], []
        for name in names:
            branch = head.branches[name]
            shard = self._run(branch.open)
            metadata = read_metadata(shard["images"].metadata, (FACTS, EXIF_KEY))
            known = json.loads(metadata[FACTS])
            for column in ("width", "height"):
                known[column] = read_metadata(shard[column].metadata, ("format",)).get("format")
            known[EXIF_KEY] = metadata.get(EXIF_KEY)
            sizes.append(len(shard))
            facts.append(known)
            if len(shard):
                self._run(lambda name=name: lake.merge(name))  # type: ignore[misc]
        if not sum(sizes):
            raise ImportRefusedError("No shard has a row", where=self._where, advice="Check the source")
        return sizes, facts

    def _set_facts(self, head: Any, facts: list[dict[str, Any]]) -> None:
        """What the lake says of its rows; while ``main`` has none yet it tells nobody anything."""
        turned = next((known for known in facts if known[EXIF_KEY]), None)
        if turned is not None:
            head["images"].metadata[EXIF_KEY] = turned[EXIF_KEY]
            for column in ("width", "height"):
                if turned[column]:
                    head[column].metadata["format"] = turned[column]
        counts: Counter[str] = Counter()
        for known in facts:
            counts["images_not_decoded"] += known.get("images_not_decoded", 0)
        kept = {k: v for k, v in facts[0].items() if k not in (EXIF_KEY, "width", "height")}
        head.metadata[METADATA] = {**kept, **counts, "complete": True}
        self._run(lambda: head.commit("Facts of the shards"))


def _first(names: list[str]) -> str:
    return ", ".join(names[:20]) + ", ..." * (len(names) > 20)
