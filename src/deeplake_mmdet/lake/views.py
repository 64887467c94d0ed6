"""Lake views: a pinned lake with a class mapping, found by its key from anywhere in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import ConfigError, ImageError, SourceNotFoundError
from deeplake_mmdet.lake.cache.chunk_cache import ChunkCache
from deeplake_mmdet.lake.calls.faults import is_local
from deeplake_mmdet.lake.calls.protocols import OpenLake
from deeplake_mmdet.lake.direct.chunk_files import close_files
from deeplake_mmdet.lake.images.cell_reader import CellReader, check_rows
from deeplake_mmdet.lake.images.cells import (
    Cells,
    Turning,
    holds_files,
    image_extension,
    images_of,
    raised,
    unencoded_cells,
)
from deeplake_mmdet.lake.images.links import lead_elsewhere
from deeplake_mmdet.lake.images.masks import read_mask_cells, segmentations_of
from deeplake_mmdet.lake.images.selected_cells import SelectedCells
from deeplake_mmdet.lake.row_blocks import RowBlocks
from deeplake_mmdet.lake.schema.columns import ColumnFacts
from deeplake_mmdet.lake.schema.labels import category_ids_of
from deeplake_mmdet.lake.schema.roles import Roles
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.pinning import forget, newest_credentials
from deeplake_mmdet.lake.source.source import ResolvedSource, short_hash
from deeplake_mmdet.lake.table.table import AnnotationTable
from deeplake_mmdet.lake.view_images import ViewImages

__all__ = ["UNREAD", "LakeView", "find_view", "registered"]

_views: dict[str, LakeView] = {}
UNREAD = object()
_PER_PROCESS = ("labels", "turning")


@dataclass(frozen=True, eq=False)
class LakeView:
    """A resolved source seen through roles and classes. Picklable: it holds no handle and no secret.

    Attributes:
        source: The resolved source.
        credentials: What is known of the credentials.
        columns: Facts of all columns.
        roles: Column names by role.
        table: The annotation table, labels as the lake stores them.
        lake_classes: Class names in the lake's order.
        classes: Selected class names, in the order of the model's outputs.
        apply_exif: Whether images are turned by their EXIF orientation; None for each as recorded.
        cache: Keeps images on a local disk, if there is one; see `with_cache`.
        left_out: Extra roles whose columns, taken by their names alone, turned out not to serve, and why.
        notes: By role, what else the user should know: columns that look like one of a role but are not used.
            Under ``classes`` and ``category_ids``, what of these cannot be read.
        numbers: The stored label of each of ``lake_classes``, where that is not its place among them.
    """

    source: ResolvedSource
    credentials: CredentialRef
    columns: dict[str, ColumnFacts]
    roles: Roles
    table: AnnotationTable
    lake_classes: tuple[str, ...]
    classes: tuple[str, ...]
    apply_exif: bool | None = False
    cache: ChunkCache | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    numbers: tuple[int, ...] | None = None

    @cached_property
    def key(self) -> str:
        """The view key: a hash of resolved source, roles, box format and class mapping."""
        facts = [self.source.key, asdict(self.roles), str(self.table.box_format), list(self.classes)]
        if self.apply_exif is not False:
            facts.append("apply_exif" if self.apply_exif else "exif as recorded")
        if self.numbers is not None:
            facts.append(str(self.numbers))
        return short_hash(facts)

    @cached_property
    def turning(self) -> Turning:
        """Whether images are turned by their EXIF orientation: all, none, or by row, shape (n,), bool."""
        if self.apply_exif is not None:
            return self.apply_exif
        turned = self.table.turned
        return turned if turned is not None and turned.any() else False

    @property
    def turns_images(self) -> bool:
        """Whether any image may be turned by its EXIF orientation."""
        return self.turning is not False

    @cached_property
    def label_map(self) -> NDArray[np.int64]:
        """Lake label to index in ``classes``, shape (number of lake classes,); -1 where not selected."""
        position = {name: index for index, name in enumerate(self.classes)}
        return np.array([position.get(name, -1) for name in self.lake_classes], np.int64)

    @cached_property
    def labels(self) -> NDArray[np.signedinteger[Any]]:
        """Index in ``classes`` of every box in the table, shape (m,); -1 where not selected."""
        if self.classes == self.lake_classes:
            return self.table.labels  # shared between processes
        small: Any = np.int16 if len(self.label_map) < 2**15 else np.int32
        mapped: NDArray[np.signedinteger[Any]] = self.label_map.astype(small)[self.table.labels]
        return mapped

    @property
    def category_ids(self) -> tuple[int, ...] | None:
        """Ids of ``lake_classes`` in their source; COCO's need not be contiguous.

        None if not recorded, or not one for each class.
        """
        if self.roles.gt_labels is None:
            return None
        return category_ids_of(self.columns[self.roles.gt_labels], len(self.lake_classes))

    def close(self) -> None:
        """Close this process's handle of the lake and its files; the next read opens them again."""
        forget(self.source)
        close_files()

    def __enter__(self) -> LakeView:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def handle(self) -> OpenLake:
        """This process's open Deep Lake handle: rows are those of the view, columns may be more."""
        return self.encoded.handle

    @cached_property
    def encoded(self) -> ViewImages:
        """Where the images lie, and what reads them as they are stored."""
        return ViewImages(self.source, self.credentials, self.columns[self.roles.img], self.table)

    def uri(self, row: int) -> str:
        """The address under which the file backend serves the image of a row, see `parse_uri`.

        Args:
            row: Row number.
        """
        before, after = self._uri_around_row
        return f"{before}{row:08d}{after}"

    @cached_property
    def _uri_around_row(self) -> tuple[str, str]:
        extension = image_extension(self.columns[self.roles.img])
        return f"deeplake://{self.key}/{self.roles.img}/", f".{extension}"

    @property
    def has_encoded_images(self) -> bool:
        """Whether blocks are cheap to fetch: images are files in the lake. See `ViewImages.are_encoded`."""
        return self.encoded.are_encoded

    @cached_property
    def reads_network(self) -> bool:
        """Whether images come over a network: out of a remote lake, or by links out of a local one."""
        if not is_local(self.source.url):
            return True
        column = self.roles.img
        return self.columns[column].is_link and lead_elsewhere(self.handle, column)

    @property
    def chunk_bounds(self) -> NDArray[np.int64]:
        """See `ViewImages.chunk_bounds`."""
        return self.encoded.chunk_bounds

    @property
    def blocks(self) -> RowBlocks:
        """See `ViewImages.blocks`."""
        return self.encoded.blocks

    @property
    def image_bytes(self) -> float:
        """See `ViewImages.mean_bytes`."""
        return self.encoded.mean_bytes

    def with_cache(self, cache: ChunkCache) -> LakeView:
        """This view with a cache for its images; the file backend uses it from now on.

        Args:
            cache: The cache.

        Raises:
            DeepLakeMMDetError: The lake has to be asked where its chunks begin, and cannot be read.
        """
        self.encoded.ask()  # before workers are started
        _views[self.key] = view = self._with(cache)
        return view

    def _with(self, cache: ChunkCache | None) -> LakeView:
        view = replace(self, cache=cache)
        for name in ("encoded", "labels", "label_map"):
            if name in self.__dict__:
                view.__dict__[name] = self.__dict__[name]
        return view

    def cell_reader(self, *, scattered: bool = False) -> CellReader:
        """The reader of the encoded files of the image column, by the fastest way that there is.

        Args:
            scattered: Rows are read in random order, see `ChunkCache.cells`.
        """
        return self.encoded.reader(self.cache, scattered=scattered)

    def images(self, rows: Sequence[int]) -> list[bytes]:
        """Fetch the encoded images of some rows in one call.

        They are upright as stored; only those that are to be turned (see `turning`) keep their EXIF tag.

        Args:
            rows: Row numbers.

        Returns:
            One encoded image for each row.

        Raises:
            ImageError: A cell is empty or holds no image (see `fetch`).
            StorageError: The storage failed.
        """
        return [raised(image) for image in self.fetch(rows, scattered=True)]

    def fetch(
        self, rows: Sequence[int], *, scattered: bool = False, together: bool = False
    ) -> list[bytes | ImageError]:
        """Fetch encoded images as `images` does, but give an error in place of one that cannot be had.

        Args:
            rows: Row numbers. They may repeat and are fetched once. If `has_encoded_images`, a ``range``
                takes one request for each chunk of the lake (about 8 MB) that it touches.
            scattered: Rows are read in random order, see `ChunkCache.cells`.
            together: The rows are a block (see `blocks`): as few requests as for a ``range`` are made.

        Returns:
            One entry for each row; an error, not raised, for one without an image.

        Raises:
            ConfigError: The view has no such row.
            StorageError: The storage failed.
        """
        column = self.columns[self.roles.img]
        cells: Cells
        if holds_files(column):
            reader = self.cell_reader(scattered=scattered)
            cells = reader.get_bytes
            if together and isinstance(reader, SelectedCells):
                cells = reader.get_together
        else:
            cells = unencoded_cells(self.handle, column)
        return images_of(cells, column, rows, apply_exif=self.turning)

    def fetch_span(self, start: int, stop: int) -> list[bytes | ImageError]:
        """Fetch the images of consecutive rows. See `LakeView.fetch`.

        Args:
            start: First row number.
            stop: One more than the last.
        """
        return self.fetch(range(start, stop))

    def file_names(self, rows: Sequence[int]) -> list[str] | None:
        """The names that the files of some rows had, read in one call; None if the lake has none.

        Args:
            rows: Row numbers; at least one.
        """
        check_rows(rows, len(self.table), f"lake {self.source}")
        column = self.roles.file_name
        return None if column is None else list(map(str, self.handle[column][list(map(int, rows))]))

    def mask_cells(self, rows: Sequence[int]) -> list[Any]:
        """Fetch the mask cells of some rows in one call; for `segmentations`.

        Args:
            rows: Row numbers; at least one.

        Returns:
            One cell for each row, as Deep Lake gives it.

        Raises:
            ConfigError: The lake has no mask column.
            DeepLakeMMDetError: The storage failed.
        """
        return read_mask_cells(self.handle, self._mask_column, rows, self.table.offsets)

    def segmentations(self, row: int, cell: Any = UNREAD) -> list[Any]:
        """COCO segmentations of a row, one per box in the lake's order (see `segmentations_of`).

        Args:
            row: Row number.
            cell: Its mask cell, if it has been fetched.
        """
        if cell is UNREAD:
            cell = self.mask_cells([row])[0]
        span = self.table.span(row)
        size = (int(self.table.heights[row]), int(self.table.widths[row]))
        return segmentations_of(cell, self._mask_column, row, span.stop - span.start, size)

    @property
    def _mask_column(self) -> ColumnFacts:
        if self.roles.gt_masks is None:
            raise ConfigError(
                "The pipeline asks for masks (with_mask=True), but this lake has no mask column",
                where=f"lake {self.source.url}, columns {', '.join(self.columns)}",
                advice="import with segmentations, name the column in tensors=dict(gt_masks=...), "
                "or use LoadAnnotations(with_mask=False)",
            )
        return self.columns[self.roles.gt_masks]

    def __deepcopy__(self, memo: dict[int, Any]) -> LakeView:
        return self  # immutable, and its arrays may be large

    def __getstate__(self) -> dict[str, Any]:
        state = {name: value for name, value in self.__dict__.items() if name not in _PER_PROCESS}
        return {**state, "credentials": newest_credentials(self.source, self.credentials)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        _views[self.key] = self  # a process that unpickles a dataset must find its images


def registered(view: LakeView) -> LakeView:
    """Register a view under its key in this process, unless an equal one is registered already.

    Args:
        view: The view.

    Returns:
        The view to use: the registered one, without a cache; ``view`` if that has other notes for the user.
    """
    known = _views.setdefault(view.key, view)
    if known.notes != view.notes:  # which depend on what else was asked for
        return view
    return known if known.cache is None else known._with(None)


def find_view(key: str) -> LakeView:
    """Look up a view of this process.

    Args:
        key: Its ``key``.

    Raises:
        SourceNotFoundError: No dataset of this process uses such a view.
    """
    view = _views.get(key)
    if view is None:
        raise SourceNotFoundError(
            f"No lake is open under the view key {key!r} in this process",
            where="an address that starts with deeplake://",
            advice="build the DeepLakeDataset it belongs to first; these addresses are not kept between runs",
        )
    return view
