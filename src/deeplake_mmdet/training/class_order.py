"""One order of classes for all lakes of a run: what counts is the name, not the place in a lake's list."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from deeplake_mmdet.config import innermost_of, is_lake
from deeplake_mmdet.errors import AnnotationError, ConfigError, DeepLakeMMDetError
from deeplake_mmdet.lake import class_list, name_difference, own_classes
from deeplake_mmdet.training.resume.checkpoint_files import classes_in, read_checkpoint

__all__ = ["Note", "settle_classes"]

Names = tuple[str, ...]
_LISTED = 12


class Note(NamedTuple):
    """A line for the log."""

    text: str
    level: int = logging.WARNING


@dataclass(frozen=True)
class _Model:
    """What labels mean to the model.

    Attributes:
        names: Class names by label.
        of: Who says so, for messages.
        chosen: Whether the config chooses these names for training, so that other lakes' more do not count.
    """

    names: Names
    of: str
    chosen: bool


class _Leaf:
    """A dataset's config, with what is known of its classes.

    Args:
        key: Its key in the config.
        node: The config; `take` changes it.
    """

    def __init__(self, key: str, node: MutableMapping[str, Any]) -> None:
        self.key, self.node, self.is_lake = key, node, is_lake(node)
        self.trains = key.startswith("train")

    @cached_property
    def _dataset(self) -> Any:
        """The dataset without its annotations."""
        node = {name: value for name, value in self.node.items() if name != "pipeline"}
        return DATASETS.build({**node, "pipeline": [], "lazy_init": True})

    @property
    def _meta(self) -> Mapping[str, Any]:
        if self.is_lake:
            return self._dataset.metainfo  # type: ignore[no-any-return]
        kind = self.node.get("type")
        found = DATASETS.get(kind) if isinstance(kind, str) else kind
        return {**(getattr(found, "METAINFO", None) or {}), **(self.node.get("metainfo") or {})}

    @cached_property
    def stated(self) -> Names | None:
        """The classes that the config, or the dataset's type, states."""
        return _texts(self._meta.get("classes"))

    @cached_property
    def own(self) -> Names | None:
        """The lake's names in its own order; None if it has none."""
        try:
            return self._read()
        except AnnotationError:
            return None

    @property
    def takes_part(self) -> bool:
        """Whether labels have a fixed meaning here, which can be told."""
        prompted = bool(self.node.get("return_classes"))
        unclear = self._meta.get("classes") is not None and self.stated is None
        return not prompted and not unclear and (self.is_lake or self.stated is not None)

    @property
    def asks_in_vain(self) -> bool:
        """Whether classes are stated that the lake does not have."""
        return (
            self.is_lake and self.stated is not None and not set(self.stated) <= set(self.own or self.stated)
        )

    def names(self) -> Names:
        """The classes in the order in which the dataset would have them."""
        return self.stated if self.stated is not None else self._read()

    def _read(self) -> Names:
        dataset = self._dataset  # not loaded: what it would open is all that it knows
        return own_classes(dataset._source, credentials=dataset._credentials, tensors=dataset._tensors)

    def take(self, names: Names) -> None:
        """Have the dataset use these classes in this order; colours stay with their class."""
        meta, before = dict(self.node.get("metainfo") or {}), self.names()
        palette = self._meta.get("palette")
        if isinstance(palette, (list, tuple)) and len(palette) == len(before):
            meta["palette"] = [palette[before.index(name)] for name in names]
        self.node["metainfo"] = {**meta, "classes": names}
        for known in ("_dataset", "stated"):
            self.__dict__.pop(known, None)


def settle_classes(cfg: Config, model: Any = None, *, only_test: bool = False) -> list[Note]:
    """Give the datasets of a run one order of classes, in place.

    Training: the order is that of the checkpoint when resuming, else that which the first training dataset
    with ``metainfo.classes`` states, else the first training lake's. All other lakes of training and
    validation take it where their names are the same. Lakes that state no classes follow a selection.

    Testing: the order is that of the checkpoint, else the detector's own; where neither names its classes,
    the config's or the first test lake's, which is told.

    Args:
        cfg: From `prepare_config`, with the checkpoint in ``load_from``.
        model: A detector that is built, if there is one.
        only_test: Whether only the test loader is used.

    Returns:
        What that changes, for the run's log.

    Raises:
        ConfigError: Names differ; the difference is told.
        DeepLakeMMDetError: A lake or the checkpoint cannot be opened.
    """
    with DefaultScope.overwrite_default_scope(cfg.get("default_scope") or "mmdet"):
        used = [
            leaf for leaf in _leaves(cfg, ("test",) if only_test else ("train", "val")) if leaf.takes_part
        ]
        if not any(leaf.is_lake for leaf in used):
            return []
        notes: list[Note] = []
        # In a test, training lakes need not exist any more: only what is written of them counts.
        chosen = _written(cfg) if only_test else _stated(used)
        known = _known_to_model(cfg, model, only_test)
        if known is None and only_test:
            known = chosen or (used[0].names(), used[0].key)
            text = "The checkpoint does not name its classes: its labels are taken for those of"
            notes.append(Note(f"{text} {known[1]}: {_listed(known[0])}"))
        if known is None:
            known = chosen
        if known is None:
            if len(used) == 1 or not used[0].trains:
                return notes
            known = used[0].names(), used[0].key
        selects = chosen is not None and set(chosen[0]) == set(known[0])
        try:
            found = [_fit(leaf, _Model(*known, selects), only_test) for leaf in used]
        except ConfigError:
            if any(leaf.asks_in_vain for leaf in used):
                return notes  # the datasets tell, when they are built, which class a lake does not have
            raise
        return [*notes, *(note for note in found if note is not None)]


