"""The last resort against values that no check foresaw: the part of the config is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from deeplake_mmdet.errors import ConfigError, DeepLakeMMDetError

__all__ = ["converting"]

_BY_VALUES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@contextmanager
def converting(part: str) -> Iterator[None]:
    """Tell a raw error of a conversion as one of the part that is converted.

    Args:
        part: The keys of the config that are read.

    Raises:
        ConfigError: In place of a raw error, which is its cause.
    """
    try:
        yield
    except DeepLakeMMDetError:
        raise
    except _BY_VALUES as error:
        raise ConfigError(
            f"{part} cannot be converted: {type(error).__name__}: {error}",
            where=f"config key {part!r}, or in it",
            advice="look there for a value that MMDetection would not take either; if there is none, the "
            "conversion is at fault: please report it, with the config",
        ) from error
