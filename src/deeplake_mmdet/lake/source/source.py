"""What the user names (a source) and what it was pinned to (a resolved source)."""

from __future__ import annotations

import hashlib
import json
import multiprocessing.context
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import ConfigError, CredentialError
from deeplake_mmdet.lake.source.queries import selecting_all, split_source
from deeplake_mmdet.lake.source.secret_texts import holds_secret

__all__ = ["OPEN", "ResolvedSource", "Source", "SourceOptions", "is_same_contents"]

OPEN = "open"  # how the end of ``contents`` begins for a commit that is not closed
_LONGEST = 1000  # letters of a query that messages repeat
_SAVED_VIEW = re.compile(r"(?P<lake>.+)/\.queries/(?P<view>[^/]+)")

# Forked children share it, other processes have their own.
_process = secrets.token_hex(8)


class SourceOptions(TypedDict, total=False):
    """The arguments of `Source`, as the settings of a dataset have them."""

    path: str
    commit: str | None
    branch: str | None
    tag: str | None
    view: str | None
    version: str | None
    query: str | None


@dataclass(frozen=True)
class Source:
    """A lake as the user names it. Empty strings mean "not set".

    Applied in this order, whatever the order given: commit and branch, then view or tag, then query.

    Args:
        path: Folder, or ``file://``, ``mem://``, ``s3://``, ``gs://``, ``gcs://``, ``azure://`` or ``al://``
            address; ``hub://`` is the old name of ``al://``. May be left out if the query names it.
        commit: Version id to pin (v3: commit id); the newest version otherwise.
        branch: Branch name; ``main`` otherwise.
        view: Saved view: in a v4 lake the name of a tag, usually one on a query; in a v3 lake the view's id.
        tag: Name of a tag (v4). Another word for ``view``.
        query: TQL applied last, e.g. ``"SELECT * WHERE width > 500"``.
        version: Name of a branch, or of a tag (v4), or the id of a commit, whichever the lake has.

    Raises:
        ConfigError: ``path`` is empty, not text or holds an ``@``; ``view`` and ``tag`` are both given, or
            ``version`` beside another choice of a version; the query names another lake.
        CredentialError: The address holds a user name or a secret.
    """

    path: str
    commit: str | None = None
    branch: str | None = None
    tag: str | None = None
    query: str | None = None
    view: str | None = None
    version: str | None = None

    def __post_init__(self) -> None:
        for key in SourceOptions.__annotations__:
            if key == "path":
                continue
            value = getattr(self, key)
            if value is not None and not isinstance(value, str):
                raise ConfigError(f"{key!r} must be text, got {value!r}", where=f"dataset key {key!r}")
            self._set(key, value or None)
        named, query = split_source(self.query) if self.query else (None, None)
        self._set("query", query)
        path = self.path or named
        if not isinstance(path, (str, Path)) or not str(path).strip():
            raise ConfigError(
                f"A lake's path must be text, got {self.path!r}",
                where="dataset key 'path'",
                advice="give a folder or an address such as s3://bucket/lake",
            )
        self._set("path", _checked(absolute_url(str(path))))
        if named and absolute_url(named) != self.path:
            raise ConfigError(
                "The query names another lake than the path",
                where=f"dataset keys 'path'={self.path!r} and 'query', which has FROM \"{named}\"",
                advice="keep one of them; without FROM a query is run on the lake at the path",
            )
        if self.tag and self.view:
            raise ConfigError(
                "A view and a tag cannot both be chosen: in a v4 lake a saved view is a tag",
                where=f"dataset keys 'view'={self.view!r} and 'tag'={self.tag!r}",
                advice="keep one of them",
            )
        others = [key for key in ("commit", "branch", "tag", "view") if getattr(self, key)]
        if self.version and others:
            raise ConfigError(
                "A version is chosen twice",
                where=f"dataset keys 'version'={self.version!r} and {others[0]!r}",
                advice="keep one of them; in a 2.x config 'version' is what stands behind an '@' in the path",
            )
        if match := _SAVED_VIEW.fullmatch(self.path):
            if (self.view or match["view"]) != match["view"]:
                raise ConfigError(
                    "The path is already that of a saved view",
                    where=f"dataset keys 'path'={self.path!r} and 'view'={self.view!r}",
                    advice="keep one of them",
                )
            self._set("path", match["lake"])
            self._set("view", match["view"])

    def _set(self, key: str, value: str | None) -> None:
        object.__setattr__(self, key, value)

    def with_version_among(self, branches: Iterable[str], tags: Iterable[str] = ()) -> Source:
        """Replace ``version`` by what it names: a branch, if one has its name, else a tag, else a commit.

        Args:
            branches: Names of the lake's branches.
            tags: Names of its tags.

        Returns:
            A source without ``version``; this one if it has none.
        """
        if self.version is None:
            return self
        kind = "branch" if self.version in branches else "tag" if self.version in tags else "commit"
        return replace(self, version=None, **{kind: self.version})


