"""The config that a run left beside its checkpoints."""

from __future__ import annotations

from pathlib import Path

from deeplake_mmdet.errors import ConfigError

__all__ = ["config_beside"]

_ADVICE = "name the config before the checkpoint"


def config_beside(checkpoint: str | Path) -> Path:
    """Find the config of a checkpoint's run: the one ``.py`` file in its folder, as MMEngine dumps it there.

    Where there is none, the newest ``<time>/vis_data/config.py`` below serves, which MMEngine writes as well.
    What a checkpoint itself says of its config is a program of whoever made it, and is never run.

    Args:
        checkpoint: A file in a run's folder.

    Raises:
        ConfigError: There is no config, or there are several.
    """
    folder = Path(checkpoint).expanduser().absolute().parent
    found = sorted(file for file in folder.glob("*.py") if file.is_file())
    if not found:
        found = sorted(folder.glob("*/vis_data/config.py"))[-1:]  # folders are named by their time
    if len(found) == 1:
        return found[0]
    what = f"several configs lie beside it: {', '.join(file.name for file in found)}"
    raise ConfigError(
        f"The checkpoint's config is not known: {what if found else 'none lies beside it'}",
        where=f"checkpoint {checkpoint}",
        advice=_ADVICE,
    )
