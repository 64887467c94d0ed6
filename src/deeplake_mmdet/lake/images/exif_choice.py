"""Whether images are turned by their EXIF orientation: what the user says, else what the lake recorded.

An import by this package writes a column `EXIF_COLUMN`: the orientation (2 to 8) by which an image is to be
turned, or 0 for an image that stays as it is stored. Where some image is turned, the image column's metadata
names that column, so that a query which leaves it out is noticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.errors import ColumnError
from deeplake_mmdet.lake.schema.columns import ColumnFacts
from deeplake_mmdet.lake.schema.roles import Roles, assign_roles

__all__ = ["EXIF_COLUMN", "EXIF_KEY", "roles_and_exif"]

EXIF_COLUMN = "exif_turned"
EXIF_KEY = "exif_column"  # in the image column's metadata, if images are turned


def roles_and_exif(
    columns: Mapping[str, ColumnFacts], given: Mapping[str, Any] | None, apply_exif: bool | None, where: str
) -> tuple[Roles, bool | None]:
    """Assign the roles, and decide whether images are turned by their EXIF orientation.

    Columns of sizes that the import marked serve only if they mean the images as they will be served.

    Args:
        columns: Facts by column name.
        given: What the user named, see `assign_roles`.
        apply_exif: What the user says; None to go by the lake's record. A lake without one turns nothing.
        where: The lake, for errors.

    Returns:
        The roles; and True to turn all images, False for none, None for each as the lake recorded it.

    Raises:
        ConfigError, ColumnError: As `assign_roles`; or the lake has a record and this view of it has not.
    """
    roles = assign_roles(columns, given)
    if apply_exif is None and (given or {}).get("exif_turned") is False:
        apply_exif = False
    recorded_in = columns[roles.img].metadata.get(EXIF_KEY)
    if apply_exif is None and roles.exif_turned is None:
        if recorded_in is not None:
            raise ColumnError(
                f"This view of the lake lacks column {recorded_in!r}, which says which images are turned by "
                "their EXIF orientation",
                where=where,
                advice=f"add {recorded_in} to the query's columns, or set apply_exif for all images",
            )
        apply_exif = False
    if apply_exif is None:
        sizes_serve = not (given or {}).get("exif_turned")  # a record of another make tells nothing of sizes
    else:
        sizes_serve = not apply_exif and recorded_in is None
    return roles if sizes_serve else assign_roles(columns, given, stored_sizes=False), apply_exif