@dataclass(frozen=True)
class ResolvedSource:
    """A source pinned to facts: picklable, hashable and free of secrets.

    Attributes:
        url: Absolute address, without credentials.
        dataset_id: The lake's own id (v3: a hash of the commits before the pinned one).
        branch_id: Id of the branch, which a renaming leaves as it is (v3: its name).
        version: Version id on that branch; not unique across branches.
        queries: TQL applied on that version, one after the other.
        format: ``'v4'`` or ``'v3'``.
        branch: Branch name when it was pinned; for people.
        rows: Row numbers in their order, shape (n,), int64, where running the queries again would give
            others (random order, v3's saved views); None otherwise.
        rerun: How many of the queries are run before ``rows`` are taken from their result.
        rows_digest: Stands for ``rows`` in comparisons and in the key.
        process: Mark of the process whose memory holds the data, empty if any process can open the lake.
        held: Which opened object of that process it is, where its state is in no storage.
        contents: Tells data apart where all else is equal, as in a copy that went its own way (see
            `contents.contents_of` and `v3_contents`); empty if that is not known.
        view: Name of the saved view or tag that it was pinned by, for people; empty if by none.
        view_message: What was said when that was made.
    """

    url: str
    dataset_id: str
    branch_id: str
    version: str
    queries: tuple[str, ...] = ()
    format: str = "v4"
    branch: str = field(default="main", compare=False)
    rows: NDArray[np.int64] | None = field(default=None, compare=False, repr=False)
    rerun: int = field(default=0, compare=False)
    rows_digest: str = ""
    process: str = field(default="", compare=False, repr=False)
    held: str = ""
    contents: str = ""
    view: str = field(default="", compare=False)
    view_message: str = field(default="", compare=False, repr=False)

    @property
    def is_plain(self) -> bool:
        """Whether its rows are those of its files, in their order."""
        return self.format == "v4" and not self.queries and not self.held and self.rows is None

    @property
    def base(self) -> ResolvedSource:
        """The whole version that the queries are run on, all its rows in their own order."""
        return replace(self, queries=(), rows=None, rerun=0, rows_digest="") if self.selects else self

    @property
    def selects(self) -> bool:
        """Whether its rows are not all rows of the version, or in another order than the version's."""
        return bool(self.queries) or self.rows is not None

    @property
    def is_selection(self) -> bool:
        """Whether its rows are rows of ``base`` as they are, which can be told by their numbers."""
        if not self.selects or self.format != "v4" or self.process:
            return False
        run = self.queries if self.rows is None else self.queries[: self.rerun]
        return all(selecting_all(query) is not None for query in run)

    @property
    def key(self) -> str:
        """Short hash (16 hex digits) of all the facts above, stable between processes and machines.

        It depends neither on credentials nor on the branch's name.
        """
        return short_hash(self.facts())

    @property
    def query(self) -> str | None:
        """The queries as one text, for people; None if there are none."""
        return ", then ".join(self.queries) or None

    @property
    def is_local_process(self) -> bool:
        """Whether only this process and its forks can read the data: ``mem://`` or uncommitted rows.

        Such a source refuses to be pickled into another process.
        """
        return bool(self.process)

    @property
    def is_memory(self) -> bool:
        """Whether the lake exists in this process only."""
        return self.url.startswith("mem://")

    def facts(self) -> dict[str, Any]:
        """What identifies the rows and their order, as plain JSON values."""
        names = ("url", "dataset_id", "branch_id", "version", "format", "rows_digest", "held", "contents")
        return {**{name: getattr(self, name) for name in names}, "queries": list(self.queries)}

    def with_rows(self, rows: NDArray[np.int64], rerun: int = 0) -> ResolvedSource:
        """This source with a fixed row order.

        Args:
            rows: Row numbers in their order, shape (n,), int64.
            rerun: How many of the queries are run before these rows are taken from their result.
        """
        rows = np.ascontiguousarray(rows, np.int64)
        digest = hashlib.blake2s(rows.astype("<i8").tobytes(), digest_size=8).hexdigest()
        return replace(self, rows=rows, rerun=rerun, rows_digest=digest)

    def in_process(self, held: str = "") -> ResolvedSource:
        """This source, bound to this process and its forks, which alone can read it.

        Args:
            held: Id of the opened object that holds the data (see `hold`); empty for ``mem://`` lakes.
        """
        return replace(self, process=_process, held=held)

    def __str__(self) -> str:
        text = self.query or ""
        text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."  # which may list thousands of rows
        query = f" query {text!r}" if self.queries else ""
        return f"{self.url} (branch {self.branch}, version {self.version}{query})"

    def __getstate__(self) -> dict[str, Any]:
        # Refused here while a process is being spawned: there the traceback reaches the user.
        if self.process and multiprocessing.context.get_spawning_popen() is not None:
            raise self._elsewhere()
        return dict(self.__dict__)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.process not in ("", _process):
            raise self._elsewhere()

    def _elsewhere(self) -> ConfigError:
        what = "a mem:// lake" if self.is_memory else "an opened dataset or view that is in no storage"
        return ConfigError(
            f"This is {what}: only the process that made it, and its forks, can read it",
            where=f"lake {self}",
            advice="commit the rows to a folder or an address and give that; or train in one process, with "
            "num_workers=0 or multiprocessing_context='fork', and without distributed",
        )


