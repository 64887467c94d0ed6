"""The demo from beginning to end."""

from __future__ import annotations

import contextlib
import io
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deeplake_mmdet.training import Run

__all__ = ["Demo", "demo"]


@dataclass(frozen=True)
class Demo:
    """What the demo made.

    Attributes:
        run: The evaluation of the best checkpoint.
        config: The config file, for further commands.
        checkpoint: The best checkpoint.
        samples: Picture of training images with their boxes.
        curve: Picture of the training curve.
        predictions: Picture of predictions beside ground truth.
        seconds: Time for everything.
    """

    run: Run
    config: Path
    checkpoint: Path
    samples: Path
    curve: Path
    predictions: Path
    seconds: float


def demo(
    work_dir: str | Path = "runs/demo",
    *,
    train_images: int = 400,
    val_images: int = 100,
    epochs: int = 8,
    seed: int = 0,
) -> Demo:
    """Draw two small lakes, train a stock YOLOX-nano on one, evaluate on the other, and draw the results.

    Args:
        work_dir: Folder for lakes, config, checkpoints and pictures.
        train_images: Images to train on.
        val_images: Held-out images.
        epochs: Passes over the training images.
        seed: Of drawing and training.

    Returns:
        Where everything is. Progress is printed on the way.
    """
    started = time.monotonic()
    with _quietly():
        made = _demo(Path(work_dir).absolute(), train_images, val_images, epochs, seed)
    return replace(made, seconds=time.monotonic() - started)


def _demo(folder: Path, train_images: int, val_images: int, epochs: int, seed: int) -> Demo:
    with contextlib.redirect_stdout(io.StringIO()):  # MMDetection prints what it does without
        from deeplake_mmdet.dataset import DeepLakeDataset
        from deeplake_mmdet.demo.config import STOCK_CONFIG, demo_config
        from deeplake_mmdet.demo.drawing import CLASS_NAMES
        from deeplake_mmdet.demo.lakes import write_demo_lake
        from deeplake_mmdet.demo.pictures import truth_items
        from deeplake_mmdet.report import prediction_mosaic
        from deeplake_mmdet.terminal import console
        from deeplake_mmdet.training import test, train

    screen = console()
    lakes = {"train": folder / "lakes" / "train", "val": folder / "lakes" / "val"}
    for number, (name, count) in enumerate((("train", train_images), ("val", val_images))):
        boxes = write_demo_lake(lakes[name], count, seed=2 * seed + number)
        screen.print(f"Lake {lakes[name]}: {count} images, {boxes} boxes, {len(CLASS_NAMES)} classes")
    examples = truth_items(DeepLakeDataset(path=str(lakes["train"]), pipeline=[]), count=12)
    samples = prediction_mosaic(
        examples, CLASS_NAMES, folder / "samples.png", columns=4, tile=(270, 210), truth_only=True
    )
    screen.print(f"To look at meanwhile: {samples}")

    cfg = demo_config(
        str(lakes["train"]), str(lakes["val"]), CLASS_NAMES, str(folder), epochs=epochs, seed=seed
    )
    config = folder / "demo_config.py"
    cfg.dump(str(config))
    screen.print(f"Training MMDetection's {STOCK_CONFIG} from random weights")
    quiet = {
        "log_level": "WARNING",
        "custom_hooks": [{"type": "deeplake_mmdet.ProgressHook"}],
        "pictures": True,
    }
    trained = train(config, cfg_options=quiet)
    checkpoint = trained.best_checkpoint or trained.last_checkpoint
    assert checkpoint is not None  # the config saves one
    run = test(config, checkpoint, cfg_options={"log_level": "WARNING", "pictures": False})
    curve, predictions = (folder / name for name in ("training_curve.png", "predictions.png"))
    return Demo(run, config, checkpoint, samples, curve, predictions, 0.0)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without what stock code warns of about itself, and what is logged before the training's own logger."""
    from mmengine.logging import MMLogger

    logger = MMLogger.get_instance("mmengine")
    level = logger.level
    logger.setLevel("WARNING")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they would tear the progress bar
            yield
    finally:
        logger.setLevel(level)
