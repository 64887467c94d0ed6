"""``file_client_args`` -> ``backend_args``."""

from __future__ import annotations

from typing import Any

from deeplake_mmdet.legacy.notes import Settings

__all__ = ["backend_args"]


def backend_args(settings: Settings) -> dict[str, Any]:
    """Take ``file_client_args`` out; empty for plain files, which are the default."""
    client = settings.take("file_client_args")
    if not client or client.get("backend") == "disk":
        return {}
    return {"backend_args": dict(client)}
