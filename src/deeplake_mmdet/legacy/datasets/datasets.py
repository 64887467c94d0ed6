"""Datasets and their wrappers, of files or of a lake."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy.datasets.lakes import is_lake, lake_settings, names_data
from deeplake_mmdet.legacy.files import backend_args
from deeplake_mmdet.legacy.keys import SPLIT_KEYS
from deeplake_mmdet.legacy.notes import Notebook, Settings

__all__ = [
    "STOCK",
    "Dataset",
    "balanced",
    "convert_dataset",
    "file_lists",
    "inward",
    "is_coco",
    "is_concat",
    "leaf_of",
    "of_one_file",
]

Dataset = dict[str, Any]

_CONCAT = "deeplake_mmdet.ConcatDataset"
_WRAPPERS = ("RepeatDataset", "ClassBalancedDataset", "ConcatDataset", "MultiImageMixDataset")
_XML = ("VOCDataset", "XMLDataset", "WIDERFaceDataset")
_UNFILTERED = ("OpenImagesDataset", "OpenImagesChallengeDataset")
STOCK = (
    *("CocoDataset", "CocoPanopticDataset", "CityscapesDataset", "DeepFashionDataset", "Objects365V1Dataset"),
    *("Objects365V2Dataset", "LVISDataset", "LVISV05Dataset", "LVISV1Dataset", *_XML, *_UNFILTERED),
)
# What MMDetection 2.x read of its own wrappers, and what the same ones of 3.x take besides.
_READ = {
    "RepeatDataset": ("times", "lazy_init"),
    "ClassBalancedDataset": ("oversample_thr", "lazy_init"),
    "ConcatDataset": ("lazy_init", "ignore_keys"),
}
_LISTS = ("ann_file", "img_prefix", "seg_prefix", "proposal_file")


def leaf_of(node: Any) -> Mapping[str, Any]:
    """The innermost 2.x dataset, the first if there are several; an empty dict if there is none.

    Args:
        node: A 2.x dataset, a wrapper around one, or a list of them.
    """
    while isinstance(node, (list, tuple)) or (
        isinstance(node, Mapping) and ("dataset" in node or "datasets" in node)
    ):
        if isinstance(node, Mapping):
            node = node.get("dataset", node.get("datasets"))
        else:
            node = node[0] if node else None
    return node if isinstance(node, Mapping) else {}


class _Converter:
    """Converts one split's dataset; ``pipeline`` makes 3.x steps of 2.x ones."""

    def __init__(
        self,
        train: bool,
        fallback: Sequence[Mapping[str, Any]] | None,
        pipeline: Callable[[Sequence[Mapping[str, Any]], str, bool, bool], list[dict[str, Any]]],
        notes: Notebook,
    ) -> None:
        self.train, self.fallback, self.pipeline, self.notes = train, fallback, pipeline, notes

    def convert(self, node: Any, key: str, whole: bool = True) -> Dataset:
        if isinstance(node, (list, tuple)):
            parts = [self.convert(part, f"{key}[{number}]", whole) for number, part in enumerate(node)]
            return _concat(parts) if len(parts) > 1 else parts[0]
        kind = str(node.get("type", "")).removeprefix("mmdet.")
        if kind in _WRAPPERS or "dataset" in node or "datasets" in node:
            return self._wrapper(kind, node, key, whole)
        if is_lake(node):
            return self._lake(Settings(node, key, self.notes), whole)
        return self._files(kind, node, key, whole)

    def _wrapper(self, kind: str, node: Mapping[str, Any], key: str, whole: bool) -> Dataset:
        settings = Settings(node, key, self.notes)
        settings.take("type")
        name = "datasets" if "datasets" in node else "dataset"
        inner = settings.take(name)
        if kind in STOCK:
            raise ConfigError(
                f"{kind} wraps no dataset",
                where=f"config key '{key}.{name}'",
                advice=f"write its keys into {key}, or give {key} the type of a wrapper: RepeatDataset",
            )
        if kind not in _WRAPPERS and kind:
            return self._own_wrapper(kind, name, inner, settings, whole)
        if kind == "ConcatDataset":
            inner = [inner] if isinstance(inner, Mapping) else list(inner or ())
            settings.take("separate_eval")  # see `scored_parts`
        if not inner:
            return self._without_data(kind, node, key, whole)
        given = settings.move(*inward(node))
        inner = self._with(inner, given, kind, key)
        if kind == "MultiImageMixDataset":
            mixed: Dataset = {"type": kind, "dataset": self.convert(inner, f"{key}.{name}", whole=False)}
            steps = settings.take("pipeline") or []
            mixed["pipeline"] = self.pipeline(steps, f"{key}.pipeline", whole, False)
            settings.drop("dynamic_scale", "3.x resizes whole batches in the preprocessor")
            settings.drop("skip_type_keys", "YOLOXModeSwitchHook sets it")
            return {**mixed, **settings.rest()}
        wrapped: Dataset = {} if kind == "ConcatDataset" else {"type": kind or "RepeatDataset"}
        wrapped |= settings.move(*_READ.get(kind or "RepeatDataset", ()))
        settings.drop("filter_empty_gt", "the dataset inside filters", harmless=(None, True))
        for other in settings.rest():
            why = f"2.x did not read it from a {kind or 'RepeatDataset'}: it belongs into {key}.{name}"
            self.notes.dropped(f"{key}.{other}", "dropped", why, old=node[other])
        found = self.convert(inner, f"{key}.{name}", whole)
        if kind == "ConcatDataset":
            return {**found, **wrapped}
        if kind == "ClassBalancedDataset":
            found = balanced(found)
        return {**wrapped, "dataset": found}

    def _own_wrapper(self, kind: str, name: str, inner: Any, settings: Settings, whole: bool) -> Dataset:
        """A wrapper that is not MMDetection's: it keeps what it is given."""
        self.notes.info(
            settings.key, f"{kind!r} is passed on", "make sure that it is registered and written for 3.x"
        )
        given = settings.move(*SPLIT_KEYS)
        inner = self._with(inner, given, kind, settings.key)
        steps = settings.take("pipeline")
        wrapped: Dataset = {"type": kind, **settings.rest()}
        inside = whole and steps is None
        where = settings.at(name)
        if name == "datasets" and isinstance(inner, (list, tuple)):
            wrapped[name] = [self.convert(part, f"{where}[{n}]", inside) for n, part in enumerate(inner)]
        else:
            wrapped[name] = self.convert(inner, where, inside)
        if steps is not None:
            wrapped["pipeline"] = self.pipeline(steps, settings.at("pipeline"), whole, False)
        return wrapped

    def _with(self, inner: Any, given: Mapping[str, Any], kind: str, key: str) -> Any:
        """What a wrapper holds, with what stands on the wrapper."""
        if not given:
            return inner
        several = isinstance(inner, (list, tuple))
        self.notes.info(
            key,
            f"{', '.join(given)} go to the dataset inside {kind or 'it'}",
            "the old integration ignored wrappers; an epoch passes over the data as the wrapper says",
        )
        if several and names_data(given):
            if len(inner) > 1:
                self.notes.info(key, f"the lake is read once, in place of {len(inner)} datasets")
            return {**leaf_of(inner), **given}
        return [{**part, **given} for part in inner] if several else {**inner, **given}

    def _without_data(self, kind: str, node: Mapping[str, Any], key: str, whole: bool) -> Dataset:
        rest = {name: value for name, value in node.items() if name not in ("type", "dataset", "datasets")}
        if is_lake(rest):
            self.notes.info(key, f"{kind} left out", "it wraps nothing; the lake is read as it is")
            return self.convert(rest, key, whole)
        name = "datasets" if kind == "ConcatDataset" else "dataset"
        raise ConfigError(
            f"{kind} without {name}",
            where=f"config key '{key}'",
            advice=f"write {name}=[dict(type=...), ...]"
            if kind == "ConcatDataset"
            else f"write {name}=dict(type=...)",
        )

    def _lake(self, settings: Settings, whole: bool) -> Dataset:
        dataset: Dataset = lake_settings(settings)
        dataset |= self._filter(settings, "", lake=True)
        dataset["pipeline"] = self._steps(settings, whole, lake=True)
        settings.take("test_mode"), settings.take("separate_eval")
        settings.drop_rest("DeepLakeDataset has no such argument")
        return dataset

    def _files(self, kind: str, node: Mapping[str, Any], key: str, whole: bool) -> Dataset:
        if lists := file_lists(node):
            parts = of_one_file(node, lists)
            return _concat([self._files(kind, part, f"{key}[{i}]", whole) for i, part in enumerate(parts)])
        settings = Settings(node, key, self.notes)
        take = settings.take
        if not kind:
            self.notes.dropped(key, "nothing is read", "it names neither a type nor a deeplake_path")
        elif kind not in STOCK:
            self.notes.info(
                key, f"{kind!r} is passed on", "make sure that it is registered and written for 3.x"
            )
        dataset: Dataset = {"type": take("type", kind)}
        dataset |= settings.move("data_root", "ann_file", "proposal_file")
        dataset = {name: value for name, value in dataset.items() if value is not None}
        if (root := dataset.get("data_root")) and str(dataset.get("ann_file", "")).startswith(str(root)):
            del dataset["data_root"]  # the paths have it already
        image, seg = take("img_prefix"), take("seg_prefix")
        folder = "sub_data_root" if kind in ("VOCDataset", "XMLDataset") else "img"
        # 2.x's default was no prefix; stock 3.x datasets ask for one.
        prefix = {folder: image or ""} if image is not None or kind in STOCK else {}
        prefix |= {"seg": seg} if seg else {}
        if prefix:
            dataset["data_prefix"] = prefix
        if (classes := take("classes")) is not None:
            dataset["metainfo"] = {"classes": _classes(classes)}
        dataset |= self._filter(settings, kind, lake=False)
        dataset |= backend_args(settings)
        for name in (
            "ins_ann_file",
            "test_mode",
            "samples_per_gpu",
            "workers_per_gpu",
            "deeplake_dataloader",
            "separate_eval",
        ):
            take(name)  # for the metric and the loader
        dataset["pipeline"] = self._steps(settings, whole, lake=False)
        dataset |= settings.rest()
        if kind in _UNFILTERED and not dataset.get("meta_file"):
            dataset["meta_file"] = self._sizes(kind, dataset, settings.at("meta_file"))
        return dataset

    def _sizes(self, kind: str, dataset: Mapping[str, Any], key: str) -> str:
        """Where MMDetection offers the sizes of Open Images' pictures: 2.x took them from the pictures."""
        split = "train" if self.train else "validation"
        name = f"{split}-image-metas.pkl"
        if kind != "OpenImagesDataset":
            name = f"challenge-2019-{split}-metas.pkl"
        folder, slash, _ = str(dataset.get("ann_file", "")).rpartition("/")
        why = "3.x reads the sizes of all images from a file, which MMDetection's page on Open Images offers"
        self.notes.approximated(key, f"is {folder}{slash}{name}: it must be there", why)
        return f"{folder}{slash}{name}"

    def _filter(self, settings: Settings, kind: str, *, lake: bool) -> Dataset:
        given = settings.take("filter_cfg") if lake else None
        if given is not None and self.train:
            for name in ("filter_empty_gt", "min_size"):
                settings.drop(name, "filter_cfg says what is left out")
            return {"filter_cfg": dict(given)}
        empty, least = settings.take("filter_empty_gt", True), settings.take("min_size")
        if not self.train:
            return {"test_mode": True}  # 2.x filtered no test data either
        if kind in _UNFILTERED:
            if not empty or least is not None:
                self.notes.dropped(
                    settings.at("filter_empty_gt"),
                    "dropped",
                    f"the {kind} of 3.x has no filter",
                    old={"filter_empty_gt": empty, "min_size": least},
                )
            return {}
        if lake:
            self.notes.info(
                settings.key,
                "images without boxes or smaller than 32 pixels are left out of training"
                if empty
                else "images smaller than 32 pixels are left out of training",
                "as MMDetection 2.x did; the old integration kept them: set filter_cfg=dict() to do so",
            )
        config: dict[str, Any] = {"filter_empty_gt": bool(empty), "min_size": 32}
        if least is not None:
            config["bbox_min_size"] = least
        return {"filter_cfg": config}

    def _steps(self, settings: Settings, whole: bool, lake: bool) -> list[dict[str, Any]]:
        steps = settings.take("pipeline")
        key = settings.at("pipeline")
        if steps is None and self.fallback is not None:
            steps, key = self.fallback, "train_pipeline" if self.train else "test_pipeline"
        if steps is None and lake:
            return []  # not even the loading that the old integration did is right by itself
        return self.pipeline(steps or [], key, whole, lake)


