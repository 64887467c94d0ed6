"""What a page shows, whatever it comes from: images by number, with objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from deeplake_mmdet.browsing.pictures import Picture
from deeplake_mmdet.errors import readable
from deeplake_mmdet.report.palette import RGB, class_colour, ink_on

__all__ = ["MOST_DRAWN", "Gallery", "class_facts", "objects_facts"]

MOST_DRAWN = 2000  # objects of one image


class Gallery(Protocol):
    """Images with objects, for a page."""

    def facts(self) -> dict[str, Any]:
        """What the page says of the whole, as plain JSON values; ``kind`` is ``'lake'`` or ``'config'``."""

    def classes(self, text: str) -> list[dict[str, Any]]:
        """The classes whose names hold a text, those with most objects first, and no more than a list holds.

        Args:
            text: Any case; empty for all.
        """

    def page(self, told: Mapping[str, Any], start: int, count: int) -> dict[str, Any]:
        """Some of the images that fit the page's filters.

        Args:
            told: See `deeplake_mmdet.browsing.filters.read_filters`; and ``score``, ``masks``, ``draw``.
            start: Place of the first among those that fit.
            count: How many.

        Returns:
            ``count``, how many fit; ``items``, and ``classes``, facts of those that these have, by label.

        Raises:
            DeepLakeMMDetError: They cannot be had.
        """

    def picture(self, name: str, large: bool) -> Picture:
        """The image of an item.

        Args:
            name: ``image`` of the item.
            large: For looking at it alone.

        Raises:
            DeepLakeMMDetError: There is none of that name, or it cannot be read.
        """

    def save(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Save images as a view.

        Args:
            told: ``name``, ``overwrite``, ``rows`` (a list, or None for those that fit ``filters``).

        Returns:
            ``name`` and ``rows``, how many.

        Raises:
            DeepLakeMMDetError: It cannot be saved.
        """

    def close(self) -> None:
        """Stop what is under way."""


def class_facts(names: Sequence[str], labels: Iterable[int]) -> dict[int, dict[str, str]]:
    """Name and colours of some classes, by label.

    Args:
        names: By label.
        labels: Labels, repeated or not.
    """
    return {
        label: {
            "name": readable(names[label]) if 0 <= label < len(names) else f"class {label}",
            "colour": _css(class_colour(label)),
            "ink": _css(ink_on(class_colour(label))),
        }
        for label in sorted(set(labels))
    }


def objects_facts(
    boxes: Any,
    labels: Any,
    *,
    scores: Any = None,
    kinds: Sequence[str] | None = None,
    flags: Sequence[str] | None = None,
    outlines: Sequence[str] | None = None,
) -> dict[str, Any]:
    """The objects of one image as plain JSON values; of very many the first ones, and how many there are.

    Args:
        boxes: (left, top, right, bottom) in pixels, shape (n, 4); what is not finite is left out.
        labels: Shape (n,).
        scores: Shape (n,); None for truth.
        kinds: How each was judged; None if it was not.
        flags: What else is known of each, e.g. ``'crowd'``.
        outlines: See `deeplake_mmdet.browsing.outlines.outline`; None without masks.
    """
    import numpy as np

    corners = np.nan_to_num(np.asarray(boxes, np.float64), posinf=1e7, neginf=-1e7).reshape(-1, 4)
    found: dict[str, Any] = {
        "count": len(corners),
        "boxes": np.round(corners[:MOST_DRAWN], 2).tolist(),
        "labels": np.asarray(labels).reshape(-1)[:MOST_DRAWN].tolist(),
    }
    if scores is not None:
        found["scores"] = np.round(np.nan_to_num(np.asarray(scores, np.float64)), 3)[:MOST_DRAWN].tolist()
    for name, values in (("kinds", kinds), ("flags", flags), ("outlines", outlines)):
        if values is not None:
            found[name] = list(values[:MOST_DRAWN])
    return found


def _css(colour: RGB) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
