"""An opened dataset as the settings of a config's dataset, so that no object stands in a config."""

from __future__ import annotations

from typing import Any

from deeplake_mmdet.errors import DeepLakeMMDetError
from deeplake_mmdet.lake.old_lake import OldLake
from deeplake_mmdet.lake.source.carried import carry
from deeplake_mmdet.lake.source.opened import source_of
from deeplake_mmdet.lake.source.pinning import resolve
from deeplake_mmdet.lake.source.source import ResolvedSource, Source, SourceOptions

__all__ = ["SOURCE_KEYS", "settings_of"]

SOURCE_KEYS = (*SourceOptions.__annotations__, "credentials")


def settings_of(opened: Any) -> tuple[dict[str, Any], ResolvedSource]:
    """Pin an opened dataset or view, and write down what opens it again.

    Args:
        opened: ``deeplake.Dataset``, ``ReadOnlyDataset``, ``DatasetView`` or `OldLake`.

    Returns:
        Settings of a `DeepLakeDataset` among ``SOURCE_KEYS``, free of secrets: path, branch, commit and query
        where these give the same rows again, an address known to this process otherwise; and the source.

    Raises:
        DeepLakeMMDetError: As `source_of`.
    """
    if isinstance(opened, OldLake):
        return opened.settings, opened.resolved
    resolved, credentials = source_of(opened)
    settings = _facts(resolved)
    try:
        found = resolve(Source(**settings), credentials) if settings else None
    except DeepLakeMMDetError:
        found = None
    if found != resolved:
        settings = {"path": carry(resolved)}
    given = credentials.settings
    return {**settings, **({"credentials": given} if given else {})}, resolved


def _facts(resolved: ResolvedSource) -> SourceOptions:
    if resolved.held or resolved.rows is not None or len(resolved.queries) > 1:
        return {}
    facts: SourceOptions = {"path": resolved.url, "commit": resolved.version}
    if resolved.format != "v3":  # where a commit is one of any branch
        facts["branch"] = resolved.branch
    if resolved.queries:
        facts["query"] = resolved.queries[0]
    return facts
