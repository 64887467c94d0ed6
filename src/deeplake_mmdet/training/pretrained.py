"""Weights that a run starts from: fetched and read as data before MMEngine loads them."""

from __future__ import annotations

import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from mmengine.config import Config
from mmengine.dist import barrier, is_main_process

from deeplake_mmdet.errors import ConfigError, SourceNotFoundError
from deeplake_mmdet.training.resume.checkpoint_files import read_data
from deeplake_mmdet.training.resume.checkpoint_reading import is_trusted

__all__ = ["check_pretrained", "local_weights", "vet_pretrained"]

_DEADLINE = 10.0  # seconds in which a server must begin to answer
_HTTP = ("http://", "https://")
_TORCHVISION = ("torchvision://", "modelzoo://")
_OPENMMLAB = ("open-mmlab://", "openmmlab://")
_BUILT_WITH = ("teacher_ckpt",)  # loaded while a model is built, and not when it is initialised
_NO_TORCHVISION = "its address is known to torchvision, which is not installed"


@dataclass(frozen=True)
class _Weights:
    key: str
    address: str


def check_pretrained(cfg: Config, model: Any = None, *, deadline: float = _DEADLINE) -> None:
    """Check that the weights a run starts from can be had.

    Files are looked for. Addresses whose file is in torch hub's cache are not asked; of the others, the
    server is asked to begin sending, so that a missing network does not show after minutes.

    Args:
        cfg: From `prepare_config`. Its ``model`` is looked through unless a detector is given.
        model: A detector: what it says of its own weights counts, and nothing if it has weights already.
        deadline: Seconds for all servers together.

    Raises:
        SourceNotFoundError: Some cannot be had; all are named.
    """
    found = list(_of_module(model) if model is not None else _of_config(cfg.get("model"), "model"))
    if cfg.get("load_from"):
        found.append(_Weights("load_from", str(cfg.load_from)))
    problems = {weights: _problem(weights.address) for weights in found}
    asked = [weights for weights, problem in problems.items() if problem == ""]
    if asked:
        problems |= _ask(asked, deadline)
    failed = {weights: problem for weights, problem in problems.items() if problem}
    if not failed:
        return
    keys = list(dict.fromkeys(weights.key for weights in failed))
    ways = []
    if any(problem == _NO_TORCHVISION for problem in failed.values()):
        ways.append("pip install torchvision")
    if inits := [key for key in keys if key != "load_from"]:
        old = inits[0].endswith(".pretrained")
        file = "'FILE.pth'" if old else "dict(type='Pretrained', checkpoint='FILE.pth')"
        ways.append(f"name a local file, {inits[0]}={file}, or start from random weights, {inits[0]}=None")
    if "load_from" in keys:
        ways.append("name a file that exists in load_from, or set it to None")
    what = "; ".join(dict.fromkeys(f"{weights.address!r}: {problem}" for weights, problem in failed.items()))
    raise SourceNotFoundError(
        f"Pretrained weights cannot be had: {what}",
        where=f"config key {', '.join(map(repr, keys))}",
        advice="; ".join(ways),
    )


def vet_pretrained(cfg: Config, model: Any = None, *, only_built: bool = False) -> None:
    """Read all weights that a model is built and initialised with, as MMEngine would run what is in them.

    Those of an address are fetched to where MMEngine looks for them. In several processes, the first does.

    Args:
        cfg: Its ``model`` is looked through unless a detector is given.
        model: A detector that is built already.
        only_built: Leave out what the weights are initialised with: the run loads others.

    Raises:
        DeepLakeMMDetError: They cannot be had or read, or would run code; see `read_data`.
    """
    found = _of_module(model) if model is not None else _of_config(cfg.get("model"), "model")
    for weights in list(found):
        if only_built and not weights.key.endswith(_BUILT_WITH):
            continue
        if is_trusted() and "://" in weights.address and _url(weights.address) is None:
            continue
        read_data(local_weights(weights.address, f"config key {weights.key!r}"))