def _leaves(cfg: Config, splits: Sequence[str]) -> Iterator[_Leaf]:
    for split in splits:
        for place in innermost_of(cfg, split):
            yield _Leaf(place.key, place.node)


def _stated(leaves: Sequence[_Leaf]) -> tuple[Names, str] | None:
    """The classes that the first training dataset with any states."""
    return next(((leaf.stated, leaf.key) for leaf in leaves if leaf.trains and leaf.stated is not None), None)


def _written(cfg: Config) -> tuple[Names, str] | None:
    """The classes that the config itself states for the first training dataset that has any."""
    for leaf in _leaves(cfg, ("train",)):
        if classes := _texts((leaf.node.get("metainfo") or {}).get("classes")):
            return classes, leaf.key
    return None


def _texts(classes: Any) -> Names | None:
    """Stated classes in the order of their labels; None if there are none, or such as datasets refuse."""
    try:
        return (class_list(classes, "metainfo") or None) if classes is not None else None
    except DeepLakeMMDetError:
        return None


def _known_to_model(cfg: Config, model: Any, only_test: bool) -> tuple[Names, str] | None:
    """The names that the model has been trained on, and who says so."""
    if cfg.get("load_from") and "://" not in str(cfg.load_from) and (only_test or cfg.get("resume")):
        names = classes_in(read_checkpoint(cfg.load_from))
        return None if names is None else (names, f"the checkpoint {cfg.load_from}")
    if not only_test or model is None:
        return None
    model = getattr(model, "module", model)
    own = {"meta": {"dataset_meta": getattr(model, "dataset_meta", None)}}
    own["meta"]["CLASSES"] = getattr(model, "CLASSES", None)
    names = classes_in(own)
    return None if names is None else (names, "the detector")


def _fit(leaf: _Leaf, model: _Model, only_test: bool) -> Note | None:
    found, names = leaf.names(), model.names
    if found == names:
        return None
    same = set(found) == set(names) and len(found) == len(names)
    follows = leaf.stated is None and model.chosen and set(names) < set(found)
    if not same and not follows:
        raise _other_classes(leaf, model, found, only_test)
    if not leaf.is_lake or leaf.own is None:
        what = "a dataset of files" if not leaf.is_lake else "a lake that names no classes itself"
        raise ConfigError(
            f"{model.of} and {leaf.key} have the same classes in another order, and the order of {what} is "
            "what its labels mean",
            where=f"config key '{leaf.key}', {_listed(found)}; {model.of}: {_listed(names)}",
            advice="write the names into the lake or file in the order of its labels, without metainfo",
        )
    told = ", whatever its metainfo states" if leaf.stated is not None else ""
    leaf.take(names)
    listed = _listed(names)
    if follows:
        return Note(f"{leaf.key} takes the selection of classes of {model.of}: {listed}", logging.INFO)
    return Note(
        f"{leaf.key} has the classes of {model.of} in another order and takes its order{told}: {listed}"
    )


def _other_classes(leaf: _Leaf, model: _Model, found: Names, only_test: bool) -> ConfigError:
    shared = tuple(name for name in model.names if name in found)
    if len(shared) == len(model.names):
        advice = f"select them in {leaf.key}: metainfo=dict(classes={model.names})"
    elif len(shared) == len(found) and not only_test:
        advice = (
            "import it with all class names; or select those that both have, for training and validation: "
            f"metainfo=dict(classes={shared}) and num_classes={len(shared)}"
        )
    elif len(shared) == len(found):
        advice = "test on a lake that was imported with all class names of the model"
    else:
        advice = "name classes alike everywhere, or select those that all have by metainfo=dict(classes=...)"
    return ConfigError(
        f"The classes of {leaf.key} are not those of {model.of}: {name_difference(model.names, found)}",
        where=f"config key '{leaf.key}', {leaf.node.get('path') or leaf.node.get('ann_file')}",
        advice=advice,
    )


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
