"""The demo from beginning to end."""

from __future__ import annotations

import contextlib
import io
import time
import warnings
from dataclasses import dataclass
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
        curve: Picture of the training curve.
        predictions: Picture of predictions beside ground truth.
        seconds: Time for everything.
    """

    run: Run
    config: Path
    checkpoint: Path
    curve: Path
    predictions: Path
    seconds: float


def demo(
    work_dir: str | Path = "runs/demo",
    *,
    train_images: int = 400,
    val_images: int = 100,
    epochs: int = 10,
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
    from deeplake_mmdet.demo.config import STOCK_CONFIG, demo_config
    from deeplake_mmdet.demo.drawing import CLASS_NAMES
    from deeplake_mmdet.demo.lakes import write_demo_lake
    from deeplake_mmdet.demo.pictures import predicted_items
    from deeplake_mmdet.report import prediction_mosaic, training_curve
    from deeplake_mmdet.terminal import console
    from deeplake_mmdet.training import test, train

    started = time.monotonic()
    screen = console()
    folder = Path(work_dir).absolute()
    lakes = {"train": folder / "lakes" / "train", "val": folder / "lakes" / "val"}
    for number, (name, count) in enumerate((("train", train_images), ("val", val_images))):
        boxes = write_demo_lake(lakes[name], count, seed=2 * seed + number)
        screen.print(f"Lake {lakes[name]}: {count} images, {boxes} boxes, {len(CLASS_NAMES)} classes")

    cfg = demo_config(
        str(lakes["train"]), str(lakes["val"]), CLASS_NAMES, str(folder), epochs=epochs, seed=seed
    )
    config = folder / "demo_config.py"
    cfg.dump(str(config))
    screen.print(f"Training MMDetection's {STOCK_CONFIG} from random weights")
    with warnings.catch_warnings():
        # Of stock code about itself; they would tear the progress bar.
        warnings.simplefilter("ignore")
        with contextlib.redirect_stdout(io.StringIO()):
            import mmdet.datasets  # noqa: F401 - prints which optional packages it does without
        quiet = {"log_level": "WARNING", "custom_hooks": [{"type": "deeplake_mmdet.ProgressHook"}]}
        trained = train(config, cfg_options=quiet)
        checkpoint = trained.best_checkpoint or trained.last_checkpoint
        assert checkpoint is not None  # the config saves one
        run = test(config, checkpoint, cfg_options={"log_level": "WARNING"})
        items = list(predicted_items(cfg, checkpoint, count=8))
    curve = training_curve(folder, folder / "training_curve.png")
    predictions = prediction_mosaic(items, CLASS_NAMES, folder / "predictions.png")
    return Demo(run, config, checkpoint, Path(curve), Path(predictions), time.monotonic() - started)
