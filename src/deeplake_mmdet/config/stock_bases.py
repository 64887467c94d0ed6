"""Reading a config part by part: its missing bases are taken from the installed MMDetection."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mmengine.config import Config

from deeplake_mmdet.config.bases import (
    OWN_LIST,
    bases_of,
    installed_configs,
    names_set,
    place_of_base,
    predefined,
    program_of,
    stock_file,
    without_bases,
)
from deeplake_mmdet.config.places import failure, named
from deeplake_mmdet.config.variables import Program, Variable, value_of
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy import Note, as_legacy, merge, old_values, repeated, speaks_new

__all__ = ["Parts", "preprocessor_of_data", "read_parts"]

Content = dict[str, Any]

_MAIN = {
    "model": (),
    "train_dataloader": ("data",),
    "optim_wrapper": ("optimizer",),
    "param_scheduler": ("lr_config",),
}
# MMDetection 2.x's own files of data said this where 3.x's leave it to the model.
_OF_DATASETS = {
    "mean": [123.675, 116.28, 103.53],
    "std": [58.395, 57.12, 57.375],
    "bgr_to_rgb": True,
    "pad_size_divisor": 32,
}
_OF_FACES = {"std": [1, 1, 1], "pad_size_divisor": 1}
_OLD_DICTS = ("img_norm_cfg", "file_client_args")


@dataclass(frozen=True)
class Missing:
    """A base that is not here.

    Attributes:
        base: How it is written.
        file: The file that names it.
        path: Where it was looked for.
        official: What it is called among MMDetection 2.28.2's configs.
        taken: What was taken in its place.
        names: What that says, by the names of both versions.
    """

    base: str
    file: Path
    path: Path
    official: str
    taken: str
    names: frozenset[str]


@dataclass
class Parts:
    """What a config file and its bases say.

    Attributes:
        content: Its own content with that of the bases that are there, and the marks ``_delete_`` that mean
            what the missing ones say.
        packaged: The content of the bases that are named as ``package::path``.
        stock: That of the missing bases' counterparts of 3.x, and of ``packaged``.
        values: What MMDetection 2.28.2's files in their place said otherwise, as far as it is known.
        missing: The bases that are not here.
        origins: For each base that is, how it is written and where it was found.
        notes: On what was taken from elsewhere.
    """

    content: Content = field(default_factory=dict)
    packaged: Content = field(default_factory=dict)
    stock: Content = field(default_factory=dict)
    values: Content = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)
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

    def add(self, other: Parts) -> None:
        """Take in what another base says; where both say something, the other one wins.

        Args:
            other: What it says.
        """
        self.content = merge(self.content, other.content, marked=True)
        self.packaged, self.stock = merge(self.packaged, other.packaged), merge(self.stock, other.stock)
        self.values = merge(self.values, other.values)
        self.missing += [item for item in other.missing if item not in self.missing]
        self.origins += other.origins
        self.notes += other.notes


def read_parts(file: Path, top: Path) -> Parts:
    """Read a file whose missing bases are taken from the installed MMDetection.

    Args:
        file: Its full path.
        top: The file that was to be loaded: this one, or one that names it among its bases.

    Returns:
        What it and its bases say, each for itself.

    Raises:
        ConfigError: A base exists nowhere; the file uses a variable of a base that is not here, or one that
            no base has; or the file fails.
    """
    parts = Parts()
    owners: dict[str, str] = {}
    for base in bases_of(file):
        found = _read_base(file, base, top)
        _check_alone(owners, {*found.content, *_main_keys(found.stock)}, base, file)
        parts.add(found)
    text = _own_text(file)
    program = Program(text)
    known = merge(parts.packaged, parts.content)
    for item in program.used:
        if not item.plain or parts.missing:  # else it need not be reached, or may be tried
            _check(item, parts, known, file, top)
    try:
        content, bases = program.run(file, known)
    except (Exception, SystemExit) as error:  # a config is a program: it may fail in any way
        if isinstance(error, (AttributeError, KeyError)):
            for item in program.used:
                _check(item, parts, known, file, top)
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(file)]
        line = lines[-1] if lines and file.suffix == ".py" else None
        raise failure(error, named(file, line, top)) from None  # as `read_config`
    content.pop(OWN_LIST, None)
    for gone in known.keys() - bases.keys():
        parts.content.pop(gone, None), parts.packaged.pop(gone, None), parts.stock.pop(gone, None)
    parts.content = merge(merge(parts.content, _changes(known, bases), marked=True), content, marked=True)
    return parts


def _changes(before: Content, after: Content) -> Content:
    """What makes one content of another when it is merged, by key."""
    found: Content = {}
    for key, value in after.items():
        old = before.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping) and old:
            if old.keys() - value.keys():
                found[key] = {**value, "_delete_": True}
            elif inner := _changes(dict(old), dict(value)):
                found[key] = inner
        elif key not in before or old != value:
            found[key] = value
    return found


def preprocessor_of_data(stock: Mapping[str, Any]) -> Content | None:
    """What the pipelines of 2.x's files of data did to images, where 3.x's leave it to the model.

    Args:
        stock: The 3.x content of the bases that take the old ones' place.

    Returns:
        None if they have a model, or no pipelines.
    """
    if "model" in stock or not _with_pipelines(stock):
        return None
    return {**_OF_DATASETS, **(_OF_FACES if stock.get("dataset_type") == "WIDERFaceDataset" else {})}


def _with_pipelines(stock: Mapping[str, Any]) -> tuple[str, ...]:
    """What files of 2.x with pipelines had, and those of 3.x do not have."""
    own = any(name.endswith("_pipeline") and name != "tta_pipeline" for name in stock)
    return _OLD_DICTS if own else ()


def _check(item: Variable, parts: Parts, known: Content, file: Path, top: Path) -> None:
    """Refuse a variable that no base which is here has, or has wholly.

    Raises:
        ConfigError: With the missing bases, if there are some.
    """
    place = named(file, item.line if file.suffix == ".py" else None, top)
    place += f", config key {item.key!r}" if item.key else ""
    if not item.name:
        if parts.missing:
            raise _of_missing(item, parts, file, place)
        return
    try:
        value = value_of(item.name, known, plain=item.plain)
    except KeyError as error:
        if parts.missing:
            raise _of_missing(item, parts, file, place) from None
        part, names = error.args
        near = [f"_base_.{item.name.rpartition(part)[0]}{name}" for name in get_close_matches(part, names)]
        raise ConfigError(
            f"The config cannot be loaded: no base of it has '_base_.{item.name}'",
            where=f"{place}; looked in {'; '.join(parts.origins) or 'no base: it has none'}",
            advice=(f"perhaps {' or '.join(near)} is meant, or " if near else "")
            + "write the value itself into the file",
        ) from None
    if parts.missing and _is_a_part(item.name, value, parts):
        raise _of_missing(item, parts, file, place)
    if item.within_text and not isinstance(value, (str, int, float)):
        raise ConfigError(
            f"The config cannot be loaded: '_base_.{item.name}' is no text, and stands within one",
            where=place,
            advice=f"write {{{{_base_.{item.name}}}}} without quotes",
        )


def _is_a_part(name: str, value: Any, parts: Parts) -> bool:
    """Whether a missing base says more of a dict than the bases that are here."""
    here: Any = parts.content
    below: Any = merge(parts.as_old(), parts.stock) | {key: {} for key in _OLD_DICTS}
    for part in name.split("."):
        here = here.get(part) if isinstance(here, Mapping) else None
        below = below.get(part) if isinstance(below, Mapping) else None
        if isinstance(here, Mapping) and here.get("_delete_"):
            return False
    return isinstance(value, Mapping) and isinstance(below, Mapping)


def _of_missing(item: Variable, parts: Parts, file: Path, place: str) -> ConfigError:
    """A variable that only a missing base can have: its file is needed, for 3.x's has other ones."""
    first = item.name.partition(".")[0]
    suspects = [base for base in parts.missing if first in base.names] or parts.missing
    if speaks_new({*parts.content, *names_set(file)}):
        stock = " or ".join(f"'mmdet::{base.taken}'" for base in suspects)
        advice = f"this config is for MMDetection 3.x: name {stock} as its base"
    else:
        files = " and ".join(f"configs/{base.official} to {base.path}" for base in suspects)
        advice = f"put MMDetection 2.28.2's {files}, with the files that they name as _base_ in turn"
    used, kind = (f"_base_.{item.name}", "a variable") if item.name else ("_base_", "all variables")
    return ConfigError(
        f"The config cannot be loaded: it uses '{used}', {kind} of a base that is not here",
        where="; ".join(
            [place, *(f"_base_ {base.base!r} of {base.file}: no file {base.path}" for base in suspects)]
        ),
        advice=f"{advice}; or write the value itself in the place of {used}",
    )


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


