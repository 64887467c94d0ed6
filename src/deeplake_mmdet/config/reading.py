"""Reading config files: whatever is wrong with one is told once, with its place."""

from __future__ import annotations

import ast
import difflib
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from deeplake_mmdet.config.bases import all_files, computes_bases, missing_base
from deeplake_mmdet.config.places import failure, place_of
from deeplake_mmdet.config.stock_bases import Parts, preprocessor_of_data, read_parts
from deeplake_mmdet.config.tree import innermost
from deeplake_mmdet.config.variables import in_braces, left_behind
from deeplake_mmdet.errors import ConfigError, DeepLakeMMDetError, SourceNotFoundError
from deeplake_mmdet.legacy import Note, kind_of, merge, speaks_new

__all__ = ["check_order", "keep_reading_notes", "read_config", "read_with_notes", "reading_notes"]

_log = logging.getLogger("deeplake_mmdet")

_NOTES = "_reading_notes"
_VARIABLE = re.compile(r"(?<![\w.])_base_\.")
_CONFIGS = (".py", ".json", ".yaml", ".yml")
_CHECKPOINTS = (".pth", ".pt", ".ckpt", ".pkl", ".bin", ".safetensors")


def read_config(path: str | Path, **options: Any) -> Config:
    """Read a config file; a missing base of a 2.x config is taken from the installed MMDetection.

    Args:
        path: The file.
        options: For mmengine's ``Config.fromfile``; they have no effect on a file whose bases are missing.
            Modules of ``custom_imports`` are not imported; see `import_custom_modules`.

    Returns:
        The config, as the file and its bases say it: not converted, and with its secrets.

    Raises:
        SourceNotFoundError: There is no such file.
        ConfigError: It cannot be loaded, a base of it exists nowhere, or no base that is here has a variable
            that it uses.
    """
    cfg, notes = read_with_notes(path, **options)
    keep_reading_notes(cfg, notes)
    return cfg


def keep_reading_notes(cfg: Config, notes: Sequence[Note]) -> None:
    """Remember notes beside a config's content, which a script may go through and change.

    Args:
        cfg: The config.
        notes: They take the place of those that it has.
    """
    vars(cfg)[_NOTES] = tuple(notes)


def reading_notes(cfg: Config) -> tuple[Note, ...]:
    """What `read_config` took from elsewhere, and what `take_in` converted.

    Args:
        cfg: The config.

    Returns:
        The notes; none of a config that has another origin.
    """
    return tuple(vars(cfg).get(_NOTES, ()))


def read_with_notes(path: str | Path, **options: Any) -> tuple[Config, list[Note]]:
    """`read_config`, with notes on what was taken from elsewhere.

    Args:
        path: The file.
        options: For mmengine's ``Config.fromfile``.

    Returns:
        The config, as the file and its bases say it, and the notes.

    Raises:
        SourceNotFoundError: There is no such file.
        ConfigError: See `read_config`.
    """
    file = Path(path).expanduser()
    if file.is_dir():
        found = sorted(path.name for path in file.glob("*.py"))
        raise SourceNotFoundError(
            "The config is a folder",
            where=str(file),
            advice=f"name a file of it: {', '.join(found[:10])}" if found else "name a config file",
        )
    if not file.is_file():
        near = difflib.get_close_matches(file.name, [path.name for path in file.parent.glob("*.py")], n=1)
        raise SourceNotFoundError(
            "There is no such config file",
            where=str(file),
            advice=f"perhaps {str(file.parent / near[0])!r} is meant" if near else "check the path",
        )
    options["import_custom_modules"] = False
    if options.get("lazy_import") is None and _is_plain(file):
        options["lazy_import"] = False
    try:
        if missing_base(file.resolve()) or any(map(computes_bases, all_files(file.resolve()))):
            return _read_by_parts(file)
        return _read_whole(file, options), []
    except DeepLakeMMDetError:
        raise
    except (Exception, SystemExit) as error:  # a config is a program: it may fail in any way
        # Not chained: a traceback shows lines of the config, and the secrets in them.
        raise failure(error, place_of(error, file)) from None


