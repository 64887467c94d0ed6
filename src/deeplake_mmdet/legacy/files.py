"""``file_client_args`` -> ``backend_args``."""

from __future__ import annotations

from typing import Any

from deeplake_mmdet.legacy.kinds import be_dict
from deeplake_mmdet.legacy.notes import Settings

__all__ = ["backend_args"]


def backend_args(settings: Settings) -> dict[str, Any]:
    """Convert ``file_client_args`` into ``backend_args``; empty for plain files, which are the default.

    Args:
        settings: A dataset, pipeline step or hook; ``file_client_args`` is taken out of it.

    Raises:
        ConfigError: It is no dict.
    """
    client = settings.take("file_client_args")
    be_dict(client, settings.at("file_client_args"))
    if not client or client.get("backend") == "disk":
        return {}
    return {"backend_args": dict(client)}
