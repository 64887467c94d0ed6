"""The spool: what is read is what was kept, whatever processes and kills left behind."""

from __future__ import annotations

import numpy as np

from deeplake_mmdet.loop.predictions import Prediction
from deeplake_mmdet.loop.spool import Spool, Spooled


def prediction(index, count=2, masks=False, **extras):
    rng = np.random.default_rng(index)
    rles = [{"size": [3, 4], "counts": f"0{n}"} for n in range(count)] if masks else None
    return Prediction(
        index, f"folder/\udcff{index} ü.jpg", (3, 4), rng.random((count, 4)).astype(np.float32),
        rng.integers(9, size=count), rng.random(count).astype(np.float32), rles, extras,
    )  # fmt: skip


def same(one, other):
    assert (one.index, one.name, one.size, one.masks) == (other.index, other.name, other.size, other.masks)
    for name in ("boxes", "labels", "scores"):
        found, expected = getattr(one, name), getattr(other, name)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype
        assert found.flags.writeable
    assert one.extras.keys() == other.extras.keys()
    for name, value in other.extras.items():
        np.testing.assert_allclose(one.extras[name], value)


def test_all_of_a_prediction_comes_back_in_order(tmp_path):
    kept = [
        prediction(5, masks=True, mask_scores=np.array([0.5, 0.25], np.float32), loss=1.5),
        prediction(0, count=0),
        prediction(2, count=0, masks=True, embedding=np.arange(3, dtype=np.float32)),
        prediction(9, masks=True, embedding=np.zeros(0, np.float32)),
    ]
    for part in (kept[:1], kept[1:]):  # two processes
        spool = Spool(tmp_path / "run")
        spool.add(part)
        spool.close()
    spooled = Spooled(tmp_path / "run")
    assert spooled.indices.tolist() == [0, 2, 5, 9]
    for one, other in zip(spooled, sorted(kept, key=lambda one: one.index), strict=True):
        same(one, other)
    same(spooled.find(5), kept[0])
    assert spooled.find(4) is spooled.find(10) is None
    assert [one.index for one in spooled.read([3, 0])] == [9, 0]
    spooled.close()
    spool.remove()
    assert not (tmp_path / "run").exists()
    assert len(Spooled(tmp_path / "nothing")) == 0


def test_an_image_that_comes_twice_counts_once(tmp_path):
    spool = Spool(tmp_path / "run")
    spool.add([prediction(1), prediction(1), prediction(0)])
    assert Spooled(tmp_path / "run").indices.tolist() == [0, 1]  # while it is still open
    spool.close()
