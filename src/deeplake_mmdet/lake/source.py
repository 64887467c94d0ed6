"""What the user names (a source) and what it was pinned to (a resolved source)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from deeplake_mmdet.errors import ConfigError

__all__ = ["ResolvedSource", "Source"]


@dataclass(frozen=True)
class Source:
    """A lake as the user names it. Empty strings mean "not set".

    Args:
        path: Folder, ``file://``, ``mem://`` or ``s3://`` address.
        commit: Version id to pin; the newest version otherwise.
        branch: Branch name; ``main`` otherwise.
        tag: Name of a tag. Excludes ``commit`` and ``branch``.
        query: TQL applied on the pinned version, e.g. ``"SELECT * WHERE width > 500"``.

    Raises:
        ConfigError: ``path`` is empty or not text, or ``tag`` is given beside ``commit`` or ``branch``.
    """

    path: str
    commit: str | None = None
    branch: str | None = None
    tag: str | None = None
    query: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.path, (str, Path)) or not str(self.path).strip():
            raise ConfigError(
                f"A lake's path must be text, got {self.path!r}",
                where="dataset key 'path'",
                advice="give a folder or an address such as s3://bucket/lake",
            )
        object.__setattr__(self, "path", absolute_url(str(self.path)))
        for key in ("commit", "branch", "tag", "query"):
            value = getattr(self, key)
            if value is not None and not isinstance(value, str):
                raise ConfigError(f"{key!r} must be text, got {value!r}", where=f"dataset key {key!r}")
            object.__setattr__(self, key, value or None)
        if self.tag and (self.commit or self.branch):
            raise ConfigError(
                "A tag names a version by itself and cannot stand beside a commit or a branch",
                where=f"dataset keys 'tag'={self.tag!r}, 'commit'={self.commit!r}, 'branch'={self.branch!r}",
                advice="keep one of them",
            )


@dataclass(frozen=True)
class ResolvedSource:
    """A source pinned to facts: picklable, hashable and free of secrets.

    Attributes:
        url: Absolute address, without credentials.
        dataset_id: The lake's own id.
        branch: Branch name.
        version: Version id on that branch; not unique across branches.
        query: TQL applied on that version, or None.
    """

    url: str
    dataset_id: str
    branch: str
    version: str
    query: str | None = None

    @property
    def key(self) -> str:
        """Short hash (16 hex digits) of all the facts above, stable between processes and machines."""
        return short_hash(asdict(self))

    @property
    def is_memory(self) -> bool:
        """Whether the lake exists in this process only."""
        return self.url.startswith("mem://")

    def __str__(self) -> str:
        query = f" query {self.query!r}" if self.query else ""
        return f"{self.url} (branch {self.branch}, version {self.version}{query})"


def short_hash(facts: object) -> str:
    """Sixteen hex digits that identify JSON-able facts."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2s(text.encode(), digest_size=8).hexdigest()


def absolute_url(path: str) -> str:
    """Local paths made absolute with ``~`` expanded; addresses with a scheme unchanged."""
    if path.startswith("file://"):
        path = path[len("file://") :]
    if "://" in path:
        return path.rstrip("/")
    return str(Path(path).expanduser().absolute())
