"""`DeepLakeDataset`: a Deep Lake dataset where MMDetection expects one of its own."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from inspect import signature
from typing import Any

import numpy as np
from mmdet.datasets import BaseDetDataset
from mmdet.datasets.transforms import LoadAnnotations

from deeplake_mmdet.dataset.backend import delivered, delivered_for, delivered_image
from deeplake_mmdet.dataset.infos import (
    DataInfos,
    HeadStart,
    Sightings,
    clean_data_infos,
    log_choices,
    take_out_files,
    tell_left_out,
    with_cache,
)
from deeplake_mmdet.dataset.masks import add_masks, check_mask_column
from deeplake_mmdet.environment import check_private_names
from deeplake_mmdet.errors import ConfigError, DeepLakeMMDetError, ImageError, readable
from deeplake_mmdet.lake import (
    CacheStatistics,
    CredentialRef,
    LakeView,
    Source,
    filter_images,
    image_anew,
    open_view,
    parse_uri,
    read_cache_settings,
    refuse_literals,
)
from deeplake_mmdet.pipeline.steps import annotation_loaders, count_deterministic, run_steps
from deeplake_mmdet.prepared.opening import open_prepared, read_prepared_settings
from deeplake_mmdet.prepared.store import PreparedImages
from deeplake_mmdet.registry import DATASETS

__all__ = ["DataInfos", "DeepLakeDataset", "HeadStart"]

_log = logging.getLogger("deeplake_mmdet")


@DATASETS.register_module()
class DeepLakeDataset(BaseDetDataset):
    """A detection dataset read from a lake.

    Works wherever a config names ``CocoDataset``: pipelines, wrappers, samplers and hooks stay stock. Boxes
    reach the pipeline as MMDetection's (left, top, right, bottom) in pixels of the stored image, cleaned as
    ``CocoDataset`` does it: boxes flagged ``ignore``, without area, narrower or lower than one pixel, outside
    the image, or of a class that is not selected are left out and counted in the log, with a warning if these
    are many and an error if hardly any is left to train on; crowds and difficult boxes get ``ignore_flag=1``.
    Label i means ``metainfo['classes'][i]``, whatever the lake's own order.

    Images that cannot be decoded stop everything, with their rows named (``on_error='raise'``), or are
    skipped (``on_error='skip'``): those that Deep Lake's ``SHAPE()`` shows are no samples at all. One that
    only decoding shows is replaced, whenever it is asked for, by the next sample that can be decoded: what a
    position holds depends on the lake alone, on every rank and in every worker. Each is logged once;
    `skipped_rows` lists them all. The next sample then comes twice; our metrics count it once.

    Images are turned by their EXIF orientation, as by stock MMDetection, where an import recorded that boxes
    and size mean the turned image; elsewhere nothing is turned. The `get_data_info` of a derived class may
    run in any thread, so that it must not draw random numbers.

    Args:
        path: Folder, or ``s3://``, ``gs://``, ``azure://``, ``al://`` or ``mem://`` address of a lake.
        credentials: None (environment), public options such as ``dict(endpoint_url=...)``, or a handle put
            here by ``load_config``. Literal secrets are refused.
        commit, branch, tag: Version id, branch name, tag name; the newest version otherwise.
        view: Saved view: a tag on a query, or a view's id in an older lake (v3).
        version: Name of a branch or a tag, or id of a commit, whichever there is; alone.
        query: TQL on the pinned version or view, e.g. ``'SELECT * WHERE width > 500'``.
        tensors: Role to column name (``img``, ``gt_bboxes``, ``gt_labels``, ``gt_masks``, ...); inferred
            from the schema where not given. False leaves an extra role out, as in ``dict(area=False)``.
        box_format: ``'ltwh'``, ``'ltrb'``, ``'ccwh'``, optionally with ``'_fractional'``; overrides the lake.
            ``'legacy'``: as it declares, else ``'ltwh'``, or ``'ccwh_fractional'`` of a mean below 1.
        on_error: ``'raise'`` or ``'skip'``, for images that cannot be decoded; see above.
        apply_exif: True turns all images by their EXIF orientation, False none, whatever the lake recorded.
            Learning the sizes fetches all images once, unless ``tensors`` names ``width`` and ``height``.
        cache: Disk cache of a remote lake: ``'20GB'``, or ``dict(size='20GB', folder='/fast')``.
        prepared: Keep what the pipeline's first steps make of an image, decoded and, if a fixed ``Resize``
            follows, resized, in pixels, for all epochs and processes: a size, ``'ram'``, or a mapping as for
            ``cache``. The samples stay the same; a size that is too small for all keeps a part of the rows.
        masks_as_stored: Let ``poly2mask=False`` mean bitmaps where the lake stores pixels, not an error.
        kwargs: Those of ``BaseDetDataset``: ``pipeline``, ``test_mode``, ``indices``, ``return_classes`` and
            so on. ``metainfo=dict(classes=...)`` selects and orders classes; the lake's own otherwise. Of a
            lake that does not name its classes it tells the names by stored label, as a list or as a mapping
            from label to name. ``filter_cfg`` takes ``filter_empty_gt``, ``min_size`` and ``bbox_min_size``
            (pixels), as in stock datasets. ``ann_file``, ``data_root`` and the like are accepted and ignored.

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
        view: str | None = None,
        version: str | None = None,
        query: str | None = None,
        tensors: Mapping[str, str] | None = None,
        box_format: str | None = None,
        on_error: str = "raise",
        apply_exif: bool | None = None,
        cache: str | int | Mapping[str, Any] | None = None,
        prepared: str | int | Mapping[str, Any] | None = None,
        masks_as_stored: bool = False,
        **kwargs: Any,
    ) -> None:
        if on_error not in ("raise", "skip"):
            raise ConfigError(
                f"on_error is {on_error!r}",
                where="dataset key 'on_error'",
                advice="use 'raise' to stop at images that cannot be decoded, or 'skip' to leave them out",
            )
        check_private_names("mmengine.dataset", "mmdet.datasets", "mmcv")
        told = {
            "credentials": credentials,
            "path": path,
            "query": query,
            "cache": cache,
            "prepared": prepared,
        }
        refuse_literals({**kwargs, **told})
        self._credentials = CredentialRef(credentials)
        self._source = Source(path, commit, branch, tag, query, view, version)
        self._tensors = dict(tensors or {})
        self._box_format = box_format
        self._skip = on_error == "skip"
        self._apply_exif = None if apply_exif is None else bool(apply_exif)
        self._cache = read_cache_settings(cache)
        self._prepared_settings = read_prepared_settings(prepared)
        self._prepared: PreparedImages | None = None
        self._prepared_for: Any = None
        self._masks_as_stored = masks_as_stored
        take_out_files(kwargs, signature(DeepLakeDataset).parameters)
        self._begun: dict[int, list[HeadStart]] = {}
        self._walked: Any = None
        self._mask_loaders: list[LoadAnnotations] = []
        # The annotation table already is what serialisation is for: flat arrays shared by all workers.
        kwargs["serialize_data"] = False
        super().__init__(**kwargs)

    @property
    def view(self) -> LakeView:
        """The lake as this dataset sees it. Loads the annotations if that has not been done yet."""
        self.full_init()
        view: LakeView = self.data_list.view
        return view

    def full_init(self) -> None:
        """Load annotations, and open the prepared images, if that has not been done."""
        if not self._fully_initialized:
            super().full_init()
            _ = self.prepared  # by this process, for all that it starts

    @property
    def prepared(self) -> PreparedImages | None:
        """What is kept of the images for this pipeline (see ``prepared``); None if nothing is."""
        if self._prepared_settings is None or not self._fully_initialized:
            return None
        if self._prepared_for is not self.pipeline:  # hooks exchange pipelines
            self._prepared = open_prepared(self._prepared_settings, self.view, self.pipeline)
            self._prepared_for = self.pipeline
        return self._prepared

    @property
    def has_objects(self) -> bool:
        """Whether any box of the lake takes part in training."""
        self.full_init()
        return bool(self.data_list.has_objects)

    @property
    def cache_statistics(self) -> CacheStatistics | None:
        """What the cache has done so far, workers of this process included; None if there is no cache."""
        return None if self.view.cache is None else self.view.cache.statistics()

    def close(self) -> None:
        """Close this process's handle of the lake; the next read opens it again."""
        if self._fully_initialized:
            self.data_list.view.close()

    def load_data_list(self) -> DataInfos:
        """Pin the lake and read its annotation table; called once, by ``full_init``."""
        view = open_view(
            self._source,
            credentials=self._credentials,
            tensors=self._tensors,
            box_format=self._box_format,
            classes=self._metainfo.get("classes"),
            apply_exif=self._apply_exif,
            allow_bad_images=self._skip,
        )
        self._metainfo["classes"] = view.classes
        log_choices(view, self._tensors, stored_sizes=view.roles.width is not None)
        if loaders := self.mask_loaders:
            check_mask_column(view, loaders, as_stored=self._masks_as_stored)
        view = with_cache(view, self._cache)
        self._sightings = Sightings(len(view.table))
        infos = clean_data_infos(
            view, self._bbox_min_size(), self._extra_entries(view), training=not self.test_mode
        )
        tell_left_out(view, len(infos))
        return infos

    @property
    def skipped_rows(self) -> dict[str, list[int]]:
        """Row numbers of the lake (of its query, if any) that ``on_error='skip'`` left out, in all workers.

        ``up_front``: not among the samples; ``at_first_sight``: among them, but replaced.
        """
        self.full_init()
        return {
            "up_front": np.flatnonzero(self.view.table.widths == 0).tolist(),
            "at_first_sight": self._sightings.rows(Sightings.UNDECODABLE),
        }

    @property
    def rows_without_usable_masks(self) -> list[int]:
        """Rows read so far of which objects were ignored in training because their masks cannot be used."""
        self.full_init()
        return self._sightings.rows(Sightings.NO_USABLE_MASK)

    def filter_data(self) -> DataInfos:
        """Leave out images by ``filter_cfg``, as ``CocoDataset`` does; nothing in test mode."""
        infos: DataInfos = self.data_list
        if self.test_mode or self.filter_cfg is None:
            return infos
        small, empty = filter_images(infos.view, infos.rows, self.filter_cfg)
        keep = ~(small | empty)
        if not keep.all():
            _log.info(
                f"filter_cfg leaves out {(~keep).sum()} of {len(keep)} images ({small.sum()} smaller than "
                f"min_size, {empty.sum()} without objects)"
            )
        if not keep.any():
            raise ConfigError(
                "No image is left after filtering",
                where=f"dataset key 'filter_cfg'={dict(self.filter_cfg)}, lake {self._source.path}",
                advice="check metainfo.classes and filter_cfg",
            )
        return infos.select(np.flatnonzero(keep))

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on one sample, or with ``on_error='skip'`` on the next one that can be decoded.

        Args:
            idx: Index of the sample. Masks are fetched only if the pipeline loads them.

        Raises:
            ImageError: The image cannot be decoded; when skipping, none can.
        """
        if not self._skip:
            return self._prepare(idx)
        self.full_init()
        for step in range(len(self)):
            row = int(self.data_list.rows[(idx + step) % len(self)])
            if self._sightings.has(row, Sightings.UNDECODABLE):
                continue
            try:
                return self._prepare((idx + step) % len(self))
            except ImageError as error:
                if self._sightings.add(row, Sightings.UNDECODABLE):
                    count = len(self._sightings.rows(Sightings.UNDECODABLE))
                    what = f"Skipping row {row} from now on ({count} so far): {error.what} ({error.where})"
                    _log.warning(readable(what))
        raise ImageError(
            f"None of the {len(self)} images can be decoded", where=f"lake {self.view.source.url}"
        )

    def begin(self, idx: int) -> HeadStart:
        """Make the data-info (and masks) of sample ``idx``, in any thread. See `head_starts`."""
        info = self._info_with_masks(idx)
        return HeadStart(idx, info["img_path"], self.pipeline, 0, info)

    def go_on(self, start: HeadStart) -> HeadStart:
        """Run the leading deterministic steps of a begun sample, in any thread. See `head_starts`."""
        steps = getattr(start.pipeline, "transforms", ())
        count = count_deterministic(steps)
        results = self._run(steps[:count], start.results, start.index)
        return HeadStart(start.index, start.uri, start.pipeline, count, results)

    @contextlib.contextmanager
    def head_starts(self, begun: Sequence[HeadStart]) -> Iterator[None]:
        """Use begun samples, each once, when this process asks for these samples inside the block.

        Args:
            begun: From `begin`, or from `go_on` where their first steps have run ahead as well.
        """
        for start in begun:
            self._begun.setdefault(start.index, []).append(start)
        try:
            yield
        finally:
            self._begun.clear()

    def _prepare(self, idx: int) -> Any:
        begun = self._begun.get(idx)
        start = begun.pop() if begun else None
        steps = getattr(self.pipeline, "transforms", [self.pipeline])
        try:
            if start is not None and start.pipeline is self.pipeline:
                return self._run(steps[start.count :], start.results, None if start.count else idx)
            return self._run(steps, self._info_with_masks(idx), idx)
        except DeepLakeMMDetError:
            raise
        except Exception:  # whatever a transform makes of an image that is not there
            info = self._info_with_masks(idx)
            uri = info["img_path"]
            fresh = image_anew(self.view, parse_uri(uri)[2], delivered_image(uri))
            if fresh is None:  # it is not the image that is wrong
                raise
        with delivered({uri: fresh}):
            return self._run(steps, info)

    @property
    def mask_loaders(self) -> list[LoadAnnotations]:
        """The pipeline's steps that load masks."""
        if self._walked is not self.pipeline:  # hooks exchange pipelines
            self._mask_loaders = [step for step in annotation_loaders(self.pipeline) if step.with_mask]
            self._walked = self.pipeline
            if self._fully_initialized:
                self.check_masks(self.pipeline)
        return self._mask_loaders

    def check_masks(self, pipeline: Any) -> None:
        """Refuse masks that the lake cannot give.

        Args:
            pipeline: This dataset's, or one that a hook gives it later. Steps that load masks are changed to
                load bitmaps if ``masks_as_stored`` says so.

        Raises:
            ConfigError: It has none, or pixels where polygons are asked for.
        """
        if loaders := [step for step in annotation_loaders(pipeline) if step.with_mask]:
            check_mask_column(self.view, loaders, as_stored=self._masks_as_stored)

    def _info_with_masks(self, idx: int) -> dict[str, Any]:
        info = self.get_data_info(idx)
        if loaders := self.mask_loaders:
            polygons = not all(step.poly2mask for step in loaders)
            add_masks(self.data_list, info, idx, self._sightings, polygons=polygons)
        return info

    def _run(self, steps: Sequence[Any], results: Any, idx: int | None = None) -> Any:
        """Run steps, from the first one on if an index is named."""
        prepared = None if idx is None else self.prepared
        row = None if prepared is None else prepared.row(self.data_list.rows.item(idx))
        return run_steps(steps, results, delivered_for(self.data_list.view), row)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Metadata of one sample, without masks: no lake access. Boxes are xyxy pixels.

        Args:
            idx: Index of the sample; negative ones count from the end.
        """
        self.full_init()
        info: dict[str, Any] = self.data_list[idx]
        info["sample_idx"] = idx if idx >= 0 else len(self) + idx
        return info

    def get_cat_ids(self, idx: int) -> list[int]:
        """Class indices of one sample's boxes, for ``ClassBalancedDataset``. See `DataInfos.labels_of`."""
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
