"""How many of a model's weights a checkpoint holds, found out without loading them."""

from __future__ import annotations

import copy
import logging
import re
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from mmengine.model import BaseTTAModel, is_model_wrapper

__all__ = ["Fit", "bare_model", "fit_of", "without_module"]

_log = logging.getLogger("deeplake_mmdet")

# Of these a model has its own, and they do not come from training.
_HARMLESS = ("num_batches_tracked", "data_preprocessor.")
_NAME = re.compile(r'(?:size mismatch for |parameter named ")([\w.]+)')
_LISTED = 4


@dataclass(frozen=True)
class Fit:
    """What of a model a checkpoint fits.

    Attributes:
        names: The model's weights that count: parameters and saved buffers, without counters of batches.
        missing: Those that the checkpoint does not have.
        mismatched: Those that it has in another shape, with a text on both.
        unexpected: How many of the checkpoint's weights have no place in the model.
        hint: A prefix that stands in the way, in words; else empty.
    """

    names: tuple[str, ...]
    missing: tuple[str, ...] = ()
    mismatched: Mapping[str, str] = field(default_factory=dict)
    unexpected: int = 0
    hint: str = ""

    @property
    def fitting(self) -> int:
        """How many weights fit by name and shape."""
        return len(self.names) - len(self.missing) - len(self.mismatched)

    @property
    def share(self) -> float:
        """This share as a fraction, 0 to 1."""
        return self.fitting / len(self.names) if self.names else 1.0

    @property
    def empty_parts(self) -> list[str]:
        """The model's outermost parts of which no weight fits."""
        return [part for part, (fitting, _) in self._parts().items() if not fitting]

    def __str__(self) -> str:
        parts = ", ".join(f"{part} {fits} of {count}" for part, (fits, count) in self._parts().items())
        text = f"{self.fitting} of its {len(self.names)} weights fit by name and shape ({parts})"
        others = []
        if self.missing:
            others.append(f"{len(self.missing)} are missing, as {_some(self.missing)}")
        if self.mismatched:
            shapes = [f"{name} {text}" for name, text in self.mismatched.items()]
            others.append(f"{len(self.mismatched)} have another shape, as {_some(shapes)}")
        if self.unexpected:
            others.append(f"{self.unexpected} of the checkpoint's have no place in the model")
        return "; ".join([text, *others, *([self.hint] if self.hint else [])])

    def _parts(self) -> dict[str, tuple[int, int]]:
        unfit = {*self.missing, *self.mismatched}
        found: dict[str, tuple[int, int]] = {}
        for name in self.names:
            fits, count = found.get(part := name.partition(".")[0], (0, 0))
            found[part] = fits + (name not in unfit), count + 1
        return found


def fit_of(model: torch.nn.Module, weights: Mapping[str, Any]) -> Fit:
    """Compare a checkpoint with a model, the way in which MMEngine would load it.

    Modules may translate what older versions of them have saved; so a copy of the model without any memory
    for its weights is loaded instead of comparing names.

    Args:
        model: A detector, out of what distributes it or merges its versions.
        weights: The checkpoint's weights by name.
    """
    given = {name: value.to("meta") for name, value in weights.items() if torch.is_tensor(value)}
    names = tuple(name for name in model.state_dict() if not _is_harmless(name))
    try:
        missing, unexpected, problems = _load(_skeleton(model), given, getattr(weights, "_metadata", None))
    except Exception as error:  # modules of any kind, which may not be copied, or look into what they load
        _log.log(10, f"Weights are compared by name, as loading cannot be tried: {error!r}")
        missing, unexpected, problems = _compared(model.state_dict(), given)
    mismatched = {name: text for name, text in problems.items() if name in names}
    lacking = tuple(name for name in names if name in missing and name not in mismatched)
    fit = Fit(names, lacking, mismatched, sum(not _is_harmless(name) for name in unexpected))
    return replace(fit, hint=_prefix_hint(fit, given))


