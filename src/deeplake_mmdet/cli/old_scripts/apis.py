"""``mmdet.apis`` as scripts use it: training, testing and looking at one image."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import collect_results, sync_random_seed
from mmengine.utils import ProgressBar

from deeplake_mmdet import training
from deeplake_mmdet.cli.old_scripts.datasets import OldDataset
from deeplake_mmdet.cli.old_scripts.drawing import drawn, present
from deeplake_mmdet.cli.old_scripts.models import unwrapped
from deeplake_mmdet.cli.old_scripts.results import to_old
from deeplake_mmdet.config import read_config, take_in
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy import is_legacy
from deeplake_mmdet.training.building import give_preprocessor, plain
from deeplake_mmdet.training.pretrained import local_weights
from deeplake_mmdet.training.resume.checkpoint_files import read_checkpoint

__all__ = [
    "inference_detector",
    "init_detector",
    "init_random_seed",
    "load_checkpoint",
    "multi_gpu_test",
    "show_result",
    "show_result_pyplot",
    "single_gpu_test",
    "train_detector",
]

_log = logging.getLogger("deeplake_mmdet")

_by_chance: set[int] = set()


def init_random_seed(seed: int | None = None, device: str = "cuda") -> int:
    """The seed as given, else a random one, the same in all processes.

    Args:
        seed: None for a random one.
        device: Not used.
    """
    del device
    if seed is not None:
        return seed
    drawn_seed = int(sync_random_seed())
    _by_chance.add(drawn_seed)
    return drawn_seed


def train_detector(
    model: Any,
    dataset: Any,
    cfg: Config,
    distributed: bool = False,
    validate: bool = False,
    timestamp: str | None = None,
    meta: Mapping[str, Any] | None = None,
) -> Any:
    """Train as MMDetection 2.x's function of this name.

    Args:
        model: The detector; trained in place.
        dataset: From `build_dataset`, or a list whose first is trained on; its settings win over those of
            ``cfg.data.train``.
        cfg: The whole config; not changed.
        distributed: Whether several processes train.
        validate: Whether to validate while training.
        timestamp: Names the log.
        meta: For the ``meta`` of the checkpoints.

    Raises:
        DeepLakeMMDetError: Config or data cannot be used.
    """
    datasets = dataset if isinstance(dataset, (list, tuple)) else [dataset]
    first = datasets[0] if datasets else None
    if not isinstance(cfg, Config) or (first is not None and not isinstance(first, OldDataset | Mapping)):
        raise ConfigError(
            f"Training goes by a config and by what build_dataset made, not by {type(first).__name__}",
            where="mmdet.apis.train_detector(model, dataset, cfg)",
            advice="pass [build_dataset(cfg.data.train)] and the whole config; an opened lake goes to "
            "deeplake.integrations.mmdet.train_detector(model, cfg, ds_train=...)",
        )
    cfg = copy.deepcopy(cfg)
    if first is not None and is_legacy(cfg):
        cfg.data.train = first.cfg if isinstance(first, OldDataset) else plain(first)
    if cfg.get("seed") in _by_chance and (cfg.get("resume_from") or cfg.get("auto_resume")):
        cfg.seed = None  # nobody chose it: the checkpoint's is the run's, as its order goes on
    kept = dict(meta or {})
    if isinstance(cfg.get("checkpoint_config"), Mapping):
        kept = {**(cfg.checkpoint_config.pop("meta", None) or {}), **kept}
    return training.train_detector(
        model, cfg, distributed=distributed, validate=validate, timestamp=timestamp, meta=kept or None
    )


def single_gpu_test(
    model: Any,
    data_loader: Any,
    show: bool = False,
    out_dir: str | Path | None = None,
    show_score_thr: float = 0.3,
) -> list[Any]:
    """Test a detector; masks come as RLE dicts.

    Args:
        model: The detector, perhaps in a wrapper.
        data_loader: From `build_dataloader`, without shuffling.
        show: Whether to show each image.
        out_dir: Where to draw them.
        show_score_thr: From which score predictions are drawn.

    Returns:
        Per image what `OldBoxes` or `OldResult` says.
    """
    return _tested(model, data_loader, show, out_dir, show_score_thr)


def multi_gpu_test(
    model: Any, data_loader: Any, tmpdir: str | None = None, gpu_collect: bool = False
) -> list[Any] | None:
    """Test a detector in several processes.

    Args:
        model: The detector, perhaps in a wrapper.
        data_loader: From `build_dataloader`, without shuffling.
        tmpdir: Folder through which results travel.
        gpu_collect: Whether they travel through GPUs instead.

    Returns:
        All results in the first process, None in the others.
    """
    found = _tested(model, data_loader)
    options: dict[str, Any] = {} if gpu_collect else {"tmpdir": tmpdir}
    size = len(data_loader.dataset)
    return collect_results(found, size, "gpu" if gpu_collect else "cpu", **options)  # type: ignore[no-any-return]


def init_detector(
    config: str | Path | Config,
    checkpoint: str | None = None,
    device: str = "cuda:0",
    cfg_options: Mapping[str, Any] | None = None,
    palette: str = "none",
) -> Any:
    """Load a detector by a config for MMDetection 2.x or 3.x.

    Where the checkpoint knows other classes than the config's heads predict, as when a script has changed
    ``num_classes`` before training, the heads get as many as it has, and the log says so.

    Args:
        config: The config, or its file; not changed.
        checkpoint: Weights; none otherwise.
        device: Where to; the CPU if there is no GPU.
        cfg_options: Changes by dotted key.
        palette: Of the drawing.

    Raises:
        DeepLakeMMDetError: Config or checkpoint cannot be used.
    """
    from mmdet.apis.inference import init_detector as stock

    raw = config if isinstance(config, Config) else read_config(config)
    cfg = take_in(raw, cfg_options)
    loader = cfg.get("test_dataloader") or cfg.get("val_dataloader")
    if not loader:
        raise ConfigError(
            "The config does not say how an image is prepared for the detector",
            where="config key 'test_dataloader', in a 2.x config 'data.test' or 'data.val'",
            advice="give data.test a pipeline",
        )
    cfg.test_dataloader = loader
    if isinstance(cfg.model.get("backbone"), Mapping) and "init_cfg" in cfg.model.backbone:
        cfg.model.backbone.init_cfg = None
    classes = None
    if checkpoint is not None:
        file = local_weights(str(checkpoint), "checkpoint")
        meta = read_checkpoint(file).get("meta") or {}
        known = {str(key).lower(): value for key, value in (meta.get("dataset_meta") or meta).items()}
        classes = known.get("classes")
        if isinstance(classes, (list, tuple)):
            _fit_heads(cfg.model, "model", len(classes))
    if str(device).startswith("cuda") and not torch.cuda.is_available():
        _log.info(f"There is no GPU: the detector goes to the CPU, not to {device}")
        device = "cpu"
    path = None if checkpoint is None else str(file)
    # With a palette named, MMDetection does not open the dataset to ask for one.
    model = stock(cfg, path, palette="random" if palette == "none" else palette, device=device)
    model.CLASSES = model.dataset_meta.get("classes")
    model.show_result = partial(show_result, model)
    return model


def load_checkpoint(model: Any, filename: str | Path, *args: Any, **kwargs: Any) -> Any:
    """MMEngine's function, for checkpoints that are data alone; see `read_checkpoint`.

    Args:
        model: Gets the weights.
        filename: A file or an address.
        args: Other arguments of MMEngine's function, by place.
        kwargs: Other arguments of MMEngine's function, by name.

    Raises:
        DeepLakeMMDetError: The file cannot be had or read, or would run code.
    """
    from mmengine.runner import load_checkpoint as stock

    file = local_weights(str(filename), "checkpoint")
    read_checkpoint(file)
    return stock(model, str(file), *args, **kwargs)


def inference_detector(model: Any, imgs: Any, *args: Any, **kwargs: Any) -> Any:
    """What a detector finds on an image, or on each of a list.

    Args:
        model: From `init_detector`.
        imgs: A file or an array (height, width, 3) in BGR, or a list of them.
        args: Other arguments of MMDetection 3.x's function, by place.
        kwargs: Other arguments of MMDetection 3.x's function, by name.

    Returns:
        Per image what `OldBoxes` says, with masks `OldResult`; either answers MMDetection 3.x's attributes,
        such as ``pred_instances``, too.
    """
    from mmdet.apis.inference import inference_detector as stock

    if isinstance(imgs, (list, tuple)):  # files and arrays may be mixed, which MMDetection's loop forbids
        return [inference_detector(model, img, *args, **kwargs) for img in imgs]
    classes = model.dataset_meta.get("classes") or ()
    return to_old(stock(model, imgs, *args, **kwargs), len(classes))


def show_result_pyplot(
    model: Any,
    img: Any,
    result: Any,
    score_thr: float = 0.3,
    title: str = "result",
    wait_time: float = 0,
    palette: Any = None,
    out_file: str | Path | None = None,
    **kwargs: Any,
) -> Any:
    """Draw what was found, and show it, or write it to a file.

    Args:
        model: From `init_detector`.
        img: File or BGR array.
        result: From `inference_detector`.
        score_thr: From which score predictions are drawn.
        title: Of the window.
        wait_time: Seconds to show it; 0 until it is closed.
        palette: Not used.
        out_file: Where to write it; it is not shown then.
        kwargs: Not used.

    Returns:
        The drawing, BGR.
    """
    del palette, kwargs
    picture = drawn(model, img, result, score_thr)
    present(picture, None if out_file else title, wait_time, out_file)
    return picture


def show_result(
    model: Any,
    img: Any,
    result: Any,
    score_thr: float = 0.3,
    *args: Any,
    win_name: str = "",
    show: bool = False,
    wait_time: float = 0,
    out_file: str | Path | None = None,
    **kwargs: Any,
) -> Any:
    """2.x's ``model.show_result``: draw what was found.

    Args:
        model: The detector.
        img: A file or an array (height, width, 3) in BGR.
        result: From `inference_detector`.
        score_thr: From which score predictions are drawn.
        args: Not used (colours and widths).
        win_name: Title of the window.
        show: Whether to show it.
        wait_time: Seconds to show it; 0 until it is closed.
        out_file: Where to write it; it is not shown then.
        kwargs: Not used.

    Returns:
        The drawing, BGR.
    """
    del args, kwargs
    picture = drawn(model, img, result, score_thr)
    present(picture, (win_name or "result") if show and not out_file else None, wait_time, out_file)
    return picture


def _tested(
    model: Any,
    loader: Any,
    shown: bool = False,
    out_dir: str | Path | None = None,
    score_thr: float = 0.3,
) -> list[Any]:
    from mmdet.structures.mask import encode_mask_results
    from mmengine.fileio import get

    detector, dataset = unwrapped(model), loader.dataset
    if isinstance(dataset, OldDataset):
        give_preprocessor(detector, Config({"model": {"data_preprocessor": dataset.preprocessor}}))
    detector.to(next(detector.parameters()).device)
    classes = getattr(detector, "CLASSES", None) or dataset.metainfo.get("classes") or ()
    detector.dataset_meta = {**dataset.metainfo, "classes": tuple(classes)}
    detector.eval()
    results: list[Any] = []
    bar = ProgressBar(len(dataset))
    for batch in loader:
        with torch.no_grad():
            samples: Sequence[Any] = detector.test_step(batch)
        for sample in samples:
            if shown or out_dir is not None:
                path = None if out_dir is None else Path(out_dir) / Path(sample.img_path).name
                picture = drawn(detector, get(sample.img_path), to_old(sample, len(classes)), score_thr)
                present(picture, "result" if shown else None, 0, path)
            if isinstance(getattr(sample.get("pred_instances"), "masks", None), torch.Tensor):
                sample.pred_instances.masks = encode_mask_results(sample.pred_instances.masks)
            results.append(to_old(sample.cpu(), len(classes)))
            bar.update()
    print()  # the bar stands on a line of its own
    return results


def _fit_heads(node: Any, key: str, classes: int) -> None:
    """Let heads predict as many classes as a checkpoint knows."""
    if isinstance(node, (list, tuple)):
        for number, part in enumerate(node):
            _fit_heads(part, f"{key}[{number}]", classes)
    elif isinstance(node, Mapping):
        last = key.rpartition(".")[2].partition("[")[0]
        if last.endswith("head") and last != "rpn_head" and node.get("num_classes", classes) != classes:
            _log.warning(f"{key}.num_classes is {classes} as in the checkpoint, not {node['num_classes']}")
            node["num_classes"] = classes  # type: ignore[index]
        for name, part in node.items():
            _fit_heads(part, f"{key}.{name}", classes)
