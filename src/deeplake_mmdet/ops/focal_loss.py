"""The sigmoid and the softmax focal loss of mmcv's compiled ops, in torch.

Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = [
    "sigmoid_focal_loss_backward",
    "sigmoid_focal_loss_forward",
    "softmax_focal_loss_backward",
    "softmax_focal_loss_forward",
]

_TINY = torch.finfo(torch.float32).tiny  # the least argument of the logarithm, for all types


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Write each element's loss into ``output``.

    Args:
        input: Shape (N, K), a logit for each class.
        target: Shape (N,), int64: the class, or K for none.
        weight: Shape (K,), of the classes; empty for none.
        output: Shape (N, K), overwritten.
        gamma: How much well classified examples are discounted.
        alpha: Weight of positive examples; negative ones have 1 - alpha.
    """
    p, positive = _chances(input, target)
    loss = torch.where(
        positive,
        -alpha * (1 - p) ** gamma * p.clamp(min=_TINY).log(),
        -(1 - alpha) * p**gamma * (1 - p).clamp(min=_TINY).log(),
    )
    output.copy_(loss * _weights(weight, target, loss)[:, None])


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Write the derivative of each element's loss by its logit into ``grad_input``.

    Args:
        input, target, weight, gamma, alpha: As in `sigmoid_focal_loss_forward`.
        grad_input: Shape (N, K), overwritten.
    """
    p, positive = _chances(input, target)
    q = 1 - p
    slope = torch.where(
        positive,
        -alpha * q**gamma * (q - gamma * p * p.clamp(min=_TINY).log()),
        -(1 - alpha) * p**gamma * (gamma * q * q.clamp(min=_TINY).log() - p),
    )
    grad_input.copy_(slope * _weights(weight, target, slope)[:, None])


def softmax_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Write each example's loss into ``output``.

    Args:
        input: Shape (N, K), probabilities: mmcv has taken the softmax.
        target: Shape (N,), int64: the class; a negative one has no loss.
        weight: Shape (K,), of the classes; empty for none.
        output: Shape (N,), overwritten.
        gamma: How much well classified examples are discounted.
        alpha: Weight of all examples.
    """
    p = _of_target(input, target)
    loss = -alpha * (1 - p) ** gamma * p.clamp(min=_TINY).log()
    output.copy_((loss * _weights(weight, target, loss)).masked_fill(target < 0, 0))


def softmax_focal_loss_backward(
    input: Tensor,
    target: Tensor,
    weight: Tensor,
    buff: Tensor,
    grad_input: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Write the derivative of each example's loss by its logits into ``grad_input``.

    Args:
        input, target, weight, gamma, alpha: As in `softmax_focal_loss_forward`.
        buff: Shape (N,), overwritten: the derivative by the logit of the class, but for the factor 1 - p.
        grad_input: Shape (N, K), overwritten.
    """
    p = _of_target(input, target)
    q = 1 - p
    slope = alpha * (-(q**gamma) + gamma * q ** (gamma - 1) * p * p.clamp(min=_TINY).log())
    buff.copy_((slope * _weights(weight, target, slope)).masked_fill(target < 0, 0))
    classes = torch.arange(input.shape[1], device=input.device)
    own = (target[:, None] == classes).to(buff.dtype)
    grad_input.copy_(buff[:, None] * (own - input.to(buff.dtype)))


def _chances(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities, shape (N, K), float32 at least, and which belong to the target."""
    logits = input.detach()
    if logits.dtype != torch.float64:
        logits = logits.float()
    return logits.sigmoid(), target[:, None] == torch.arange(input.shape[1], device=input.device)


def _of_target(input: Tensor, target: Tensor) -> Tensor:
    p = input.detach().gather(1, target.clamp(min=0)[:, None])[:, 0]
    return p if p.dtype == torch.float64 else p.float()


def _weights(weight: Tensor, target: Tensor, like: Tensor) -> Tensor:
    """Of each example, by its class; 1 without weights, and for what is of no class."""
    ones = torch.ones(len(target), dtype=like.dtype, device=like.device)
    if not weight.numel():
        return ones
    of_class = (target >= 0) & (target < len(weight))
    return torch.where(of_class, weight.to(like.dtype)[target.clamp(0, len(weight) - 1)], ones)
