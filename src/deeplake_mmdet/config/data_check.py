"""The data that a config names: their keys, paths, classes and the model's number of them.

Told before anything is built, and without torch, whose import takes longer than all of this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from deeplake_mmdet.config.signatures import nearest
from deeplake_mmdet.config.tree import Place, innermost_of, is_lake
from deeplake_mmdet.errors import AnnotationError, ConfigError, DeepLakeMMDetError, SourceNotFoundError
from deeplake_mmdet.lake import CredentialRef, Source, own_classes

__all__ = ["LAKE_KEYS", "check_data"]

_LAKE = "deeplake_mmdet.DeepLakeDataset"
_SOURCE_KEYS = ("path", "commit", "branch", "tag", "query", "view", "version")
# Of `DeepLakeDataset`, whose module needs torch; and those of stock datasets that it ignores.
LAKE_KEYS = frozenset(
    [
        *(
            *_SOURCE_KEYS,
            "credentials",
            "tensors",
            "box_format",
            "on_error",
            "apply_exif",
            "cache",
            "prepared",
        ),
        *("masks_as_stored", "metainfo", "filter_cfg", "indices", "serialize_data", "pipeline", "test_mode"),
        *("lazy_init", "max_refetch", "seg_map_suffix", "proposal_file", "file_client_args", "backend_args"),
        *("return_classes", "caption_prompt", "ann_file", "data_root", "data_prefix", "label_file"),
        *("meta_file", "hierarchy_file", "image_level_ann_file", "label_map_file", "need_text"),
        *("extra_ann_file", "img_subdir", "ann_subdir", "specific_key_path", "pre_transform", "with_bbox"),
        *("with_mask", "with_polygon", "with_imagelevel_label", "with_hierarchy"),
    ]
)
# Stock datasets of which ``ann_file`` is a file and ``data_prefix['img']`` a folder.
_OF_FILES = (
    "CocoDataset",
    "VOCDataset",
    "XMLDataset",
    "LVISV1Dataset",
    "CityscapesDataset",
    "WIDERFaceDataset",
)
_DICTS = {
    "metainfo": "classes=('first', 'second')",
    "tensors": "gt_bboxes='boxes', gt_labels='labels'",
    "filter_cfg": "filter_empty_gt=True, min_size=32",
}
_LISTED = 5


def check_data(cfg: Mapping[str, Any], splits: Sequence[str], *, model: bool = True) -> None:
    """Check the datasets of some splits, those of lakes by opening them; no annotation is read.

    Args:
        cfg: A 3.x config's content, as `load_config` gives it.
        splits: ``train``, ``val``, ``test``.
        model: Whether its ``model`` is the one that is used.

    Raises:
        ConfigError: A dataset has a key that it does not take, ``DeepLakeDataset`` stands without its scope,
            classes are selected that the lake does not have, or the model predicts another number of them.
        SourceNotFoundError: There is no lake, or no file of a dataset that reads files.
        DeepLakeMMDetError: A lake cannot be opened.
    """
    places = [place for split in splits for place in innermost_of(cfg, split)]
    lakes = [place for place in places if is_lake(place.node)]
    for place in lakes:
        _check_keys(place)
    for place in places:
        _check_path(place) if place in lakes else _check_files(place, bool(lakes))
    found = [(place, classes) for place in lakes if (classes := _classes(place))]
    trained = [pair for pair in found if pair[0].key.startswith("train")]
    # The first one that states its classes says what labels mean, else the first one.
    trained.sort(key=lambda pair: not (pair[0].node.get("metainfo") or {}).get("classes"))
    # A resumed model has its checkpoint's classes, with which the data are compared later.
    if model and trained and not cfg.get("resume"):
        _check_counts(cfg.get("model"), trained[0][0].key, trained[0][1])


def _check_keys(place: Place) -> None:
    kind = str(place.node["type"])
    if kind == "DeepLakeDataset":
        raise ConfigError(
            "MMDetection knows no DeepLakeDataset of its own",
            where=f"config key '{place.key}.type'",
            advice=f"write type={_LAKE!r}",
        )
    if kind != _LAKE:
        return  # a class derived from it may take other keys
    unknown = [name for name in place.node if name not in LAKE_KEYS and name not in ("type", "_scope_")]
    if unknown:
        hints = [
            f"{name!r}" + (f" (perhaps {near!r} is meant)" if (near := nearest(name, LAKE_KEYS)) else "")
            for name in unknown
        ]
        raise ConfigError(
            f"DeepLakeDataset has no key {', '.join(hints)}",
            where=f"config key {', '.join(f'{place.key}.{name}' for name in unknown)}",
            advice="correct the key, or take it out",
        )
    for name, usual in _DICTS.items():
        if not isinstance(place.node.get(name), (Mapping, type(None))):
            raise ConfigError(
                f"{name} is {place.node[name]!r}, no dict",
                where=f"config key '{place.key}.{name}'",
                advice=f"write {name}=dict({usual})",
            )


def _check_path(place: Place) -> None:
    path = place.node.get("path")
    if path is None or (isinstance(path, str) and "://" in path):
        return
    if not isinstance(path, (str, Path)) or not str(path).strip():
        raise ConfigError(
            f"A lake's path must be text, got {path!r}",
            where=f"config key '{place.key}.path'",
            advice="give a folder or an address such as s3://bucket/lake; several lakes belong into a "
            "dict(type='ConcatDataset', datasets=[...])",
        )
    target = Path(path).expanduser()
    if not target.exists() and "/.queries/" not in str(target):
        raise SourceNotFoundError(
            "There is nothing at this path",
            where=f"config key '{place.key}.path'={str(path)!r}",
            advice=_near_path(target) + "check the path, or make a lake with deeplake-mmdet import",
        )


def _near_path(place: Path) -> str:
    """Where the path would go on from the last folder that exists."""
    missing = place
    while not missing.parent.is_dir() and missing.parent != missing:
        missing = missing.parent
    try:
        names = [entry.name for entry in missing.parent.iterdir()]
    except OSError:
        return ""
    near = get_close_matches(missing.name, names, n=1)
    return f"perhaps {str(missing.parent / near[0])!r} is meant; " if near else ""


def _check_files(place: Place, beside_lakes: bool) -> None:
    node, kind = place.node, str(place.node.get("type")).removeprefix("mmdet.")
    if kind not in _OF_FILES or node.get("backend_args"):
        return
    root = node.get("data_root") or ""
    prefix = node.get("data_prefix")
    folder = prefix.get("img") if isinstance(prefix, Mapping) else None
    for key, value in (("ann_file", node.get("ann_file")), ("data_prefix.img", folder)):
        if not isinstance(value, str) or not value or "://" in str(root) + value:
            continue
        target = Path(root, value)
        if not target.exists():
            still = ", while other loaders of this config read lakes" if beside_lakes else ""
            raise SourceNotFoundError(
                f"{kind} reads files{still}, and there is no {target}",
                where=f"config key '{place.key}.{key}'",
                advice=f"have this loader read a lake, too: dataset=dict(type={_LAKE!r}, path=...); or "
                "correct the path, if it is to read files",
            )


def _classes(place: Place) -> tuple[str, ...] | None:
    """The classes that labels of a lake mean; None if that is not fixed."""
    node = place.node
    if node.get("return_classes"):
        return None
    given = (node.get("metainfo") or {}).get("classes")
    named = {key: node[key] for key in _SOURCE_KEYS if key in node}
    tensors = node.get("tensors")
    try:
        source, ref = Source(**{"path": "", **named}), CredentialRef(node.get("credentials"))
        return own_classes(source, credentials=ref, tensors=tensors, chosen=given)
    except AnnotationError:
        return None  # what the lake says of its classes cannot be used: the dataset tells, or uses others
    except DeepLakeMMDetError as error:
        error.where = f"{place.key}{f', {error.where}' if error.where else ''}"
        raise


def _check_counts(model: Any, key: str, classes: tuple[str, ...]) -> None:
    for place, count in _counts(model, "model"):
        if isinstance(count, bool) or not isinstance(count, int):
            raise ConfigError(
                f"num_classes is {count!r}, no whole number",
                where=f"config key {place!r}",
                advice=f"write num_classes={len(classes)}",
            )
    wrong = [(place, count) for place, count in _counts(model, "model") if count != len(classes)]
    if wrong:
        listed = ", ".join(classes[:_LISTED]) + (", ..." if len(classes) > _LISTED else "")
        raise ConfigError(
            f"The model predicts {wrong[0][1]} classes, and the data of train has {len(classes)} ({listed})",
            where=f"config key {', '.join(repr(place) for place, _ in wrong)}; {key}",
            advice=f"set it to {len(classes)}, or select classes by metainfo=dict(classes=...)",
        )


def _counts(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    """``num_classes`` of heads, where MMDetection itself compares it with the data."""
    if isinstance(node, (list, tuple)):
        for number, part in enumerate(node):
            yield from _counts(part, f"{key}.{number}")
    elif isinstance(node, Mapping):
        count, kind = node.get("num_classes"), str(node.get("type")).rpartition(".")[2]
        is_head = "head" in key and not key.endswith("rpn_head") and kind != "FusedSemanticHead"
        if is_head and count is not None and not (isinstance(count, (list, tuple)) and len(count) != 1):
            yield f"{key}.num_classes", count
        for name, part in node.items():
            if name not in ("train_cfg", "test_cfg", "init_cfg"):
                yield from _counts(part, f"{key}.{name}")
