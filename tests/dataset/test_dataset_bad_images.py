"""Images of a lake that cannot be decoded: told by row, or skipped, the same in every process."""

from __future__ import annotations

import multiprocessing
import resource
import struct
import zlib

import cv2
import numpy as np
import pytest
from test_dataset import PIPELINE, Make, bad, jpeg, make, mmdet_scope, rows, schema
from torch.utils.data import DataLoader

from deeplake_mmdet import DeepLakeDataset
from deeplake_mmdet.errors import AnnotationError, ConfigError, ImageError

__all__ = ["make", "mmdet_scope"]  # fixtures


def truncated() -> bytes:
    """An image whose header is whole, so that only decoding shows what it lacks."""
    return jpeg(64)[:-100]


def test_size_columns_without_a_mark_hide_no_broken_image(make: Make) -> None:
    whole = jpeg(64)
    size = {"width": "int32", "height": "int32"}
    broken = rows(images=[whole, b"\xff\xd8\xff garbage", whole], width=[64] * 3, height=[48] * 3)
    with pytest.raises(ImageError, match=r"1 of 3 images cannot be decoded.*'images', rows 1"):
        DeepLakeDataset(make(schema(**size), broken))


def test_image_that_only_decoding_shows_to_be_broken(make: Make) -> None:
    path = make(schema(), rows(images=[jpeg(64), truncated(), jpeg(64)]))
    dataset = DeepLakeDataset(path, pipeline=PIPELINE)
    assert dataset[0]["inputs"].shape == (3, 48, 64)
    with pytest.raises(ImageError, match=r"cannot be decoded.*lake .*'images', row 1.*on_error='skip'"):
        dataset[1]


def test_unknown_on_error(make: Make) -> None:
    with pytest.raises(ConfigError, match=r"'on_error'.*'raise'.*'skip'"):
        bad(make, on_error="ignore")


def test_skipped_images_are_no_samples(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    images = [b"", jpeg(65), b"no image", jpeg(67), jpeg(68)]
    path = make(schema(), rows(5, images=images))
    dataset = DeepLakeDataset(path, pipeline=PIPELINE, on_error="skip", filter_cfg={"min_size": 10})
    assert [dataset.get_data_info(i)["img_id"] for i in range(len(dataset))] == [1, 3, 4]
    assert [dataset[i]["inputs"].shape[-1] for i in range(3)] == [65, 67, 68]
    assert dataset.skipped_rows == {"up_front": [0, 2], "at_first_sight": []}
    assert len(DeepLakeDataset(path, on_error="skip", indices=2)) == 2
    small = DeepLakeDataset(path, on_error="skip", filter_cfg={"min_size": 48, "filter_empty_gt": True})
    assert len(small) == 3


def test_nothing_left_after_skipping(make: Make) -> None:
    with pytest.raises(ImageError, match=r"3 of 3 images.*rows 0, 1, 2"):
        DeepLakeDataset(make(schema(), rows(images=[b"", b"x", b"y"])), on_error="skip")


@pytest.mark.parametrize("test_mode", [False, True])
def test_skipping_at_first_sight_takes_the_next_that_decodes(make: Make, test_mode: bool) -> None:
    images = [truncated(), jpeg(65), truncated(), truncated(), jpeg(68), truncated()]
    path = make(schema(), rows(6, images=images))
    kwargs = {"pipeline": PIPELINE, "on_error": "skip", "test_mode": test_mode}
    dataset = DeepLakeDataset(path, **kwargs)
    expected = [65, 65, 68, 68, 68, 65]
    for order in (range(6), reversed(range(6)), [2, 2, 5, 0]):
        again = DeepLakeDataset(path, **kwargs)
        for index in order:
            sample = again[index]
            assert sample["inputs"].shape[-1] == expected[index]
            assert sample["data_samples"].img_id == {65: 1, 68: 4}[expected[index]]
    assert len(dataset) == 6
    assert dataset.skipped_rows["at_first_sight"] == []
    for index in range(6):
        dataset[index]
    assert dataset.skipped_rows["at_first_sight"] == [0, 2, 3, 5]
    assert dataset.get_subset([2, 4])[0]["inputs"].shape[-1] == 68


def claiming(side: int, kind: str) -> bytes:
    """A small image whose header claims ``side`` pixels squared."""
    if kind == "jpeg":
        data = jpeg(64)
        at = data.index(b"\xff\xc0") + 5
        return data[:at] + struct.pack(">HH", side, side) + data[at + 4 :]
    data = cv2.imencode(".png", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
    head = b"IHDR" + struct.pack(">II", side, side) + data[24:29]
    return data[:12] + head + struct.pack(">I", zlib.crc32(head)) + data[33:]


@pytest.mark.parametrize("kind", ["jpeg", "png"])
@pytest.mark.parametrize("side", [65500, 33000, 20000])
def test_more_pixels_than_the_limit_name_the_row_and_can_be_skipped(make: Make, kind: str, side: int) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = make(schema(), rows(images=[jpeg(64), claiming(side, kind), jpeg(66)]))
    # Where Deep Lake has no size for it, the dataset is not even opened.
    with pytest.raises(ImageError, match=r"more pixels than the limit.*row 1|cannot be decoded.*rows 1"):
        DeepLakeDataset(path, pipeline=PIPELINE)[1]
    skipping = DeepLakeDataset(path, pipeline=PIPELINE, on_error="skip")
    found = {skipping[index]["data_samples"].img_id for index in range(len(skipping))}
    assert found == {0, 2}
    skipped = skipping.skipped_rows
    assert [*skipped["up_front"], *skipped["at_first_sight"]] == [1]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 300 * 1024  # kilobytes


def test_nothing_that_decodes(make: Make) -> None:
    path = make(schema(), rows(2, images=[truncated()] * 2))
    with pytest.raises(ImageError, match="None of the 2 images can be decoded"):
        DeepLakeDataset(path, pipeline=PIPELINE, on_error="skip")[0]


@pytest.mark.parametrize(("start", "workers"), [("fork", 2), ("spawn", 1)])
def test_workers_skip_the_same_rows_and_tell_this_process(make: Make, start: str, workers: int) -> None:
    images = [jpeg(64), truncated(), jpeg(66), truncated(), jpeg(68), jpeg(69)]
    dataset = DeepLakeDataset(make(schema(), rows(6, images=images)), pipeline=PIPELINE, on_error="skip")
    loader = DataLoader(
        dataset,
        batch_size=1,
        num_workers=workers,
        collate_fn=list,
        multiprocessing_context=multiprocessing.get_context(start),
    )
    assert [batch[0]["inputs"].shape[-1] for batch in loader] == [64, 66, 66, 68, 68, 69]
    assert dataset.skipped_rows["at_first_sight"] == [1, 3]


def test_a_transform_that_fails_is_not_taken_for_a_broken_image(make: Make) -> None:
    pipeline = [PIPELINE[0], {"type": "Resize", "scale": (0, 0)}, PIPELINE[2]]
    dataset = DeepLakeDataset(make(schema(), rows()), pipeline=pipeline, on_error="skip")
    with pytest.raises(Exception, match=r".") as caught:
        dataset[0]
    assert not isinstance(caught.value, ImageError)
    assert dataset.skipped_rows["at_first_sight"] == []


def test_other_errors_than_images_are_not_skipped(make: Make) -> None:
    labels = [np.array([0, 9], np.uint32)] * 3
    with pytest.raises(AnnotationError, match="outside"):
        DeepLakeDataset(make(schema(), rows(labels=labels)), on_error="skip")
