"""`predict`: a checkpoint's detections on a lake, on files and on videos."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process

from deeplake_mmdet.config import check_data, check_order
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.evaluation import check_target
from deeplake_mmdet.lake import SOURCE_KEYS, CredentialRef, ResolvedSource, Shard, Source
from deeplake_mmdet.lake.source.pinning import resolve
from deeplake_mmdet.loop.predicting.inputs import find_inputs
from deeplake_mmdet.loop.predicting.listing import LeftOut
from deeplake_mmdet.loop.predicting.predict_config import DATA, predict_config
from deeplake_mmdet.loop.predicting.run_folder import config_beside
from deeplake_mmdet.loop.predicting.running import Job, run_predict
from deeplake_mmdet.loop.predictions import COUNTED_FROM, Prediction
from deeplake_mmdet.loop.run_facts import check_run_id, facts_of_run, lakes_trained_on
from deeplake_mmdet.loop.write_back import check_write_back
from deeplake_mmdet.terminal.run_log import run_log
from deeplake_mmdet.training.parts_check import check_parts
from deeplake_mmdet.training.predictions import check_show_dir
from deeplake_mmdet.training.processes.children import run_in_children
from deeplake_mmdet.training.processes.launch import count_processes, on_cpu
from deeplake_mmdet.training.resume.checkpoint_files import classes_in, read_checkpoint, usable_checkpoint

__all__ = ["Predicted", "predict"]

_log = logging.getLogger("deeplake_mmdet")


@dataclass(frozen=True)
class Predicted:
    """What a run of `predict` has done.

    Attributes:
        images: Number of images predicted on.
        objects: Number of objects found.
        by_class: Number of those with scores of ``shown_thr`` or more, by class.
        classes: Names of the classes, by label.
        left_out: What was not predicted on, by reason: files that are no images, images that cannot be read.
        seconds: Time of the loop, without building and loading.
        out: The file of predictions.
        show_dir: The folder of pictures.
        videos: Files of videos in it.
        predictions: One for each image, in the order of the inputs, if they are kept; else empty.
        entries: The objects of a single image as COCO results; of more images empty.
        shown_thr: ``score_thr``, 0.3 if that is not given.
        branch: The branch of the lake that the predictions were written to.
        run_file: The Parquet file that they were written to, where the lake may not be written.
    """

    images: int
    objects: int
    by_class: Mapping[str, int]
    classes: tuple[str, ...]
    left_out: LeftOut
    seconds: float
    out: Path | None = None
    show_dir: Path | None = None
    videos: Sequence[Path] = ()
    predictions: Sequence[Prediction] = field(default=(), repr=False)
    entries: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    shown_thr: float = COUNTED_FROM
    branch: str | None = None
    run_file: Path | None = None


@run_log()
def predict(
    config: str | Path | Config | None,
    checkpoint: str | Path,
    inputs: str | Path | Sequence[str | Path],
    *,
    branch: str | None = None,
    commit: str | None = None,
    tag: str | None = None,
    view: str | None = None,
    query: str | None = None,
    batch_size: int | None = None,
    score_thr: float | None = None,
    limit: int | None = None,
    shard: Any = None,
    tta: bool = False,
    out: str | Path | None = None,
    show_dir: str | Path | None = None,
    overwrite: bool = False,
    write_back: bool = False,
    run_id: str | None = None,
    loss: bool = False,
    embed: bool = False,
    device: str | None = None,
    processes: bool | int | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    allow_partial: bool = False,
    keep: bool | None = None,
    progress: bool = False,
) -> Predicted:
    """Predict on a lake, or on images and videos, with the model of a config and the weights of a checkpoint.

    Every image is predicted on once, by the config's test pipeline without annotations. Images that cannot be
    decoded, and files that are no images, are left out, counted and named. Truth is not needed; a lake that
    has some must have the checkpoint's classes, as for `test`.

    Args:
        config: Config file, or a loaded config, which is not changed; for MMDetection 2.x or 3.x. None for
            the one beside the checkpoint, see `config_beside`.
        checkpoint: File written by `train`. Only weights are read from it.
        inputs: A lake; or image files, folders, patterns, text files of paths and videos, see `find_inputs`.
        branch, commit, tag, view, query: Version and rows of the lake, as for `DeepLakeDataset`.
        batch_size: Images a step; the config's otherwise.
        score_thr: Leave out objects of lower scores. Without it everything that the model gives is kept, and
            0.3 counts for pictures and ``by_class``.
        limit: Predict on the first images only.
        shard: ``'i/n'`` or ``(i, n)``: predict on the i-th of n parts only; ``'auto'`` takes both from Slurm,
            Kubernetes or torchrun. With ``write_back`` each part is a branch, and `merge` makes one run of
            them; ``out`` holds the part's predictions.
        tta: See `test`.
        out: Write the predictions to this ``.json`` (COCO results) or ``.parquet`` file.
        show_dir: Draw every image with its predictions into this folder; videos as videos.
        overwrite: Replace the file ``out``, and draw into a ``show_dir`` that has files in it.
        write_back: Write the predictions into the lake, as its branch ``runs/<run id>``. An interrupted
            command, given again, goes on where it was. A lake that may not be written gives a Parquet file.
        run_id: Name of the run; of the config's name and a hash of model, config, rows and thresholds
            otherwise.
        loss: Also write each row's loss back.
        embed: Also write each row's embedding back: the mean of the backbone's last map.
        device: ``'cpu'``, ``'cuda'`` or ``'cuda:1'``; a GPU if there is one otherwise.
        processes: Start this many on this machine, True for one per GPU; gloo joins them on the CPU.
        cfg_options: Changes by dotted key.
        allow_partial: Use a checkpoint that holds only a part of the model's weights.
        keep: Return all predictions; None to do so where they go nowhere else.
        progress: Show on standard error how far it is.

    Returns:
        What was done, and the predictions.

    Raises:
        ImportRefusedError: ``out`` is there already, or ``show_dir`` is not empty.
        SourceNotFoundError: There is nothing at a path, or nothing that a pattern matches.
        ImageError: There is no image.
        ConfigError: An argument cannot be used; or the checkpoint is another model's, or has other classes
            than the lake.
        DeepLakeMMDetError: Config, checkpoint or data cannot be used.
    """
    part = None if shard is None else Shard.read(shard)
    _check_numbers(batch_size=batch_size, limit=limit, score_thr=score_thr)
    if config is not None:
        check_order(config, checkpoint)
    target = None if out is None else check_target(out, overwrite=overwrite).absolute()
    pictures = None if show_dir is None else check_show_dir(show_dir, overwrite=overwrite)
    listed = [inputs] if isinstance(inputs, (str, Path)) else list(inputs)
    found = find_inputs(listed, limit=limit)
    chosen = {"branch": branch, "commit": commit, "tag": tag, "view": view, "query": query}
    if not found.lake and (named := [key for key, value in chosen.items() if value is not None]):
        raise ConfigError(
            f"{', '.join(named)} choose rows of a lake, and the input is none",
            where=f"INPUT {listed[0]}",
            advice="leave them out, or name a lake",
        )
    _check_write_back(found.lake, write_back, run_id=run_id, loss=loss, embed=embed)
    file = usable_checkpoint(checkpoint)
    _check_device(device)
    if config is None:
        config = config_beside(file)
        _log.info(f"The config is {config}")
    weights = read_checkpoint(file)
    known, trained_on = classes_in(weights), lakes_trained_on(weights)
    del weights
    folder = Path(tempfile.mkdtemp(prefix="deeplake-mmdet-predict-"))
    try:
        found.listing.save(folder)
        cfg = predict_config(
            config,
            work_dir=folder,
            cfg_options=cfg_options,
            launcher="pytorch" if processes else None,
            lake=found.lake,
            chosen=chosen,
            listing=folder,
            known=known,
            batch_size=batch_size,
            limit=limit,
            tta=tta,
        )
        cfg.load_from = str(file)
        cfg.allow_partial = bool(allow_partial or cfg.get("allow_partial", False))
        if device is not None:
            cfg.device = device.partition(":")[0]
        if found.lake:
            check_data(cfg, ("test",))
        check_parts(cfg, training=False)
        facts = None
        if write_back:
            source, credentials = _source_of(cfg)
            name = (
                Path(config).stem if isinstance(config, (str, Path)) else Path(config.filename or "run").stem
            )
            facts = facts_of_run(
                cfg,
                file,
                source,
                name=name,
                run_id=run_id,
                score_thr=score_thr,
                tta=tta,
                limit=limit,
                trained_on=trained_on,
                loss=loss,
                embed=embed,
                shard=part,
            )
            check_write_back(source, credentials, facts)
        job = Job(
            folder,
            score_thr=score_thr or 0.0,
            shown_thr=COUNTED_FROM if score_thr is None else score_thr,
            out=target,
            show_dir=pictures,
            keep=(target is None and pictures is None and not write_back) if keep is None else keep,
            write_back=facts,
            shard=part,
            device=device,
            progress=progress,
        )
        if processes:
            counts = run_in_children(run_predict, cfg, processes=count_processes(processes), job=job)
        else:
            counts = run_predict(cfg, job=job)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    left_out = found.left_out
    left_out.join(counts.left_out)
    if left_out.counts and is_main_process():
        _log.warning(f"Left out: {left_out}")
    return Predicted(
        counts.images,
        counts.objects,
        dict(sorted(counts.by_class.items(), key=lambda pair: -pair[1])),
        counts.classes,
        left_out,
        counts.seconds,
        target,
        pictures,
        tuple(counts.videos),
        tuple(counts.predictions),
        tuple(counts.entries),
        job.shown_thr,
        counts.branch,
        counts.run_file,
    )


def _source_of(cfg: Config) -> tuple[ResolvedSource, CredentialRef]:
    node = cfg[DATA].dataset
    credentials = CredentialRef(node.get("credentials"))
    named = {key: node[key] for key in SOURCE_KEYS if key != "credentials" and node.get(key) is not None}
    return resolve(Source(**named), credentials), credentials


def _check_write_back(lake: str, write_back: bool, **others: Any) -> None:
    if write_back and not lake:
        raise ConfigError(
            "Only predictions for a lake can be written back into it",
            where="argument write_back",
            advice="name a lake as the input; of files, --out FILE.json writes the predictions",
        )
    if not write_back and (named := [name for name, value in others.items() if value]):
        raise ConfigError(
            f"{', '.join(named)} say what is written back, and nothing is",
            where=f"argument {named[0]}",
            advice="add --write-back (write_back=True)",
        )
    if others["run_id"] is not None:
        check_run_id(others["run_id"])


def _check_numbers(**values: float | None) -> None:
    for name, value in values.items():
        fits = value is None or (0 <= value <= 1 if name == "score_thr" else value >= 1)
        if not fits:
            raise ConfigError(
                f"{name} is {value}",
                where=f"argument {name}",
                advice="give a number from 0 to 1" if name == "score_thr" else "give a number from 1 on",
            )


def _check_device(device: str | None) -> None:
    if device is None or device == "cpu":
        return
    import torch

    kind, _, number = device.partition(":")
    count = 0 if on_cpu() else torch.cuda.device_count()
    if kind != "cuda" or (number and not number.isdecimal()) or int(number or 0) >= count:
        raise ConfigError(
            f"There is no device {device!r}",
            where="argument device",
            advice=f"use cpu{''.join(f', cuda:{place}' for place in range(count))}",
        )
