"""One shard of a new lake: its rows in a branch of their own, which `merge` puts together with the others.

The first shard makes the lake: columns and no rows. While a shard is written its branch is called
``sharding-<host>-<process>-<mark>``, and ``shard-<number>-of-<count>`` once it is whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from deeplake_mmdet.errors import ConfigError, ImportRefusedError, StorageError
from deeplake_mmdet.lake.calls.faults import deadline_seconds
from deeplake_mmdet.lake.direct.branch_log import LOG
from deeplake_mmdet.lake.shard import Shard
from deeplake_mmdet.lake.writing.append_target import AppendTarget
from deeplake_mmdet.lake.writing.branches import SIGNS
from deeplake_mmdet.lake.writing.targets import active, refuse_existing, refuse_other, storage_errors

__all__ = ["FACTS", "SHARD", "SHARDS", "ShardTarget", "open_shard"]

SHARD = re.compile(r"shard-(\d+)-of-(\d+)")
SHARDS, FACTS = "deeplake_mmdet_shards", "deeplake_mmdet_shard"  # metadata of the images' column
_PAUSE = 0.2  # seconds


def open_shard(
    lake: str | Path,
    shard: object,
    append: bool,
    overwrite: bool,
    creds: Mapping[str, str] | None,
    arguments: Mapping[str, Any],
) -> ShardTarget | None:
    """The place for a shard's rows; None if all rows are to be imported.

    Args:
        lake: Folder or address of the lake to be.
        shard: See `Shard.read`; None for all rows.
        append, overwrite: Must not be set with a shard.
        creds: Keys of the storage.
        arguments: Those of the import that decide what the rows are, by name; all shards must have the same.

    Raises:
        ConfigError: ``shard`` is not sound, or another argument does not go with it.
        ImportRefusedError: There is a lake already, or this shard of it.
        StorageError, CredentialError: The storage failed or refused access.
    """
    if shard is None:
        return None
    for name, given in (("append", append), ("overwrite", overwrite)):
        if given:
            raise ConfigError(
                f"{name!r} and 'shard' are both set",
                where=f"{name} (--{name}), shard (--shard)",
                advice="Import shards into a new lake; remove an old one, or one with other shards, yourself",
            )
    target = ShardTarget(os.fspath(lake), Shard.read(shard), creds, arguments)
    target.check()
    return target


class ShardTarget(AppendTarget):
    """A lake to be that gets one shard's rows.

    Args:
        path: Folder or address of the lake.
        shard: Which one.
        creds: Keys of the storage, by Deep Lake's names; None for the environment's.
        arguments: See `open_shard`.

    Attributes:
        shard: Which one.
        arguments: All shards must have the same; may be filled until the first row.
    """

    _state = "sharding"
    may_be_empty = True

    def __init__(
        self, path: str, shard: Shard, creds: Mapping[str, str] | None, arguments: Mapping[str, Any]
    ) -> None:
        super().__init__(path, creds)
        self.shard = shard
        self.replaces = False
        self.arguments: dict[str, Any] = {"shards": shard.parts, **arguments}
        self._name = f"shard-{shard.number}-of-{shard.parts}"

    def check(self) -> None:
        """Refuse what stands there, if it is not a lake that waits for this shard; changes nothing."""
        head = self._find()
        if head is not None:
            self._check(head)

    def begin(self, schema: Mapping[str, Any], describe: Callable[[Any], None]) -> Any:
        """Make the branch that takes the rows; the lake itself, too, if this is the first shard.

        Args:
            schema: Deep Lake's types by column name.
            describe: Writes beside a dataset's columns what they mean.

        Returns:
            Deep Lake's dataset to append to.

        Raises:
            ConfigError: The lake's other shards have other arguments.
            ImportRefusedError: There is a lake already, or this shard of it.
            StorageError, CredentialError: The storage failed or refused access.
        """
        head = self._find()
        if head is None:
            head = self._make(schema, describe)
        self._check(head)
        stated = json.loads(head["images"].metadata[SHARDS])
        # As JSON has them: a tuple is a list there.
        for name, mine in json.loads(json.dumps(self.arguments)).items():
            if stated.get(name) != mine:
                raise ConfigError(
                    f"The shards of this lake have other arguments: {name} is {stated.get(name)!r:.200} "
                    f"there, {mine!r:.200} here",
                    where=self._where,
                    advice="Import all shards of the same files with the same arguments, or remove the lake",
                )
        self._head = head
        return super().begin(schema, describe)

    def publish(self, dataset: Any, message: str, rows: int, metadata: Mapping[str, Any]) -> None:
        """Commit, verify, and give the branch its name. See `BranchTarget.publish`.

        Args:
            dataset: Its columns' metadata tells the shard's.
            message: The commit's message.
            rows: How many there are.
            metadata: What is known of these rows, for `merge`.
        """
        with storage_errors("The shard cannot be committed", self.name, self.creds), self._telling_room():
            self._lake["images"].metadata[FACTS] = json.dumps(dict(metadata))
            self._commit(f"{message}, shard {self.shard}")
            head = self._head = self._open()
            if rows:
                self._verify(head, rows)
        with storage_errors("The shard cannot be named", self.name, self.creds):
            self._refuse_double(head)
            branch = head.branches[self._branch]
            try:
                self._run(lambda: branch.rename(self._name))
            except Exception as error:
                if type(error).__name__ != "BranchExistsError":
                    raise
                self._refuse_double(self._open())
                raise
            active.discard(self._branch)
            self._lake = None
            self._delete(f"{SIGNS}/{self._branch}")

    def _find(self) -> Any:
        """The lake as it stands; None if there is none."""
        if "://" not in self.name:
            path = Path(self.name)
            if not path.exists() or (path.is_dir() and not any(path.iterdir())):
                return None
            if not path.is_dir():
                raise refuse_other(self.name)
        end = time.monotonic() + deadline_seconds()
        with storage_errors("The path cannot be examined", self.name, self.creds):
            while True:
                found = self._list()
                if not found:
                    return None
                try:
                    head = self._open()
                except Exception as error:
                    if type(error).__name__ != "LogNotexistsError":
                        raise
                    if not all(name.startswith(f"{LOG}/") for name in found) or time.monotonic() > end:
                        raise refuse_other(self.name) from None
                else:
                    if list(head.schema.columns) or len(head) or time.monotonic() > end:
                        return head
                time.sleep(_PAUSE)  # another shard is making it

    def _check(self, head: Any) -> None:
        columns = [column.name for column in head.schema.columns]
        if not columns:
            raise StorageError(
                "There is a lake without columns, which another shard has begun and not finished",
                where=self._where,
                advice="Remove it and import the shards again",
            )
        if len(head) or "images" not in columns or SHARDS not in head["images"].metadata.keys():  # noqa: SIM118
            raise refuse_existing(self.name)
        self._refuse_double(head)

    def _refuse_double(self, head: Any) -> None:
        if self._name in list(head.branches.names()):
            raise ImportRefusedError(
                f"Shard {self.shard} of this lake has been imported already",
                where=self._where,
                advice=f"Import the others, then: deeplake-mmdet merge {self.name}",
            )

    def _make(self, schema: Mapping[str, Any], describe: Callable[[Any], None]) -> Any:
        """Make the lake, with columns and no rows, unless another shard is quicker."""
        import deeplake

        def fill(lake: Any) -> None:
            lake.auto_commit_enabled = False
            for name, kind in schema.items():
                lake.add_column(name, kind)
            describe(lake)
            lake["images"].metadata[SHARDS] = json.dumps(self.arguments)
            self._run(lambda: lake.commit("Created columns"))

        with storage_errors("The lake cannot be made", self.name, self.creds), self._telling_room():
            if "://" in self.name:
                try:
                    fill(self._run(lambda: deeplake.create(self.name, creds=self.creds)))
                except Exception as error:
                    if type(error).__name__ != "LogExistsError":
                        raise
                return self._find()
            path = Path(self.name)
            beside = path.with_name(f".{path.name}.{self._branch}")
            try:
                beside.parent.mkdir(parents=True, exist_ok=True)
                fill(deeplake.create(str(beside)))
                with contextlib.suppress(OSError):  # it is there: another shard has made it meanwhile
                    beside.rename(path)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
            return self._find()
