"""Settings in which a run differs from the stock config beneath it, or two runs from one another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deeplake_mmdet.config.bases import installed_configs
from deeplake_mmdet.config.comparison import Difference, compared, differences
from deeplake_mmdet.lake import MASK, is_secret_name, literals_in, masked
from deeplake_mmdet.report.page.run_folder import RunFolder

__all__ = ["settings_between", "settings_of", "stock_of"]

_OF_EVERY_RUN = ("work_dir", "launcher", "default_scope", "env_cfg", "resume", "load_from", "log_level")
_LONGEST = 1500  # characters of a value


def stock_of(run: RunFolder) -> str | None:
    """The installed config that a run's config is built on, as it has recorded it.

    Args:
        run: The run.
    """
    config = run.starts[-1].get("config") if run.starts else None
    stock = config.get("stock") if isinstance(config, Mapping) else None
    root = installed_configs()
    if not isinstance(stock, str) or root is None or Path(stock).is_absolute() or ".." in Path(stock).parts:
        return None
    return stock if (root / stock).is_file() else None


def settings_of(run: RunFolder) -> list[dict[str, str]]:
    """Settings in which the run differs from its stock config: ``key``, ``ours``, ``theirs``.

    Args:
        run: The run.
    """
    stock = stock_of(run)
    if stock is None or run.config is None:
        return []
    return _shown(differences(run.config, stock))


def settings_between(first: RunFolder, second: RunFolder) -> list[dict[str, str]]:
    """Settings in which two runs differ; ``ours`` are the second's.

    Args:
        first: The first run.
        second: The second.
    """
    if first.config is None or second.config is None:
        return []
    return _shown(compared(second.config, first.config))


def _shown(found: list[Difference]) -> list[dict[str, str]]:
    kept = [one for one in found if one.key.split(".")[0] not in _OF_EVERY_RUN]
    return [
        {"key": one.key, "ours": _value(one, one.ours), "theirs": _value(one, one.theirs)} for one in kept
    ]


def _value(one: Difference, text: str) -> str:
    if (
        text
        and any(is_secret_name(part.split("[")[0]) for part in one.key.split("."))
        and _is_secret(one, text)
    ):
        return MASK
    text = masked(text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def _is_secret(one: Difference, text: str) -> bool:
    """Whether what stands under a secret's name is one: what runs dump has been cleared of them before."""
    name = one.key.split(".")[-1].split("[")[0]
    node: Any = text.strip("'\"")
    return any(True for _ in literals_in({name: node}))
