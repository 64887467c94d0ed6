"""Checkpoint files: what is in one, told before anything is built for it."""

from __future__ import annotations

import ast
import copy
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from deeplake_mmdet.errors import DeepLakeMMDetError, SourceFormatError, SourceNotFoundError
from deeplake_mmdet.training.resume.checkpoint_reading import load_data
from deeplake_mmdet.training.resume.checkpoints import newest_checkpoint

__all__ = [
    "check_load_from",
    "classes_in",
    "model_in",
    "read_checkpoint",
    "read_data",
    "usable_checkpoint",
    "weights_named",
]

_CONFIGS = (".py", ".json", ".yaml", ".yml")
_ADVICE = "name a .pth file that a training run has written"


def usable_checkpoint(checkpoint: str | Path | bool) -> Path:
    """Check that a checkpoint file exists and can be read.

    Args:
        checkpoint: Path of the file; a leading ``~`` is expanded.

    Returns:
        The path.

    Raises:
        SourceNotFoundError: There is no such file, or it is an address.
        SourceFormatError: It is no checkpoint, a damaged one, one that would run code, or a folder.
    """
    if "://" in str(checkpoint):
        raise SourceNotFoundError(
            "The checkpoint is an address, not a file of this machine",
            where=str(checkpoint),
            advice="fetch the file, and name it",
        )
    path = Path(str(checkpoint)).expanduser()
    if path.is_dir():
        newest = newest_checkpoint(path)
        raise SourceFormatError(
            "The checkpoint is a folder",
            where=str(path),
            advice=f"name the file: its newest is {newest}" if newest else _ADVICE,
        )
    if not path.exists():
        newest = newest_checkpoint(path.parent) if path.parent.is_dir() else None
        raise SourceNotFoundError(
            "There is no such checkpoint",
            where=str(path),
            advice=f"the newest one in its folder is {newest}" if newest else _ADVICE,
        )
    read_checkpoint(path)
    return path


def check_load_from(cfg: Mapping[str, Any]) -> None:
    """Refuse a config whose ``load_from`` names a file that is no checkpoint.

    Args:
        cfg: A config; files elsewhere are not looked into.

    Raises:
        DeepLakeMMDetError: See `usable_checkpoint`.
    """
    if cfg.get("load_from") and "://" not in str(cfg["load_from"]):
        usable_checkpoint(str(cfg["load_from"]))


def read_checkpoint(path: str | Path, *, map_location: Any = "cpu", mmap: bool = True) -> dict[str, Any]:
    """What is in a checkpoint file, as data: see `load_data`.

    Args:
        path: A file that exists.
        map_location: Where tensors go, as ``torch.load`` takes it, e.g. ``'cpu'``.
        mmap: Leave weights on the disk where possible: for a look at a file that stays as it is meanwhile.

    Returns:
        Its content; ``state_dict`` holds the weights, also of a file of bare weights.

    Raises:
        SourceFormatError: It is no checkpoint, a damaged one, or one that would run code.
    """
    content = read_data(path, map_location=map_location, mmap=mmap)
    return weights_named(content, str(Path(path).expanduser()))


def read_data(path: str | Path, *, map_location: Any = "cpu", mmap: bool = True) -> Any:
    """The content of any file that `torch.save` wrote, if that is data alone; see `load_data`.

    Args:
        path: Path of the file; a leading ``~`` is expanded.
        map_location: Where tensors go, as ``torch.load`` takes it, e.g. ``'cpu'``.
        mmap: Leave weights on the disk where possible: for a look at a file that stays as it is meanwhile.

    Raises:
        SourceNotFoundError: There is no such file.
        SourceFormatError: It cannot be read, is damaged, or would run code.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        what = "The checkpoint is a pipe or a device" if file.exists() else "There is no such checkpoint"
        raise SourceNotFoundError(what, where=str(file))
    mmap = _is_whole_archive(file) and mmap
    try:
        return load_data(file, mmap=mmap, map_location=map_location)
    except DeepLakeMMDetError:
        raise
    except Exception as error:  # a trusted file may run anything, and fail in any way
        first = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise SourceFormatError(
            f"The file is no checkpoint that can be read: {first[:200]}", where=str(file), advice=_ADVICE
        ) from error


def weights_named(content: Any, where: str) -> dict[str, Any]:
    """A loaded checkpoint in one shape: a new dict with the weights under ``state_dict``.

    Args:
        content: What a file held: a checkpoint or bare weights; not changed.
        where: Its name, for messages.

    Raises:
        SourceFormatError: It holds no weights.
    """
    if not isinstance(content, Mapping):
        raise SourceFormatError(
            f"The checkpoint holds an object of type {type(content).__name__}, not weights by name",
            where=where,
            advice="save model.state_dict(), not the model itself",
        )
    bare = "state_dict" not in content
    weights = content if bare else content["state_dict"]
    if not isinstance(weights, Mapping) or not any(map(torch.is_tensor, weights.values())):
        keys = ", ".join(map(repr, list(content)[:8]))
        inside = [
            key
            for key, value in content.items()
            if isinstance(value, Mapping) and any(map(torch.is_tensor, value.values()))
        ]
        raise SourceFormatError(
            f"The checkpoint holds no weights where MMEngine looks for them; it has {keys or 'nothing'}",
            where=where,
            advice=f"save what stands under {inside[0]!r} as 'state_dict'" if inside else _ADVICE,
        )
    # A copy: whoever puts it back into the same dict must not empty it before.
    return {"state_dict": copy.copy(weights)} if bare else dict(content)


def classes_in(checkpoint: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The class names that a checkpoint of MMDetection 3.x or 2.x records, in the order of their labels.

    Args:
        checkpoint: The file's content, from `read_checkpoint`.

    Returns:
        None if it records none, or different ones for the parts of a concatenated dataset.
    """
    meta = checkpoint.get("meta")
    if not isinstance(meta, Mapping):
        return None
    data = meta.get("dataset_meta")
    # MMDetection's ConcatDataset has a list, if its parts differ.
    parts = list(data) if isinstance(data, (list, tuple)) else [data]
    found = {_names(_lower(part).get("classes")) for part in parts if isinstance(part, Mapping)}
    if len(found) == 1 and None not in found:
        return next(iter(found))
    return None if found - {None} else _names(meta.get("CLASSES"))