def convert_dataset(
    node: Any,
    key: str,
    notes: Notebook,
    *,
    train: bool,
    fallback: Sequence[Mapping[str, Any]] | None,
    pipeline: Callable[[Sequence[Mapping[str, Any]], str, bool, bool], list[dict[str, Any]]],
) -> Dataset:
    """Convert the dataset of one split, with its wrappers.

    Args:
        node: The 2.x dataset, or a list of them.
        key: Its dotted path.
        notes: Where remarks go.
        train: Whether it is for training.
        fallback: The pipeline of a dataset that has none.
        pipeline: Makes 3.x steps of (2.x steps, their path, whether they are whole, whether for a lake).
    """
    return _Converter(train, fallback, pipeline, notes).convert(node, key)


def is_concat(node: Any) -> bool:
    """Whether a 2.x dataset is a ``ConcatDataset`` that lists datasets.

    Args:
        node: The dataset; anything that is no dict is none.
    """
    kind = str(node.get("type", "")).removeprefix("mmdet.") if isinstance(node, Mapping) else ""
    return kind == "ConcatDataset" and isinstance(node.get("datasets"), (list, tuple))


def is_coco(dataset: Mapping[str, Any]) -> bool:
    """Whether a 2.x dataset is MMDetection's ``CocoDataset`` or one of its subclasses there.

    Args:
        dataset: The settings of a dataset that is no wrapper.
    """
    kind = str(dataset.get("type", "")).removeprefix("mmdet.")
    return kind in STOCK and kind not in (*_XML, *_UNFILTERED)


