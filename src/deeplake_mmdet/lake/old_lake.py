"""A lake in the shape that ``deeplake.load`` gave in Deep Lake 3: ``ds.images``, ``ds[0]``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from deeplake_mmdet.errors import ColumnError, ConfigError, SourceNotFoundError, readable
from deeplake_mmdet.lake.source.credentials import CredentialRef, put_away
from deeplake_mmdet.lake.source.pinning import handle_of, resolve
from deeplake_mmdet.lake.source.source import Source

__all__ = ["OldLake", "OldTensor", "load_old"]


def load_old(
    path: str,
    read_only: bool | str | None = None,
    *args: Any,
    token: Any = None,
    creds: Any = None,
    **kwargs: Any,
) -> OldLake:
    """Open a lake of either format, read-only, as ``deeplake.load`` did.

    Args:
        path: Folder or address; ``path@version`` names a commit or a branch.
        read_only: Not used: nothing here writes. A text is taken for the token.
        args: Not used (sizes of caches).
        token: Activeloop's; else that of the environment.
        creds: Keys of the storage; ``'ENV'`` for those of the environment.
        kwargs: Not used (``org_id``, ``verbose``, ...).

    Raises:
        DeepLakeMMDetError: It cannot be opened.
    """
    del args, kwargs
    if isinstance(read_only, str):
        token = token or read_only
    given: dict[str, Any] = {"token": token, "creds": creds if isinstance(creds, Mapping) else None}
    ref = CredentialRef(put_away(given) if any(given.values()) else None)
    place, at, version = str(path).rpartition("@")
    if not at or "/" in version:
        return OldLake(Source(str(path)), ref)
    return OldLake(Source(place), ref).at(version)


class OldLake:
    """A pinned lake, read as scripts for Deep Lake 3 read one; `train_detector` takes it as ``ds_train``.

    Columns are attributes and items (``ds.images``, ``ds['images']``), ``ds[3]`` and ``ds[2:5]`` are rows,
    whose columns hold just these. What is not here is looked for on Deep Lake 4's own object.

    Args:
        source: What to open; pinned at once.
        credentials: What opens it.

    Attributes:
        source: As given.
        resolved: What it was pinned to.
        credentials: As given.

    Raises:
        DeepLakeMMDetError: It cannot be opened.
    """

    def __init__(self, source: Source, credentials: CredentialRef) -> None:
        self._open(source, credentials)

    def _open(self, source: Source, credentials: CredentialRef) -> None:
        resolved = resolve(source, credentials)
        self.source, self.resolved, self.credentials = source, resolved, credentials

    @property
    def settings(self) -> dict[str, Any]:
        """What opens the same rows again, as the settings of a `DeepLakeDataset`."""
        names = ("path", "branch", "commit", "view", "query")
        found = {name: value for name in names if (value := getattr(self.source, name))}
        if not found.get("view") and "commit" not in found and not self.resolved.process:
            found["commit"] = self.resolved.version
        given = self.credentials.settings
        return {**found, **({"credentials": given} if given else {})}

    @property
    def path(self) -> str:
        """Its address."""
        return self.source.path

    @property
    def commit_id(self) -> str:
        """The version that is read."""
        return self.resolved.version

    @property
    def branch(self) -> str:
        """The branch of that version."""
        return self.resolved.branch

    @property
    def tensors(self) -> dict[str, OldTensor]:
        """All columns by name."""
        return {name: OldTensor(self, name) for name in self._names()}

    def at(self, version: str) -> OldLake:
        """The lake at a commit, or at the newest commit of a branch.

        Args:
            version: Id of the commit, or name of the branch; a commit is looked for first.

        Raises:
            SourceNotFoundError: It has neither of this name.
        """
        plain = replace(self.source, commit=None, branch=None)
        try:
            return OldLake(replace(plain, commit=version), self.credentials)
        except SourceNotFoundError as error:
            try:
                return OldLake(replace(plain, branch=version), self.credentials)
            except SourceNotFoundError:
                raise error from None

    def checkout(self, address: str, create: bool = False) -> str:
        """Read another commit or branch from now on, and give its id, as in Deep Lake 3.

        Args:
            address: Id of a commit, or name of a branch.
            create: Refused if true: Deep Lake 3 made a new branch.

        Raises:
            ConfigError: A new branch is asked for.
            SourceNotFoundError: There is no such commit or branch.
        """
        if create:
            raise ConfigError(
                "A lake that is read cannot get a new branch",
                where="deeplake.load(...).checkout",
                advice="use deeplake.open(path).branch(name)",
            )
        there = self.at(address)
        self._open(there.source, there.credentials)
        return self.commit_id

    def load_view(self, id: str, *args: Any, **kwargs: Any) -> OldLake:
        """Open a saved view of this lake.

        Args:
            id: The view's id (v3), or name of its tag (v4).
            args, kwargs: Not used.

        Raises:
            SourceNotFoundError: There is no such view.
        """
        del args, kwargs
        return OldLake(replace(self.source, view=id, commit=None, branch=None), self.credentials)

    def query(self, query_string: str, *args: Any, **kwargs: Any) -> OldLake:
        """Open the view that a TQL query gives.

        Args:
            query_string: The query.
            args, kwargs: Not used.

        Raises:
            ConfigError: This is such a view already.
            SourceFormatError: It cannot be run.
        """
        del args, kwargs
        if self.source.query:
            raise ConfigError(
                "A query's view is to be queried again",
                where=f"query {query_string!r}",
                advice="join the conditions in one query",
            )
        commit = None if self.source.view else self.resolved.version
        return OldLake(replace(self.source, query=query_string, commit=commit), self.credentials)

    def summary(self, *args: Any) -> None:
        """Print the columns, their types and the number of rows.

        Args:
            args: Not used.
        """
        del args
        handle = self._handle()
        print(f"Dataset(path='{readable(self.path)}', commit_id='{self.commit_id}', length={len(self)})")
        for column in handle.schema.columns:
            print(f"  {readable(column.name)}: {column.dtype}")

    def _handle(self) -> Any:
        return handle_of(self.resolved, self.credentials)

    def _names(self) -> list[str]:
        return [column.name for column in self._handle().schema.columns]

    def __len__(self) -> int:
        return len(self._handle())

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key not in (names := self._names()):
                raise ColumnError(
                    f"The lake has no column {key!r}",
                    where=f"lake {self.path}",
                    advice=f"it has: {', '.join(names)}",
                )
            return OldTensor(self, key)
        return OldRows(self, _checked(key, len(self)))

    def __iter__(self) -> Iterator[OldRows]:
        return (self[number] for number in range(len(self)))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "resolved" not in vars(self):
            raise AttributeError(name)
        names = self._names()
        if name in names:
            return OldTensor(self, name)
        try:
            return getattr(self._handle(), name)
        except AttributeError:
            raise AttributeError(
                f"a lake of Deep Lake 4 has no {name!r}; its columns are {', '.join(names)}"
            ) from None

    def __repr__(self) -> str:
        return f"OldLake({self.resolved}, columns={self._names()})"


class OldRows:
    """One row (``ds[3]``) or several (``ds[2:5]``) of an `OldLake`.

    Args:
        lake: Where they are.
        index: A number, a slice or a list of numbers.
    """

    def __init__(self, lake: OldLake, index: Any) -> None:
        self._lake, self._index = lake, index

    def __len__(self) -> int:
        return 1 if isinstance(self._index, int) else len(_numbers(self._index, len(self._lake)))

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return OldTensor(self._lake, self._lake[key].key, self._index)
        if isinstance(self._index, int):
            raise IndexError("this is one row: name a column, e.g. ds[0].images")
        numbers = _numbers(self._index, len(self._lake))
        return OldRows(self._lake, _pick(numbers, _checked(key, len(numbers))))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self[name]
        except ColumnError as error:
            raise AttributeError(str(error)) from None

    @property
    def tensors(self) -> dict[str, OldTensor]:
        """All columns by name."""
        return {name: self[name] for name in self._lake.tensors}


class OldTensor:
    """One column of an `OldLake`, or of some of its rows.

    Args:
        lake: Where it is.
        key: Its name.
        index: A number, a slice or a list of numbers; all rows otherwise.

    Attributes:
        key: As given.
    """

    def __init__(self, lake: OldLake, key: str, index: Any = slice(None)) -> None:
        self._lake, self.key, self._index = lake, key, index

    def numpy(self, aslist: bool = False, **kwargs: Any) -> Any:
        """Read the cells: one array for one row; for several rows one array, or a list where shapes differ.

        Args:
            aslist: Always a list for several rows.
            kwargs: Not used.
        """
        del kwargs
        column = self._lake._handle()[self.key]
        if isinstance(self._index, int):
            return np.asarray(column[self._index])
        numbers = _numbers(self._index, len(self._lake))
        cells = [np.asarray(column[number]) for number in numbers]
        if aslist or len({cell.shape for cell in cells}) > 1:
            return cells
        return np.stack(cells) if cells else np.empty((0,))

    def data(self, aslist: bool = False) -> dict[str, Any]:
        """The cells as ``value``; of one row with class labels, their names as ``text``.

        Args:
            aslist: Always a list of arrays for several rows, see `numpy`.
        """
        found: dict[str, Any] = {"value": self.numpy(aslist)}
        names = self.info.get("class_names")
        if names and isinstance(self._index, int):
            found["text"] = [str(names[int(label)]) for label in np.ravel(found["value"])]
        return found

    def tobytes(self) -> bytes:
        """The encoded cell of one row."""
        return bytes(self._lake._handle()[self.key].get_bytes(self._index))

    @property
    def info(self) -> Info:
        """The column's metadata, e.g. ``info.class_names``."""
        metadata = self._lake._handle()[self.key].metadata
        return Info({name: metadata[name] for name in metadata.keys()})  # noqa: SIM118

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the cell of one row; of several rows their number alone."""
        return tuple(self.numpy().shape) if isinstance(self._index, int) else (len(self),)

    @property
    def htype(self) -> str:
        """The column's type, as Deep Lake 4 calls it."""
        columns = self._lake._handle().schema.columns
        return next(str(column.dtype) for column in columns if column.name == self.key)

    def __len__(self) -> int:
        if isinstance(self._index, int):
            return len(self.numpy())
        return len(_numbers(self._index, len(self._lake)))

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self._index, int):
            return self.numpy()[index]
        numbers = _numbers(self._index, len(self._lake))
        return OldTensor(self._lake, self.key, _pick(numbers, _checked(index, len(numbers))))

    def __iter__(self) -> Iterator[OldTensor]:
        return (self[number] for number in range(len(self)))

    def __repr__(self) -> str:
        return f"OldTensor(key={self.key!r}, type={self.htype})"


class Info(dict[str, Any]):
    """A mapping whose entries are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def _checked(index: Any, length: int) -> Any:
    """An index as whole numbers; one out of range is an ``IndexError``, which ends loops over rows."""
    if isinstance(index, slice):
        return index
    if isinstance(index, (list, tuple, np.ndarray)):
        return [int(_checked(int(number), length)) for number in index]
    number = int(index)
    if not -length <= number < length:
        raise IndexError(f"row {number} of {length}")
    return number % length


def _numbers(index: Any, length: int) -> Any:
    return range(*index.indices(length)) if isinstance(index, slice) else index


def _pick(numbers: Any, index: Any) -> Any:
    """Some of several row numbers, or one of them."""
    return [numbers[number] for number in index] if isinstance(index, list) else numbers[index]
