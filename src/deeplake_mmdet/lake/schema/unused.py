"""Columns of a lake that look as if they served an extra role, but do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from deeplake_mmdet.lake.schema.classes import Classes
from deeplake_mmdet.lake.schema.columns import ColumnFacts
from deeplake_mmdet.lake.schema.labels import category_ids_of
from deeplake_mmdet.lake.schema.role_rules import RULES
from deeplake_mmdet.lake.schema.roles import Roles, inferred_roles, unused_columns
from deeplake_mmdet.lake.source import v3
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.source import ResolvedSource

__all__ = ["notes_on", "short_tensors"]


def short_tensors(
    resolved: ResolvedSource, roles: Roles, tensors: Mapping[str, Any] | None, ref: CredentialRef
) -> dict[str, str]:
    """Find extra roles of a v3 lake whose tensors have other lengths than the required ones.

    Args:
        resolved: The pinned lake.
        roles: Which column plays which role.
        tensors: What the user named, see `assign_roles`; a named tensor must fit.
        ref: What opens the lake.

    Returns:
        By role, the reason for a message.

    Raises:
        AnnotationError: The lengths of required or named tensors differ.
        DeepLakeMMDetError: As `resolve`.
    """
    columns = {role: name for role, name in asdict(roles).items() if name}
    lengths = v3.tensor_lengths(resolved, columns.values(), ref)
    inferred = inferred_roles(roles, tensors)
    needed = {
        name: lengths[name] for role, name in columns.items() if role not in inferred and name in lengths
    }
    v3.check_lengths(needed, f"lake {resolved}")
    due = next(iter(needed.values()), None)
    return {
        role: f"{columns[role]!r} has {lengths[columns[role]]} samples, the images {due}"
        for role in inferred
        if lengths.get(columns[role], due) != due
    }


def notes_on(
    columns: Mapping[str, ColumnFacts],
    roles: Roles,
    tensors: Mapping[str, Any] | None,
    left_out: Mapping[str, str],
    classes: Classes,
) -> dict[str, str]:
    """What a user should know of columns that are not used, and of class names and ids that cannot be read.

    Args:
        columns: Facts by column name.
        roles: The roles' columns.
        tensors: The columns that were named, by role.
        left_out: Roles whose columns turned out not to serve, and why.
        classes: What the labels mean.

    Returns:
        Sentences by role, and under ``classes`` and ``category_ids``.
    """
    notes = unused_columns(columns, roles, tensors)
    for role, why in left_out.items():
        notes[role] = f"What looks like {RULES[role].means} is not used: {why}"
    if classes.note:
        notes["classes"] = classes.note
    if roles.gt_labels is None:
        return notes
    labels = columns[roles.gt_labels]
    if "category_ids" in labels.metadata and category_ids_of(labels, len(classes.lake.names)) is None:
        notes["category_ids"] = (
            f"Metadata key 'category_ids' of column {labels.name!r} is not used: it is no list of "
            f"{len(classes.lake.names)} different whole numbers, one for each class"
        )
    return notes
