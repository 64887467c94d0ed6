"""Predictions back into the lake that they were made for: its branch ``runs/<run id>``.

They are kept on this disk first, see `Spool`; when all are there, they are written and committed at once.
Rows that were not predicted on have no boxes, and -1 in place of each number.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import barrier, is_main_process
from numpy.typing import NDArray

from deeplake_mmdet.errors import ConfigError, CredentialError, ImportRefusedError, StorageError
from deeplake_mmdet.evaluation.truth import truth_of
from deeplake_mmdet.lake import (
    RUNS,
    CredentialRef,
    LakeView,
    ResolvedSource,
    cache_folder,
    cache_locked,
    count_rows,
    rows_in_base,
    run_ids,
    run_shards,
    without_queries,
    write_run,
)
from deeplake_mmdet.lake.table.store import CACHE_VARIABLE
from deeplake_mmdet.loop.diagnostics import NUMBERS, diagnose, predictions_of
from deeplake_mmdet.loop.predicting.files import write_parquet
from deeplake_mmdet.loop.predicting.images import LakeImages
from deeplake_mmdet.loop.predictions import Prediction
from deeplake_mmdet.loop.run_facts import RunFacts
from deeplake_mmdet.loop.spool import Spool, Spooled

__all__ = ["WriteBack", "check_write_back"]

_log = logging.getLogger("deeplake_mmdet")
_ROWS = 1024  # read, looked at and written at once
_PATIENCE = 2.0  # seconds to wait for another process of this run to end


def check_write_back(source: ResolvedSource, credentials: CredentialRef, facts: RunFacts) -> None:
    """Refuse, before anything is computed, what cannot be written back.

    Args:
        source: The lake.
        credentials: What opens it.
        facts: What is known of the run.

    Raises:
        ImportRefusedError: The lake has a complete run of this id.
        SourceFormatError: The lake's query gives rows that are not simply some of the lake's.
        DeepLakeMMDetError: The lake cannot be read.
    """
    if source.format != "v4":
        return  # told at the end, with the file that takes its place
    if source.branch.startswith(RUNS):
        raise ImportRefusedError(
            "Predictions on a run's branch cannot be written back: it has columns of predictions already",
            where=f"lake {source.url}, branch {source.branch}",
            advice="predict on the branch that the run was made on",
        )
    if facts.shard is not None and facts.shard in run_shards(source, credentials).get(facts.run_id, ()):
        raise ImportRefusedError(
            f"The lake has shard {facts.shard} of this run already",
            where=f"lake {source.url}, run {facts.run_id}",
            advice=f"predict the others, then: deeplake-mmdet merge {source.url} --run {facts.run_id}",
        )
    if facts.run_id in run_ids(source, credentials):
        raise ImportRefusedError(
            "The lake has this run already: the same model on the same rows",
            where=f"lake {source.url}, branch runs/{facts.run_id}",
            advice=f"use it, or predict under another name: --run-id {facts.run_id}-2",
        )
    rows_in_base(source, credentials)


class WriteBack:
    """A `Sink` that writes predictions into their lake.

    Args:
        view: The lake.
        classes: Names of the model's classes.
        facts: What is known of the run.

    Attributes:
        branch: The branch that was written, in the first process, when all is done.
        file: The file that was written in its place, where the lake cannot be written, likewise.

    Raises:
        ConfigError: Another command works on this run.
        StorageError: The cache's folder cannot be used.
    """

    def __init__(self, view: LakeView, classes: Sequence[str], facts: RunFacts) -> None:
        self._view, self._classes, self._facts = view, tuple(classes), facts
        self.branch: str | None = None
        self.file: Path | None = None
        self._stack = contextlib.ExitStack()
        part = "" if facts.shard is None else "-{}-of-{}".format(*facts.shard)
        folder = cache_folder() / "runs" / f"{view.source.key}-{facts.run_id}{part}"
        with _told(folder):
            self._spool = Spool(folder)
            if is_main_process():
                held = self._stack.enter_context(cache_locked(folder / "lock", _PATIENCE))
                if not held:
                    raise ConfigError(
                        "Another process is predicting for this run",
                        where=f"run {facts.run_id}, {folder}",
                        advice="wait for it, or give this one a name of its own by --run-id",
                    )

    def done(self) -> Container[int]:
        """See `Sink`: what an interrupted command has left."""
        if not is_main_process():
            return ()
        found = Spooled(self._spool.folder).indices
        if not len(found):
            return ()
        _log.info("Run %s goes on: %d rows are predicted on already", self._facts.run_id, len(found))
        return _Rows(found)

    def add(self, predictions: Sequence[Prediction]) -> None:
        """See `Sink`."""
        with _told(self._spool.folder):
            self._spool.add(predictions)

    def finish(self) -> None:
        """See `Sink`: write and commit.

        Raises:
            StorageError: The lake could not be written, for another reason than that it may not be; the same
                command goes on from here.
        """
        self._spool.close()
        barrier()
        if not is_main_process():
            return
        with contextlib.closing(Spooled(self._spool.folder)) as spooled:
            try:
                self.branch = self._write(spooled)
            except (CredentialError, PermissionError) as error:
                self.file = self._write_file(spooled)
                what = getattr(error, "what", str(error))
                _log.warning("%s (lake %s). They are in %s instead", what, self._view.source.url, self.file)
        self._spool.remove()
        self._stack.close()

    def abandon(self, error: BaseException) -> None:
        """See `Sink`: what is predicted stays for the next command."""
        self._spool.close()
        self._stack.close()

    def _write(self, spooled: Spooled) -> str:
        source, credentials = self._view.source, self._view.credentials
        if source.format != "v4":
            raise CredentialError("A lake of Deep Lake's old format v3 cannot be written")
        base = without_queries(source)
        total, rows = count_rows(base, credentials), rows_in_base(source, credentials)
        placed = spooled.indices if rows is None else rows[spooled.indices]
        order = np.argsort(placed, kind="stable")
        first = next(iter(spooled), None)
        columns = self._columns(first)
        size = 0 if first is None else len(first.extras.get("embedding", ()))
        metadata = {
            **self._facts.metadata,
            "classes": list(self._classes),
            "rows": len(spooled),
        }
        if self._facts.shard is not None:
            span = [int(placed.min()), int(placed.max()) + 1] if len(placed) else [0, 0]
            metadata["shard"] = {"span": span, "embedding": size}
        return write_run(
            base,
            credentials,
            self._facts.run_id,
            self._blocks(spooled, order, placed[order], total, columns, size),
            columns=columns,
            class_names=self._classes,
            metadata=metadata,
            shard=self._facts.shard,
            embedding=size,
            size=spooled.size,
        )

    def _columns(self, first: Prediction | None) -> list[str]:
        wanted = ["pred/boxes", "pred/labels", "pred/scores"]
        if first is not None and first.masks is not None:
            wanted.append("pred/masks")
        wanted += [f"pred/{name}" for name in NUMBERS if self._has_truth or name == "lowest_score"]
        if self._facts.loss:
            wanted.append("pred/loss")
        if first is not None and "embedding" in first.extras:
            wanted.append("pred/embedding")
        return wanted

    @property
    def _has_truth(self) -> bool:
        return len(self._view.table.boxes) > 0

    def _blocks(
        self,
        spooled: Spooled,
        order: NDArray[np.int64],
        rows: NDArray[np.int64],
        total: int,
        columns: Sequence[str],
        embedding: int,
    ) -> Iterator[dict[str, Any]]:
        """All rows of the version that was predicted on, with what is known of them."""
        for start in range(0, total, _ROWS):
            stop = min(start + _ROWS, total)
            low, high = np.searchsorted(rows, [start, stop])
            found = list(spooled.read(order[low:high].tolist()))
            yield self._block(found, rows[low:high] - start, stop - start, columns, embedding)

    def _block(
        self,
        found: Sequence[Prediction],
        places: NDArray[np.int64],
        count: int,
        columns: Sequence[str],
        embedding: int,
    ) -> dict[str, Any]:
        nothing: Any = np.zeros((0, 4), np.float32)
        values: dict[str, Any] = {
            "pred/boxes": [nothing] * count,
            "pred/labels": [np.zeros(0, np.uint32)] * count,
            "pred/scores": [np.zeros(0, np.float32)] * count,
            "pred/masks": ["[]"] * count,
            "pred/loss": np.full(count, -1, np.float32),
            "pred/embedding": np.zeros((count, embedding), np.float32),
        }
        for place, one in zip(places.tolist(), found, strict=True):
            values["pred/boxes"][place] = one.boxes
            values["pred/labels"][place] = one.labels.astype(np.uint32)
            values["pred/scores"][place] = one.scores
            if one.masks is not None:
                values["pred/masks"][place] = json.dumps(list(one.masks), separators=(",", ":"))
            for name in ("loss", "embedding"):
                if name in one.extras:
                    values[f"pred/{name}"][place] = one.extras[name]
        for name, numbers in self._numbers(found).items():
            whole = np.full(count, -1, numbers.dtype)
            whole[places] = numbers
            values[f"pred/{name}"] = whole
        return {column: values[column] for column in columns}

    def _numbers(self, found: Sequence[Prediction]) -> dict[str, NDArray[Any]]:
        predictions = predictions_of(
            [one.boxes for one in found], [one.labels for one in found], [one.scores for one in found]
        )
        rows = np.array([one.index for one in found], np.int64)
        truth = truth_of(self._view, rows, with_areas=False)
        counted = float(self._facts.metadata["thresholds"]["score_thr"])
        return diagnose(truth, predictions, len(self._classes), len(found), counted)

    def _write_file(self, spooled: Spooled) -> Path:
        part = "" if self._facts.shard is None else "-{}-of-{}".format(*self._facts.shard)
        file = Path(f"{self._facts.run_id}{part}.parquet").absolute()
        masks = any(one.masks is not None for one in spooled.read(range(min(1, len(spooled)))))
        write_parquet(file, spooled, LakeImages(self._view), self._classes, masks=masks)
        return file


class _Rows(Container[int]):
    """Row numbers, in a byte each."""

    def __init__(self, rows: NDArray[np.int64]) -> None:
        self._there = np.zeros(int(rows.max()) + 1, np.bool_)
        self._there[rows] = True

    def __contains__(self, row: object) -> bool:
        return isinstance(row, int) and row < len(self._there) and bool(self._there[row])


@contextlib.contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(
            f"The predictions cannot be kept on this disk: {error.strerror}",
            where=str(folder),
            advice=f"make room, or set {CACHE_VARIABLE} to another disk's folder; the same command goes on",
        ) from None
