"""Which record keeps an image file that several records would use."""

from __future__ import annotations

from array import array

import numpy as np

__all__ = ["Claims"]


class Claims:
    """Claims of records on files. The closest fit keeps the file; of several equally close ones, none.

    Records of the same name do not contend: they mean the same image. Nor do exact claims (rank 0). Memory
    is 17 bytes per claim until `settle`, and then one entry per file that is contended for.
    """

    def __init__(self) -> None:
        self._files, self._names, self._ranks = array("q"), array("q"), array("b")
        self._contended: dict[int, tuple[int, int | None]] = {}

    def add(self, file: str, name: str, rank: int) -> None:
        """Note that a record would use a file.

        Args:
            file: The file's name or path; equal texts mean the same file.
            name: What the record is called; records with equal names do not contend.
            rank: How well the file fits, 0 to 127: 0 is an exact fit, more the less it does.
        """
        self._files.append(hash(file))
        self._names.append(hash(name))
        self._ranks.append(rank)

    def settle(self) -> None:
        """Find the files that are contended for; call it once, after all claims."""
        if any(self._ranks):
            files, names = np.array(self._files, np.int64), np.array(self._names, np.int64)
            ranks = np.array(self._ranks, np.int8)
            order = np.lexsort((ranks, files))
            files, names, ranks = files[order], names[order], ranks[order]
            edges = np.flatnonzero(np.diff(files)) + 1
            starts, ends = np.append(0, edges), np.append(edges, len(files))
            several = ends - starts > 1
            for start, end in zip(starts[several].tolist(), ends[several].tolist(), strict=True):
                best = int(ranks[start])
                holders = set(names[start:end][ranks[start:end] == best].tolist())
                if ranks[end - 1] and len(set(names[start:end].tolist())) > 1:
                    self._contended[int(files[start])] = (best, holders.pop() if len(holders) == 1 else None)
        self._files, self._names, self._ranks = array("q"), array("q"), array("b")

    def refusal(self, file: str, name: str, rank: int) -> str | None:
        """Why a record does not get a file, or ``None`` if it does; call it after `settle`.

        Args:
            file, name, rank: As they were given to `add`.
        """
        contended = self._contended.get(hash(file))
        if contended is None or rank == 0:
            return None
        best, holder = contended
        if holder is None and best == rank:
            return "several records would use the same image file"
        return None if hash(name) == holder and best == rank else "image file belongs to another record"
