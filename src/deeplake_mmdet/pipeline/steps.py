"""Running the steps of MMDetection's pipelines: which draw no random numbers, and doing without copies."""

from __future__ import annotations

import contextlib
import functools
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import cv2
import mmcv.transforms
import mmdet.datasets.transforms
import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.pipeline.decoding import Allocator, load_quickly
from deeplake_mmdet.pipeline.determinism import is_deterministic
from deeplake_mmdet.pipeline.stand_ins import flip_quickly, keep_size, resize_the_rest

__all__ = [
    "annotation_loaders",
    "count_deterministic",
    "draws_nothing",
    "failed_step",
    "planes_from",
    "planes_in",
    "run_steps",
    "watched",
]

Step = Callable[[dict[str, Any]], dict[str, Any] | None]
Note = Callable[[str | None, float, float], None]

_STOCK = ("mmcv.", "mmdet.", "mmengine.")
_LOADERS = (mmcv.transforms.LoadImageFromFile, mmdet.datasets.transforms.LoadAnnotations)
_watch = threading.local()
_memory = threading.local()


def count_deterministic(steps: Sequence[Step]) -> int:
    """How many steps at the beginning of a pipeline are deterministic.

    Args:
        steps: The pipeline's transforms, in order.
    """
    return _plan_for(tuple(map(type, steps))).deterministic


def draws_nothing(pipeline: Any) -> bool:
    """Whether all steps of a pipeline are deterministic.

    Args:
        pipeline: A ``Compose``; anything without ``transforms`` counts as not deterministic.
    """
    steps = getattr(pipeline, "transforms", None)
    return steps is not None and count_deterministic(steps) == len(steps)


@contextlib.contextmanager
def watched(note: Note) -> Iterator[None]:
    """Tell how long each step takes that this thread runs meanwhile.

    Args:
        note: Gets ``'decode'`` for a step that loads an image, ``'prepared'`` if that was at hand in pixels,
            None for any other; its seconds, and its seconds of this thread's CPU time.
    """
    _watch.note = note
    try:
        yield
    finally:
        _watch.note = None


@contextlib.contextmanager
def planes_in(allocate: Allocator) -> Iterator[None]:
    """Have the images that this thread's pipelines end with allocated by the caller.

    Those are laid out in planes for stock ``PackDetInputs``, or decoded for steps none of which is stock's,
    which may hand them on as they are.

    Args:
        allocate: Gives a uint8 array of a shape of three dimensions.
    """
    _memory.allocate = allocate
    try:
        yield
    finally:
        _memory.allocate = None


class _Kind(NamedTuple):
    """What is known of a step by its class."""

    loads: bool
    deterministic: bool
    packs: bool
    twin: Callable[[Any, dict[str, Any], bool], dict[str, Any] | None] | None


class _Plan(NamedTuple):
    kinds: tuple[_Kind, ...]
    deterministic: int  # how many steps at the beginning are
    hands_on: bool  # a decoded image may leave the pipeline as it is


class Prepared(Protocol):
    """The image of one sample as a pipeline's first steps leave it, which may be at hand."""

    @property
    def load(self) -> int:
        """Place of the step that loads the image."""

    @property
    def resize(self) -> int | None:
        """Place of the step that resizes it, if what is at hand is resized."""

    @property
    def planar(self) -> bool:
        """Whether it is laid out in planes."""

    def get(self, allocate: Allocator | None) -> NDArray[np.uint8] | None:
        """The image as these steps make it, in memory that the caller owns.

        Args:
            allocate: Gives the memory: a uint8 array of the shape asked for. None for new memory.

        Returns:
            Shape (height, width, 3), uint8, BGR; None if the image is not at hand.
        """

    @property
    def last(self) -> int:
        """Place of the last of these steps."""

    def put(self, image: Any) -> None:
        """Take the image that these steps made, to be kept.

        Args:
            image: Shape (height, width, 3), uint8, BGR; anything else is not kept.
        """


def run_steps(
    steps: Sequence[Step],
    results: dict[str, Any] | None,
    at_hand: Callable[[str], bytes | None] = lambda path: None,
    prepared: Prepared | None = None,
) -> dict[str, Any] | None:
    """Run pipeline steps in order; None as soon as one gives None, as ``Compose`` does.

    Before stock ``PackDetInputs`` the image is laid out in planes, so that what it does to get from (height,
    width, channels) to (channels, height, width) finds nothing left to copy. An image that was loaded here
    and that stock ``Resize`` finds of the right size is not copied either. The result is the same.

    Args:
        steps: Transforms.
        results: A data-info, or what earlier steps made of one; changed in place.
        at_hand: Gives the encoded image at a path, or None if it has to be fetched or an EXIF tag turns it.
        prepared: The image as some of these steps leave it; None if nothing is prepared.
    """
    note: Note | None = getattr(_watch, "note", None)
    plan = _plan_for(tuple(map(type, steps)))
    ours = False  # whether nobody else can have kept the image
    image = None  # the prepared one
    for place, (step, kind) in enumerate(zip(steps, plan.kinds, strict=True)):
        if results is None:
            return None
        if note is not None:
            start, cpu = time.perf_counter(), time.thread_time()
        if kind.packs and "img" in results:
            results["img"] = planes_from(results["img"])
        memory = getattr(_memory, "allocate", None) if plan.hands_on else None
        quick: dict[str, Any] | None = None
        if prepared is not None and place == prepared.load:
            image = prepared.get(getattr(_memory, "allocate", None) if prepared.planar else memory)
        if prepared is not None and image is not None and place in (prepared.load, prepared.resize):
            if place == prepared.load:
                results["img"] = image
                results["img_shape"] = results["ori_shape"] = results["height"], results["width"]
                quick = results
            else:
                quick = resize_the_rest(step, results)
        elif kind.loads and type(step) is mmcv.transforms.LoadImageFromFile:
            quick = load_quickly(step, results, at_hand(results["img_path"]), memory)
        else:
            quick = None if kind.twin is None else kind.twin(step, results, ours)
        results = step(results) if quick is None else quick
        ours = (ours or kind.loads) and kind.deterministic
        if note is not None:
            stage = None if not kind.loads else "decode" if image is None else "prepared"
            note(stage, time.perf_counter() - start, time.thread_time() - cpu)
        if prepared is not None and image is None and results is not None and place == prepared.last:
            if prepared.planar:
                results["img"] = planes_from(results["img"])
            prepared.put(results["img"])
    return results


