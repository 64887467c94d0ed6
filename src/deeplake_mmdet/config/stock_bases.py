"""Reading a config part by part: its missing bases are taken from the installed MMDetection."""

from __future__ import annotations

import ast
import tempfile
import traceback
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from deeplake_mmdet.config.base_variables import old_variables
from deeplake_mmdet.config.bases import bases_of, installed_configs, place_of_base, program_of, stock_file
from deeplake_mmdet.config.computed_bases import OWN_LIST, predefined, without_bases
from deeplake_mmdet.config.handover import base_file
from deeplake_mmdet.config.places import failure, named
from deeplake_mmdet.config.reference_check import check_references
from deeplake_mmdet.config.references import references, rewritten
from deeplake_mmdet.config.versions import is_for_new
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy import Note, as_legacy, merge, old_values, repeated

__all__ = ["Parts", "read_parts"]

Content = dict[str, Any]

_MAIN = {
    "model": (),
    "train_dataloader": ("data",),
    "optim_wrapper": ("optimizer",),
    "param_scheduler": ("lr_config",),
}


@dataclass
class Parts:
    """What a config file and its bases say.

    Attributes:
        content: Its own content with that of the bases that are there, and the marks ``_delete_`` that mean
            what the missing ones say.
        stock: The 3.x content of the missing bases, as far as ``content`` does not have it already.
        missing: The 3.x content of all missing bases.
        values: What MMDetection 2.28.2's files in their place said otherwise, as far as it is known and
            ``content`` does not have it already.
        origins: For each base, how it is written and where it was looked for and found.
        notes: On what was taken from elsewhere.
    """

    content: Content = field(default_factory=dict)
    stock: Content = field(default_factory=dict)
    missing: Content = field(default_factory=dict)
    values: Content = field(default_factory=dict)
    origins: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def as_old(self) -> Content:
        """The missing bases as MMDetection 2.28.2's files said it; empty if none is missing."""
        if not self.stock:
            return {}
        old: Content = repeated(merge(as_legacy(self.stock), self.values))
        for split in ("val", "test"):  # 2.x's files said one thing for all splits, which a child may change
            old.get("data", {}).pop(f"{split}_dataloader", None)
        return old


def read_parts(file: Path, top: Path) -> Parts:
    """Read a file whose missing bases are taken from the installed MMDetection.

    Args:
        file: Its full path.
        top: The file that was to be loaded: this one, or one that names it among its bases.

    Raises:
        ConfigError: A base exists nowhere, the file uses a variable that no base has, or it fails.
    """
    parts = Parts()
    owners: dict[str, str] = {}
    for base in bases_of(file):
        _check_alone(owners, _add_base(parts, file, base, top), base, file)
    text = _own_text(file)
    used = references(text)
    program = rewritten(text)
    if not used and not any(_is_base_name(node) for node in ast.walk(ast.parse(text))):
        parts.content = merge(parts.content, _run(program, None, file, top), marked=True)
        return parts
    # Its own values are made of the bases': they must be there, under their 2.x names, before it runs.
    set_here = _names_set(text)
    asked = [item.name.partition(".")[0] for item in used]
    if is_for_new([*parts.content, *set_here], asked):
        known, extra = merge(parts.stock, parts.content), {}
    else:
        known = merge(parts.as_old(), parts.content)
        extra = {name: value for name, value in old_variables(parts.missing).items() if name not in known}
    whole = {**extra, **known}
    lines = {item: named(file, item.line if file.suffix == ".py" else None, top) for item in used}
    check_references(lines, whole, parts.origins)
    try:
        content = _run(program, whole, file, top)
    except ConfigError as error:
        if isinstance(error.__context__, (AttributeError, KeyError)):  # not its cause: see `_run`
            check_references(lines, whole, parts.origins, plain=True)
        raise
    # The variables of a missing base are no content of this file: only what it makes of them is.
    parts.content = {name: value for name, value in content.items() if name not in extra or name in set_here}
    parts.stock, parts.values = {}, {}
    return parts


