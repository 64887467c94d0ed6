"""Images that look alike are found exactly, and plain ones are kept apart."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deeplake_mmdet.checking.looks import DISTANCE, find_alike, look_of
from deeplake_mmdet.transfer.decoder import examine_image


def nearest(hashes, others):
    """All with all."""
    found = []
    for one in hashes:
        best = min(((bin(one ^ other).count("1"), at) for at, other in enumerate(others)), default=(65, -1))
        found.append(best if best[0] <= DISTANCE else (64, -1))
    return found


bits = st.integers(0, 2**64 - 1)
near = st.sets(st.integers(0, 63), max_size=7).map(lambda places: sum(1 << place for place in places))


@settings(deadline=None, max_examples=80)
@given(st.lists(bits, max_size=12), st.data())
def test_the_search_finds_what_comparing_all_with_all_finds(others, data):
    pool = st.sampled_from(others) if others else bits
    hashes = data.draw(
        st.lists(st.one_of(bits, st.tuples(pool, near).map(lambda two: two[0] ^ two[1])), max_size=12)
    )
    found = find_alike(np.array(hashes, np.uint64), np.array(others, np.uint64))
    assert found.complete
    expected = nearest(hashes, others)
    assert list(zip(found.distance.tolist(), found.match.tolist(), strict=True)) == expected


def test_many_are_found_without_comparing_all_with_all():
    rng = np.random.default_rng(0)
    others = rng.integers(0, 2**64, 60_000, np.uint64)
    hashes = np.concatenate(
        [others[::300] ^ np.uint64(0b1011 << 30), rng.integers(0, 2**64, 30_000, np.uint64)]
    )
    found = find_alike(hashes, others, most=10**6)
    assert found.complete
    assert (found.match[:200] == np.arange(0, 60_000, 300)).all()
    assert (found.distance[:200] == 3).all()


def test_a_search_that_takes_too_long_is_ended_and_says_so():
    found = find_alike(np.arange(200, dtype=np.uint64), np.arange(200, dtype=np.uint64), most=1000)
    assert not found.complete


def encoded(pixels, encoding="jpeg", **options):
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels[..., ::-1])).save(out, encoding, **options)
    return out.getvalue()


def look(data):
    return look_of(examine_image(data)[1])


COPIES = {
    "compressed": lambda image: encoded(image, quality=50),
    "smaller": lambda image: encoded(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)),
    "png": lambda image: encoded(image, "png", compress_level=1),
    "brighter": lambda image: encoded(np.clip(image * 1.1 + 5, 0, 255).astype(np.uint8)),
    "progressive": lambda image: encoded(image, progressive=True),
}


@pytest.mark.parametrize("copy", COPIES)
def test_copies_of_photographs_look_alike_and_other_photographs_do_not(shared_data, copy):
    files = sorted((shared_data / "nuts" / "images").iterdir())[:6]
    files += sorted((shared_data / "bccd" / "JPEGImages").iterdir())[:10]
    images = [cv2.imread(str(file)) for file in files]
    own = [look(file.read_bytes()) for file in files]
    copies = [look(COPIES[copy](image)) for image in images]
    assert not any(plain for _, plain in own + copies)
    found = find_alike(*(np.array([one for one, _ in both], np.uint64) for both in (copies, own)))
    assert found.match.tolist() == list(range(len(files)))


@pytest.mark.parametrize(
    "image",
    [
        np.full((64, 96, 3), 255, np.uint8),
        np.zeros((200, 300, 3), np.uint8),
        np.full((5, 4, 3), 90, np.uint8),
        np.pad(np.zeros((6, 6, 3), np.uint8), ((200, 200), (300, 300), (0, 0)), constant_values=255),
    ],
)
def test_plain_images_mean_nothing(image):
    assert look(encoded(image))[1]
