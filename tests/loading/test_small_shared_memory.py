"""In a container whose /dev/shm holds less than one batch, as Docker's 64 MB do for large images."""

from __future__ import annotations

import subprocess
import sys

import pytest

SIZE = "1m"
MOUNT = f"mount -t tmpfs -o size={SIZE} tmpfs /dev/shm"
SCRIPT = """
import sys
import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader, Dataset
from deeplake_mmdet import packed_collate
from deeplake_mmdet.training.processes.workers_lost import lost_workers_named

class Images(Dataset):
    def __len__(self):
        return 12

    def __getitem__(self, index):
        return {"inputs": torch.full((3, 700, 700), index, dtype=torch.uint8)}

if __name__ == "__main__":
    collate = {"ours": packed_collate, "stock": pseudo_collate}[sys.argv[1]]
    with lost_workers_named(lambda: None):
        seen = [
            int(image[0, 0, 0])
            for batch in DataLoader(Images(), 2, num_workers=2, collate_fn=collate, timeout=5)
            for image in batch["inputs"]
        ]
    print(seen)
"""


@pytest.fixture(scope="module", autouse=True)
def _own_mounts() -> None:
    tried = subprocess.run(["unshare", "-m", "sh", "-c", MOUNT], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip("this user may not mount a small /dev/shm of its own")


def load(collate: str) -> subprocess.CompletedProcess[str]:
    command = f'{MOUNT} && exec "$0" -c "$1" {collate}'
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", command, sys.executable, SCRIPT],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_batches_do_not_go_through_it() -> None:
    done = load("ours")
    assert done.returncode == 0, done.stderr[-2000:]
    assert str(list(range(12))) in done.stdout


@pytest.mark.slow
def test_a_stock_loader_ends_with_what_to_type() -> None:
    done = load("stock")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "no batch for 5 s" in last
    assert "--shm-size" in last