def _check_alone(owners: dict[str, str], keys: Iterable[str], base: str, file: Path) -> None:
    """Refuse bases of one file that say the same thing, as MMCV and MMEngine do.

    Args:
        owners: Which base says what; added to.
        keys: What this one says.
        base: How it is written.
        file: The file that names it.

    Raises:
        ConfigError: Two bases have a key.
    """
    twice = sorted(key for key in keys if key in owners)
    if twice:
        first = owners[twice[0]]
        same = [key for key in twice if owners[key] == first]
        raise ConfigError(
            f"The config cannot be loaded: two of its bases have {', '.join(map(repr, same))}",
            where=f"{file}, _base_ {first!r} and {base!r}",
            advice="bases stand side by side, so none wins: take the key out of one, or make one the base of "
            "the other",
        )
    owners |= dict.fromkeys(keys, base)


def _add_base(parts: Parts, file: Path, base: str, top: Path) -> set[str]:
    """Take a base in; what it says that no other one may say."""
    path = place_of_base(file, base)
    if path is not None and path.is_file():
        inner = read_parts(path, top)
        parts.content = merge(parts.content, inner.content, marked=True)
        parts.stock, parts.missing = merge(parts.stock, inner.stock), merge(parts.missing, inner.missing)
        parts.values = merge(parts.values, inner.values)
        parts.notes += inner.notes
        parts.origins += [*inner.origins, f"_base_ {base!r} ({path})"]
        return {*inner.content, *_main_keys(inner.stock)}
    if path is None:
        found = _of_package(base)
        parts.origins.append(f"_base_ {base!r}")
    else:
        taken = stock_file(file, base, path)
        found = Config.fromfile(str(taken), import_custom_modules=False).to_dict()
        values = old_values(base) or old_values(str(path))
        parts.values = merge(parts.values, values)
        parts.notes += _taken_notes(base, taken, values)
        parts.origins.append(f"_base_ {base!r} (no file {path}; taken from MMDetection 3.x's {taken})")
    parts.stock, parts.missing = merge(parts.stock, found), merge(parts.missing, found)
    return _main_keys(found)


def _main_keys(stock: Mapping[str, Any]) -> set[str]:
    """What a 3.x file says as well as the one of 2.x whose place it takes, by the names of both."""
    return {name for key, names in _MAIN.items() if key in stock for name in (key, *names)}


def _taken_notes(base: str, taken: Path, values: Content) -> list[Note]:
    root = installed_configs()
    name = str(taken.relative_to(root)) if root is not None and taken.is_relative_to(root) else str(taken)
    what = f"{base!r} is taken from the installed MMDetection 3.x, {name}"
    why = "the file is not here; what the config does not set itself is as 3.x has it"
    notes = [Note("_base_", what, why, "approximated")]
    if values:
        what = f"{base!r} has the values of MMDetection 2.28.2, not of 3.x, for {', '.join(_leaves(values))}"
        notes.append(Note("_base_", what, "2.x trained with them; those that the config sets count before"))
    return notes


def _leaves(content: Mapping[str, Any], above: str = "") -> list[str]:
    found: list[str] = []
    for key, value in content.items():
        inside = isinstance(value, Mapping) and value
        found += _leaves(value, f"{above}{key}.") if inside else [f"{above}{key}"]
    return found


def _of_package(base: str) -> Content:
    """The content of ``package::path``."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.py"
        config.write_text(f"_base_ = {base!r}\n", encoding="utf-8")
        return dict(Config.fromfile(str(config), import_custom_modules=False).to_dict())


def _own_text(file: Path) -> str:
    """A file's text without ``_base_``, and with what MMEngine puts in for the file's own name."""
    return without_bases(predefined(program_of(file), file))


def _run(text: str, bases: Mapping[str, Any] | None, file: Path, top: Path) -> Content:
    """What MMEngine makes of a text, with the content of its bases.

    Raises:
        ConfigError: It fails; with its line.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        config = Path(folder) / "config.py"
        if bases is not None:
            stack.enter_context(base_file(bases, Path(folder) / "base.py"))
            text += "\n_base_ = './base.py'\n"  # at the end: lines keep their numbers
        config.write_text(text, encoding="utf-8")
        try:
            read = Config.fromfile(str(config), lazy_import=False, import_custom_modules=False).to_dict()
        except (Exception, SystemExit) as error:  # a config is a program: it may fail in any way
            frames = traceback.extract_tb(error.__traceback__)
            lines = [frame.lineno for frame in frames if frame.filename == str(config)]
            line = lines[-1] if lines and file.suffix == ".py" else None
            raise failure(error, named(file, line, top)) from None  # as `read_config`
    return {name: value for name, value in read.items() if name != OWN_LIST}


def _is_base_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "_base_"


def _names_set(text: str) -> set[str]:
    return {
        node.id
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
