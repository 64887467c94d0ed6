"""The run itself, in each of its processes: build, load, predict, hand on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import (
    all_gather_object,
    barrier,
    broadcast_object_list,
    get_world_size,
    is_main_process,
)
from mmengine.runner import Runner, autocast

from deeplake_mmdet.config import fast_loaders
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake import Shard
from deeplake_mmdet.loading import settings_restored
from deeplake_mmdet.loop.extras import Extras
from deeplake_mmdet.loop.predicting.counts import Counts
from deeplake_mmdet.loop.predicting.drawing import Drawing
from deeplake_mmdet.loop.predicting.image_files import UNREADABLE
from deeplake_mmdet.loop.predicting.predict_config import DATA
from deeplake_mmdet.loop.predicting.results import Results
from deeplake_mmdet.loop.predicting.run_source import UNDECODABLE, RunSource
from deeplake_mmdet.loop.predicting.samples import prediction_of
from deeplake_mmdet.loop.predictions import COUNTED_FROM, Prediction, Sink
from deeplake_mmdet.loop.run_facts import RunFacts
from deeplake_mmdet.loop.write_back import WriteBack
from deeplake_mmdet.terminal import Progress
from deeplake_mmdet.training.failures import failures_named
from deeplake_mmdet.training.processes.workers_lost import lost_workers_named
from deeplake_mmdet.training.runners import make_runner
from deeplake_mmdet.training.tta import check_merges

__all__ = ["Job", "run_predict"]


@dataclass(frozen=True)
class Job:
    """What is to be done beside what the config says.

    Attributes:
        folder: Folder for this run's own files, removed by whoever made it.
        score_thr: Objects of lower scores are left out.
        shown_thr: Those of lower scores are not drawn and not counted in `Counts.by_class`.
        out: File for the predictions.
        show_dir: Folder for pictures.
        keep: Whether to return the predictions.
        write_back: What is known of the run whose predictions go back into their lake; None for none.
        shard: Which part of the images is predicted on; None for all.
        device: ``cuda:1`` and the like; None for the config's.
        progress: Whether to show how far it is.
    """

    folder: Path
    score_thr: float = 0.0
    shown_thr: float = COUNTED_FROM
    out: Path | None = None
    show_dir: Path | None = None
    keep: bool = True
    write_back: RunFacts | None = None
    shard: Shard | None = None
    device: str | None = None
    progress: bool = True


def run_predict(cfg: Config, model: Any = None, *, job: Job) -> Counts:
    """Predict by a prepared config, in this process.

    Args:
        cfg: From `predict_config`, with the checkpoint in ``load_from``.
        model: A detector that is built; None for the config's.
        job: The rest.

    Returns:
        In the first process, what all have done.

    Raises:
        DeepLakeMMDetError: See `make_runner`; or an output cannot be written.
    """
    if job.device and job.device.startswith("cuda:"):
        torch.cuda.set_device(job.device)
    with settings_restored(), failures_named(cfg), lost_workers_named(lambda: None):
        runner = make_runner(cfg, model, only_test=True, keeps_config=False)
        check_merges(runner.model)
        loop = runner.test_loop
        runner.call_hook("before_run")
        runner.load_or_resume()
        runner.model.eval()
        folder = _shared(job.folder)
        source = RunSource(loop.dataloader)
        sinks, results = _sinks(job, source, folder)
        try:
            loader = _left_to_do(runner, cfg, source, sinks, job.shard)
            with closing(_extras(runner.model, source, job)) as extras:
                counts = _loop(runner.model, loader, source, sinks, job, extras, fp16=loop.fp16)
            barrier()
            for sink in sinks:
                sink.finish()
        except BaseException as error:
            for sink in sinks:
                with suppress(Exception):
                    sink.abandon(error)
            raise
        counts = _joined(counts, source)
    for sink in sinks:
        if isinstance(sink, WriteBack):
            counts.branch, counts.run_file = sink.branch, sink.file
    if results is not None:
        counts.predictions, counts.entries = results.predictions, results.entries
        counts.videos = results.videos
        if results.recounted is not None:
            for name in ("images", "objects", "by_class"):
                setattr(counts, name, getattr(results.recounted, name))
    return counts


def _sinks(job: Job, source: RunSource, folder: Path) -> tuple[list[Sink], Results | None]:
    sinks: list[Sink] = []
    if job.write_back is not None and source.view is not None:
        sinks.append(WriteBack(source.view, source.classes, job.write_back))
    if job.out is None and job.show_dir is None and not job.keep and len(source.dataset) > 1:
        return sinks, None
    drawing = Drawing(source.metainfo, job.shown_thr)
    results = Results(folder, source, out=job.out, show_dir=job.show_dir, drawing=drawing, keep=job.keep)
    return [results, *sinks], results  # what write-back cannot do takes no file away


def _extras(model: Any, source: RunSource, job: Job) -> Extras:
    facts = job.write_back
    return Extras(model, source.view, loss=bool(facts and facts.loss), embed=bool(facts and facts.embed))


def _left_to_do(
    runner: Runner, cfg: Config, source: RunSource, sinks: Sequence[Sink], shard: Shard | None
) -> Any:
    """The loader of the shard's images that some sink still needs, the same in all processes, or None."""
    told: list[Any] = [None]
    done = [sink.done() for sink in sinks]
    some_done = done and () not in done
    if is_main_process() and (some_done or shard is not None):
        indices = source.indices()
        places = range(len(indices)) if shard is None else shard.span(len(indices))
        told = [[at for at in places if not (some_done and all(indices[at] in part for part in done))]]
    broadcast_object_list(told)
    if told[0] is None:
        return runner.test_dataloader
    new = cfg.copy()
    new[DATA].dataset.indices = told[0]
    if not told[0]:
        return None
    loader = runner.build_dataloader(fast_loaders(new, ("test",))[DATA])
    source.follow(loader)
    return loader


