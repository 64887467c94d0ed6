"""`browse`: a lake, or the samples of a config, on a page of this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deeplake_mmdet.browsing.server import Address, check_server, listen, serve
from deeplake_mmdet.errors import ConfigError

if TYPE_CHECKING:
    from deeplake_mmdet.browsing.gallery import Gallery

__all__ = ["browse", "is_config", "open_gallery"]


_CONFIGS = (".py", ".json", ".yml", ".yaml")


def browse(
    lake: str | os.PathLike[str],
    *,
    port: int = 0,
    told: Callable[[Address], None] | None = None,
    split: str = "train",
    cfg_options: Mapping[str, Any] | None = None,
    run: str | None = None,
    **source: Any,
) -> None:
    """Serve a page on this machine to look at a lake, or at a config's samples as its pipeline makes them.

    Returns when this process is asked to end, as by Ctrl-C.

    Args:
        lake: Folder or address of a lake, or an MMDetection config file, for 3.x or 2.x.
        port: Of 127.0.0.1; 0 for any that is free.
        told: Called with the page's address as soon as it answers; None prints it.
        split: Of a config: ``'train'``, ``'val'`` or ``'test'``.
        cfg_options: Of a config: changes by dotted key.
        run: Of a lake: id of a run whose predictions are shown beside the truth. The page shows the version
            that it was made for, unless one is named.
        source: Of a lake: ``commit``, ``branch``, ``tag``, ``view``, ``query``, ``box_format``, ``tensors``,
            ``classes`` and ``credentials``, as of `deeplake_mmdet.inspect`.

    Raises:
        InstallError: The server's packages, the extra ``browse``, are not installed.
        ConfigError: The port is taken, or an argument cannot be used.
        DeepLakeMMDetError: Lake or config cannot be read.
    """
    check_server()
    listening = listen(port)
    try:
        gallery = open_gallery(lake, split=split, cfg_options=cfg_options, run=run, **source)
    except BaseException:
        listening.close()
        raise
    serve(gallery, listening, told or _printed)


def open_gallery(
    lake: str | os.PathLike[str],
    *,
    split: str = "train",
    cfg_options: Mapping[str, Any] | None = None,
    run: str | None = None,
    **source: Any,
) -> Gallery:
    """What `browse` shows.

    Args:
        lake, split, cfg_options, run, source: See `browse`.

    Raises:
        DeepLakeMMDetError: Lake or config cannot be read.
    """
    path = os.fspath(lake)
    given = [name for name, value in source.items() if value not in (None, {}, [])]
    if is_config(path):
        if run or given:
            raise ConfigError(
                "A config says by itself which data it has",
                where=f"argument {'run' if run else given[0]}",
                advice="change the config by --cfg-options, or browse the lake itself",
            )
        from deeplake_mmdet.browsing.sample_gallery import open_samples

        return open_samples(path, split, cfg_options)
    if cfg_options:
        raise ConfigError("A lake takes no options of configs", where="argument cfg_options")
    from deeplake_mmdet.browsing.opening import open_lake_gallery

    return open_lake_gallery(path, run=run, **source)


def is_config(path: str) -> bool:
    """Whether a path is that of a config rather than of a lake.

    Args:
        path: As it was given.
    """
    return "://" not in path and Path(path).suffix in _CONFIGS and not Path(path).is_dir()


def _printed(address: Address) -> None:
    print(address.url, flush=True)
