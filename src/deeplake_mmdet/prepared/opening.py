"""The setting ``prepared`` of a dataset, and the images that it opens."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import xxhash
from numpy.typing import NDArray

from deeplake_mmdet.lake import (
    CacheSettings,
    LakeView,
    human_bytes,
    read_cache_settings,
    short_hash,
)
from deeplake_mmdet.pipeline.decoding import decoder_name
from deeplake_mmdet.prepared.places import MEMORY, default_folder, make_room, network_file_system
from deeplake_mmdet.prepared.prefix import PreparedSteps, prepared_steps
from deeplake_mmdet.prepared.store import PreparedImages, row_bytes

__all__ = ["open_prepared", "read_prepared_settings"]

_log = logging.getLogger("deeplake_mmdet")

_FORMAT = 1


def read_prepared_settings(given: Any) -> CacheSettings | None:
    """Understand the key ``prepared``.

    Args:
        given: None or False for none; a size as in the key ``cache``; a mapping of ``size`` and ``folder``;
            or ``'ram'``, alone or as the folder, for this machine's memory (``/dev/shm``), of which
            half of what is free is taken if no size is named.

    Raises:
        ConfigError: It is something else.
    """
    folder = given.get("folder") if isinstance(given, Mapping) else given
    if folder != "ram":
        return read_cache_settings(given, "prepared")
    size = given.get("size") if isinstance(given, Mapping) else None
    if size is None:
        size = max(1, shutil.disk_usage(MEMORY).free // 2) if Path(MEMORY).is_dir() else 1
    others = dict(given) if isinstance(given, Mapping) else {}
    return read_cache_settings({**others, "size": size, "folder": str(default_folder("ram"))}, "prepared")


def open_prepared(settings: CacheSettings, view: LakeView, pipeline: Any) -> PreparedImages | None:
    """The prepared images of a view for a pipeline; made if there are none.

    A budget that is smaller than all images keeps a fixed part of the rows, chosen by a hash of the row
    number: an epoch asks for each row once, so that whatever is kept for the longest is as good as anything
    else, and whatever made way for others would be made again each time.

    Args:
        settings: Size and folder.
        view: The lake.
        pipeline: A dataset's pipeline.

    Returns:
        None if nothing of the pipeline can be kept, or nothing be written; the log says why.
    """
    steps = prepared_steps(getattr(pipeline, "transforms", ()))
    if steps is None:
        _warn(
            "No images are prepared: the pipeline does not begin with mmcv's LoadImageFromFile "
            "(color_type='color', to_float32=False)"
        )
        return None
    table = view.table
    sizes = row_bytes(*steps.sizes(table.widths, table.heights))
    name = short_hash(_facts(view, steps))
    what = f"{steps} of {view.source.url}, {len(table)} rows"
    try:
        if kind := network_file_system(_existing(settings.folder)):
            _warn(
                f"Prepared images lie on a network file system ({kind}): {settings.folder}. Reading them may "
                "take longer than decoding, and machines must not share the folder: name a local disk"
            )
        folder, allowed, lock = make_room(settings.folder, name, what, int(sizes.sum()), settings.size)
        chosen = chosen_rows(sizes, allowed)
        found = PreparedImages(folder, steps, table.widths, table.heights, chosen, lock)
    except OSError as error:
        _warn(f"No images are prepared: {settings.folder} cannot be used ({error.strerror or error})")
        return None
    share = "" if chosen is None else f", {chosen.mean():.0%} of the rows"
    _log.info(
        f"prepared: {steps}, {human_bytes(min(allowed, int(sizes.sum())))}{share}, in {folder}; "
        f"{found.count} are there"
    )
    return found


def chosen_rows(sizes: NDArray[np.int64], allowed: int) -> NDArray[np.bool_] | None:
    """Rows that fit: always the same ones for the same numbers, from all over the lake.

    Args:
        sizes: Bytes of each row, shape (n,).
        allowed: Bytes that the chosen ones may take.

    Returns:
        Shape (n,), bool; None for all rows.
    """
    total = int(sizes.sum())
    if total <= allowed:
        return None
    # The multiplier is 2**64 divided by the golden ratio: neighbours are spread evenly (Knuth, TAOCP 6.4).
    spread = np.arange(len(sizes), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    share = allowed / total
    while True:
        chosen: NDArray[np.bool_] = spread < np.uint64(int(share * (2**64 - 1)))
        taken = int(sizes[chosen].sum())
        if taken <= allowed:
            return chosen
        share *= 0.999 * allowed / taken


def _facts(view: LakeView, steps: PreparedSteps) -> dict[str, Any]:
    sizes = xxhash.xxh3_64()
    for array in (view.table.widths, view.table.heights):
        sizes.update(np.ascontiguousarray(array).data)
    turning: Any = view.turning
    if isinstance(turning, np.ndarray):
        turning = xxhash.xxh3_64_hexdigest(np.ascontiguousarray(turning).data)
    packages: Sequence[str] = ("onedl-mmcv", "simplejpeg", "pillow")
    return {
        "format": _FORMAT,
        "source": view.source.key,
        "column": view.roles.img,
        "turning": turning,
        "steps": steps.settings,
        "planar": steps.planar,
        "sizes": sizes.hexdigest(),
        "versions": [cv2.__version__, decoder_name(), *map(_version, packages)],
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except ImportError:
        return ""


def _existing(folder: Path) -> Path:
    while not folder.exists() and folder.parent != folder:
        folder = folder.parent
    return folder


def _warn(text: str) -> None:
    _log.warning(text)