def is_same_contents(before: str, now: str) -> bool:
    """Whether two values of `ResolvedSource.contents` can stand for the same data.

    Args:
        before: The earlier value. If it was taken of an open commit of a v3 lake, that commit may have been
            closed since (see `v3_contents`).
        now: The present value.

    Returns:
        True also if one of them is empty, which means that it is not known.
    """
    if not before or not now:
        return True
    first, second = before.split("-"), now.split("-")
    return first[:2] == second[:2] and (first[2:] == second[2:] or first[-1].startswith(OPEN))


def short_hash(facts: object) -> str:
    """Hash facts to sixteen hex digits; the same on every machine.

    Args:
        facts: What ``json.dumps`` takes; the order of keys does not matter.
    """
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2s(text.encode(), digest_size=8).hexdigest()


def absolute_url(path: str) -> str:
    """One name for each lake: local paths absolute, ``hub://`` written ``al://``, no slash at the end.

    Args:
        path: Folder or address; ``~`` is expanded, links are not followed.
    """
    if path.startswith("file://"):
        path = path[len("file://") :]
    if "://" in path:
        scheme, _, rest = path.partition("://")
        scheme = scheme.lower()
        return f"{'al' if scheme == 'hub' else scheme}://{rest.rstrip('/')}"
    return str(Path(path).expanduser().absolute())


def check_address(url: str, where: str = "dataset key 'path'") -> None:
    """Refuse an address that holds a secret, without repeating it.

    Args:
        url: Path or address.
        where: The setting that it comes from, for the message.

    Raises:
        CredentialError: It has a user name or a password before its host, or a signature behind it.
    """
    # Of storages of lakes, none takes even a name alone there.
    named = "://" in url and "@" in url.partition("://")[2].partition("/")[0]
    if named or holds_secret(url):
        raise CredentialError(
            "The address holds a user name or a secret, before an '@' or as a signature",
            where=where,
            advice="give the address alone, and credentials by the environment or the credentials key",
        )


def _checked(url: str) -> str:
    """Refuse what Deep Lake would open wrongly: it cuts a path at an ``@`` and takes the rest as a name."""
    check_address(url)
    if '"' in url or "\n" in url:
        raise ConfigError(
            "A lake's path cannot hold quotation marks or line breaks", where=f"dataset key 'path'={url!r}"
        )
    scheme, _, rest = url.rpartition("://")
    if "@" not in rest:
        return url
    if not scheme and Path(url).exists():
        raise ConfigError(
            "Deep Lake cannot open a path with an '@' in it",
            where=f"dataset key 'path'={url!r}",
            advice="rename the folder, or link to it from a path without '@'",
        )
    lake, _, name = url.rpartition("@")
    raise ConfigError(
        "A version cannot be chosen by an '@' in the path: Deep Lake ignores a saved view's query there",
        where=f"dataset key 'path'={url!r}",
        advice=f"write path={lake!r} and branch={name!r}, tag={name!r} or commit={name!r}, or "
        f"version={name!r} for whichever there is",
    )
