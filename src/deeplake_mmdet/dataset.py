"""`DeepLakeDataset`: a Deep Lake dataset where MMDetection expects one of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from mmdet.datasets import BaseDetDataset
from mmdet.datasets.transforms import LoadAnnotations
from mmengine.logging import print_log
from numpy.typing import NDArray

import deeplake_mmdet.backend  # noqa: F401 - registers deeplake:// in every process that loads a dataset
from deeplake_mmdet.errors import ConfigError, ImageError
from deeplake_mmdet.lake import CredentialRef, LakeView, Source, open_view, parse_uri
from deeplake_mmdet.registry import DATASETS

__all__ = ["DataInfos", "DeepLakeDataset"]


class DataInfos(Sequence[dict[str, Any]]):
    """MMDetection's list of data-infos, made on demand from the annotation table.

    Args:
        view: The lake.
        rows: Row numbers, shape (n,), int64: entry i describes row ``rows[i]``.
        keep: Which boxes of the table take part, shape (m,), bool.
        ignored: Which of them are to be ignored (crowds, difficult ones), shape (m,), bool.
        extra: Entries added to every data-info.
    """

    def __init__(
        self,
        view: LakeView,
        rows: NDArray[np.int64],
        keep: NDArray[np.bool_],
        ignored: NDArray[np.bool_],
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.view = view
        self.rows = rows
        self.keep = keep
        self.ignored = ignored
        self.extra = dict(extra or {})

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, chosen: Any) -> DataInfos:
        """The same for some entries, given as anything that indexes a NumPy array."""
        return DataInfos(self.view, self.rows[chosen], self.keep, self.ignored, self.extra)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.select(index)
        view, table, row = self.view, self.view.table, int(self.rows[index])
        span = table.span(row)
        keep = self.keep[span]
        boxes = table.xyxy(row)[keep].tolist()
        labels = view.labels[span][keep].tolist()
        flags = self.ignored[span][keep].astype(int).tolist()
        return {
            "img_path": view.uri(row),
            "img_id": row if table.img_ids is None else int(table.img_ids[row]),
            "seg_map_path": None,
            "height": int(table.heights[row]),
            "width": int(table.widths[row]),
            "instances": [
                {"bbox": box, "bbox_label": label, "ignore_flag": flag}
                for box, label, flag in zip(boxes, labels, flags, strict=True)
            ],
            **self.extra,
        }

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[index] for index in range(len(self)))

    def labels_of(self, index: int) -> list[int]:
        """Class indices of the boxes of one entry."""
        span = self.view.table.span(int(self.rows[index]))
        return list(self.view.labels[span][self.keep[span]].tolist())

    def segmentations_of(self, index: int) -> list[Any]:
        """COCO segmentations of the boxes of one entry, fetched from the lake."""
        row = int(self.rows[index])
        keep = self.keep[self.view.table.span(row)]
        return [mask for mask, kept in zip(self.view.segmentations(row), keep, strict=True) if kept]


@DATASETS.register_module()
class DeepLakeDataset(BaseDetDataset):
    """A detection dataset read from a lake.

    Works wherever a config names ``CocoDataset``: pipelines, wrappers, samplers and hooks stay stock. Boxes
    reach the pipeline as MMDetection's (left, top, right, bottom) in pixels of the stored image, cleaned as
    ``CocoDataset`` does it: boxes flagged ``ignore``, without area, narrower or lower than one pixel, outside
    the image, or of a class that is not selected are left out and counted in the log; crowds and difficult
    boxes get ``ignore_flag=1``. Label i means ``metainfo['classes'][i]``, whatever the lake's own order.

    Args:
        path: Folder, or ``mem://`` or ``s3://`` address of a lake.
        credentials: None (environment), public options such as ``dict(endpoint_url=...)``, or a handle put
            here by ``load_config``. Literal secrets are refused.
        commit: Version id; the newest otherwise.
        branch: Branch name.
        tag: Tag name.
        query: TQL on the pinned version, e.g. ``'SELECT * WHERE width > 500'``.
        tensors: Role to column name (``img``, ``gt_bboxes``, ``gt_labels``, ``gt_masks``, ...); inferred
            from the schema where not given.
        box_format: ``'ltwh'``, ``'ltrb'``, ``'ccwh'``, optionally with ``'_fractional'``; overrides the lake.
        metainfo: ``classes`` selects and orders classes; the lake's own otherwise.
        filter_cfg: ``filter_empty_gt``, ``min_size`` (pixels) and ``bbox_min_size`` (pixels), as in
            ``CocoDataset`` and ``XMLDataset``.
        kwargs: ``pipeline``, ``test_mode``, ``indices``, ``return_classes`` and the rest of
            ``BaseDetDataset``. ``ann_file``, ``data_root`` and ``data_prefix`` are accepted and ignored, so
            that a stock config needs no other change.

    Raises:
        DeepLakeMMDetError: Before training, of the kind that fits; see ``deeplake_mmdet.errors``.
    """

    def __init__(
        self,
        path: str = "",
        *,
        credentials: str | Mapping[str, Any] | None = None,
        commit: str | None = None,
        branch: str | None = None,
        tag: str | None = None,
        query: str | None = None,
        tensors: Mapping[str, str] | None = None,
        box_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        self._credentials = CredentialRef(credentials)
        self._source = Source(path, commit=commit, branch=branch, tag=tag, query=query)
        self._tensors = dict(tensors or {})
        self._box_format = box_format
        for key in ("proposal_file", "backend_args"):
            if kwargs.get(key):
                raise ConfigError(
                    f"DeepLakeDataset cannot use {key!r}",
                    where=f"dataset key {key!r}",
                    advice="remove it: everything comes out of the lake",
                )
        ignored = [key for key in ("ann_file", "data_root", "data_prefix") if kwargs.pop(key, None)]
        if ignored:
            print_log(f"DeepLakeDataset reads the lake only and ignores {', '.join(ignored)}", "current")
        # The annotation table already is what serialisation is for: flat arrays shared by all workers.
        kwargs["serialize_data"] = False
        super().__init__(**kwargs)

    @property
    def view(self) -> LakeView:
        """The lake as this dataset sees it. Loads the annotations if that has not been done yet."""
        self.full_init()
        return self.data_list.view

    def load_data_list(self) -> DataInfos:
        """Pin the lake and read its annotation table; called once, by ``full_init``."""
        classes = self._metainfo.get("classes")
        if isinstance(classes, str):
            raise ConfigError(
                f"metainfo.classes must be a list of names, got the text {classes!r}",
                where="dataset key 'metainfo'",
                advice=f"write metainfo=dict(classes=({classes!r},))",
            )
        view = open_view(
            self._source,
            credentials=self._credentials,
            tensors=self._tensors,
            box_format=self._box_format,
            classes=classes,
        )
        self._metainfo["classes"] = view.classes
        return _data_infos(view, self._bbox_min_size(), self._extra_entries(view))

    def filter_data(self) -> DataInfos:
        """Leave out images by ``filter_cfg``, as ``CocoDataset`` does; nothing in test mode."""
        infos: DataInfos = self.data_list
        if self.test_mode or self.filter_cfg is None:
            return infos
        table = infos.view.table
        keep = np.minimum(table.widths, table.heights) >= self.filter_cfg.get("min_size", 0)
        small = int((~keep).sum())
        if self.filter_cfg.get("filter_empty_gt", False):
            # As CocoDataset: an image whose only boxes are crowds or were cleaned away still counts.
            selected = np.bincount(table.rows_of_boxes()[infos.view.labels >= 0], minlength=len(table))
            keep &= selected > 0
        if (dropped := int((~keep).sum())) > 0:
            print_log(
                f"filter_cfg leaves out {dropped} of {len(table)} images ({small} smaller than min_size, "
                f"{dropped - small} without objects)",
                "current",
            )
        if not keep.any():
            raise ConfigError(
                "No image is left after filtering",
                where=f"dataset key 'filter_cfg'={dict(self.filter_cfg)}, lake {self._source.path}",
                advice="check metainfo.classes and filter_cfg",
            )
        return infos.select(np.flatnonzero(keep))

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on one sample; masks are fetched only if the pipeline loads them.

        Raises:
            ImageError: The image cannot be decoded.
        """
        info = self.get_data_info(idx)
        if self._wants_masks():
            self._add_masks(info, idx)
        try:
            return self.pipeline(info)
        except (AttributeError, TypeError, ValueError, AssertionError):
            self._check_image(info)
            raise

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Metadata of one sample, without masks: no lake access. Boxes are xyxy pixels."""
        self.full_init()
        info: dict[str, Any] = self.data_list[idx]
        info["sample_idx"] = idx if idx >= 0 else len(self) + idx
        return info

    def get_cat_ids(self, idx: int) -> list[int]:
        """Class indices of the boxes of one sample, for ``ClassBalancedDataset`` and samplers."""
        self.full_init()
        return list(self.data_list.labels_of(idx))

    def _get_unserialized_subset(self, indices: Any) -> DataInfos:
        infos: DataInfos = self.data_list
        if isinstance(indices, int):
            return infos.select(slice(None, indices) if indices >= 0 else slice(indices, None))
        return infos.select(np.asarray(indices, np.int64))

    def _bbox_min_size(self) -> float | None:
        filter_cfg = self.filter_cfg or {}
        return None if self.test_mode else filter_cfg.get("bbox_min_size")

    def _extra_entries(self, view: LakeView) -> dict[str, Any]:
        if not self.return_classes:
            return {}
        return {"text": view.classes, "caption_prompt": self.caption_prompt, "custom_entities": True}

    def _wants_masks(self) -> bool:
        return any(
            isinstance(step, LoadAnnotations) and step.with_mask for step in self.pipeline.transforms
        )

    def _add_masks(self, info: dict[str, Any], idx: int) -> None:
        masks = self.data_list.segmentations_of(idx)
        for instance, mask in zip(info["instances"], masks, strict=True):
            if mask:
                instance["mask"] = mask

    def _check_image(self, info: dict[str, Any]) -> None:
        """Say so if a failed sample's image is what is wrong."""
        import cv2

        _, column, row = parse_uri(info["img_path"])
        data = np.frombuffer(self.view.images([row])[0], np.uint8)
        if cv2.imdecode(data, cv2.IMREAD_UNCHANGED) is None:
            raise ImageError(
                "The image cannot be decoded",
                where=f"lake {self.view.source.url}, column {column!r}, row {row}",
                advice="repair or delete this row, or leave it out with query=",
            ) from None