def bare_model(model: Any) -> torch.nn.Module:
    """The detector inside of distributed wrappers and of test-time augmentation.

    Args:
        model: A detector, with or without them.
    """
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model  # type: ignore[no-any-return]


def without_module(weights: Mapping[str, Any]) -> Mapping[str, Any]:
    """Weights without the ``module.`` that distributed training puts in front of names; MMEngine's rule.

    Args:
        weights: Tensors by name; not changed.

    Returns:
        A new dict with the same tensors, or ``weights`` itself if no name begins so.
    """
    if not any(name.startswith("module.") for name in weights):
        return weights
    stripped = OrderedDict((name.removeprefix("module."), value) for name, value in weights.items())
    stripped._metadata = getattr(weights, "_metadata", {})  # type: ignore[attr-defined]
    return stripped


def _skeleton(model: torch.nn.Module) -> torch.nn.Module:
    """A copy of a model whose weights have shapes only."""
    memo: dict[int, Any] = {}
    for parameter in model.parameters():
        empty = torch.empty_like(parameter, device="meta")
        memo[id(parameter)] = torch.nn.Parameter(empty, requires_grad=parameter.requires_grad)
    for buffer in model.buffers():
        memo[id(buffer)] = torch.empty_like(buffer, device="meta")
    return copy.deepcopy(model, memo)


def _load(
    model: torch.nn.Module, weights: Mapping[str, Any], metadata: Any
) -> tuple[set[str], set[str], dict[str, str]]:
    missing: list[str] = []
    unexpected: list[str] = []
    messages: list[str] = []

    def load(module: torch.nn.Module, own: dict[str, Any], prefix: str) -> None:
        module = bare_model(module)
        version = (metadata or {}).get(prefix[:-1], {})
        module._load_from_state_dict(own, prefix, version, True, missing, unexpected, messages)
        for name, child in module._modules.items():
            inner = f"{prefix}{name}."
            if child is not None:
                load(child, {key: value for key, value in own.items() if key.startswith(inner)}, inner)

    with warnings.catch_warnings():
        # An old normalization's count of batches, which torch adds, is copied nowhere: nor is any weight.
        warnings.filterwarnings("ignore", ".* to a meta parameter", UserWarning)
        load(model, dict(weights), "")
    problems = {}
    for message in messages:
        if match := _NAME.search(message):
            shapes = re.findall(r"torch\.Size\(\[([\d, ]*)\]\)", message)
            text = f"({shapes[0]}) for ({shapes[1]})" if len(shapes) == 2 else "is no tensor of its kind"
            problems[match[1]] = text
    return set(missing), set(unexpected), problems


def _compared(own: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[set[str], set[str], dict[str, str]]:
    problems = {
        name: f"{tuple(given[name].shape)} for {tuple(value.shape)}"
        for name, value in own.items()
        if name in given and given[name].shape != value.shape
    }
    return set(own) - set(given), set(given) - set(own), problems


def _prefix_hint(fit: Fit, given: Mapping[str, Any]) -> str:
    """Whether many more names would be the model's without, or with, something in front."""
    if fit.share > 0.5 or not fit.missing:
        return ""
    names, most, hint = set(fit.names), max(fit.fitting, len(fit.names) // 4), ""
    for prefix in dict.fromkeys(name.partition(".")[0] + "." for name in given):
        count = sum(name.startswith(prefix) and name[len(prefix) :] in names for name in given)
        if count > most:
            most, hint = count, f"{count} names would be the model's without {prefix!r} in front"
    for prefix in dict.fromkeys(name.partition(".")[0] + "." for name in fit.names):
        count = sum(prefix + name in names for name in given)
        if count > max(most, 0):
            most, hint = count, f"{count} names would be the model's with {prefix!r} in front"
    return hint


def _is_harmless(name: str) -> bool:
    return _HARMLESS[0] in name or name.startswith(_HARMLESS[1])


def _some(texts: Any) -> str:
    listed = list(texts)
    return ", ".join(listed[:_LISTED]) + (", ..." if len(listed) > _LISTED else "")