def failed_step(error: BaseException) -> ConfigError | None:
    """An error that names the step of `run_steps` that failed, and the image.

    Args:
        error: What was raised.

    Returns:
        None if it was not raised inside `run_steps`.
    """
    found = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code is run_steps.__code__ and "step" in frame.f_locals:
            found = frame.f_locals
    if found is None:
        return None
    kinds = [type(step).__name__ for step in found["steps"]]
    text = str(error).strip().partition("\n")[0]
    advice = "correct this step in the config"
    if isinstance(error, KeyError) and error.args:
        text = f"it finds no {error.args[0]!r}"
        advice = "put the steps in order: LoadImageFromFile and LoadAnnotations first, PackDetInputs last"
    return ConfigError(
        f"The pipeline's step {type(found['step']).__name__} fails: {type(error).__name__}: {text}",
        where=f"steps {', '.join(kinds)}; image {(found['results'] or {}).get('img_path', 'not known')}",
        advice=f"{advice}; DEEPLAKE_MMDET_TRACEBACK=1 shows where it failed",
    )


@functools.lru_cache(maxsize=256)
def _plan_for(kinds: tuple[type, ...]) -> _Plan:
    # Stock's transforms make new images of a decoded one, and so does Mosaic of what a pipeline only loads.
    others = [kind for kind in kinds if kind not in _LOADERS]
    hands_on = bool(others) and not any(kind.__module__.startswith(_STOCK) for kind in others)
    found = tuple(map(_kind_of, kinds))
    first = next((i for i, kind in enumerate(found) if not kind.deterministic), len(found))
    return _Plan(found, first, hands_on)


def _kind_of(kind: type) -> _Kind:
    twins = {
        mmdet.datasets.transforms.Resize: lambda step, results, ours: (
            keep_size(step, results) if ours else None
        ),
        mmdet.datasets.transforms.RandomFlip: lambda step, results, ours: flip_quickly(step, results),
    }
    return _Kind(
        loads=issubclass(kind, mmcv.transforms.LoadImageFromFile),
        deterministic=is_deterministic(kind),
        packs=kind is mmdet.datasets.transforms.PackDetInputs,
        twin=twins.get(kind),
    )


def planes_from(image: NDArray[Any]) -> NDArray[Any]:
    """An equal image whose memory is ordered by channels, if that is cheap to have; else the image itself.

    Args:
        image: Any array; shape (height, width, 3) of uint8 is rearranged. A mirrored view, as MMCV's flips
            give, needs no copy before.
    """
    if image.ndim != 3 or image.dtype != np.uint8 or image.shape[2] != 3 or not image.size:
        return image
    mirrored = [stride < 0 for stride in image.strides[:2]]
    plain = image[:: -1 if mirrored[0] else 1, :: -1 if mirrored[1] else 1]
    in_planes = plain.transpose(2, 0, 1).flags.c_contiguous
    if in_planes and not any(mirrored):
        return image
    shape = (3, image.shape[0], image.shape[1])
    allocate: Allocator | None = getattr(_memory, "allocate", None)
    planes = np.empty(shape, np.uint8) if allocate is None else allocate(shape)
    turn = -1 if all(mirrored) else int(mirrored[1])  # OpenCV's word for it
    if in_planes:
        for source, target in zip(plain.transpose(2, 0, 1), planes, strict=True):
            cv2.flip(source, turn, target)
    else:
        # OpenCV copies views with negative strides slowly, but mirrors fast.
        cv2.split(cv2.flip(plain, turn) if any(mirrored) else plain, list(planes))
    view: NDArray[Any] = planes.transpose(1, 2, 0)
    return view


def annotation_loaders(step: Any) -> Iterator[Any]:
    """The annotation loaders of a pipeline, also inside transforms that hold others.

    Args:
        step: A step, a ``Compose``, or a list of steps.

    Yields:
        Each ``LoadAnnotations`` of MMDetection, or of a subclass of it.
    """
    if isinstance(step, list | tuple):
        for inner in step:
            yield from annotation_loaders(inner)
    elif isinstance(step, mmdet.datasets.transforms.LoadAnnotations):
        yield step
    else:
        for name in ("transforms", "subroutines"):  # Compose, RandomApply, RandomChoice; TestTimeAug
            yield from annotation_loaders(getattr(step, name, ()))
