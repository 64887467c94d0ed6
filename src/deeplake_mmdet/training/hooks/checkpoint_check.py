"""`CheckpointCheckHook`: a checkpoint of another model is told before it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop

from deeplake_mmdet.errors import ConfigError, SourceFormatError
from deeplake_mmdet.registry import HOOKS
from deeplake_mmdet.training.resume.checkpoint_files import model_in, weights_named
from deeplake_mmdet.training.resume.old_checkpoints import adopt_old_checkpoint
from deeplake_mmdet.training.resume.weights import Fit, bare_model, fit_of, without_module

__all__ = ["CheckpointCheckHook"]

_ENOUGH = 0.9
# What torch versions have in an optimizer's groups beside what makes it one of its kind.
_TECHNICAL = frozenset(
    ("params", "lr", "initial_lr", "foreach", "maximize", "capturable", "differentiable", "fused")
) | {"decoupled_weight_decay"}


@HOOKS.register_module()
class CheckpointCheckHook(Hook):
    """Counts the weights of a checkpoint that fit the model, by name and shape, before they are loaded.

    MMEngine loads what fits, lists the rest in a warning, and tests with random weights in its place. Here

    - a test stops if less than nine tenths of the weights fit, if a whole part of the model has none, or if
      one is of another shape, as in a head for other classes; else missing weights are a warning;
    - resuming stops if any is missing, or the optimizer's state belongs to another optimizer;
    - ``load_from`` in training is a warning, for weights of a backbone alone are of use; it stops if no
      weight fits.

    Counters of batches in norm layers and the preprocessor do not count. All commands put this hook in; with
    MMDetection's own tools it belongs into ``custom_hooks``.

    Args:
        allow_partial: Test and train with whatever fits, under a warning; resuming stops all the same.
    """

    priority = "VERY_HIGH"  # before EMAHook, which loads the weights as well

    def __init__(self, allow_partial: bool = False) -> None:
        self.allow_partial = allow_partial

    def after_load_checkpoint(self, runner: Any, checkpoint: Any) -> None:
        """Compare; called before the weights are loaded.

        Args:
            runner: Its model is built.
            checkpoint: The file's content. Bare weights are put under ``state_dict``, in place.

        Raises:
            ConfigError: Too little fits.
            SourceFormatError: There are no weights.
        """
        where = f"checkpoint {runner._load_from}"
        content = weights_named(checkpoint, where)
        content["state_dict"] = without_module(content["state_dict"])
        if "state_dict" not in checkpoint:
            checkpoint.clear()
        checkpoint.update(content)  # EMAHook takes neither bare weights nor the prefix of distributed ones
        model = bare_model(runner.model)
        fit = fit_of(model, content["state_dict"])
        if runner._resume:
            adopt_old_checkpoint(runner, checkpoint)
            self._check_resume(runner, fit, checkpoint, where)
        elif fit.missing or fit.mismatched:
            self._check(runner, fit, checkpoint, where, training=isinstance(runner._train_loop, BaseLoop))
        else:
            runner.logger.info("All %d weights of the model are in the checkpoint", len(fit.names))

    def _check(self, runner: Any, fit: Fit, checkpoint: Any, where: str, *, training: bool) -> None:
        foreign = fit.share < _ENOUGH or bool(fit.mismatched) or bool(fit.empty_parts)
        stops = not fit.fitting if training else foreign
        if not stops or self.allow_partial:
            runner.logger.warning(
                "The checkpoint does not fit the whole model: %s. The others keep their initial values%s",
                *(fit, "" if training else ": scores may mean nothing"),
            )
            return
        way = "say allow_partial=True in the config" if training else "test all the same by --allow-partial"
        raise ConfigError(
            f"The checkpoint is not one of this model: {fit}",
            where=where,
            advice=f"{_kinds(runner, checkpoint)}name the checkpoint that belongs to the config, or {way}"
            + ("" if training else " (allow_partial=True)"),
        )

    def _check_resume(self, runner: Any, fit: Fit, checkpoint: Any, where: str) -> None:
        if fit.missing or fit.mismatched:
            raise ConfigError(
                f"The checkpoint to resume from is not one of this model: {fit}",
                where=where,
                advice=f"{_kinds(runner, checkpoint)}choose another work dir, or start anew by load_from "
                "from what fits",
            )
        if absent := [key for key in ("epoch", "iter") if key not in (checkpoint.get("meta") or {})]:
            raise SourceFormatError(
                f"The checkpoint holds weights only, without what resuming needs ({', '.join(absent)})",
                where=where,
                advice="start anew from its weights by load_from",
            )
        if problem := _other_optimizer(runner.optim_wrapper, checkpoint.get("optimizer")):
            raise ConfigError(
                f"The checkpoint's optimizer state does not fit: {problem}",
                where=f"{where}, config key 'optim_wrapper'",
                advice="restore the optimizer of its training, or start anew from its weights by load_from",
            )


def _kinds(runner: Any, checkpoint: Mapping[str, Any]) -> str:
    saved = model_in(checkpoint)
    model = bare_model(runner.model)
    own = type(model).__name__
    heads = [
        f"{name}={type(part).__name__}" for name, part in model.named_children() if name.endswith("head")
    ]
    now = own + (f" ({', '.join(heads)})" if heads else "")
    return "" if saved is None else f"it was trained as {saved}, and the model is {now}; "


def _other_optimizer(wrapper: Any, saved: Any) -> str:
    """In what a saved optimizer is another than a run's, in words; empty if in nothing."""
    if not isinstance(saved, Mapping) or not hasattr(wrapper, "state_dict"):
        return ""
    own = wrapper.state_dict()
    if "param_groups" not in own:  # several optimizers by name
        if missing := sorted(set(own) ^ set(saved)):
            return f"only one of them has {', '.join(missing)}"
        parts = (_other_state(own[name], saved[name]) for name in own)
        return next((part for part in parts if part), "")
    return _other_state(own, saved)


def _other_state(own: Mapping[str, Any], saved: Mapping[str, Any]) -> str:
    if "param_groups" not in saved:
        return "it has several optimizers, the run has one"
    now, then = own["param_groups"], saved["param_groups"]
    sizes = [len(group["params"]) for group in now], [len(group["params"]) for group in then]
    if sizes[0] != sizes[1]:
        if sum(sizes[0]) != sum(sizes[1]):
            return f"it is for {sum(sizes[1])} parameters, the model trains {sum(sizes[0])}"
        return f"its parameters stand in {len(sizes[1])} groups, the run's in {len(sizes[0])} or other ones"
    kinds = [frozenset(groups[0]) - _TECHNICAL if groups else frozenset() for groups in (now, then)]
    if kinds[0] != kinds[1]:
        return (
            f"it is of another kind (settings {', '.join(sorted(kinds[1]))}; the run's has "
            f"{', '.join(sorted(kinds[0]))})"
        )
    return ""