def _read_base(file: Path, base: str, top: Path) -> Parts:
    """A base, or what takes its place.

    Args:
        file: The file that names it.
        base: How it is written.
        top: The file that was to be loaded.
    """
    path = place_of_base(file, base)
    if path is None:
        content = _of_package(base)
        return Parts(packaged=content, stock=content, origins=[f"_base_ {base!r}"])
    if path.is_file():
        parts = read_parts(path, top)
        parts.origins.append(f"_base_ {base!r} ({path})")
        return parts
    official, taken = stock_file(file, base, path)
    content = Config.fromfile(str(taken), import_custom_modules=False).to_dict()
    values = old_values(base) or old_values(str(path))
    root = installed_configs()
    name = str(taken.relative_to(root)) if root is not None and taken.is_relative_to(root) else str(taken)
    names = frozenset({*content, *as_legacy(content), *values, *_with_pipelines(content)})
    missing = Missing(base, file, path, official, name, names)
    return Parts(stock=content, values=values, missing=[missing], notes=_taken_notes(base, name, values))


def _main_keys(stock: Mapping[str, Any]) -> set[str]:
    """What a 3.x file says as well as the one of 2.x whose place it takes, by the names of both."""
    return {name for key, names in _MAIN.items() if key in stock for name in (key, *names)}


def _taken_notes(base: str, taken: str, values: Content) -> list[Note]:
    what = f"{base!r} is taken from the installed MMDetection 3.x, {taken}"
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
    """A file's text without ``_base_``, and with what MMEngine puts in for names and the environment.

    Raises:
        KeyError: A variable of the environment is not set.
    """
    text = without_bases(predefined(program_of(file), file))
    return predefined(text, file, variables=True, needed=True)
