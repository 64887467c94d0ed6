"""MMDetection's SSD head, able to predict."""

from __future__ import annotations

from mmdet.models.dense_heads import SSDHead as StockSSDHead

from deeplake_mmdet.registry import MODELS

__all__ = ["SSDHead"]


@MODELS.register_module()
class SSDHead(StockSSDHead):
    """The stock head of SSD and SSDLite, with the attribute that prediction asks for.

    The stock one computes its losses without loss modules, so it has no ``loss_cls``; yet the prediction that
    it inherits looks there for an activation of its own, and raises ``AttributeError``. None stands for the
    usual one, softmax. Arguments, parameters and checkpoints are those of the stock head.
    """

    loss_cls = None
