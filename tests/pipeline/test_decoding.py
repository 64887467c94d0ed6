"""JPEG files decoded quickly are what OpenCV makes of them, or are left to OpenCV."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deeplake_mmdet.pipeline.decoding import decode_jpeg

SAMPLINGS = (0x111111, 0x211111, 0x221111, 0x121111, 0x411111)


def opencv(encoded: bytes) -> np.ndarray | None:
    return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)


def encode(height: int, width: int, seed: int, *told: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.imencode(".jpg", cv2.GaussianBlur(noise, (5, 5), 2), told)[1].tobytes()


def pillow(mode: str, kind: str = "JPEG", **told: object) -> bytes:
    out = io.BytesIO()
    Image.effect_noise((61, 47), 80).convert(mode).save(out, kind, **told)
    return out.getvalue()


@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    seed=st.integers(0, 99),
    quality=st.integers(1, 100),
    sampling=st.sampled_from(SAMPLINGS),
    progressive=st.integers(0, 1),
)
@settings(max_examples=150, deadline=None)
def test_pixels_are_opencvs(
    height: int, width: int, seed: int, quality: int, sampling: int, progressive: int
) -> None:
    encoded = encode(
        height,
        width,
        seed,
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        sampling,
        cv2.IMWRITE_JPEG_PROGRESSIVE,
        progressive,
    )
    found = decode_jpeg(encoded)
    if sampling in SAMPLINGS[:3]:
        assert found is not None
    assert found is None or np.array_equal(found, opencv(encoded))


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("progressive", [False, True])
def test_another_encoders_files(mode: str, progressive: bool) -> None:
    encoded = pillow(mode, quality=90, progressive=progressive, optimize=True)
    found = decode_jpeg(encoded)
    assert found is not None
    assert np.array_equal(found, opencv(encoded))


@given(seed=st.integers(0, 10_000), hits=st.integers(1, 4), cut=st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_damaged_files_are_opencvs_business(seed: int, hits: int, cut: int) -> None:
    random = np.random.default_rng(seed)
    data = bytearray(encode(40, 50, seed % 7))
    for place in random.integers(2, len(data), hits):
        data[place] = random.integers(0, 256)
    encoded = bytes(data[: len(data) - int(random.integers(0, len(data))) if cut == 0 else len(data)])
    found = decode_jpeg(encoded)
    assert found is None or np.array_equal(found, opencv(encoded))


def test_what_is_out_of_the_ordinary_is_left_to_opencv() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    assert decode_jpeg(pillow("CMYK")) is None
    assert decode_jpeg(pillow("RGB", "PNG")) is None
    assert decode_jpeg(b"") is None
    assert decode_jpeg(b"\xff\xd8\xff nothing of the kind") is None


def test_it_can_be_switched_off() -> None:
    code = "import sys; from deeplake_mmdet.pipeline import decoding; "
    code += "print(decoding.decode_jpeg(sys.stdin.buffer.read()))"
    told = subprocess.run(
        [sys.executable, "-c", code],
        input=pillow("RGB"),
        env={**os.environ, "DEEPLAKE_MMDET_DECODER": "cv2"},
        capture_output=True,
        check=True,
    )
    assert told.stdout.split()[-1] == b"None"


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_pixels_go_where_they_are_wanted(mode: str) -> None:
    memory: list[np.ndarray] = []

    def allocate(shape: tuple[int, int, int]) -> np.ndarray:
        memory.append(np.empty(shape, np.uint8))
        return memory[0]

    encoded = pillow(mode)
    found = decode_jpeg(encoded, allocate)
    assert found is not None
    assert np.shares_memory(found, memory[0])
    assert np.array_equal(found, opencv(encoded))
