"""Fetching where some cells are bad, by rows and by spans."""

import itertools

import numpy as np
import pytest
from PIL import Image

from deeplake_mmdet.errors import ConfigError, ImageError
from deeplake_mmdet.lake import Source, open_view
from deeplake_mmdet.lake.images.cells import fetch_images
from deeplake_mmdet.lake.schema.columns import describe_columns
from deeplake_mmdet.lake.source.pinning import handle_of

_numbers = itertools.count()


class Counting:
    """A lake that notes the indices it is asked for."""

    def __init__(self, lake):
        self.lake, self.asked = lake, []

    def __getitem__(self, name):
        self.column = self.lake[name]
        return self

    def __len__(self):
        return len(self.lake)

    def get_bytes(self, index):
        self.asked.append(index)
        return self.column.get_bytes(index)


@pytest.fixture
def only():
    """A lake with one column of images, and that column's facts."""
    import deeplake

    def make(kind, cells, late=False):
        lake = deeplake.create(f"mem://fetch-{next(_numbers)}", schema={"number": "int64"})
        if late:
            lake.append({"number": [0, 1, 2]})
        lake.add_column("photos", kind)
        lake.append({"number": list(range(len(cells))), "photos": cells})
        lake.commit()
        return lake, describe_columns(lake)["photos"]

    return make


def both(lake, facts, count):
    """What rows and spans give, checked to be the same."""
    rows, span = fetch_images(lake, facts, list(range(count))), fetch_images(lake, facts, range(count))
    assert [str(image) for image in rows] == [str(image) for image in span]
    return span


def test_an_empty_cell_does_not_spoil_the_others(only, encode):
    from deeplake import types

    lake, facts = only(types.Image(sample_compression="jpeg"), [encode(), b"", encode(seed=1)])
    good, bad, other = both(lake, facts, 3)
    assert (good, other) == (encode(), encode(seed=1))
    assert isinstance(bad, ImageError)
    assert "column 'photos', row 1" in str(bad)


def test_rows_older_than_their_column_do_not_either(only, encode):
    from deeplake import types

    images = [encode(seed=seed) for seed in range(5)]
    lake, facts = only(types.Image(sample_compression="jpeg"), images, late=True)
    found = both(lake, facts, 8)
    assert found[3:] == images
    assert ["row 0" in str(found[0]), "row 1" in str(found[1]), "row 2" in str(found[2])] == [True] * 3


def test_arrays_that_are_no_images_do_not_either(only):
    from deeplake import types

    pixels = np.zeros((3, 4, 3), np.uint8)
    lake, facts = only(types.Array("uint8", 3), [pixels, np.zeros((3, 4, 7), np.uint8), pixels])
    good, bad, other = both(lake, facts, 3)
    assert good == other
    assert "7 channels" in str(bad)
    assert "row 1" in str(bad)


def test_links_that_lead_nowhere_do_not_either(only, tmp_path, encode):
    from deeplake import types

    (tmp_path / "a.jpg").write_bytes(encode())
    addresses = [str(tmp_path / "gone.jpg"), str(tmp_path / "a.jpg"), ""]
    lake, facts = only(types.Link(types.Image(sample_compression="jpeg")), addresses)
    gone, good, none = both(lake, facts, 3)
    assert good == encode()
    assert "leads to no file" in str(gone)
    assert "empty" in str(none)


def test_a_row_that_repeats_is_fetched_once(only, encode):
    from deeplake import types

    images = [encode(seed=seed) for seed in range(4)]
    lake, facts = only(types.Image(sample_compression="jpeg"), images)
    counting = Counting(lake)
    assert fetch_images(counting, facts, np.array([3, 0, 3, 3])) == [images[row] for row in (3, 0, 3, 3)]
    assert fetch_images(counting, facts, [2, 2]) == [images[2]] * 2
    assert fetch_images(counting, facts, range(1, 4)) == images[1:]
    assert counting.asked == [[3, 0], 2, slice(1, 4)]


def test_nothing_is_asked_for_no_rows(only, encode):
    from deeplake import types

    lake, facts = only(types.Image(sample_compression="jpeg"), [encode()])
    counting = Counting(lake)
    assert fetch_images(counting, facts, []) == fetch_images(counting, facts, range(1, 1)) == []
    assert counting.asked == []


def test_orientations_are_neutralised_as_by_images(make_lake, rows, encode, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encode(exif=exif.tobytes())
    make_lake(tmp_path / "lake", images=[turned, encode()], **rows(2))
    for apply_exif in (False, True):
        view = open_view(Source(str(tmp_path / "lake")), apply_exif=apply_exif)
        assert view.fetch([0, 1]) == view.fetch_span(0, 2) == view.images([0, 1])
        assert (view.fetch([0])[0] == turned) == apply_exif


@pytest.mark.parametrize(
    "query", [None, "SELECT * WHERE ROW_NUMBER() % 2 == 1", "SELECT * ORDER BY RANDOM()"]
)
def test_spans_are_rows_of_the_view(make_lake, rows, encode, tmp_path, query):
    make_lake(tmp_path / "lake", images=[encode(seed=seed) for seed in range(12)], **rows(12))
    view = open_view(Source(str(tmp_path / "lake"), query=query))
    count = len(view.table)
    cells = handle_of(view.source)["images"].get_bytes(list(range(count)))
    assert view.has_encoded_images
    assert view.fetch_span(1, count) == view.images(range(1, count)) == list(map(bytes, cells))[1:]
    again = open_view(view.source)
    assert again.images(range(count)) == view.images(range(count))
    assert len(set(view.images(range(count)))) == count == (6 if query and "WHERE" in query else 12)


@pytest.mark.parametrize("bad", [-1, 3])
def test_rows_that_are_not_there_are_refused(make_lake, rows, tmp_path, bad):
    make_lake(tmp_path / "lake", **rows(3))
    view = open_view(Source(str(tmp_path / "lake")))
    for read in (view.images, view.fetch):
        with pytest.raises(ConfigError, match="has 3 rows"):
            read([0, bad])
    with pytest.raises(ConfigError, match="has 3 rows"):
        view.fetch_span(min(bad, 0), max(bad, 0) + 1)
