"""Importing what a config names in ``custom_imports``, once it is to be used."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy import modern_module

__all__ = ["import_custom_modules"]

_log = logging.getLogger("deeplake_mmdet")

_PACKAGES = {"mmpretrain": "onedl-mmpretrain"}


def import_custom_modules(content: Mapping[str, Any], file: object = None) -> None:
    """Import the modules that a 3.x config names, which register what it uses.

    With ``allow_failed_imports=True`` the log tells what cannot be imported.

    Args:
        content: The config's.
        file: Its file, for messages.

    Raises:
        ConfigError: A module is not there, or fails while it is imported, as one written for MMDetection 2.x
            does; or ``custom_imports`` is written in another way than MMEngine's.
    """
    wanted = content.get("custom_imports")
    if not wanted:
        return
    place = f"{file}, " if file else ""
    names = wanted.get("imports") if isinstance(wanted, Mapping) else None
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise ConfigError(
            "custom_imports does not name modules",
            where=f"{place}config key 'custom_imports'={wanted!r}",
            advice="write custom_imports=dict(imports=['my_package.my_module'])",
        )
    for name in names:
        if find_spec("mmcls") is None:  # an old script's config, not converted yet
            name = modern_module(name)
        try:
            import_module(name)
        except Exception as error:  # a module is a program: it may fail in any way
            told = _told(name, error, f"{place}config key 'custom_imports.imports', {name!r}")
            if not wanted.get("allow_failed_imports"):
                raise told from error
            _log.warning(f"Left out, as allow_failed_imports=True says: {told}")


def _told(name: str, error: Exception, where: str) -> ConfigError:
    package = name.partition(".")[0]
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing and (name == missing or name.startswith(f"{missing}.")):
        install = f"pip install {_PACKAGES[package]}" if package in _PACKAGES else ""
        return ConfigError(
            f"The config cannot be loaded: it imports {name!r}, which is not there",
            where=where,
            advice=install
            or "install it, add its folder to PYTHONPATH, or take it out if the config does not use it",
        )
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "importlib" not in frame.filename and __file__ != frame.filename]
    place = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    return ConfigError(
        f"The config cannot be loaded: it imports {name!r}, which fails: "
        f"{type(error).__name__}: {error}{place}",
        where=where,
        advice="it must be written for the installed MMDetection 3.x, mmengine and mmcv 2.x",
    )
