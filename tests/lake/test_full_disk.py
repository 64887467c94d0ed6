"""A lake is written to a disk that is too small. Deep Lake tells nobody: its files are short then."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os, sys
import cv2, deeplake, numpy as np
from deeplake_mmdet.errors import StorageError
from deeplake_mmdet.lake import ImageRecord, LakeWriter

folder, rows = sys.argv[1], 40
lake = os.path.join(folder, "lake")
draw = np.random.default_rng(0)

def write(count, size, overwrite=False):
    kinds = dict(class_names=["a"], box_format="ltwh", image_format="jpeg")
    with LakeWriter(lake, overwrite=overwrite, **kinds) as w:
        for row in range(count):
            image = cv2.imencode(".jpg", draw.integers(0, 255, (size, size, 3), np.uint8))[1].tobytes()
            w.append(ImageRecord(
                image=image, width=size, height=size, file_name=f"{row}.jpg",
                boxes=np.array([[1.0, 1, 5, 5]]), labels=np.zeros(1, np.int64),
            ))

write(3, 16)
try:
    write(rows, 128, overwrite=True)
    print("written")
except StorageError as error:
    print("refused", error)
opened = deeplake.open_read_only(lake)
read = [len(opened["images"].get_bytes(row)) for row in range(len(opened))]
print(len(read), sorted(os.listdir(folder)))
"""


def written_with(room: str, folder: Path) -> list[str]:
    command = f'mount -t tmpfs -o size={room} tmpfs "$2" && exec "$0" -c "$1" "$2"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", command, sys.executable, SCRIPT, str(folder)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if "mount:" in done.stderr or "unshare:" in done.stderr:
        pytest.skip("this user may not mount a small disk")
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


@pytest.mark.parametrize("room", ["160k", "400k", "700k"])
def test_a_lake_that_does_not_fit_is_refused_and_the_old_one_stays(tmp_path: Path, room: str) -> None:
    told, left = written_with(room, tmp_path)
    assert told.startswith("refused")
    assert "Not all of the 40 rows have arrived" in told
    assert "MiB are free" in told
    assert left == "3 ['lake']"


def test_one_that_fits_is_written(tmp_path: Path) -> None:
    assert written_with("8m", tmp_path) == ["written", "40 ['lake']"]
