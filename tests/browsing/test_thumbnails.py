"""Small pictures: kept while there is room, made once, and no fault holds up the others."""

from __future__ import annotations

import threading

import pytest
from shown_lakes import jpeg

from deeplake_mmdet.browsing.pictures import Picture
from deeplake_mmdet.browsing.thumbnails import Kept, Thumbnails
from deeplake_mmdet.errors import ImageError, StorageError


def test_no_more_is_kept_than_there_is_room_for():
    kept = Kept(100)
    for number in range(10):
        kept.put(number, Picture(bytes(30), "image/jpeg"))
        kept.get(0)  # used again and again
    there = [number for number in range(10) if kept.get(number) is not None]
    assert there == [0, 8, 9]
    kept.put(9, Picture(bytes(10), "image/jpeg"))  # in the place of its own
    assert kept.get(8) is not None
    kept.put(11, Picture(bytes(200), "image/jpeg"))
    assert kept.get(11) is None


@pytest.fixture
def made():
    """Thumbnails of a lake of which some rows cannot be read, and what was asked of it."""
    asked: list[list[int]] = []

    def fetch(rows):
        asked.append(list(rows))
        if 13 in rows:
            raise StorageError("The storage is away")
        return [ImageError("The image cell is empty") if row == 5 else jpeg(row) for row in rows]

    found = Thumbnails(fetch, 100)
    yield found, asked
    found.close()


def test_a_page_is_fetched_in_few_calls_and_each_row_once(made):
    thumbnails, asked = made
    thumbnails.begin(range(12))
    thumbnails.begin(range(4, 12))
    kinds = [thumbnails.get(row).kind for row in range(12)]
    assert kinds == ["image/svg+xml" if row == 5 else "image/jpeg" for row in range(12)]
    assert asked == [list(range(12))]
    thumbnails.get(3)
    assert len(asked) == 1


def test_what_the_storage_refused_is_asked_for_again(made):
    thumbnails, asked = made
    for _ in range(2):
        picture = thumbnails.get(13)
        assert b"The storage is away" in picture.content
    assert asked == [[13], [13]]
    assert thumbnails.get(14).kind == "image/jpeg"


def test_many_threads_get_the_same_picture(made):
    thumbnails, asked = made
    found = []
    threads = [threading.Thread(target=lambda: found.append(thumbnails.get(1))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert asked == [[1]]
