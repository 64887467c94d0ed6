"""Datasets and their wrappers, of files or of a lake."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from deeplake_mmdet.legacy.files import backend_args
from deeplake_mmdet.legacy.keys import SPLIT_KEYS
from deeplake_mmdet.legacy.notes import Notebook, Settings

__all__ = ["LAKE", "STOCK", "Dataset", "convert_dataset", "is_lake", "leaf_of"]

LAKE = "deeplake_mmdet.DeepLakeDataset"
Dataset = dict[str, Any]

_WRAPPERS = ("RepeatDataset", "ClassBalancedDataset", "ConcatDataset", "MultiImageMixDataset")
_XML = ("VOCDataset", "XMLDataset", "WIDERFaceDataset")
_UNFILTERED = ("OpenImagesDataset", "OpenImagesChallengeDataset")
STOCK = (
    *("CocoDataset", "CocoPanopticDataset", "CityscapesDataset", "DeepFashionDataset", "Objects365V1Dataset"),
    *("Objects365V2Dataset", "LVISDataset", "LVISV05Dataset", "LVISV1Dataset", *_XML, *_UNFILTERED),
)
_IN_LAKE = (
    "ann_file",
    "img_prefix",
    "seg_prefix",
    "proposal_file",
    "data_root",
    "ins_ann_file",
    "file_client_args",
)


def is_lake(node: Any) -> bool:
    """Whether a 2.x dataset, or one that it wraps, reads a lake."""
    if isinstance(node, Mapping):
        here = any(node.get(key) for key in SPLIT_KEYS if key != "deeplake_dataloader")
        return here or is_lake(node.get("dataset")) or is_lake(node.get("datasets"))
    return isinstance(node, (list, tuple)) and any(map(is_lake, node))


def leaf_of(node: Any) -> Mapping[str, Any]:
    """The innermost 2.x dataset, the first if there are several."""
    while isinstance(node, (list, tuple)) or (
        isinstance(node, Mapping) and ("dataset" in node or "datasets" in node)
    ):
        node = node[0] if isinstance(node, (list, tuple)) else node.get("dataset", node.get("datasets"))
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
        inner = settings.take(name, {})
        inward = settings.move(*SPLIT_KEYS)
        if kind != "MultiImageMixDataset":
            inward |= settings.move("pipeline")
        if inward:
            self.notes.info(
                key,
                f"{', '.join(inward)} go to the dataset inside {kind}",
                "the old integration ignored wrappers; an epoch passes over the data as the wrapper says",
            )
            inner = (
                [{**part, **inward} for part in inner]
                if isinstance(inner, (list, tuple))
                else {**inner, **inward}
            )
        if kind == "ConcatDataset":
            settings.drop("separate_eval", "3.x scores concatenated datasets together", harmless=(True,))
            return {**self.convert(list(inner), f"{key}.{name}", whole), **settings.rest()}
        wrapped: Dataset = {"type": kind or "RepeatDataset"}
        if kind == "MultiImageMixDataset":
            wrapped["dataset"] = self.convert(inner, f"{key}.{name}", whole=False)
            wrapped["pipeline"] = self.pipeline(
                settings.take("pipeline", []), f"{key}.pipeline", whole, False
            )
            settings.drop("dynamic_scale", "3.x resizes whole batches in the preprocessor")
            settings.drop("skip_type_keys", "YOLOXModeSwitchHook sets it")
            return {**wrapped, **settings.rest()}
        settings.drop("filter_empty_gt", "the dataset inside filters", harmless=(None, True))
        return {**wrapped, **settings.rest(), "dataset": self.convert(inner, f"{key}.{name}", whole)}

    def _lake(self, settings: Settings, whole: bool) -> Dataset:
        take = settings.take
        take("type"), take("deeplake_dataloader"), take("samples_per_gpu"), take("workers_per_gpu")
        dataset: Dataset = {"type": LAKE}
        commit = take("deeplake_commit_id") or take("deeplake_commit")
        take("deeplake_commit")
        found = {
            "path": take("deeplake_path"),
            "credentials": _credentials(take("deeplake_credentials")),
            "commit": commit,
            "view": take("deeplake_view_id"),
            "tag": take("deeplake_tag_id"),
            "query": take("deeplake_query"),
            "tensors": dict(take("deeplake_tensors") or {}),
        }
        dataset |= {name: value for name, value in found.items() if value not in (None, "", {})}
        if (classes := take("classes")) is not None:
            dataset["metainfo"] = {"classes": _classes(classes)}
        dataset |= self._filter(settings, "", lake=True)
        if files := [name for name in _IN_LAKE if take(name)]:
            self.notes.info(settings.key, f"{', '.join(files)} left out", "everything comes out of the lake")
        dataset["pipeline"] = self._steps(settings, whole, lake=True)
        take("test_mode")
        settings.drop_rest("DeepLakeDataset has no such argument")
        return dataset

    def _files(self, kind: str, node: Mapping[str, Any], key: str, whole: bool) -> Dataset:
        lists = {
            name: node[name]
            for name in ("ann_file", "img_prefix", "seg_prefix")
            if isinstance(node.get(name), (list, tuple))
        }
        if lists:
            count = max(map(len, lists.values()))
            parts = [{**node, **{name: values[i] for name, values in lists.items()}} for i in range(count)]
            return _concat([self._files(kind, part, f"{key}[{i}]", whole) for i, part in enumerate(parts)])
        settings = Settings(node, key, self.notes)
        take = settings.take
        if kind not in STOCK:
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
        ):
            take(name)  # for the metric and the loader
        dataset["pipeline"] = self._steps(settings, whole, lake=False)
        return {**dataset, **settings.rest()}

    def _filter(self, settings: Settings, kind: str, *, lake: bool) -> Dataset:
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


def _concat(parts: list[Dataset]) -> Dataset:
    concat: Dataset = {"type": "ConcatDataset", "datasets": parts}
    if any(part.get("type") == "VOCDataset" for part in parts):
        concat["ignore_keys"] = ["dataset_type"]
    return concat


def _classes(classes: Any) -> Any:
    return tuple(classes) if isinstance(classes, (list, tuple)) else classes


def _credentials(value: Any) -> Any:
    """As given, but for a mapping that says nothing."""
    if isinstance(value, Mapping) and not any(value.values()):
        return None
    return dict(value) if isinstance(value, Mapping) else value
