"""Images per second of `predict` on a lake, against the bare model on tensors that were made beforehand.

    python benchmarks/predict.py [--images 2000] [--rounds 5] [--size 320] [--workers 1] [--quick]

One process, CPU, YOLOX-nano with random weights; the two take turns. `predict` loads, decodes and resizes in
its loader's workers, and keeps what it finds for a file of COCO results; the bare loop does nothing but call
the model. Building the model is not counted, the start of workers is. Prints the medians, and the median of
the ratios of one turn with its 95 % interval by bootstrap, and appends to results.jsonl.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import deeplake_mmdet
from deeplake_mmdet.demo.config import demo_config
from deeplake_mmdet.demo.drawing import CLASS_NAMES
from deeplake_mmdet.demo.lakes import write_demo_lake
from measuring import append_record

_DRAWS = 2000


def prepare(folder: Path, options: argparse.Namespace) -> tuple[Any, Path, str]:
    """A config, a checkpoint and a lake."""
    import torch
    from mmdet.registry import MODELS
    from mmdet.utils import register_all_modules

    register_all_modules()
    lake = str(folder / "lake")
    write_demo_lake(lake, count=options.images, seed=0)
    size, workers = (options.size, options.size), options.workers
    cfg = demo_config(
        lake, lake, CLASS_NAMES, str(folder), batch_size=options.batch_size, scale=size, num_workers=workers
    )
    for split in ("val", "test"):  # all of one size, as the bare loop's
        cfg[f"{split}_dataloader"].dataset.pipeline[1].keep_ratio = False
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    meta = {"dataset_meta": {"classes": tuple(CLASS_NAMES)}}
    torch.save({"state_dict": model.state_dict(), "meta": meta}, folder / "weights.pth")
    return cfg, folder / "weights.pth", lake


def bare_loop(cfg: Any, checkpoint: Path) -> Any:
    """Gives the images per second of the model on its batches."""
    import torch
    from mmdet.registry import MODELS
    from mmengine.runner import Runner

    from deeplake_mmdet import fast_loader

    model = MODELS.build(cfg.model)
    model.load_state_dict(torch.load(checkpoint, weights_only=True)["state_dict"])
    model.eval()
    batches = list(Runner.build_dataloader(fast_loader(cfg.test_dataloader), seed=0))

    def run() -> float:
        images, start = 0, time.perf_counter()
        with torch.inference_mode():
            for batch in batches:
                model.test_step(batch)
                images += len(batch["inputs"])
        return images / (time.perf_counter() - start)

    return run


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="whether it runs, not what it measures")
    options = parser.parse_args()
    if options.quick:
        options.images, options.rounds, options.size = 24, 2, 96
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cfg, checkpoint, lake = prepare(folder, options)
        bare = bare_loop(cfg, checkpoint)

        def ours() -> float:
            out = folder / "found.json"
            found = deeplake_mmdet.predict(cfg, checkpoint, lake, out=out, overwrite=True, device="cpu")
            if found.images != options.images:
                raise AssertionError(f"{found.images} of {options.images} images")
            return found.images / found.seconds

        bare(), ours()
        turns = np.array([(bare(), ours()) for _ in range(options.rounds)])
    ratios = turns[:, 1] / turns[:, 0]
    draws = np.random.default_rng(0).choice(ratios, (_DRAWS, len(ratios)))
    low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
    ratio = float(np.median(ratios))
    print(
        f"bare model: {np.median(turns[:, 0]):.1f} images/s, predict: {np.median(turns[:, 1]):.1f} images/s"
    )
    print(f"predict reaches {ratio:.3f} of the bare model ({low:.3f} to {high:.3f}); promised: 0.95")
    if not options.quick:
        append_record("predict", options, turns=turns.tolist(), ratio=ratio, interval=[low, high])


if __name__ == "__main__":
    main()
