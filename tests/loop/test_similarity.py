"""Duplicates by embeddings and by bytes, against all pairs compared one by one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplake_mmdet.loop.similarity import NEAR, same_bytes, same_embeddings


def groups_of(vectors, limit):
    """The lowest row of each row's group, where rows within the limit are linked."""
    lowest = np.arange(len(vectors))
    near = np.linalg.norm(vectors[:, None] - vectors[None], axis=-1) <= limit
    near &= vectors.any(1)[:, None] & vectors.any(1)[None]
    for _ in vectors:
        lowest = np.array([min([lowest[row], *lowest[near[row]]]) for row in range(len(vectors))])
    return lowest


def reader(vectors):
    return lambda rows: vectors[rows]


@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_copies_are_found_and_nothing_beyond_the_limit(seed, count, length):
    random = np.random.default_rng(seed)
    vectors = random.normal(5, 1, (count, length)).astype(np.float32)
    copies = random.integers(0, count, (count // 3, 2))
    for row, other in copies:
        vectors[row] = vectors[other]
    vectors[random.integers(0, count, count // 10)] = 0
    there = vectors[vectors.any(1)].astype(float)
    limit = NEAR * np.sqrt(2 * ((there - there.mean(0)) ** 2).sum(1).mean())
    found = same_embeddings(reader(vectors), count)
    largest = groups_of(vectors.astype(float), limit * (1 + 1e-6))
    exact = groups_of(vectors.astype(float), 1e-9)
    assert (largest[found] == largest).all()  # all of a group are of one group of the limit
    for row in range(count):
        assert found[row] == found[exact[row]]
        assert found[row] <= row


def test_near_copies_are_found_among_many_rows():
    random = np.random.default_rng(0)
    vectors = random.random((3000, 64)).astype(np.float32)
    typical = np.sqrt(2 * vectors.var(0).sum())
    originals, copies = np.arange(0, 500), np.arange(2500, 3000)
    steps = random.standard_normal((500, 64))
    steps *= 0.2 * NEAR * typical / np.linalg.norm(steps, axis=1, keepdims=True)
    vectors[copies] = vectors[originals] + steps
    lowest = same_embeddings(reader(vectors), len(vectors))
    assert (lowest[copies] == originals).mean() > 0.99
    assert (lowest[:2500] == np.arange(2500)).all()


def test_no_rows_and_one_row():
    assert same_embeddings(reader(np.zeros((0, 4))), 0).tolist() == []
    assert same_embeddings(reader(np.ones((1, 4))), 1).tolist() == [0]
    assert same_bytes(iter([])).tolist() == []


@given(st.lists(st.sampled_from([b"a", b"b", b"", b"ab", None]), max_size=30), st.integers(1, 7))
def test_equal_bytes_have_the_lowest_row_of_their_equals(images, block):
    blocks = [images[start : start + block] for start in range(0, len(images), block)]
    expected = [images.index(image) if image else row for row, image in enumerate(images)]
    assert same_bytes(iter(blocks)).tolist() == expected