def local_weights(address: str, where: str) -> Path:
    """The file of some weights; fetched to torch hub's cache, as MMEngine does, if it is at an address.

    Args:
        address: A file, an address, or one of MMEngine's names, such as ``torchvision://resnet50``.
        where: Who names it, for messages.

    Raises:
        SourceNotFoundError: It cannot be fetched.
        ConfigError: It is at an address that is not looked into.
    """
    url = _url(address) if "://" in address else str(Path(address).expanduser())
    if url is None:
        raise ConfigError(
            f"Weights at {address!r} cannot be read as data before MMEngine loads them",
            where=where,
            advice="fetch the file and name it where it lies",
        )
    if not url.startswith(_HTTP):
        return Path(url)
    cached = _cached(url)
    try:
        try:
            if is_main_process():
                _fetch(url, cached)
        finally:
            barrier()
        _fetch(url, cached)  # where processes on other machines have folders of their own
    except Exception as error:
        raise SourceNotFoundError(
            f"The weights cannot be fetched from {url} ({getattr(error, 'reason', error)})",
            where=where,
            advice="name a local file",
        ) from None
    return cached


def _fetch(url: str, cached: Path) -> None:
    if not cached.is_file():
        cached.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(cached), progress=sys.stderr.isatty())


def _cached(url: str) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name


def _of_config(node: Any, key: str) -> Iterator[_Weights]:
    if isinstance(node, Mapping):
        if "checkpoint" in node and _is_pretrained(node):
            yield _Weights(key, str(node["checkpoint"]))
            return
        # What 2.x's backbones took, and 3.x's take still; and detectors that learn from others.
        for name in ("pretrained", *_BUILT_WITH):
            if isinstance(node.get(name), str):
                yield _Weights(f"{key}.{name}", node[name])
        for name, value in node.items():
            yield from _of_config(value, f"{key}.{name}")
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _of_config(value, key)


def _of_module(model: Any) -> Iterator[_Weights]:
    if getattr(model, "is_init", False):
        return
    for name, module in model.named_modules():
        key = ".".join(part for part in ("model", name, "init_cfg") if part)
        if not getattr(module, "is_init", False):
            yield from _of_config(getattr(module, "init_cfg", None), key)


def _is_pretrained(node: Mapping[str, Any]) -> bool:
    kind = node.get("type")
    name = kind if isinstance(kind, str) else getattr(kind, "__name__", "")
    return name.rpartition(".")[2] in ("Pretrained", "PretrainedInit")


def _problem(address: str) -> str | None:
    """None: at hand. Empty: a server has to be asked. Else what is wrong."""
    if address.startswith(_TORCHVISION) and find_spec("torchvision") is None:
        return _NO_TORCHVISION
    if "://" not in address:
        return None if Path(address).expanduser().is_file() else "there is no such file"
    url = _url(address)
    if url is None:
        known = (*_HTTP, *_TORCHVISION, *_OPENMMLAB, "mmcls://")
        return "MMEngine knows no weights of this name" if address.startswith(known) else None
    if not url.startswith(_HTTP):
        return None if Path(url).is_file() else f"there is no file {url}"
    return None if _cached(url).is_file() else ""


def _url(address: str) -> str | None:
    """The address of the file; None if it is not known, or of a kind that is not looked into."""
    from mmengine.runner.checkpoint import (
        _get_mmengine_home,
        get_deprecated_model_names,
        get_external_models,
        get_mmcls_models,
        get_torchvision_models,
    )

    if address.startswith(_HTTP):
        return address
    name = address.partition("://")[2]
    if address.startswith(_TORCHVISION):
        return get_torchvision_models().get(name)  # type: ignore[no-any-return]
    if address.startswith("mmcls://"):
        return get_mmcls_models().get(name)  # type: ignore[no-any-return]
    if address.startswith(_OPENMMLAB):
        url = get_external_models().get(get_deprecated_model_names().get(name, name))
        return url if url is None or url.startswith(_HTTP) else str(Path(_get_mmengine_home()) / url)
    return None


def _ask(weights: list[_Weights], deadline: float) -> dict[_Weights, str | None]:
    """Ask all servers at once. In threads: looking up a name ignores every time limit."""
    answers: dict[_Weights, str | None] = {}
    threads = [
        threading.Thread(target=_begin, args=(one, deadline, answers), daemon=True) for one in set(weights)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(deadline)
    late = f"no answer from the network within {deadline:g} s"
    return {one: answers.get(one, late) for one in weights}


def _begin(weights: _Weights, deadline: float, answers: dict[_Weights, str | None]) -> None:
    url = _url(weights.address)
    try:
        with urllib.request.urlopen(str(url), timeout=deadline):
            answers[weights] = None
    except Exception as error:
        code = getattr(error, "code", None)
        why = f"HTTP status {code}" if code else getattr(error, "reason", error)
        answers[weights] = f"{url} cannot be fetched ({why})"
