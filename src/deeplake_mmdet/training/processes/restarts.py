"""A training whose process was killed begins again where its last checkpoint stands."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from mmengine.config import Config

from deeplake_mmdet.errors import ProcessError
from deeplake_mmdet.training.resume.checkpoints import newest_checkpoint

__all__ = ["with_restarts"]

_log = logging.getLogger("deeplake_mmdet")


def with_restarts(start: Callable[[Config], Any], cfg: Config, restarts: int) -> Any:
    """Start a training, and start it again where one of its processes is killed.

    An error that a process tells itself is raised: it would come again.

    Args:
        start: Runs the training in new processes.
        cfg: From `prepare_config`; from the first restart on it resumes from the run's newest checkpoint.
        restarts: How often, at most.

    Returns:
        What ``start`` returns.

    Raises:
        ProcessError: A process was killed once more.
    """
    # One that an earlier run has left is none of this run's, unless the run resumes from it.
    before = newest_checkpoint(cfg.work_dir)
    for number in range(restarts + 1):
        try:
            return start(cfg)
        except ProcessError as error:
            if number == restarts:
                raise
            found = newest_checkpoint(cfg.work_dir)
            if found is not None and found != before:
                cfg.resume, cfg.load_from = True, None
            where = found.name if cfg.get("resume") and found is not None else "the beginning"
            _log.warning("%s. Restart %d of %d, from %s", error.what, number + 1, restarts, where)
    raise AssertionError  # not reached
