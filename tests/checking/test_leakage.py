"""Images that two lakes share."""

from __future__ import annotations

import io

import numpy as np
import pytest
from made_lakes import GOOD, kinds_of, make_lake, photo, sound
from PIL import Image

from deeplake_mmdet import check
from deeplake_mmdet.errors import ConfigError

__all__ = ["make_lake"]  # a fixture


def again(image, **options):
    out = io.BytesIO()
    Image.open(io.BytesIO(image)).save(out, "jpeg", **options)
    return out.getvalue()


def plain(level):
    out = io.BytesIO()
    Image.new("RGB", (96, 64), (level, level, level)).save(out, "jpeg")
    return out.getvalue()


def look(lake, other, **options):
    return check(lake, other, progress=False, **options)


def of_second(result):
    return {one.kind: one.rows.tolist() for one in result.findings if one.lake == 1}


def test_the_same_bytes_and_the_same_look_are_told_apart(make_lake):
    first = make_lake([*sound(30), (plain(10), GOOD, (0, 1))])
    copies = [
        (photo(7), GOOD, (1, 0)),
        (again(photo(3), quality=60), GOOD, (0, 1)),
        (photo(29), GOOD, (0, 1)),
    ]
    result = look(first, make_lake([*sound(20, 100), *copies, (plain(200), GOOD, (0, 1))]))
    assert of_second(result) == {"leak-same": [20, 22], "leak-near": [21], "image-plain": [23]}
    same, near = result.find("leak-same", 1), result.find("leak-near", 1)
    assert same.details[0] == "row 20 is row 7 of the first lake"
    assert near.details[0].startswith("row 21 looks like row 3 of the first lake (")
    assert (same.twins, near.twins) == (((20, 7), (22, 29)), ((21, 3),))
    assert not result.ok
    assert kinds_of(result, "note") == {"image-plain": [23]}


def test_plain_images_are_no_leak(make_lake):
    first = make_lake([(plain(level), GOOD, (0, 1)) for level in range(0, 40, 2)])
    result = look(first, make_lake([(plain(level), GOOD, (0, 1)) for level in range(1, 41, 2)]))
    assert result.ok
    assert set(of_second(result)) == {"image-plain"}


def test_lakes_that_share_nothing(make_lake):
    result = look(make_lake(sound(10)), make_lake(sound(10, 50)))
    assert result.findings == ()
    assert [facts.rows for facts in result.lakes] == [10, 10]


def test_headers_alone_find_equal_bytes(make_lake):
    first = make_lake(sound(5))
    other = make_lake([*sound(1, 4), (again(photo(3), quality=60), GOOD, (0, 1))])
    assert of_second(look(first, other, verify="header")) == {"leak-same": [0], "look-skipped": []}
    with pytest.raises(ConfigError, match="compared by their images"):
        look(first, other, verify="none")


def test_the_same_rows_twice_are_refused_and_two_parts_of_a_lake_are_not(make_lake, tmp_path):
    lake = make_lake([*sound(9), (photo(2), GOOD, (0, 1))], tmp_path / "lake")
    with pytest.raises(ConfigError, match="same rows of the same lake"):
        look(lake, lake)
    with pytest.raises(ConfigError, match="same rows of the same lake"):
        look(lake, tmp_path / "." / "lake")
    with pytest.raises(ConfigError, match="no option 'rows'"):
        look(lake, lake, second={"rows": 3})
    parts = {"query": "SELECT * LIMIT 5", "second": {"query": "SELECT * OFFSET 5"}}
    assert of_second(look(lake, lake, **parts)) == {"leak-same": [4]}


def test_classes_that_differ_are_told(make_lake):
    first = make_lake(sound(3))
    turned = look(first, make_lake(sound(3, 50), classes=("b", "a")))
    assert turned.find("classes-differ", 1).details == ("the same names in another order",)
    other = look(first, make_lake(sound(3, 50), classes=("a", "c")))
    assert other.find("classes-differ", 1).details == ("only in the first: 'b'", "only in the second: 'c'")
    alone = look(first, make_lake(sound(3, 50), kinds={"boxes": None, "labels": None}))
    assert "classes-differ" not in of_second(alone)


def test_an_empty_lake_shares_nothing(make_lake):
    result = look(make_lake(sound(3)), make_lake())
    assert of_second(result) == {"no-rows": []}


def test_missing_images_are_not_the_same(make_lake):
    rows = [*sound(2), (b"", GOOD, (0, 1))]
    result = look(make_lake(rows), make_lake([*sound(2, 50), (b"", np.array(GOOD), (0, 1))]))
    assert of_second(result) == {"image-missing": [2]}
