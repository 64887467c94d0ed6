"""Pictures of rows, kept while there is room for them; those of a whole page are fetched in one call."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from deeplake_mmdet.browsing.pictures import Picture, as_picture, notice
from deeplake_mmdet.environment import available_cores
from deeplake_mmdet.errors import DeepLakeMMDetError, ImageError

__all__ = ["Kept", "Thumbnails"]

Fetch = Callable[[Sequence[int]], Sequence[bytes | ImageError]]
_MOST_BYTES = 2**26
_FETCHES = 3  # calls at a time: a page and the next one, and what is looked at alone
_PART = 12  # rows of one call, so that the first images need not wait for the last


class Kept:
    """Pictures by key, the last used ones as far as there is room. Safe to use from several threads.

    Args:
        most_bytes: Room for their files.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most, self._held = most_bytes, 0
        self._pictures: OrderedDict[Hashable, Picture] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Picture | None:
        """A picture, if it is there.

        Args:
            key: Its key.
        """
        with self._lock:
            found = self._pictures.get(key)
            if found is not None:
                self._pictures.move_to_end(key)
            return found

    def put(self, key: Hashable, picture: Picture) -> None:
        """Keep a picture, in the place of those that were not used for the longest time.

        Args:
            key: Its key.
            picture: The picture.
        """
        with self._lock:
            old = self._pictures.pop(key, None)
            self._held += len(picture.content) - (0 if old is None else len(old.content))
            self._pictures[key] = picture
            while self._held > self._most:
                self._held -= len(self._pictures.popitem(last=False)[1].content)


class Thumbnails:
    """Small pictures of rows.

    Args:
        fetch: Gives the encoded images of some rows, or errors in their place; from any thread.
        side: Of the longer side, pixels.
        keep: Where they are kept.
    """

    def __init__(self, fetch: Fetch, side: int, keep: Kept | None = None) -> None:
        self._fetch, self.side = fetch, side
        self._kept = keep or Kept()
        self._begun: dict[int, Future[Picture]] = {}
        self._lock = threading.Lock()
        self._fetching = ThreadPoolExecutor(_FETCHES, "deeplake-mmdet-images")
        self._decoding = ThreadPoolExecutor(max(2, available_cores()), "deeplake-mmdet-thumbnails")

    def begin(self, rows: Iterable[int]) -> None:
        """Begin to make the pictures of some rows that are not there yet.

        Args:
            rows: Row numbers.
        """
        self._wanted(rows)

    def get(self, row: int) -> Picture:
        """The picture of a row; waited for if need be.

        Args:
            row: Row number.
        """
        found = self._kept.get(row)
        if found is not None:
            return found
        begun = self._wanted([row]).get(row)
        if begun is not None:
            return begun.result()
        return self._kept.get(row) or notice("There was no room for the picture")  # it was made in between

    def close(self) -> None:
        """Begin nothing any more."""
        self._fetching.shutdown(cancel_futures=True)
        self._decoding.shutdown(cancel_futures=True)
        for begun in list(self._begun.values()):
            begun.cancel()

    def _wanted(self, rows: Iterable[int]) -> dict[int, Future[Picture]]:
        """Those of the pictures that are not kept; begun if they are not."""
        with self._lock:
            missing = [row for row in rows if self._kept.get(row) is None]
            found = {row: self._begun.get(row) or Future() for row in missing}
            new = [row for row in found if row not in self._begun]
            self._begun |= found
        for start in range(0, len(new), _PART):
            self._submit(self._fetching, self._make, new[start : start + _PART])
        return found

    def _make(self, rows: list[int]) -> None:
        try:
            images = self._fetch(rows)
        except Exception as error:
            told = error.what if isinstance(error, DeepLakeMMDetError) else "The lake cannot be read"
            for row in rows:
                self._done(row, notice(told), keep=False)
            return
        for row, image in zip(rows, images, strict=True):
            self._submit(self._decoding, self._decode, row, image)

    def _decode(self, row: int, image: bytes | ImageError) -> None:
        try:
            picture = as_picture(image, self.side)
        except Exception:  # of a decoder: one image must not hold up the others
            picture = notice("The image cannot be decoded")
        self._done(row, picture, keep=True)

    def _done(self, row: int, picture: Picture, *, keep: bool) -> None:
        if keep:
            self._kept.put(row, picture)
        with self._lock:
            begun = self._begun.pop(row, None)
        if begun is not None and not begun.cancelled():
            begun.set_result(picture)

    def _submit(self, threads: ThreadPoolExecutor, call: Callable[..., None], *args: Any) -> None:
        try:
            threads.submit(call, *args)
        except RuntimeError:  # closed meanwhile
            for row in args[0] if isinstance(args[0], list) else [args[0]]:
                self._done(row, notice("Closed"), keep=False)
