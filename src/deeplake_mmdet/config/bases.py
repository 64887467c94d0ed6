"""The ``_base_`` files of a config, and those of a 2.x config that are missing on this machine."""

from __future__ import annotations

import ast
import re
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.config import Config

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy import as_legacy, counterpart, merge, similar

__all__ = ["all_files", "installed_configs", "missing_base", "read_with_stock_bases"]

Content = dict[str, Any]


def installed_configs() -> Path | None:
    """The folder of the installed MMDetection's configs; None if it brings none."""
    spec = find_spec("mmdet")
    folder = Path(spec.origin).parent / ".mim" / "configs" if spec and spec.origin else None
    return folder if folder is not None and folder.is_dir() else None


def all_files(file: Path) -> list[Path]:
    """The file and its bases that are there, each once, the bases before those that name them."""
    found: list[Path] = []
    for base in bases_of(file):
        place = _place(file, base)
        if place is not None and place.is_file():
            found += [part for part in all_files(place) if part not in found]
    return [*found, file]


def bases_of(file: Path) -> list[str]:
    """The paths of ``_base_`` as they are written; none if it is no literal or the file has no syntax."""
    if file.suffix != ".py":
        return []
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        found = [
            ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and _is_base(node)
        ]
    except (SyntaxError, ValueError, UnicodeDecodeError):
        return []
    bases = found[0] if found else []
    if isinstance(bases, str):
        return [bases]
    return [str(base) for base in bases] if isinstance(bases, (list, tuple)) else []


def missing_base(file: Path, above: tuple[Path, ...] = ()) -> bool:
    """Whether a base of this file, or of its bases, is not there.

    Raises:
        ConfigError: Files are bases of each other.
    """
    chain = (*above, file)
    for base in bases_of(file):
        path = _place(file, base)
        if path in chain:
            raise ConfigError(
                "The config cannot be loaded: files are bases of each other",
                where=" -> ".join(str(part) for part in (*chain, path)),
                advice="take one _base_ out",
            )
        if path is not None and (not path.is_file() or missing_base(path, chain)):
            return True
    return False


def read_with_stock_bases(file: Path) -> tuple[Content, Content]:
    """Read a file whose missing bases are taken from the installed MMDetection.

    Returns:
        The file's own content with that of the bases that are there; and the 3.x content of the missing
        ones, empty if the first has it in already.

    Raises:
        ConfigError: A base exists nowhere.
    """
    content: Content = {}
    stock: Content = {}
    for base in bases_of(file):
        path = _place(file, base)
        if path is None:
            stock = merge(stock, Config.fromfile(base).to_dict())
        elif path.is_file():
            inner, inner_stock = read_with_stock_bases(path)
            content, stock = merge(content, inner), merge(stock, inner_stock)
        else:
            stock = merge(stock, Config.fromfile(str(_stock_file(file, base, path))).to_dict())
    text = _own_text(file)
    if "_base_" not in text:
        return merge(content, Config.fromstring(text, file.suffix).to_dict()), stock
    # Its own values are made of the bases': they must be there, under their 2.x names, before it runs.
    whole = merge(as_legacy(stock), content) if stock else content
    with tempfile.TemporaryDirectory() as folder:
        Config(whole).dump(Path(folder) / "base.py")
        (Path(folder) / "config.py").write_text(f"_base_ = './base.py'\n{text}", encoding="utf-8")
        return dict(Config.fromfile(Path(folder) / "config.py").to_dict()), {}


def _is_base(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id == "_base_" for target in node.targets
    )


def _place(file: Path, base: str) -> Path | None:
    """Where a base is; None for ``package::path``."""
    return None if "::" in base else (file.parent / Path(base).expanduser()).resolve()


def _own_text(file: Path) -> str:
    """A file's text without ``_base_``, and with what MMEngine puts in for the file's own name."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        lines = text.splitlines()
        for node in ast.parse(text).body:
            if _is_base(node):
                first, last = node.lineno - 1, node.end_lineno or node.lineno
                lines[first:last] = [""] * (last - first)
        text = "\n".join(lines)
    names = {
        "fileDirname": file.parent.as_posix(),
        "fileBasename": file.name,
        "fileBasenameNoExtension": file.stem,
        "fileExtname": file.suffix,
    }
    for name, value in names.items():
        text = re.sub(r"\{\{\s*" + name + r"\s*\}\}", value.replace("\\", r"\\"), text)
    return text


def _stock_file(file: Path, base: str, path: Path) -> Path:
    """The installed 3.x counterpart of a missing base.

    Raises:
        ConfigError: There is none.
    """
    name, root = counterpart(base) or counterpart(str(path)), installed_configs()
    tried = [str(path)]
    if name is not None and root is not None:
        if (root / name).is_file():
            return root / name
        tried.append(str(root / name))
    elif root is not None:
        tried.append(f"{base!r} among the names of MMDetection 2.x's configs, for those in {root}")
    near = similar(base)
    raise ConfigError(
        "The config cannot be loaded: a base of it exists nowhere",
        where=f"{file}, _base_ {base!r}; tried {', '.join(tried)}",
        advice="put the file there"
        + (f", or name one that MMDetection has: {', '.join(near)}" if near else ""),
    )
