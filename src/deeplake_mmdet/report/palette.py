"""Colours that people with any kind of colour vision can tell apart."""

from __future__ import annotations

__all__ = ["RGB", "class_colour", "ink_on"]

RGB = tuple[int, int, int]

# Okabe and Ito's set without black, then Paul Tol's "muted" for more classes.
_COLOURS: tuple[RGB, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
    (51, 34, 136),
    (136, 204, 238),
    (68, 170, 153),
    (17, 119, 51),
    (153, 153, 51),
    (221, 204, 119),
    (204, 102, 119),
    (136, 34, 85),
    (170, 68, 153),
)


def class_colour(label: int) -> RGB:
    """The colour of a class; colours repeat after sixteen classes.

    Args:
        label: Class index.

    Returns:
        Red, green and blue, 0 to 255.
    """
    return _COLOURS[label % len(_COLOURS)]


def ink_on(colour: RGB) -> RGB:
    """Black or white, whichever reads better on a colour.

    Args:
        colour: Red, green and blue of the background, 0 to 255.
    """
    brightness = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    return (0, 0, 0) if brightness > 130 else (255, 255, 255)