def inward(node: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are written on one of MMDetection's wrappers and meant for the dataset inside.

    2.x's wrappers read nothing but their own settings. A lake's keys are for the lake, as is all that stands
    beside them; the pipeline also for files, if these have none.

    Args:
        node: The wrapper.
    """
    kind = str(node.get("type", "")).removeprefix("mmdet.")
    own = ("type", "dataset", "datasets", "separate_eval", "filter_empty_gt", *_READ.get(kind, ("times",)))
    inner = node.get("datasets", node.get("dataset"))
    here = any(node.get(key) for key in SPLIT_KEYS if key != "deeplake_dataloader")
    found = {
        name: value
        for name, value in node.items()
        if name in SPLIT_KEYS or (here and name not in (*own, "pipeline"))
    }
    if kind == "MultiImageMixDataset":
        return {name: value for name, value in found.items() if name in SPLIT_KEYS}
    steps = node.get("pipeline")
    if steps is not None and (is_lake(node) or leaf_of(inner).get("pipeline") is None):
        found["pipeline"] = steps
    return found


def file_lists(node: Mapping[str, Any]) -> dict[str, Sequence[Any]]:
    """The keys of a 2.x dataset of files that hold lists, with their values; empty if it reads one file.

    Args:
        node: The dataset.
    """
    if not isinstance(node.get("ann_file"), (list, tuple)):
        return {}
    return {name: node[name] for name in _LISTS if isinstance(node.get(name), (list, tuple))}


def of_one_file(node: Mapping[str, Any], lists: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Split a 2.x dataset that lists several annotation files into one dataset for each of them.

    Args:
        node: The dataset.
        lists: From `file_lists`, not empty; all are equally long, as `check_shapes` sees to it.
    """
    count = len(lists["ann_file"])
    rest = {name: value for name, value in node.items() if name != "separate_eval"}
    return [{**rest, **{name: values[i] for name, values in lists.items()}} for i in range(count)]


def balanced(dataset: Dataset) -> Dataset:
    """Replace 3.x's ``ConcatDataset`` by this package's, which can tell the classes of its samples.

    Args:
        dataset: A converted dataset; one of another type comes back as it is.
    """
    return {**dataset, "type": _CONCAT} if dataset.get("type") == "ConcatDataset" else dataset


def _concat(parts: list[Dataset]) -> Dataset:
    concat: Dataset = {"type": "ConcatDataset", "datasets": parts}
    if any(part.get("type") == "VOCDataset" for part in parts):
        concat["ignore_keys"] = ["dataset_type"]
    return concat


def _classes(classes: Any) -> Any:
    return tuple(classes) if isinstance(classes, (list, tuple)) else classes
