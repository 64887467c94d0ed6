"""What inputs stand for: known by content, in order, nothing dropped in silence."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplake_mmdet.errors import ConfigError, ImageError, SourceNotFoundError
from deeplake_mmdet.loop.predicting.inputs import find_inputs
from deeplake_mmdet.loop.predicting.listing import LeftOut, Listing


def picture(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    encoded, data = cv2.imencode(".png", np.zeros((4, 6, 3), np.uint8))
    assert encoded
    file.write_bytes(data.tobytes())
    return file


def names(found):
    return [found.listing.name(index) for index in range(len(found.listing))]


def test_a_folder_stands_for_its_images_whatever_they_are_called(tmp_path):
    for name in ("b/1.jpg", "a/1.jpg", "a/no_ending", "z.txt"):
        picture(tmp_path / name)
    (tmp_path / "notes.jpg").write_text("no picture")
    (tmp_path / "BM.bmp").write_text("BMW, a text that begins as a bitmap does")
    (tmp_path / "empty.png").touch()
    found = find_inputs([tmp_path])
    assert names(found) == ["a/1.jpg", "a/no_ending", "b/1.jpg", "z.txt"]
    assert found.left_out.counts == {"no images": 3}
    assert set(found.left_out.names["no images"]) == {"notes.jpg", "BM.bmp", "empty.png"}


def test_linked_folders_are_entered_and_circles_end(tmp_path):
    picture(tmp_path / "real" / "1.png")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "linked").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "back").symlink_to(tmp_path / "real")
    (tmp_path / "photos" / "gone.png").symlink_to(tmp_path / "nowhere")
    found = find_inputs([tmp_path / "photos"])
    assert names(found) == ["linked/1.png"]
    assert found.left_out.counts == {"no regular files": 1}


def test_inputs_keep_their_order_and_repeat(tmp_path, monkeypatch):
    for name in ("a/1.png", "b/1.png", "c.png"):
        picture(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert names(find_inputs(["c.png", "b", "a", "c.png"])) == ["c.png", "b/1.png", "a/1.png", "c.png"]
    assert names(find_inputs(["*/1.png"])) == ["a/1.png", "b/1.png"]
    assert names(find_inputs(["**/*.png"])) == ["a/1.png", "b/1.png", "c.png"]
    assert names(find_inputs(["?"])) == ["a/1.png", "b/1.png"]
    assert names(find_inputs(["b", "a"], limit=1)) == ["b/1.png"]


def test_a_name_that_is_a_pattern_too_is_the_file(tmp_path):
    file = picture(tmp_path / "shot[1].png")
    assert names(find_inputs([file])) == [str(file)]


def test_a_list_names_files_from_here_or_from_its_folder(tmp_path, monkeypatch):
    picture(tmp_path / "lists" / "near.png")
    picture(tmp_path / "here.png")
    listing = tmp_path / "lists" / "all.txt"
    listing.write_text("near.png\n# a comment\n\nhere.png\nnear.png\ngone.png\n", encoding="utf-8-sig")
    monkeypatch.chdir(tmp_path)
    found = find_inputs([listing])
    assert names(found) == ["near.png", "here.png", "near.png"]
    assert found.left_out.counts == {"not there": 1}
    assert found.left_out.names["not there"] == ["gone.png"]


def test_a_video_counts_its_frames(tmp_path):
    video = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 5, (32, 24))
    for value in range(7):
        writer.write(np.full((24, 32, 3), value * 20, np.uint8))
    writer.release()
    image = picture(tmp_path / "1.png")
    found = find_inputs([image, video, image])
    assert len(found.listing) == 9
    assert found.listing.source(0) == (0, -1)
    assert found.listing.source(1) == (1, 0)
    assert found.listing.source(7) == (1, 6)
    assert found.listing.source(8) == (2, -1)
    assert found.listing.first(1) == 1
    assert found.listing.name(3) == f"{video}#2"
    assert len(find_inputs([video], limit=3).listing) == 3


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda folder: [], ConfigError, "nothing to predict on"),
        (lambda folder: [""], ConfigError, "nothing to predict on"),
        (lambda folder: [folder], ImageError, "no image and no video"),
        (lambda folder: [folder / "photoz"], SourceNotFoundError, "photos"),
        (lambda folder: [f"{folder}/*.jpg"], SourceNotFoundError, r"\*\.jpg"),
        (lambda folder: ["s3://bucket/lake", folder], ConfigError, "by itself"),
    ],
)
def test_what_cannot_be_predicted_on_is_refused(make, error, words, tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(error, match=words):
        find_inputs(make(tmp_path))


def test_addresses_are_lakes():
    assert find_inputs(["s3://bucket/lake"]).lake == "s3://bucket/lake"


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.text(min_size=1, max_size=9), st.text(min_size=1, max_size=9), st.integers(0, 4)),
        min_size=1,
        max_size=9,
    )
)
def test_a_listing_comes_back_as_it_went(tmp_path_factory, found):
    folder = tmp_path_factory.mktemp("listing")
    Listing.of(found).save(folder)
    again = Listing.load(folder)
    expected = [
        (number, frame if frames else -1)
        for number, (*_, frames) in enumerate(found)
        for frame in range(max(frames, 1))
    ]
    assert [again.source(index) for index in range(len(again))] == expected
    assert [(again.path(n), again.file_name(n)) for n in range(len(found))] == [
        (path, name) for path, name, _ in found
    ]


def test_what_is_left_out_is_counted_and_the_first_are_named():
    left_out = LeftOut()
    for number in range(9):
        left_out.add("no images", f"{number}.txt")
    other = LeftOut()
    other.add("no images", "more.txt")
    left_out.join(other)
    assert str(left_out) == "10 no images (0.txt, 1.txt, 2.txt, 3.txt, 4.txt, ...)"
