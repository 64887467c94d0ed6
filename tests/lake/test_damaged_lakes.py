"""Every file of a small lake cut, flipped, emptied or gone: one clear error, or the lake as it was."""

import json
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from deeplake_mmdet.errors import DeepLakeMMDetError, SourceFormatError
from deeplake_mmdet.lake import Source, inspect, open_view

from .helpers import unpack_v3


@pytest.fixture(scope="module")
def whole(make_lake, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "lake"
    boxes = [np.arange(8.0).reshape(2, 4) + row + 1 for row in range(3)]
    make_lake(folder, boxes=boxes, labels=[np.array([0, 1], np.uint32)] * 3)
    return folder


def read(folder):
    """Open, read everything and inspect, as a first training would."""
    with open_view(Source(str(folder))) as view:
        images = view.images(range(len(view.table)))
        found = len(images), view.table.boxes.tolist()
    inspect(str(folder)).class_counts()
    return found


def files_of(folder, *, log):
    return [
        file for file in sorted(folder.rglob("*")) if file.is_file() and ("_deeplake_log" in str(file)) == log
    ]


def cuts(data):
    """What a broken copy or a full disk leaves of a file."""
    yield "empty", b""
    yield "half", data[: len(data) // 2]
    yield "one byte less", data[:-1]
    yield "zeros", bytes(len(data))
    yield "gone", None


def flips(data):
    generator = random.Random(len(data))
    for count in (1, 3, 9):
        changed = bytearray(data)
        for _ in range(count):
            changed[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        yield f"{count} flips", bytes(changed)
    yield "noise", b"{" + generator.randbytes(len(data))
    yield "no JSON", b"{}"


def outcomes(whole, folder, file, changes):
    copy = folder / "copy"
    for name, data in changes:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(whole, copy)
        place = copy / file.relative_to(whole)
        if data is None:
            place.unlink()
        else:
            place.write_bytes(data)
        try:
            yield name, read(copy)
        except DeepLakeMMDetError as error:
            yield name, str(error)


def test_cut_files_of_data_are_named_before_deep_lake_crashes_over_them(whole, tmp_path):
    read(whole)
    for file in files_of(whole, log=False):
        for name, outcome in outcomes(whole, tmp_path, file, cuts(file.read_bytes())):
            assert "is damaged" in outcome, (file, name)
            assert str(file.relative_to(whole)) in outcome, (file, name)


def test_damaged_objects_of_the_log_are_one_clear_error(whole, tmp_path):
    expected = read(whole)
    seen = set()
    for file in files_of(whole, log=True):
        data = file.read_bytes()
        if not data:
            continue
        changes = [*cuts(data)]
        # The head of a packed object is the length for which Deep Lake asks memory.
        changes += list(flips(data)) if file.suffix != ".lz4" else [("end", data[:-9] + b"\xff" * 9)]
        for name, outcome in outcomes(whole, tmp_path, file, changes):
            refused = isinstance(outcome, str)
            seen.add(refused)
            assert refused or outcome == expected or outcome[0] == 0, (file, name, outcome)
    assert True in seen


def test_damaged_files_of_v3_lakes_are_one_clear_error(tmp_path):
    whole = Path(unpack_v3(tmp_path))
    expected, refused = read(whole)[0], 0
    for name in ("dataset_meta.json", "version_control_info.json"):
        data = (whole / name).read_bytes()
        changes = [("half", data[: len(data) // 2]), *list(flips(data))[2:]]
        for _, outcome in outcomes(whole, tmp_path, whole / name, changes):  # anything raw would be raised
            refused += isinstance(outcome, str)
            assert isinstance(outcome, str) or outcome[0] <= expected
    assert refused >= 4


def test_a_commit_of_a_v3_lake_is_no_query(tmp_path):
    whole = Path(unpack_v3(tmp_path))
    place = whole / "version_control_info.json"
    content = place.read_text()
    commit = next(
        name for name in json.loads(content)["commits"] if name != "firstdbf9474d461a19e9333c2fd19b46115348f"
    )
    place.write_text(content.replace(commit, '\\" JOIN \\"/tmp'))
    with pytest.raises(DeepLakeMMDetError):
        read(whole)


def test_what_is_none_of_ours_is_named(tmp_path):
    (tmp_path / "lake").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "lake", tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(SourceFormatError):
            read(path)
