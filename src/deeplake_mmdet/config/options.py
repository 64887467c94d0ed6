"""``--cfg-options`` as MMDetection's tools read them, and putting them into a config of either version."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from deeplake_mmdet.config.tree import kind_of_part
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake import is_secret_name

if TYPE_CHECKING:
    from mmengine.config import Config

__all__ = ["OF_LEGACY", "add_options", "divided", "parse_options"]

#: Settings of 2.x: options with these keys change a 2.x config before it is converted.
OF_LEGACY = (
    *("model", "data", "optimizer", "optimizer_config", "lr_config", "momentum_config", "runner", "fp16"),
    *("total_epochs", "evaluation", "checkpoint_config", "log_config", "workflow", "dist_params", "seed"),
    *("resume_from", "train_pipeline", "test_pipeline", "custom_hooks", "cudnn_benchmark"),
)


def parse_options(items: Sequence[str] | None) -> dict[str, Any]:
    """Read ``key=value`` pairs: numbers, booleans, ``None``, ``[a,b]`` lists and ``(a,b)`` tuples.

    Unlike with MMDetection's tools, texts keep their spaces: they may be paths and queries.

    Args:
        items: As a shell has parted them.

    Returns:
        The values by dotted key.

    Raises:
        ConfigError: An item has no key or no ``=``, or its brackets do not match.
    """
    found: dict[str, Any] = {}
    key = text = ""
    for item in items or ():
        # What stands behind a blank may be a secret, or the rest of one; and that may hold an equals sign.
        of_secret, empty, before = is_secret_name(key.rpartition(".")[2]), not text, key
        key, equals, text = item.partition("=")
        split = of_secret and empty and "." not in key
        if not key or not equals or key.startswith("-") or split:
            shown = f"{before}=..." if of_secret else item
            raise _refuse(shown, "write key=value without blanks, e.g. train_cfg.max_epochs=5")
        found[key] = _value(key, text)
    return found


def divided(
    options: Mapping[str, Any], cfg: Config, *, legacy: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split options into those that change a config before it is converted and those that do after.

    Args:
        options: Values by dotted key.
        cfg: The config as it was read.
        legacy: Whether it will be converted.

    Returns:
        Those that come first, and the others.
    """
    found = {_through_feed(key, cfg): value for key, value in options.items()}
    early = {key: value for key, value in found.items() if not legacy or _is_for_legacy(key)}
    return early, {key: value for key, value in found.items() if key not in early}


def add_options(cfg: Config, options: Mapping[str, Any]) -> Config:
    """Change a config by options.

    Args:
        cfg: Not changed.
        options: Values by dotted key.

    Returns:
        The config itself if there are none, else a changed copy.

    Raises:
        ConfigError: It has no place for an option.
    """
    if not options:
        return cfg
    changed = copy.deepcopy(cfg)
    try:
        changed.merge_from_dict(dict(options))
    except (AttributeError, KeyError, TypeError, ValueError, IndexError):
        for key, value in options.items():
            try:
                copy.deepcopy(cfg).merge_from_dict({key: value})
            except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
                raise ConfigError(
                    f"The config has no place for the option {key}={value!r}: {error.args[0]}",
                    where=f"--cfg-options, or cfg_options, {key!r}",
                    advice="name a key below a dict, or an entry of a list by its number from 0",
                ) from error
        raise
    return changed


def _through_feed(key: str, cfg: Config) -> str:
    """The key of an option for a dataset, where the config has a feed around it, as older runs wrote it."""
    loader, _, rest = key.partition(".dataset.")
    node = cfg.get(loader) if rest and loader.endswith("_dataloader") else None
    feed = node.get("dataset") if isinstance(node, Mapping) else None
    inside = kind_of_part(feed) == "Feed" and rest.partition(".")[0] not in ("type", "dataset", "threads")
    return f"{loader}.dataset.dataset.{rest}" if inside else key


def _is_for_legacy(key: str) -> bool:
    top = key.partition(".")[0]
    mine = top in OF_LEGACY and not key.startswith("model.data_preprocessor")
    return mine or top.startswith("deeplake_")


def _value(key: str, text: str) -> Any:
    from mmengine.config import DictAction

    try:
        value = DictAction._parse_iterable(text)
    except AssertionError:
        shown = "..." if is_secret_name(key.rpartition(".")[2]) else text
        raise _refuse(f"{key}={shown}", "close every bracket") from None
    return text.strip("'\"") if isinstance(value, str) else value


def _refuse(item: str, advice: str) -> ConfigError:
    return ConfigError(f"Not an option: {item!r}", where="--cfg-options", advice=advice)
