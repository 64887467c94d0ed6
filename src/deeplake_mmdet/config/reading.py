"""Reading config files: whatever is wrong with one is told once, with its place."""

from __future__ import annotations

import ast
import traceback
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from deeplake_mmdet.config.bases import all_files, missing_base, read_with_stock_bases
from deeplake_mmdet.errors import ConfigError, DeepLakeMMDetError, SourceNotFoundError
from deeplake_mmdet.legacy import as_legacy, kind_of, merge

__all__ = ["read_config"]


def read_config(path: str | Path, **options: Any) -> Config:
    """Read a config file; a missing base of a 2.x config is taken from the installed MMDetection.

    Args:
        path: The file.
        options: For mmengine's ``Config.fromfile``; they have no effect on a file whose bases are missing.

    Raises:
        SourceNotFoundError: There is no such file.
        ConfigError: It cannot be loaded, or a base of it exists nowhere.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise SourceNotFoundError("There is no such config file", where=str(file))
    if options.get("lazy_import") is None and _is_plain(file):
        options["lazy_import"] = False
    try:
        if not missing_base(file.resolve()):
            return Config.fromfile(str(file), **options)
        return _read_without_bases(file)
    except DeepLakeMMDetError:
        raise
    except (Exception, SystemExit) as error:  # a config is a program: it may fail in any way
        text = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
        raise ConfigError(f"The config cannot be loaded: {text}", where=_place_of(error, file)) from error


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
        for node in tree.body
        if isinstance(node, ast.Assign)
        for part in node.targets
        if isinstance(part, ast.Name)
    }
    return "read_base" not in text and not names.isdisjoint(
        ("_base_", "data", "optimizer", "runner", "total_epochs")
    )


def _read_without_bases(file: Path) -> Config:
    content, base = read_with_stock_bases(file.resolve())
    # A file that says nothing of one version only is for that of its base: 2.x.
    if kind_of(content) == "2.x" or not _speaks_new(content):
        content = merge(as_legacy(base), content) if base else content
        print_log(
            f"{file}: its base is taken from the installed MMDetection 3.x; what it does not set, e.g. the "
            "intervals of validation and checkpoints, is as there",
            "current",
        )
    else:
        content = merge(base, content)
    return Config(content, cfg_text=file.read_text(encoding="utf-8"), filename=str(file))


def _speaks_new(content: dict[str, Any]) -> bool:
    """Whether a config has keys that only MMDetection 3.x knows."""
    ends = ("_dataloader", "_evaluator", "_cfg")
    return any(key in content for key in ("optim_wrapper", "param_scheduler", "default_hooks")) or any(
        f"{split}{end}" in content for split in ("train", "val", "test") for end in ends
    )


def _place_of(error: BaseException, file: Path) -> str:
    """The file, or the base of it, and the line that failed, as far as they can be known."""
    files = all_files(file.resolve())
    if isinstance(error, SyntaxError):
        for part in files:
            try:
                ast.parse(part.read_text(encoding="utf-8"))
            except SyntaxError as found:
                return _named(part, found.lineno, file)
            except (OSError, ValueError):
                continue
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        for part in files:
            if Path(frame.filename).resolve() == part:
                return _named(part, frame.lineno, file)
    return str(file)


def _named(part: Path, line: int | None, file: Path) -> str:
    own = part == file.resolve()
    place = "" if line is None else f", line {line}"
    return f"{file if own else part}{place}" + ("" if own else f" (a base of {file})")
