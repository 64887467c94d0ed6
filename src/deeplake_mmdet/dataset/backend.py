"""The ``deeplake://`` file backend: encoded images out of the lakes that this process has open."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mmengine.fileio import BaseStorageBackend, register_backend

from deeplake_mmdet.errors import ConfigError, ImageError
from deeplake_mmdet.lake import UNREAD, LakeView, find_view, parse_uri, read_orientation
from deeplake_mmdet.lake.images.lossless import for_any_loader

__all__ = ["DeepLakeBackend", "delivered", "delivered_for", "delivered_image", "delivered_masks"]

_mailbox = threading.local()


@contextlib.contextmanager
def delivered(
    images: Mapping[str, bytes | ImageError], masks: Mapping[str, Any] | None = None
) -> Iterator[None]:
    """Give this thread images and mask cells that have been fetched, in place of the lake's; may be nested.

    Args:
        images: By the ``deeplake://`` address of an image: its encoded file, or the error that explains why
            there is none.
        masks: Mask cells by the address of their image; None for none.
    """
    before = getattr(_mailbox, "images", {}), getattr(_mailbox, "masks", {})
    _mailbox.images, _mailbox.masks = images, masks or {}
    try:
        yield
    finally:
        _mailbox.images, _mailbox.masks = before


def delivered_image(uri: str) -> bytes | None:
    """The encoded image that `delivered` gave this thread for an address.

    Args:
        uri: ``deeplake://`` address of the image.

    Returns:
        None if nothing, or an error, was delivered for this address.
    """
    found = getattr(_mailbox, "images", {}).get(uri)
    return found if isinstance(found, bytes) else None


def _delivered_upright(uri: str) -> bytes | None:
    """The encoded image that `delivered` gave this thread, unless decoders would turn it by its EXIF tag.

    For datasets that turn images: the quick decoder, which uses this, does not look at EXIF.

    Args:
        uri: ``deeplake://`` address of the image.

    Returns:
        None if nothing, or an error, was delivered, or if the EXIF orientation is another one than 1.
    """
    found = delivered_image(uri)
    return found if found is not None and read_orientation(found) == 1 else None


def delivered_for(view: LakeView) -> Callable[[str], bytes | None]:
    """What gives the encoded images of a view to the quick decoder: see `run_steps`.

    Args:
        view: The lake.
    """
    return _delivered_upright if view.turns_images else delivered_image


def delivered_masks(uri: str) -> Any:
    """The mask cell that `delivered` gave this thread for an image.

    Args:
        uri: ``deeplake://`` address of the image.

    Returns:
        The cell as the lake holds it, or ``UNREAD`` if none was delivered.
    """
    return getattr(_mailbox, "masks", {}).get(uri, UNREAD)


@register_backend("deeplake", prefixes="deeplake")
class DeepLakeBackend(BaseStorageBackend):
    """Serves ``deeplake://<view key>/<column>/<row>.<ext>`` to mmengine's file functions.

    Stock ``LoadImageFromFile``, ``DetVisualizationHook`` and everything else that reads through
    ``mmengine.fileio`` works unmodified. The instance holds nothing, so that it survives a fork.
    """

    def get(self, filepath: str) -> bytes:
        """The image as an encoded file: as stored, with its EXIF orientation neutralised (unless the image
        is to be turned by it), or in a lossless container if the lake holds arrays or lossless JPEGs.

        Args:
            filepath: The address, ``deeplake://<view key>/<column>/<row>.<ext>``.

        Raises:
            ConfigError: It is no such address, or not of an image of the view.
            SourceNotFoundError: No dataset in this process uses that view.
            ImageError: The cell is empty, or a link that leads nowhere.
        """
        here = getattr(_mailbox, "images", {}).get(filepath)
        if isinstance(here, ImageError):
            raise here
        if here is not None:
            return for_any_loader(here)
        key, column, row = parse_uri(filepath)
        view = find_view(key)
        if column != view.roles.img:
            raise ConfigError(
                f"Column {column!r} is not the image column of this view",
                where=str(filepath),
                advice=f"the image column is {view.roles.img!r}",
            )
        if row >= len(view.table):
            raise ConfigError(f"This view has {len(view.table)} rows", where=str(filepath))
        return for_any_loader(view.images([row])[0])

    def get_text(self, filepath: str, encoding: str = "utf-8") -> str:
        """The image's bytes as text. Images hold no text: this exists because mmengine's interface has it.

        Args:
            filepath: The address, as for `get`.
            encoding: Name of the text encoding.

        Raises:
            DeepLakeMMDetError: As `get` does.
            UnicodeDecodeError: The bytes are no text in this encoding.
        """
        return self.get(filepath).decode(encoding)
