"""The ``_base_`` files of a config, and those of a 2.x config that are missing on this machine."""

from __future__ import annotations

import ast
import io
import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.fileio import load

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy import counterpart, official_name, similar

__all__ = [
    "OWN_LIST",
    "all_files",
    "bases_of",
    "computes_bases",
    "installed_configs",
    "missing_base",
    "names_set",
    "place_of_base",
    "predefined",
    "program_of",
    "stock_file",
    "without_bases",
]

_REFERENCE = re.compile(r"\{\{\s*_base_\.([\w.]+)\s*\}\}")
_MARK = "_variable_of_base_:"
#: What the file's own list of bases is called while the rest of the file runs.
OWN_LIST = "_base_paths_"
_ENVIRONMENT = re.compile(r"\{\{['\"]?\s*\$(\w+)\s*:\s*(\S*?)\s*['\"]?\}\}")
_CHANGES = ("append", "extend", "insert")


def installed_configs() -> Path | None:
    """Find the configs that the installed MMDetection brings.

    Returns:
        Their folder; None if there is none.
    """
    spec = find_spec("mmdet")
    folder = Path(spec.origin).parent / ".mim" / "configs" if spec and spec.origin else None
    return folder if folder is not None and folder.is_dir() else None


def all_files(file: Path) -> list[Path]:
    """Find all files that a config is made of.

    Args:
        file: The config's full path.

    Returns:
        The file and its bases that are there, each once, the bases before those that name them.

    Raises:
        ConfigError: Bases cannot be computed.
    """
    found: list[Path] = []
    for base in bases_of(file):
        place = place_of_base(file, base)
        if place is not None and place.is_file():
            found += [part for part in all_files(place) if part not in found]
    return [*found, file]


def bases_of(file: Path) -> list[str]:
    """Read which bases a config file names.

    Args:
        file: Its full path.

    Returns:
        The paths of ``_base_``, as they are written or as the file computes them; none if it has no syntax.

    Raises:
        ConfigError: They cannot be computed.
    """
    tree = _tree(file)
    if tree is None:
        return []
    bases = _literal_bases(tree)
    return _computed_bases(file, tree) if bases is None else bases


def computes_bases(file: Path) -> bool:
    """Whether MMEngine, which takes ``_base_`` as it is written, would not find the file's bases.

    Args:
        file: Its full path.
    """
    tree = _tree(file)
    return tree is not None and _literal_bases(tree) is None