def _read_whole(file: Path, options: dict[str, Any]) -> Config:
    """Read a file whose bases are all there; as MMEngine does where that can be done."""
    texts = [part.read_text("utf-8") for part in all_files(file.resolve())]
    try:
        cfg = Config.fromfile(str(file), **options)
    except (AttributeError, KeyError, SyntaxError, TypeError, ValueError) as error:
        if "Duplicate key" in str(error):
            read_parts(file.resolve(), file)  # tells in which files
        if "Duplicate key" in str(error) or not any(map(_VARIABLE.search, texts)):
            raise
        # A variable that no base has, or the made-up name that stood in a variable's place.
        return _read_by_parts(file)[0]
    names = {name for text in texts for name in in_braces(text)}
    return _read_by_parts(file)[0] if left_behind(cfg.to_dict(), names) else cfg


def _is_plain(file: Path) -> bool:
    """Whether a file that imports something is a config all the same, as 2.x had them.

    MMEngine takes each file with imports for a config of its own kind, which runs in another way.
    """
    try:
        text = file.read_text(encoding="utf-8")
        tree = ast.parse(text) if file.suffix == ".py" else ast.Module([], [])
    except (SyntaxError, ValueError):
        return False
    names = {
        part.id
        for node in ast.walk(tree)
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign))
        for part in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(part, ast.Name)
    }
    return "read_base" not in text and not names.isdisjoint(
        ("_base_", "data", "optimizer", "runner", "total_epochs")
    )


def _read_by_parts(file: Path) -> tuple[Config, list[Note]]:
    parts = read_parts(file.resolve(), file)
    content = parts.content
    if parts.stock:
        # A file that says nothing of one version only is for that of its base: 2.x.
        if kind_of(content) == "2.x" or not speaks_new(content):
            base = parts.as_old()
            if "total_epochs" in content and "runner" not in content:
                base.pop("runner", None)  # it came with 2.5: the file's own length counts, as before
            content = _normalised(parts, merge(base, content))
            _log.warning(
                f"{file}: its base is taken from the installed MMDetection 3.x, with intervals, rates, "
                "schedules and batch sizes of 2.28.2; what else it does not set is as there"
            )
        else:
            content = merge(parts.stock, content)
    content = merge({}, content)  # nothing is left that its marks could mean
    return Config(content, cfg_text=file.read_text(encoding="utf-8"), filename=str(file)), parts.notes


def _normalised(parts: Parts, content: dict[str, Any]) -> dict[str, Any]:
    """The content, with what the pipelines of a missing file of data did to images: 3.x's file does not say.

    Pipelines of the config's own say it themselves.
    """
    preprocessor = preprocessor_of_data(parts.stock)
    model = content.get("model")
    data = (parts.content.get("data") or {}).values()
    own = any("pipeline" in place.node for part in data for place in innermost(part))
    if preprocessor is None or own or not isinstance(model, Mapping) or "data_preprocessor" in model:
        return content
    model = {**model, "data_preprocessor": {"type": "DetDataPreprocessor", **preprocessor}}
    return {**content, "model": model}


def check_order(config: Any, checkpoint: str | Path | bool | None = None) -> None:
    """Refuse a checkpoint that stands where a config belongs.

    Args:
        config: What was given as the config.
        checkpoint: What was given as the checkpoint.

    Raises:
        ConfigError: They are swapped, or the config is a checkpoint.
    """
    if not isinstance(config, (str, Path)):
        return
    path = Path(config).expanduser()
    if path.suffix in _CONFIGS or not (path.suffix in _CHECKPOINTS or _is_archive(path)):
        return
    swapped = Path(str(checkpoint)).suffix in _CONFIGS
    raise ConfigError(
        "Config and checkpoint are swapped" if swapped else "The config is a checkpoint file",
        where=str(path),
        advice=f"the config comes first: {checkpoint} {path}" if swapped else "name a config file, e.g. .py",
    )


def _is_archive(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(2) == b"PK"
    except OSError:
        return False