def model_in(checkpoint: Mapping[str, Any]) -> str | None:
    """The type of model, and of its heads, that the config inside a checkpoint names; for messages.

    Args:
        checkpoint: The file's content, from `read_checkpoint`.

    Returns:
        E.g. ``'RetinaNet (bbox_head=RetinaHead)'``; None if there is no config in it, or none that can be
        understood without running it.
    """
    meta = checkpoint.get("meta")
    text = (meta.get("cfg") or meta.get("config")) if isinstance(meta, Mapping) else None
    if not isinstance(text, str):
        return None
    try:
        body = ast.parse(text).body  # not run: whoever wrote the file could have put anything there
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for node in body:
        if isinstance(node, ast.Assign) and any(getattr(part, "id", "") == "model" for part in node.targets):
            kind = _type_of(node.value)
            heads = [
                f"{name}={head}"
                for name, part in _entries(node.value)
                if name.endswith("head") and (head := _type_of(part)) is not None
            ]
            return None if kind is None else kind + (f" ({', '.join(heads)})" if heads else "")
    return None


def _names(value: Any) -> tuple[str, ...] | None:
    if isinstance(value, str):
        return (value,)  # of a config that forgot the comma of a tuple
    if isinstance(value, (list, tuple)) and value and all(isinstance(name, str) for name in value):
        return tuple(value)
    return None


def _lower(node: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key).lower(): value for key, value in node.items()}


def _entries(node: ast.expr) -> list[tuple[str, ast.expr]]:
    if isinstance(node, ast.Call):
        return [(part.arg, part.value) for part in node.keywords if part.arg]
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return [(str(key.value), value) for key, value in pairs if isinstance(key, ast.Constant)]
    return []


def _type_of(node: ast.expr) -> str | None:
    entries = dict(_entries(node))
    kind = entries.get("type")
    return kind.value if isinstance(kind, ast.Constant) and isinstance(kind.value, str) else None


def _is_whole_archive(file: Path) -> bool:
    """Whether a file is an undamaged archive, as torch writes them; False for the format before 1.6."""
    with file.open("rb") as stream:
        head = stream.read(64)
    if head[:2] == b"PK":
        try:
            with zipfile.ZipFile(file) as archive:
                stored = sum(part.file_size for part in archive.infolist()) <= file.stat().st_size
                damaged = archive.testzip() if stored else "it is packed, which torch never does"
        except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
            damaged = str(error)
        if damaged is not None:
            raise SourceFormatError(
                f"The checkpoint is incomplete or damaged ({damaged}; {file.stat().st_size} bytes)",
                where=str(file),
                advice="copy or download it again, or use an earlier one",
            )
        return True
    if head[:1] == b"\x80":  # a pickle
        return False
    if not head:
        kind = "empty"
    elif head[8:9] == b"{" and file.suffix == ".safetensors":
        kind = "in the format safetensors, which MMEngine does not read"
    elif file.suffix in _CONFIGS:
        kind = "a config"
    else:
        kind = "text" if _is_text(head) else "of another kind"
    raise SourceFormatError(f"The file is no checkpoint: it is {kind}", where=str(file), advice=_ADVICE)


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8", errors="strict")
    except UnicodeDecodeError as error:
        text = head[: error.start].decode("utf-8") if error.start > len(head) - 4 else "\0"
    return all(letter.isprintable() or letter.isspace() for letter in text)
