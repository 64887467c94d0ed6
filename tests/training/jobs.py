"""What processes that tests launch have to do; functions of a module, as spawned processes need them."""

from __future__ import annotations

import os
import signal
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.training.processes.launch import join


def add_up(value: Any) -> tuple[Any, float, int]:
    join("pytorch")
    total = torch.ones(1) * dist.get_rank()
    dist.all_reduce(total)
    return value, total.item(), dist.get_world_size()


def wait_for_others() -> None:
    dist.all_reduce(torch.ones(1))


def refuse_in_second() -> None:
    join("pytorch")
    if dist.get_rank() == 1:
        raise ConfigError("the second is refused", where="here", advice="nothing")
    wait_for_others()


def die_in_second() -> None:
    join("pytorch")
    if dist.get_rank() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


class Odd(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__("cannot be unpickled")


def raise_odd() -> None:
    raise Odd(1, 2)


def run_long(folder: str) -> None:
    join("pytorch")
    Path(folder, f"{dist.get_rank()}.pid").write_text(str(os.getpid()))
    time.sleep(120)


def reveal(ref: Any) -> Any:
    return ref.resolve()


def score_batches(cfg: Any, checkpoint: str, batches: tuple[int, ...], folder: str) -> dict[int, Any]:
    """Test with several batch sizes, in the same processes."""
    import deeplake_mmdet

    # oneDNN adds a convolution up in another order for other batch sizes: the scores' 8th digit shows it.
    torch.backends.mkldnn.set_flags(_enabled=False)
    found = {}
    for batch in batches:
        options = {"test_dataloader.batch_size": batch}
        out = Path(folder) / f"{os.environ.get('WORLD_SIZE', 1)}-{batch}"
        out = out.with_suffix(".parquet" if batch == 5 and find_spec("pyarrow") else ".json")
        run = deeplake_mmdet.test(cfg, checkpoint, work_dir=folder, cfg_options=options, out=out)
        found[batch] = {key: value for key, value in run.metrics.items() if "time" not in key}
    return found
