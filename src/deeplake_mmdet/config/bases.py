"""The ``_base_`` files of a config, and those of a 2.x config that are missing on this machine."""

from __future__ import annotations

import ast
import io
import re
from importlib.util import find_spec
from pathlib import Path

from mmengine.fileio import load

from deeplake_mmdet.config.computed_bases import computed_bases, literal_bases, predefined
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy import counterpart, similar

__all__ = [
    "all_files",
    "bases_of",
    "computes_bases",
    "installed_configs",
    "missing_base",
    "place_of_base",
    "program_of",
    "stock_file",
]

_REFERENCE = re.compile(r"\{\{\s*_base_\.([\w.]+)\s*\}\}")
_MARK = "_variable_of_base_:"


def installed_configs() -> Path | None:
    """The folder of the installed MMDetection's configs; None if it brings none."""
    spec = find_spec("mmdet")
    folder = Path(spec.origin).parent / ".mim" / "configs" if spec and spec.origin else None
    return folder if folder is not None and folder.is_dir() else None


def all_files(file: Path) -> list[Path]:
    """The file and its bases that are there, each once, the bases before those that name them."""
    found: list[Path] = []
    for base in bases_of(file):
        place = place_of_base(file, base)
        if place is not None and place.is_file():
            found += [part for part in all_files(place) if part not in found]
    return [*found, file]


def bases_of(file: Path) -> list[str]:
    """The paths of ``_base_``, as they are written or as the file computes them; none if it has no syntax.

    Raises:
        ConfigError: They cannot be computed.
    """
    tree = _tree(file)
    if tree is None:
        return []
    bases = literal_bases(tree)
    return computed_bases(file, tree) if bases is None else bases


def computes_bases(file: Path) -> bool:
    """Whether MMEngine, which takes ``_base_`` as it is written, would not find the file's bases."""
    tree = _tree(file)
    return tree is not None and literal_bases(tree) is None


def program_of(file: Path) -> str:
    """A config file's text as Python, which JSON and YAML files become.

    Raises:
        ValueError: They hold no config.
    """
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        return text
    # MMEngine takes a variable of a base where a value stands, without quotes.
    marked = _REFERENCE.sub(rf'"{_MARK}\1"', predefined(text, file))
    try:
        content = dict(load(io.StringIO(marked), file_format=file.suffix.removeprefix(".")))
    except Exception as error:  # of whatever reads the format
        raise ValueError(str(error)) from error
    lines = [
        f"{key} = {value!r}" if str(key).isidentifier() else f"globals()[{key!r}] = {value!r}"
        for key, value in content.items()
    ]
    return re.sub(rf"'{_MARK}([\w.]+)'", r"{{_base_.\1}}", "\n".join(lines) + "\n")


def _tree(file: Path) -> ast.Module | None:
    try:
        return ast.parse(predefined(program_of(file), file, variables=True))
    except (SyntaxError, ValueError, OSError):
        return None


def missing_base(file: Path, above: tuple[Path, ...] = ()) -> bool:
    """Whether a base of this file, or of its bases, is not there.

    Raises:
        ConfigError: Files are bases of each other.
    """
    chain = (*above, file)
    for base in bases_of(file):
        path = place_of_base(file, base)
        if path in chain:
            raise ConfigError(
                "The config cannot be loaded: files are bases of each other",
                where=" -> ".join(str(part) for part in (*chain, path)),
                advice="take one _base_ out",
            )
        if path is not None and (not path.is_file() or missing_base(path, chain)):
            return True
    return False


def place_of_base(file: Path, base: str) -> Path | None:
    """Where a base is; None for ``package::path``."""
    return None if "::" in base else (file.parent / Path(base).expanduser()).resolve()


def stock_file(file: Path, base: str, path: Path) -> Path:
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
