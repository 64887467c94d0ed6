import threading
import time
from pathlib import Path

import pytest

from deeplake_mmdet.errors import ImageError
from deeplake_mmdet.transfer.ahead import blocks_of_files, read_ahead
from deeplake_mmdet.transfer.images import read_image


def test_results_come_in_order_and_few_are_held():
    drawn, lock = [], threading.Lock()
    most = 0

    def items():
        for i in range(60):
            with lock:
                drawn.append(i)
            yield i

    def read(i):
        time.sleep(0.002 * (i % 3))
        return i * i

    for count, (item, result) in enumerate(read_ahead(items(), read, workers=3), 1):
        assert result == item * item == (count - 1) ** 2
        most = max(most, len(drawn) - count)
    assert most <= 12


def test_blocks_are_of_few_files_or_of_large_ones(tmp_path):
    sizes = [10] * 100 + [2**20] * 3 + [300_000] * 8 + [0]
    paths = [tmp_path / str(number) for number in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        path.write_bytes(bytes(size))
    items = [*paths, None, tmp_path / "missing", Path("a\0b"), None]
    blocks = list(blocks_of_files(iter(items), lambda path: path))
    assert [one for block in blocks for one in block] == items
    for block in blocks:
        held = [path.stat().st_size for path in block if path in paths]
        assert len(block) <= 32
        assert sum(held[:-1]) < 2**20
    assert len(blocks) == 3 + 3 + 2 + 1


def test_leaving_early_ends_the_threads():
    before = threading.active_count()
    results = read_ahead(iter(range(1000)), lambda i: i, workers=2)
    next(results)
    results.close()
    assert threading.active_count() == before


def test_an_error_in_the_source_passes_through():
    def items():
        yield 1
        raise KeyError("x")

    with pytest.raises(KeyError):
        list(read_ahead(items(), lambda i: i, workers=2))


def test_other_encoding_and_folder(tmp_path, make_image):
    (tmp_path / "x.png").write_bytes(make_image(encoding="png"))
    assert read_image(tmp_path / "x.png", "png").width == 32
    with pytest.raises(ImageError, match="PNG in a lake of JPEG"):
        read_image(tmp_path / "x.png", "jpeg")
    with pytest.raises(ImageError, match="cannot be read"):
        read_image(tmp_path, "jpeg")
