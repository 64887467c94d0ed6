"""Whether the bases of a config have the variables that it uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from deeplake_mmdet.config.references import Reference
from deeplake_mmdet.errors import ConfigError

__all__ = ["check_references"]


def check_references(
    used: Mapping[Reference, str], bases: Mapping[str, Any], origins: Sequence[str], *, plain: bool = False
) -> None:
    """Check what a config uses.

    Args:
        used: What it uses, and where.
        bases: What its bases say.
        origins: Where they were looked for and found.
        plain: Whether to look at what is written in plain Python, which need not be reached or may be tried,
            instead of at what stands in braces.

    Raises:
        ConfigError: For the first that is not there, or that cannot stand within a text.
    """
    for item, line in used.items():
        if item.plain is not plain:
            continue
        place = f"{line}; looked in {'; '.join(origins) or 'no base: it has none'}"
        value: Any = bases
        for part in item.name.split("."):
            if plain and (not isinstance(value, Mapping) or (part not in value and hasattr(dict, part))):
                break  # an attribute of the value itself
            if not isinstance(value, Mapping) or part not in value:
                raise ConfigError(
                    f"The config cannot be loaded: no base of it has '_base_.{item.name}'",
                    where=place,
                    advice=_advice(item, part, value, origins),
                )
            value = value[part]
        else:
            if item.within_text and not isinstance(value, (str, int, float)):
                raise ConfigError(
                    f"The config cannot be loaded: '_base_.{item.name}' is no text, and stands within one",
                    where=place,
                    advice=f"write {{{{_base_.{item.name}}}}} without quotes",
                )


def _advice(item: Reference, part: str, value: Any, origins: Sequence[str]) -> str:
    names = [str(name) for name in value] if isinstance(value, Mapping) else []
    near = get_close_matches(part, names, n=3)
    parent = item.name.rpartition(part)[0]
    advice = [f"perhaps {' or '.join(f'_base_.{parent}{name}' for name in near)} is meant"] if near else []
    advice.append("write the value itself into the file")
    if any("no file" in origin for origin in origins):
        advice.append("put MMDetection 2.x's file where it was looked for")
    return ", or ".join(advice)