def _data_infos(view: LakeView, bbox_min_size: float | None, extra: Mapping[str, Any]) -> DataInfos:
    """Clean all boxes as ``CocoDataset.parse_data_info`` does, and log what was left out."""
    table = view.table
    xywh = table.all_xywh()
    rows = table.rows_of_boxes()
    x, y, width, height = xywh.T
    inside_w = np.minimum(x + width, table.widths[rows]) - np.maximum(x, 0)
    inside_h = np.minimum(y + height, table.heights[rows]) - np.maximum(y, 0)
    reasons = {
        "flagged ignore": np.zeros(len(x), bool) if table.ignore is None else table.ignore,
        "outside the image": (np.maximum(inside_w, 0) * np.maximum(inside_h, 0)) == 0,
        "without area or smaller than a pixel": (width < 1) | (height < 1),
        "of other classes": view.labels < 0,
    }
    if table.areas is not None:
        reasons["without area or smaller than a pixel"] |= table.areas <= 0
    keep = np.ones(len(x), bool)
    counts = []
    for reason, hit in reasons.items():
        if count := int((keep & hit).sum()):
            counts.append(f"{count} {reason}")
        keep &= ~hit
    ignored = np.zeros(len(x), bool)
    for flags in (table.iscrowd, table.difficult):
        if flags is not None:
            ignored |= flags
    if bbox_min_size is not None:
        ignored |= (width < bbox_min_size) | (height < bbox_min_size)
    left_out = f"; left out: {', '.join(counts)}" if counts else ""
    print_log(
        f"{view.source}: {len(table)} images, {int(keep.sum())} of {len(x)} boxes, "
        f"{int((keep & ignored).sum())} of them ignored in training{left_out}",
        "current",
    )
    return DataInfos(view, np.arange(len(table)), keep, ignored, extra)
