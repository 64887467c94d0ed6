"""What lies in lakes that tells of models: runs of predictions, views that came of them, tags of models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.errors import CredentialError, DeepLakeMMDetError, SourceFormatError, StorageError
from deeplake_mmdet.lake import (
    CredentialRef,
    RunBranch,
    SavedView,
    Source,
    base_of,
    count_rows,
    lineage_in,
    open_run,
    resolve,
    run_ids,
    saved_views,
)

__all__ = ["Lakes"]

_TOLD = (
    "model",
    "checkpoint_hash",
    "config_name",
    "config_hash",
    "base",
    "thresholds",
    "created",
    "trained_on",
)


class Lakes:
    """The lakes of one lineage, each looked into once.

    Args:
        credentials: What opens them.
    """

    def __init__(self, credentials: CredentialRef) -> None:
        self._credentials = credentials
        self._known: dict[str, dict[str, Any] | DeepLakeMMDetError] = {}

    def everything(self, url: str, run: str | None = None) -> dict[str, Any]:
        """The runs of a lake with the views that came of each, its other views, and its tags of models.

        Args:
            url: The lake.
            run: Id of the one run to tell of; None for all.

        Returns:
            ``runs``, ``views`` and ``models``.

        Raises:
            SourceNotFoundError: The lake has no such run; the nearest names are given.
            DeepLakeMMDetError: The lake cannot be read.
        """
        if run is not None:
            one = open_run(url, run, self._credentials)
            views = saved_views(one.source, one.credentials)
            return {"runs": [_run_facts(one, views)], "views": [], "models": []}
        source = resolve(Source(url), self._credentials)
        views = saved_views(source, self._credentials)
        runs = [self._run(url, name, views) for name in run_ids(source, self._credentials)]
        told = {view.name: lineage_in(view.message) for view in views}
        of_runs = {view["name"] for run_facts in runs for view in run_facts["views"]}
        models = [
            {"name": view.name, "version": view.version, **(told[view.name] or {})}
            for view in views
            if (told[view.name] or {}).get("kind") == "model"
        ]
        named = {model["name"] for model in models}
        others = [_view_facts(view) for view in views if view.name not in of_runs | named]
        return {"runs": runs, "views": others, "models": models}

    def around(self, lake: Mapping[str, Any], checkpoint: str | None) -> dict[str, Any]:
        """What the lake of a training tells beyond the training's own record.

        Args:
            lake: From the record.
            checkpoint: Hash of the checkpoint.

        Returns:
            ``came_from``, the run that the view trained on came of; ``predictions``, the runs that the
            checkpoint made; ``unread``, why the lake could not be looked into.
        """
        told = lake.get("lineage")
        came = dict(told) if isinstance(told, Mapping) else None
        found = self._look(str(lake["url"])) if lake.get("format", "v4") == "v4" else {"runs": []}
        if isinstance(found, DeepLakeMMDetError):
            return {"came_from": came, "predictions": [], "unread": str(found)}
        made = [run for run in found["runs"] if checkpoint and run.get("checkpoint_hash") == checkpoint]
        if came is not None:
            there = [run for run in found["runs"] if run["run_id"] == came.get("run")]
            came["still_there"] = bool(there)
            came["of"] = {
                **(came.get("of") or {}),
                **{k: there[0][k] for k in _TOLD if there and k in there[0]},
            }
        return {"came_from": came, "predictions": made, "unread": ""}

    def verify_run(self, url: str, run: str) -> tuple[str, str]:
        """Whether a lake still holds the version that a run's predictions were made for.

        Args:
            url: The lake.
            run: Id of the run.

        Returns:
            ``'OK'``, ``'FAILED'`` or ``'UNREACHABLE'``; and why.
        """
        try:
            found = open_run(url, run, self._credentials)
            base = base_of(found)
            count = count_rows(found.source, found.credentials)
        except (CredentialError, StorageError) as error:
            return "UNREACHABLE", str(error)
        except DeepLakeMMDetError as error:
            return "FAILED", str(error)
        told = found.metadata.get("base")
        version = told.get("version") if isinstance(told, Mapping) else None
        if version not in (None, base.version):
            return (
                "FAILED",
                f"the run says it was made for version {version}, its branch begins at {base.version}",
            )
        told_rows = found.metadata.get("rows")
        if isinstance(told_rows, int) and told_rows > count:
            return "FAILED", f"its branch has {count} rows, of {told_rows}"
        return "OK", ""

    def _run(self, url: str, name: str, views: tuple[SavedView, ...]) -> dict[str, Any]:
        try:
            return _run_facts(open_run(url, name, self._credentials), views)
        except SourceFormatError as error:
            return {"run_id": name, "views": [], "problem": str(error)}

    def _look(self, url: str) -> dict[str, Any] | DeepLakeMMDetError:
        if url not in self._known:
            try:
                self._known[url] = self.everything(url)
            except DeepLakeMMDetError as error:
                self._known[url] = error
        return self._known[url]


def _run_facts(run: RunBranch, views: tuple[SavedView, ...]) -> dict[str, Any]:
    told = {key: run.metadata[key] for key in _TOLD if key in run.metadata}
    came = [view for view in views if (lineage_in(view.message) or {}).get("run") == run.run_id]
    return {"run_id": run.run_id, "branch": run.source.branch, **told, "views": list(map(_view_facts, came))}


def _view_facts(view: SavedView) -> dict[str, Any]:
    told = lineage_in(view.message) or {}
    return {
        "name": view.name,
        "version": view.version,
        "query": view.query,
        **{key: told[key] for key in ("by", "top", "rows", "base") if key in told},
    }
