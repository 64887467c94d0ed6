"""Legacy configs at the door: reading files whose bases are missing, and converting loaded configs."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from deeplake_mmdet.config.secrets import extract_secrets
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy import (
    Note,
    as_legacy,
    convert_config_dict,
    counterpart,
    is_legacy,
    kind_of,
    merge,
    similar,
)

__all__ = ["convert_config", "log_notes", "read_config"]


def convert_config(cfg: Config) -> tuple[Config, list[Note]]:
    """Convert an MMDetection 2.x config to 3.x.

    Literal credentials are replaced by handles first, as `load_config` does it.

    Args:
        cfg: A config; not changed. One for 3.x comes back as a copy, without notes.

    Returns:
        The 3.x config, and notes on everything that was changed, approximated or left out.

    Raises:
        ConfigError: It is half migrated, for MMDetection 1.x or for another toolbox; or it has an unknown
            ``deeplake_*`` key.
        CredentialError: The config gives a user name and password.
    """
    if not is_legacy(cfg):
        return cfg.copy(), []
    content, _ = extract_secrets(cfg.to_dict())
    content, notes = convert_config_dict(content)
    return Config(content, filename=cfg.filename), notes


def log_notes(notes: list[Note]) -> None:
    """Write notes into the log, one line each."""
    for note in notes:
        print_log(f"2.x config: {note}", "current")


def read_config(file: Path) -> Config:
    """Read a config file; a missing base of a 2.x config is taken from the installed MMDetection.

    Raises:
        ConfigError: A base exists nowhere, or the config needs values of one that is missing.
        Exception: Whatever the config raises.
    """
    if not _missing(file, set()):
        return Config.fromfile(str(file))
    content, base = _read(file)
    if kind_of(content) == "2.x" or not content:
        content = merge(as_legacy(base), content)
        print_log(
            f"{file}: its base is taken from the installed MMDetection 3.x; what it does not set, e.g. the "
            "intervals of validation and checkpoints, is as there",
            "current",
        )
    else:
        content = merge(base, content)
    return Config(content, cfg_text=file.read_text(encoding="utf-8"), filename=str(file))


def _bases_of(file: Path) -> list[str]:
    """The paths of ``_base_`` as they are written; none if it is no literal or the file has no syntax."""
    if file.suffix != ".py":
        return []
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        found = [
            ast.literal_eval(node.value)
            for node in tree.body
            if _is_base(node) and isinstance(node, ast.Assign)
        ]
    except (SyntaxError, ValueError, UnicodeDecodeError):
        return []
    bases = found[0] if found else []
    return [bases] if isinstance(bases, str) else [str(base) for base in bases]


def _is_base(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id == "_base_" for target in node.targets
    )


def _missing(file: Path, seen: set[Path]) -> bool:
    """Whether a base of this file, or of its bases, is not there."""
    if file in seen:
        return False
    seen.add(file)
    for base in _bases_of(file):
        path = _place(file, base)
        if path is not None and (not path.is_file() or _missing(path, seen)):
            return True
    return False


def _place(file: Path, base: str) -> Path | None:
    return None if "::" in base else (file.parent / Path(base).expanduser()).resolve()


def _read(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A file's own content with that of the bases that are there; and the 3.x content of the missing ones."""
    content: dict[str, Any] = {}
    stock: dict[str, Any] = {}
    for base in _bases_of(file):
        path = _place(file, base)
        if path is None:
            stock = merge(stock, Config.fromfile(base).to_dict())
        elif path.is_file():
            inner, inner_stock = _read(path)
            content, stock = merge(content, inner), merge(stock, inner_stock)
        else:
            stock = merge(stock, Config.fromfile(str(_stock_file(file, base, path))).to_dict())
    return merge(content, _own(file)), stock


def _own(file: Path) -> dict[str, Any]:
    """What a file says without its bases; deletion marks stay, for the merge to follow."""
    text = file.read_text(encoding="utf-8")
    if not _bases_of(file):
        return dict(Config.fromfile(str(file)).to_dict())
    lines = text.splitlines()
    for node in ast.parse(text).body:
        if _is_base(node):
            first, last = node.lineno - 1, node.end_lineno or node.lineno
            lines[first:last] = [""] * (last - first)
    rest = "\n".join(lines)
    if "_base_" in rest:
        raise ConfigError(
            "This config uses values of a base that is missing",
            where=f"{file}, line with '_base_.'",
            advice="put MMDetection 2.x's configs where _base_ points to",
        )
    return dict(Config.fromstring(rest, ".py").to_dict())


def _stock_file(file: Path, base: str, path: Path) -> Path:
    """The installed 3.x counterpart of a missing base.

    Raises:
        ConfigError: There is none.
    """
    name = counterpart(base)
    spec = find_spec("mmdet")
    root = Path(spec.origin).parent / ".mim" / "configs" if spec and spec.origin else None
    tried = [str(path)]
    if name is not None and root is not None:
        if (root / name).is_file():
            return root / name
        tried.append(str(root / name))
    near = similar(base)
    raise ConfigError(
        "The config cannot be loaded: a base of it exists nowhere",
        where=f"{file}, _base_ {base!r}; tried {', '.join(tried)}",
        advice="put the file there"
        + (f", or name one that MMDetection has: {', '.join(near)}" if near else ""),
    )
