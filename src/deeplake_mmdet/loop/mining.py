"""`mine`: the rows of a lake that a run's predictions say most about, ranked and kept as a saved view."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from deeplake_mmdet.errors import (
    ConfigError,
    ImageError,
    SourceFormatError,
    listed,
)
from deeplake_mmdet.lake import (
    CredentialRef,
    LakeView,
    ResolvedSource,
    RunBranch,
    Source,
    base_of,
    cells_of,
    check_view_name,
    count_rows,
    names_of_files,
    open_run,
    resolve,
    rows_of_view,
    run_table,
    save_view,
)
from deeplake_mmdet.loop.mined import Mined, open_rows, score_threshold
from deeplake_mmdet.loop.rankings import RANKINGS, SIMILARITY, Ranking, ranking_query, refuse_missing
from deeplake_mmdet.loop.similarity import mean_direction, same_bytes, same_embeddings

__all__ = ["WAYS", "Mined", "mine", "rank_rows", "save_rows"]

WAYS = (*RANKINGS, "near", "duplicates")
VIEW_KIND = "view"
_BLOCK = 256  # images at once
_KEPT = ("model", "checkpoint_hash", "config_name", "config_hash", "created", "trained_on")


def mine(
    lake: str | os.PathLike[str],
    run: str,
    by: str = "hard",
    *,
    top: int = 100,
    near: Sequence[int] | str | None = None,
    save: str | None = None,
    overwrite: bool = False,
    show: str | os.PathLike[str] | None = None,
    credentials: str | Mapping[str, Any] | None = None,
) -> Mined:
    """Rank a lake's rows by a run's predictions; docs/predicting.md has the formulas.

    Args:
        lake: Folder or address of the lake.
        run: Id of the run, as ``predict --write-back`` prints it.
        by: ``'missed'``, ``'false'``, ``'confused'``, ``'localisation'``, ``'uncertain'``,
            ``'label-errors'``, ``'hard'``, ``'near'`` or ``'duplicates'``.
        top: How many rows at most.
        near: Of ``'near'``: row numbers, or the name of a saved view, whose likes are looked for.
        save: Name under which the rows are saved as a view: ``DeepLakeDataset(path, view=NAME)`` has them,
            in the lake's own order.
        overwrite: Replace a view of that name.
        show: PNG file for a picture of the first rows, with truth and predictions.
        credentials: None, a handle, or public options, see `CredentialRef`.

    Raises:
        ConfigError: An argument cannot be used, or there is no row to save.
        ColumnError: The run lacks what the ranking needs, as where the lake has no labels.
        SourceNotFoundError: The lake has no such run (the nearest names are given) or view.
        ImportRefusedError: The lake has a view of this name.
        StorageError, CredentialError: The lake cannot be read or written.
    """
    found = rank_rows(lake, run, by, top=top, near=near, credentials=credentials, save=save)
    if show is not None:
        from deeplake_mmdet.loop.mined_picture import draw_rows

        found = replace(found, picture=draw_rows(found, show))
    return found if save is None else save_rows(found, save, overwrite=overwrite)


def rank_rows(
    lake: str | os.PathLike[str],
    run: str,
    by: str = "hard",
    *,
    top: int = 100,
    near: Sequence[int] | str | None = None,
    save: str | None = None,
    credentials: str | Mapping[str, Any] | None = None,
) -> Mined:
    """Do what `mine` does but save or draw nothing.

    Args:
        lake, run, by, top, near, credentials: See `mine`.
        save: A name that is to be given later; refused now if it cannot be one.
    """
    _check_arguments(by, top, near)
    if save is not None:
        check_view_name(save)
    ref, path = CredentialRef(credentials), os.fspath(lake)
    head = resolve(Source(path), ref)
    if head.format != "v4":
        raise SourceFormatError(
            "This lake is in Deep Lake's old format (v3), which holds no runs",
            where=f"lake {path}",
            advice="convert it by deeplake.convert(OLD, NEW), and predict on the new one with --write-back",
        )
    branch = open_run(path, run, ref)
    base = base_of(branch)
    notes = _notes(branch, base, resolve(Source(path, branch=base.branch), ref))
    found = (
        _duplicates(branch, base, top)
        if by == "duplicates"
        else _near(branch, base, top, near if near is not None else ())
        if by == "near"
        else _ranked(branch, base, by, top)
    )
    count = len(found.rows)
    if count < top and by != "duplicates":
        notes.append(
            f"{count or 'no'} row{'s' * (count != 1)} of {top}: no more {'has' if count == 1 else 'have'} "
            "anything to show"
        )
    return replace(
        found,
        notes=(*notes, *found.notes),
        file_names=names_of_files(base, branch.credentials, found.rows.tolist()),
    )


def save_rows(found: Mined, name: str, *, overwrite: bool = False) -> Mined:
    """Save mined rows as a view of the version that was predicted on.

    Args:
        found: What was mined.
        name: Name of the view.
        overwrite: Replace a view of this name.

    Returns:
        The same, with the view's name.

    Raises:
        ConfigError: There are no rows, or the name cannot be one.
        ImportRefusedError: The lake has a view of this name.
        StorageError, CredentialError: The lake cannot be written.
    """
    if not len(found.rows):
        raise ConfigError(
            "There is no row to save", where=f"view {name!r}", advice="rank by something else (--by)"
        )
    base, facts = found.base, found.run.metadata
    lineage = {
        "kind": VIEW_KIND,
        "run": found.run.run_id,
        "by": found.by,
        "top": found.top,
        "rows": len(found.rows),
        "base": {"dataset_id": base.dataset_id, "branch": base.branch, "version": base.version},
        # Stands also when the run is deleted.
        "of": {key: facts[key] for key in _KEPT if key in facts},
    }
    message = json.dumps(lineage)
    save_view(base, found.run.credentials, name, found.rows, message=message, overwrite=overwrite)
    return replace(found, saved=name)


def _check_arguments(by: str, top: int, near: Sequence[int] | str | None) -> None:
    if by not in WAYS:
        raise ConfigError(
            f"There is no ranking {by!r}", where="argument by", advice=f"there are {', '.join(WAYS)}"
        )
    if isinstance(top, bool) or not isinstance(top, int) or top < 1:
        raise ConfigError(f"The number of rows is {top!r}", where="argument top", advice="give 1 or more")
    if (near is not None) != (by == "near"):
        raise ConfigError(
            "'near' needs rows to be near to" if by == "near" else f"{by!r} takes no rows to be near to",
            where="argument near",
            advice="--by near --near 3,17 (row numbers) or --near VIEW",
        )


def _notes(run: RunBranch, base: ResolvedSource, head: ResolvedSource) -> list[str]:
    notes = []
    if head.version != base.version:
        notes.append(
            f"the lake has moved on since the prediction: branch {base.branch} is at version {head.version}, "
            f"the rows are those of version {base.version}"
        )
    told = run.metadata.get("base")
    told = told if isinstance(told, Mapping) else {}
    part = " and ".join(f"{key} {told[key]!r}" for key in ("view", "query") if told.get(key))
    if part:
        notes.append(f"the run was made on {part}; row numbers are those of the whole version")
    return notes


def _ranked(run: RunBranch, base: ResolvedSource, by: str, top: int) -> Mined:
    ranking = RANKINGS[by]
    refuse_missing(by, ranking.needs, run.columns, _where(run))
    return _mined(run, base, by, ranking, top, {"score_thr": score_threshold(run)})


def _mined(
    run: RunBranch, base: ResolvedSource, by: str, ranking: Ranking, top: int, values: Mapping[str, object]
) -> Mined:
    table = run_table(run, ranking_query(ranking, run.columns, top, values))
    shown = np.flatnonzero(table["negative"] < 0)
    table = {name: values[shown] for name, values in table.items()}
    rows, negative = table.pop("row").astype(np.int64), table.pop("negative").astype(np.float64)
    return Mined(run, base, by, top, rows, -negative, ranking.heading, table)


def _near(run: RunBranch, base: ResolvedSource, top: int, near: Sequence[int] | str) -> Mined:
    refuse_missing("near", SIMILARITY.needs, run.columns, _where(run))
    count = count_rows(run.source, run.credentials)
    if isinstance(near, str):
        chosen = rows_of_view(base, run.credentials, near)
    else:
        chosen = np.unique(np.asarray(list(near), np.int64))
        if not len(chosen) or chosen[0] < 0 or chosen[-1] >= count:
            raise ConfigError(
                f"The lake has {count} rows, from 0 on; to be near to are {listed(chosen) or 'none'}",
                where="argument near",
                advice="give numbers of its rows, or the name of a saved view",
            )
    if not len(chosen):
        raise ConfigError(f"The view {near!r} has no rows", where="argument near", advice="give another one")
    direction = mean_direction(np.stack(list(cells_of(run, "pred/embedding", chosen.tolist()))))
    vector = ",".join(map(repr, direction.tolist()))
    found = _mined(run, base, "near", SIMILARITY, top + len(chosen), {"vector": vector})
    kept = np.flatnonzero(~np.isin(found.rows, chosen))[:top]
    numbers = {name: values[kept] for name, values in found.numbers.items()}
    return replace(found, top=top, rows=found.rows[kept], values=found.values[kept], numbers=numbers)


def _duplicates(run: RunBranch, base: ResolvedSource, top: int) -> Mined:
    if "pred/embedding" in run.columns:
        lowest = same_embeddings(
            lambda rows: cells_of(run, "pred/embedding", rows), count_rows(run.source, run.credentials)
        )
        note = "compared by the run's embeddings"
    else:
        lowest = same_bytes(_images(open_rows(run, base)))
        note = "compared by the bytes of the images, as the run has no embeddings"
    copies = np.flatnonzero(lowest != np.arange(len(lowest)))
    groups = len(np.unique(lowest[copies]))
    notes = (
        f"{len(copies)} duplicates in {groups} groups, {note}; the first row of each group is not listed",
    )
    rows = copies[:top]
    return Mined(
        run, base, "duplicates", top, rows, lowest[rows].astype(np.float64), "repeats row", notes=notes
    )


def _images(view: LakeView) -> Iterator[list[bytes | None]]:
    count = len(view.table)
    for start in range(0, count, _BLOCK):
        found = view.fetch_span(start, min(start + _BLOCK, count))
        yield [None if isinstance(image, ImageError) else image for image in found]


def _where(run: RunBranch) -> str:
    return f"lake {run.source.url}, run {run.run_id}"
