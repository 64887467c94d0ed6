"""Lakes on a Ray cluster (extra ``[ray]``): rows as a Ray dataset, and shards of predictions and imports."""

from __future__ import annotations

from deeplake_mmdet.scale.importing import import_on_ray
from deeplake_mmdet.scale.predicting import predict_on_ray
from deeplake_mmdet.scale.reading import read_lake

__all__ = ["import_on_ray", "predict_on_ray", "read_lake"]
