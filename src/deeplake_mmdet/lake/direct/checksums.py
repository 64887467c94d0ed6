"""Objects of a bucket that are checked against the storage's checksums, before they are kept."""

from __future__ import annotations

import hashlib
import logging

from deeplake_mmdet.errors import StorageError
from deeplake_mmdet.lake.direct.object_store import ObjectStore

__all__ = ["CheckedObjects"]

_TRIES = 4

_log = logging.getLogger("deeplake_mmdet")


class CheckedObjects:
    """Fetches objects, again if they came damaged. 8 MB take some 13 ms of CPU time to check.

    Args:
        where: The lake, for messages.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        # Whether ETags are checksums here: not of encrypted objects, nor of some that came in parts.
        self._are_sums: bool | None = None
        self.damaged = 0

    @property
    def are_checked(self) -> bool:
        """Whether the objects so far were compared with a checksum."""
        return self._are_sums is True

    def get(self, store: ObjectStore, name: str) -> memoryview:
        """Fetch a whole object; again, up to four times in all, if it does not agree with its checksum.

        Args:
            store: Where it lies.
            name: Its name there.

        Returns:
            Its bytes; unchecked where the storage gives no MD5 checksum.

        Raises:
            StorageError: It came damaged each time.
            Exception: What the store raises.
        """
        before: memoryview | None = None
        for _ in range(_TRIES):
            data, expected = store.get_with_sum(name)
            if not expected or self._are_sums is False:
                return data
            if hashlib.md5(data, usedforsecurity=False).hexdigest() == expected:
                self._are_sums = True
                if before is not None:
                    self._tell(name)
                return data
            if self._are_sums is None and before is not None and before == data:
                self._are_sums = False
                return data
            before = data
        raise StorageError(
            "The storage gave a damaged object each time: its bytes do not agree with its checksum",
            where=f"{self._where}, object {name}",
            advice="check the network, and proxies on the way; else restore the object",
        )

    def _tell(self, name: str) -> None:
        self.damaged += 1
        level = logging.WARNING if self.damaged == 1 else logging.DEBUG
        what = "%s: object %s came damaged and was fetched anew (%d so far)"
        _log.log(level, what, self._where, name, self.damaged)
