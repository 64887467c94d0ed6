"""Parts of a COCO file: its classes under other names, and its first images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from deeplake_mmdet.formats.class_map import mapped_names
from deeplake_mmdet.formats.coco_file import CocoCategory, CocoFile
from deeplake_mmdet.formats.coco_values import Id

__all__ = ["first_images", "rename_classes"]


def rename_classes(coco: CocoFile, renamed: Mapping[str, str]) -> CocoFile:
    """Give categories other names; those that get one name become one, with the id of the first.

    Args:
        coco: From `load_coco`; not changed.
        renamed: New names by old ones.

    Raises:
        ConfigError: ``renamed`` has an old name that the file lacks.
    """
    mapped_names(coco.class_names, renamed, str(coco.path))
    kept: dict[str, CocoCategory] = {}
    merged: dict[Id, Id] = {}
    for category in coco.categories:
        name = renamed.get(category.name, category.name)
        first = kept.setdefault(name, replace(category, name=name))
        if first.id != category.id:
            merged[category.id] = first.id
    annotations = coco.annotations
    if merged:
        annotations = {
            image: [replace(one, category_id=merged.get(one.category_id, one.category_id)) for one in group]
            for image, group in annotations.items()
        }
    return replace(coco, categories=tuple(kept.values()), annotations=annotations)


def first_images(coco: CocoFile, limit: int) -> CocoFile:
    """The file with its first images alone, and their annotations.

    Args:
        coco: From `load_coco`; not changed.
        limit: How many images.
    """
    images = coco.images[:limit]
    kept = {image.id for image in images}
    annotations = {image: group for image, group in coco.annotations.items() if image in kept}
    return replace(coco, images=images, annotations=annotations)