@torch.inference_mode()
def _loop(
    model: Any,
    loader: Any,
    source: RunSource,
    sinks: Sequence[Sink],
    job: Job,
    extras: Extras,
    *,
    fp16: bool,
) -> Counts:
    ranks, main = get_world_size(), is_main_process()
    counts = Counts(classes=source.classes)
    total = 0 if loader is None else len(loader.dataset)
    begun = time.perf_counter()
    with Progress("Predicting", total, shown=job.progress and main) as progress:
        for batch in loader or ():
            unreadable = batch.pop(UNREADABLE, ())
            for one in unreadable:
                counts.left_out.add(UNDECODABLE, f"{source.images.listing.name(one.index)}: {one.why}")  # type: ignore[union-attr]
            found = []
            if batch:
                with autocast(enabled=fp16):
                    samples = model.test_step(batch)
                    told = extras.of_batch(batch, samples)
                found = list(_new(samples, told, source, job.score_thr))
            for sink in sinks:
                sink.add(found)
            counts.add(found, job.shown_thr)
            progress.advance((len(found) + len(unreadable)) * ranks)
    counts.seconds = time.perf_counter() - begun
    return counts


def _new(
    samples: Sequence[Any], extras: Sequence[dict[str, Any]], source: RunSource, score_thr: float
) -> Iterator[Prediction]:
    """Predictions of images not seen yet: one that cannot be decoded gives its neighbour's sample."""
    for sample, told in zip(samples, extras, strict=True):
        index = source.index_of(sample)
        if source.seen[index]:
            continue
        source.seen[index] = True
        yield prediction_of(
            sample,
            index,
            source.name_of(sample, index),
            classes=len(source.classes),
            score_thr=score_thr,
            extras=told,
        )


def _joined(counts: Counts, source: RunSource) -> Counts:
    """The counts of all processes; several may have met the same row of a lake."""
    rows = sorted(set().union(*all_gather_object(source.unreadable_rows())))
    parts = all_gather_object(counts)
    whole = Counts(classes=counts.classes, seconds=max(part.seconds for part in parts))
    for part in parts:
        whole.images += part.images
        whole.objects += part.objects
        for name, count in part.by_class.items():
            whole.by_class[name] = whole.by_class.get(name, 0) + count
        whole.left_out.join(part.left_out)
    if rows:
        whole.left_out.add(UNDECODABLE, *(f"row {row}" for row in rows))
    return whole


def _shared(folder: Path) -> Path:
    """The first process's folder, in all of them."""
    told = [str(folder)]
    broadcast_object_list(told)
    if not Path(told[0]).is_dir():
        raise ConfigError(
            "The processes of this run share no folder",
            where=told[0],
            advice="predict on one machine, with --processes N; or set TMPDIR to a folder that all see",
        )
    return Path(told[0])
