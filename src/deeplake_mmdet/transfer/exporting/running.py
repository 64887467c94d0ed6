"""The common part of every export: a lake in, a folder and a summary out."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deeplake_mmdet.transfer.exporting.folder import ExportFolder, writing
from deeplake_mmdet.transfer.exporting.pictures import Pictures, check_images
from deeplake_mmdet.transfer.exporting.reading import ExportedLake, open_lake
from deeplake_mmdet.transfer.exporting.summary import ExportSummary

__all__ = ["Write", "run_export"]

Write = Callable[[ExportedLake, Path, Pictures, ExportSummary, bool], None]
"""Writes everything into a folder: takes the lake, the folder, its images, the summary, and ``progress``."""


def run_export(
    format: str,
    lake: str | Path,
    folder: str | Path,
    write: Write,
    *,
    last: str,
    image_folder: str,
    images: str,
    progress: bool,
    **source: Any,
) -> ExportSummary:
    """Export a lake, all or nothing.

    Args:
        format: Name of the format.
        lake: Folder or address of the lake.
        folder: Folder to write, absent or empty.
        write: Writes the files.
        last: What readers open the data set by; see `ExportFolder`.
        image_folder: Folder of the images in it.
        images: See `check_images`.
        progress: Whether to draw a progress bar on stderr.
        source: See `open_lake`.

    Raises:
        DeepLakeMMDetError: As `ExportFolder`, `open_lake` and `check_images`.
    """
    start = time.monotonic()
    target = ExportFolder(folder, str(lake), last)
    opened = open_lake(str(lake), **source)
    check_images(opened.view, images)
    summary = ExportSummary(format, str(opened.view.source), str(folder), opened.run)
    with target, writing(target.folder):
        pictures = Pictures(opened.view, images, target.path / image_folder)
        write(opened, target.path, pictures, summary, progress)
    if pictures.upright:
        summary.notes.append(
            f"The EXIF orientation of {pictures.upright} images is set to upright, as their boxes belong to "
            "the stored pixels"
        )
    if pictures.unpacked:
        summary.notes.append(f"{pictures.unpacked} images that lie in the lake as lossless JPEG are PNG")
    summary.notes += target.notes
    summary.seconds = time.monotonic() - start
    return summary
