"""Converting a config file to a 3.x file, with a report."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from deeplake_mmdet.config.comparison import Difference, differences, stock_counterpart
from deeplake_mmdet.config.intake import modernised
from deeplake_mmdet.config.reading import read_with_notes
from deeplake_mmdet.config.unopened_data import check_unopened_data
from deeplake_mmdet.config.writing import config_text
from deeplake_mmdet.errors import ConfigError, ImportRefusedError
from deeplake_mmdet.lake import PUBLIC, CredentialRef, is_handle
from deeplake_mmdet.legacy import Note

__all__ = ["Conversion", "convert"]


@dataclass(frozen=True)
class Conversion:
    """A converted config file.

    Attributes:
        source: The file that was converted.
        legacy: Whether it was for MMDetection 2.x; otherwise nothing was changed.
        content: The 3.x config, free of secrets and handles.
        text: The content as a Python file.
        notes: Everything that was changed, approximated, left out or taken from elsewhere.
        out: Where the text was written; None if it was not.
        stock: MMDetection's own 3.x config of the same name, None if there is none or it was not asked for.
        differences: In what the content differs from that.
    """

    source: Path
    legacy: bool
    content: dict[str, Any]
    text: str
    notes: tuple[Note, ...] = ()
    out: Path | None = None
    stock: str | None = None
    differences: tuple[Difference, ...] = ()


def convert(
    config: str | Path,
    out: str | Path | None = None,
    *,
    report: str | Path | None = None,
    diff: bool = False,
    overwrite: bool = False,
) -> Conversion:
    """Convert a config file for MMDetection 2.x, with or without ``deeplake_*`` keys, into one for 3.x.

    The new file needs no base and no import. Credentials are left out of it: they belong into the
    environment. A config for 3.x keeps its content; its bases are merged in.

    Args:
        config: The file.
        out: The ``.py`` file to write.
        report: Also write the notes to this file: as JSON if it ends in ``.json``, else as text.
        diff: Also compare with MMDetection's own 3.x config of the same name.
        overwrite: Replace files that stand there.

    Returns:
        The new config, with what was changed.

    Raises:
        SourceNotFoundError: There is no such config.
        ImportRefusedError: A file stands where one is to be written, or there is no such folder.
        ConfigError: The config cannot be loaded, converted or written as a file.
        CredentialError: The config gives a user name and password, or holds a secret that is no lake's: see
            `extract_secrets`.
    """
    source = Path(config).expanduser()
    targets = [_target(place, overwrite) for place in (out, report)]
    if targets[0] is not None and targets[0].suffix != ".py":
        raise ConfigError("A converted config is a .py file", where=str(targets[0]), advice="name it so")
    loaded, taken = read_with_notes(source)
    new = modernised(loaded.to_dict(), source)
    legacy, notes = new.legacy, [*taken, *new.notes]
    check_unopened_data(new.content, legacy=legacy)
    removed: list[str] = []
    content = _without_handles(new.content, "", removed)
    notes += [
        Note(
            _old_key(key) if legacy else key,
            "left out",
            "set ACTIVELOOP_TOKEN or the AWS variables instead",
            "dropped",
        )
        for key in removed
    ]
    text = config_text(content, _remarks(source, legacy, notes))
    stock = stock_counterpart(source) if diff else None
    done = Conversion(
        source, legacy, content, text, tuple(notes), targets[0], stock,
        tuple(differences(content, stock)) if stock else (),
    )  # fmt: skip
    if targets[0] is not None:
        _write(targets[0], text, content)
    if targets[1] is not None:
        targets[1].write_text(_report(done, targets[1].suffix == ".json"), encoding="utf-8")
    return done


def _target(place: str | Path | None, overwrite: bool) -> Path | None:
    if place is None:
        return None
    path = Path(place).expanduser()
    if not path.parent.is_dir():
        raise ImportRefusedError("There is no such folder", where=str(path.parent), advice="make it first")
    if path.is_dir() or (path.exists() and not overwrite):
        raise ImportRefusedError(
            f"There is a {'folder' if path.is_dir() else 'file'} already",
            where=str(path),
            advice="choose another name" + ("" if path.is_dir() else ", or add --overwrite (overwrite=True)"),
        )
    return path


def _without_handles(node: Any, path: str, removed: list[str]) -> Any:
    """Without what means nothing in another process; an endpoint or region stays."""
    if isinstance(node, Mapping):
        kept = {}
        for key, value in node.items():
            where = f"{path}.{key}" if path else str(key)
            if is_handle(value):
                removed.append(where)
                public = {
                    name: part for name, part in CredentialRef(value).resolve()[1].items() if name in PUBLIC
                }
                if public:
                    kept[key] = public
                continue
            kept[key] = _without_handles(value, where, removed)
        return kept
    if isinstance(node, (list, tuple)):
        return type(node)(_without_handles(part, f"{path}[{n}]", removed) for n, part in enumerate(node))
    return node


def _old_key(key: str) -> str:
    """A split's credentials, as a 2.x config names them."""
    split, dataloader, _ = key.partition("_dataloader.")
    return f"data.{split}.deeplake_credentials" if dataloader else key


def _remarks(source: Path, legacy: bool, notes: list[Note]) -> Iterator[str]:
    if not legacy:
        return
    yield f"MMDetection 3.x config, converted from {source.name} by deeplake-mmdet."
    lost = [note for note in notes if note.severity != "info"]
    if lost:
        yield "Not the same as there:"
    for note in lost:
        yield " ".join(f"- {note}".split())


def _write(path: Path, text: str, content: Mapping[str, Any]) -> None:
    """Write the file whole or not at all, and only if mmengine reads it back as the same."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        file = Path(folder) / path.name
        file.write_text(text, encoding="utf-8")
        read = Config.fromfile(str(file), import_custom_modules=False).to_dict()
        different = sorted(str(key) for key in content if key not in read or read[key] != content[key])
        if different:
            raise ConfigError(
                "The converted config would not be read back as it is",
                where=f"config keys {', '.join(different)}",
                advice="perhaps a text in it holds {{ }}, which mmengine replaces; please report this",
            )
        file.replace(path)


def _report(done: Conversion, as_json: bool) -> str:
    if as_json:
        facts = {
            "source": str(done.source),
            "legacy": done.legacy,
            "out": None if done.out is None else str(done.out),
            "notes": [asdict(note) for note in done.notes],
            "stock": done.stock,
            "differences": [asdict(difference) for difference in done.differences],
        }
        return json.dumps(facts, indent=2, default=repr) + "\n"
    lines = [f"{done.source} -> {done.out or 'not written'}", ""]
    if not done.legacy:
        lines.append("Nothing to convert: this is a config for MMDetection 3.x. Its bases were merged in.")
    elif not done.notes:
        lines.append("Everything means the same; there are no notes.")
    lines += [str(note) for note in done.notes]
    if done.stock:
        lines += ["", f"Differences from MMDetection's {done.stock}:"]
        lines += [
            f"{item.key}: {item.ours or 'not set'} | {item.theirs or 'not set'}" for item in done.differences
        ]
    return "\n".join(lines) + "\n"
