"""What the rest of this package uses of an open lake, whoever gives it.

Deep Lake's own datasets and views have these members, and so have `LakeHandle`, which makes calls safe, and
`FrozenLake`, which fixes the order of rows. Deep Lake ships no types that could be checked against.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

__all__ = ["Branch", "Future", "OpenColumn", "OpenLake", "RawColumn", "RawLake", "VersionedLake"]


Result_co = TypeVar("Result_co", covariant=True)


class Future(Protocol[Result_co]):
    """A read that is under way."""

    def is_completed(self) -> bool:
        """Whether it has ended."""

    def result(self) -> Result_co:
        """What it gives, waited for if need be. Raises what went wrong."""


class OpenColumn(Protocol):
    """A column of an open lake. An index is a row, a slice or a list of rows."""

    @property
    def metadata(self) -> Any:
        """The column's metadata, a mapping."""

    def __getitem__(self, index: Any, /) -> Any: ...

    def get_async(self, index: Any, /) -> Future[Any]:
        """Begin to read cells.

        Args:
            index: A row number, a slice or a list of row numbers.

        Returns:
            A future of what ``column[index]`` gives.
        """

    def get_bytes(self, index: Any, /) -> Any:
        """Read encoded cells.

        Args:
            index: A row number, a slice or a list of row numbers.

        Returns:
            The bytes of one cell for a row number, else a list of them. Empty for an empty cell.

        Raises:
            RuntimeError: A cell was never written.
        """


class OpenLake(Protocol):
    """An open lake, or a view of one, for reading."""

    def __len__(self) -> int: ...

    def __getitem__(self, column: str, /) -> OpenColumn: ...

    @property
    def schema(self) -> Any:
        """Names and types of the columns."""

    def query(self, query: str, /) -> OpenLake:
        """Run a query.

        Args:
            query: The query in Deep Lake's TQL.

        Returns:
            The view that it gives.

        Raises:
            RuntimeError: It cannot be run.
        """


class RawColumn(OpenColumn, Protocol):
    """A column as Deep Lake gives it."""

    def get_bytes_async(self, index: Any, /) -> Future[Any]:
        """Begin what `get_bytes` does; gives its future. See `OpenColumn.get_bytes`."""


class RawLake(OpenLake, Protocol):
    """A dataset or a view as Deep Lake opens it: reads have no deadline, and a failed read fails again."""

    def __getitem__(self, column: str, /) -> RawColumn: ...

    def query(self, query: str, /) -> RawLake:
        """See `OpenLake.query`."""

    def query_async(self, query: str, /) -> Future[RawLake]:
        """Begin what `query` does; gives its future. See `OpenLake.query`."""


class Branch(Protocol):
    """A branch of a lake, which need not be opened."""

    @property
    def id(self) -> str:
        """Its id, which stays as it is when the branch is renamed."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def base(self) -> Any:
        """Id of the branch and of the version that it began with; None or empty for the first branch."""

    def open_async(self) -> Future[VersionedLake]:
        """Open its newest version."""


class VersionedLake(RawLake, Protocol):
    """A whole lake at one of its versions, as Deep Lake opens it; views have no versions."""

    @property
    def id(self) -> str:
        """The lake's id; equal for all of its versions and copies."""

    @property
    def version(self) -> str:
        """Id of this version, within its branch."""

    @property
    def current_branch(self) -> Branch:
        """The branch that it is a version of."""

    @property
    def branches(self) -> Any:
        """The lake's branches by name; ``names()`` lists them."""

    @property
    def tags(self) -> Any:
        """The lake's tags by name; ``names()`` lists them."""

    @property
    def history(self) -> Any:
        """The versions of this branch, by id, and from the oldest to this one."""
