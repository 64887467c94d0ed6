"""The config of a teacher (knowledge distillation), which a model names by its file."""

from __future__ import annotations

import logging
from collections.abc import Callable, MutableMapping
from pathlib import Path, PurePosixPath
from typing import Any

from mmengine.config import Config

from deeplake_mmdet.config.bases import installed_configs
from deeplake_mmdet.config.reading import read_config
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy import Note, is_legacy, old_keys

__all__ = ["put_teacher"]

_log = logging.getLogger("deeplake_mmdet")


def put_teacher(
    content: MutableMapping[str, Any],
    file: object,
    convert: Callable[[Config], tuple[Config, list[Note]]],
) -> list[Note]:
    """Replace the file name of a distillation teacher by its model where MMDetection cannot load the file.

    MMDetection looks from the working directory alone. Here the folder of the config counts as well, and the
    configs that the installed MMDetection brings; a teacher's config for MMDetection 2.x is converted.

    Args:
        content: A 3.x config's, changed in place.
        file: Its file, None if it has none.
        convert: Makes a config for 3.x of any one, free of secrets: `convert_config`.

    Returns:
        Notes on what was changed of the teacher's model.

    Raises:
        ConfigError: There is no such file, or it has no model.
    """
    model = content.get("model")
    if not isinstance(model, MutableMapping) or not isinstance(model.get("teacher_config"), (str, Path)):
        return []
    name = model["teacher_config"]
    place = _place(str(name), file)
    if place is None:
        raise ConfigError(
            f"There is no config of the teacher, {str(name)!r}",
            where="config key 'model.teacher_config'",
            advice="name a file by its full path, or beside the config or the working directory",
        )
    cfg = read_config(place)
    old = is_legacy(cfg) or bool(old_keys(cfg))
    if not old and Path(name).is_file():
        return []  # as MMDetection does it
    cfg, notes = convert(cfg)
    if not cfg.get("model"):
        raise ConfigError("The teacher's config has no model", where=f"{place}, config key 'model'")
    _log.info(f"The teacher's model is that of {place}")
    model["teacher_config"] = {"model": cfg.to_dict()["model"]}
    return [note for note in notes if note.key.startswith("model")]


def _place(name: str, file: object) -> Path | None:
    path = Path(name).expanduser()
    parts = PurePosixPath(name.replace("\\", "/")).parts
    found = [path]
    if file:
        found.append(Path(str(file)).parent / path)
    if (root := installed_configs()) is not None and "configs" in parts:
        last = len(parts) - 1 - parts[::-1].index("configs")
        found.append(root.joinpath(*parts[last + 1 :]))
    return next((place for place in found if place.is_file()), None)
