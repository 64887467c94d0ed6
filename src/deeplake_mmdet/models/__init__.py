"""Parts of detectors that MMDetection's own cannot do without."""

from deeplake_mmdet.models.ssd_head import SSDHead

__all__ = ["SSDHead"]
