"""What a lake calls its classes, without reading it, and how two lists of names differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from deeplake_mmdet.errors import AnnotationError, BoxFormatError, ColumnError
from deeplake_mmdet.lake.schema.classes import classes_of, stored_format
from deeplake_mmdet.lake.schema.columns import describe_columns
from deeplake_mmdet.lake.schema.roles import assign_roles
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.pinning import handle_of, resolve
from deeplake_mmdet.lake.source.source import Source

__all__ = ["name_difference", "own_classes", "why_no_truth"]

_LISTED = 10


def own_classes(
    source: Source,
    *,
    credentials: CredentialRef | None = None,
    tensors: Mapping[str, Any] | None = None,
    chosen: Any = None,
) -> tuple[str, ...]:
    """The names of a lake's classes in its own order; no annotation is read, unless the labels are texts.

    Args:
        source: What the user named.
        credentials: What opens it, see `CredentialRef`.
        tensors: Role to column name, may be partial; see `assign_roles`.
        chosen: ``classes`` of `open_view`: these are returned, in their order, if the lake has them.

    Raises:
        ConfigError: The lake has no such classes.
        AnnotationError: The lake does not name its classes, or not in a way that can be read.
        DeepLakeMMDetError: It cannot be opened, or its columns are ambiguous.
    """
    ref = credentials or CredentialRef()
    resolved = resolve(source, ref)
    handle = handle_of(resolved, ref)
    columns = describe_columns(handle)
    roles = assign_roles(columns, tensors)
    labels = None if roles.gt_labels is None else columns[roles.gt_labels]
    return classes_of(labels, chosen, resolved, handle, ref).selected


def why_no_truth(
    source: Source,
    *,
    credentials: CredentialRef | None = None,
    tensors: Mapping[str, Any] | None = None,
    box_format: str | None = None,
    chosen: Any = None,
) -> str:
    """Say what keeps a lake from being read with its boxes and labels, as far as its columns tell.

    Args:
        source: What the user named.
        credentials, tensors, chosen: See `own_classes`.
        box_format: Of `open_view`.

    Returns:
        Words for a message; empty if nothing does.

    Raises:
        DeepLakeMMDetError: It cannot be opened.
    """
    ref = credentials or CredentialRef()
    resolved = resolve(source, ref)
    handle = handle_of(resolved, ref)
    columns = describe_columns(handle)
    try:
        roles = assign_roles(columns, tensors)
        if roles.gt_bboxes is None or roles.gt_labels is None:
            return "it is opened for its images alone"
        stored_format(columns[roles.gt_bboxes], box_format)
        classes_of(columns[roles.gt_labels], chosen, resolved, handle, ref)
    except (ColumnError, AnnotationError, BoxFormatError) as error:
        return error.what
    return ""


def name_difference(expected: Sequence[str], found: Sequence[str]) -> str:
    """Describe how two lists of class names differ: what is missing, and what is too much.

    Args:
        expected: Class names, in any order.
        found: Class names, in any order.

    Returns:
        Words for a message, with the nearest spelling beside each name that is too much; empty if both hold
        the same names.
    """
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    parts = [f"missing {_listed(list(map(repr, missing)))}"] if missing else []
    if extra:
        near = missing or expected
        parts.append(f"not among them {_listed([repr(name) + _near(name, near) for name in extra])}")
    return "; ".join(parts)


def _near(name: str, candidates: Sequence[str]) -> str:
    plain = {_plain(other): other for other in candidates}
    if (same := plain.get(_plain(name))) is not None:
        return f" (written otherwise than {same!r})"
    near = get_close_matches(_plain(name), list(plain), n=1, cutoff=0.75)
    return f" (near to {plain[near[0]]!r})" if near else ""


def _plain(name: str) -> str:
    """A name without what is often written in two ways: case, spaces, hyphens, underscores."""
    return "".join(letter for letter in name.casefold() if letter.isalnum()) or name


def _listed(names: list[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