def program_of(file: Path) -> str:
    """Read a config file as a program.

    Args:
        file: A Python, JSON or YAML file.

    Returns:
        Its text as Python; of JSON and YAML, a line for each top-level key.

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

    Args:
        file: Its full path.
        above: The files that have led to it.

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
    """Find out where a base is.

    Args:
        file: The file that names it.
        base: How it is written.

    Returns:
        Its full path, whether or not it is there; None for ``package::path``.
    """
    return None if "::" in base else (file.parent / Path(base).expanduser()).resolve()


def stock_file(file: Path, base: str, path: Path) -> tuple[str, Path]:
    """The installed 3.x counterpart of a missing base.

    Args:
        file: The file that names it.
        base: How it is written.
        path: Where it was looked for.

    Returns:
        What the base is called among MMDetection 2.28.2's configs, and the counterpart's path.

    Raises:
        ConfigError: There is none.
    """
    known = base if counterpart(base) else str(path)
    name, root = counterpart(known), installed_configs()
    tried = [str(path)]
    if name is not None and root is not None:
        if (root / name).is_file():
            return official_name(known), root / name
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


def names_set(file: Path) -> set[str]:
    """Read which names a file sets.

    Args:
        file: A Python, JSON or YAML file.

    Returns:
        Every name that the program assigns to: its top-level keys and names inside functions and loops.
    """
    return {
        node.id
        for node in ast.walk(ast.parse(program_of(file)))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _literal_bases(tree: ast.Module) -> list[str] | None:
    """The bases of a file that says them once and plainly; None if it computes them."""
    setting = [node for node in tree.body if _sets_base(node)]
    if not setting:
        return []
    if len(setting) > 1 or not isinstance(setting[0], ast.Assign):
        return None
    try:
        return _as_list(ast.literal_eval(setting[0].value))
    except ValueError:
        return None


def _computed_bases(file: Path, tree: ast.Module) -> list[str]:
    """The bases of a file that computes them: it is run to the last statement that says something of them.

    Args:
        file: For messages; it also stands in ``__file__``.
        tree: What it says, after `predefined`. Statements that take something from its bases are left out.

    Raises:
        ConfigError: It fails, or what it computes is no path or list of paths.
    """
    last = max(number for number, node in enumerate(tree.body) if _sets_base(node))
    names: dict[str, Any] = {"__file__": str(file), "__name__": file.stem}
    for node in tree.body[: last + 1]:
        if not _sets_base(node) and _names_within(node):
            continue
        try:
            exec(compile(ast.Module([node], []), str(file), "exec"), names)
        except (Exception, SystemExit) as error:  # a config is a program: it may fail in any way
            raise ConfigError(
                "The config cannot be loaded: its _base_ cannot be computed: "
                f"{type(error).__name__}: {error}",
                where=f"{file}, line {node.lineno}",
                advice="it can use what stands above it in the file, but nothing of the bases",
            ) from error
    bases = _as_list(names.get("_base_"))
    if bases is None:
        raise ConfigError(
            f"The config cannot be loaded: its _base_ is {names.get('_base_')!r}, which names no files",
            where=f"{file}, line {tree.body[last].lineno}",
        )
    return bases


def without_bases(text: str) -> str:
    """Rename the list of bases that a program computes, so that the program can run without its bases.

    Args:
        text: The program.

    Returns:
        The program, its lines where they were.
    """
    lines = text.split("\n")  # as Python counts them
    found = [
        (part.lineno - 1, part.col_offset)
        for node in ast.parse(text).body
        if _sets_base(node)
        for part in _names_within(node)
    ]
    for number, column in sorted(found, reverse=True):
        line = lines[number].encode()  # Python counts bytes
        lines[number] = (line[:column] + OWN_LIST.encode() + line[column + len(b"_base_") :]).decode()
    return "\n".join(lines)


def predefined(text: str, file: Path, *, variables: bool = False, needed: bool = False) -> str:
    """The text with what MMCV and MMEngine put in for the file's own name.

    Args:
        text: Of a config.
        file: Its place.
        variables: Whether to put in those of the environment too, ``{{$NAME:default}}``.
        needed: Whether each of them must have a value.

    Returns:
        The text without those marks.

    Raises:
        KeyError: One that is needed is not set and has no default.
    """
    names = {
        "fileDirname": file.parent.as_posix(),
        "fileBasename": file.name,
        "fileBasenameNoExtension": file.stem,
        "fileExtname": file.suffix,
    }
    for name, value in names.items():
        text = re.sub(r"\{\{\s*" + name + r"\s*\}\}", value.replace("\\", r"\\"), text)
    if variables:
        text = _ENVIRONMENT.sub(lambda found: _of_environment(found, needed), text)
    return text


def _of_environment(found: re.Match[str], needed: bool) -> str:
    value = os.environ.get(found[1], found[2])
    if needed and not value:
        raise KeyError(f"{found[1]} is not set in the environment, and has no default")
    return value


def _as_list(bases: Any) -> list[str] | None:
    if isinstance(bases, (str, os.PathLike)):
        return [str(bases)]
    if isinstance(bases, (list, tuple)) and all(isinstance(base, (str, os.PathLike)) for base in bases):
        return [str(base) for base in bases]
    return None


def _sets_base(node: ast.stmt) -> bool:
    """Whether a statement of the file, or one inside it, sets ``_base_`` or adds to it."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and part.id == "_base_" and isinstance(part.ctx, ast.Store):
            return True
        if (
            isinstance(part, ast.Call)
            and isinstance(part.func, ast.Attribute)
            and part.func.attr in _CHANGES
            and isinstance(part.func.value, ast.Name)
            and part.func.value.id == "_base_"
        ):
            return True
    return False


def _names_within(node: ast.AST) -> list[ast.Name]:
    """Where the list's name stands, but within f-strings, whose places Python 3.11 does not tell."""
    if isinstance(node, ast.JoinedStr):
        return []
    own = [node] if isinstance(node, ast.Name) and node.id == "_base_" else []
    return [*own, *(name for child in ast.iter_child_nodes(node) for name in _names_within(child))]
