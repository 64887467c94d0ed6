"""Images that do not decode, are missing, turned, doubled or of another size."""

from __future__ import annotations

import numpy as np
import pytest
from deeplake import types
from made_lakes import GOOD, H, W, kinds_of, make_lake, photo, sound

from deeplake_mmdet import check, import_coco
from deeplake_mmdet.lake import ImageRecord, LakeWriter

__all__ = ["make_lake"]  # a fixture


def look(lake, **options):
    return check(lake, progress=False, **options)


BAD = {
    3: photo(20)[:-300],
    5: b"",
    6: b"\xff\xd8\xff\xe0garbage",
    8: b"no image at all",
}


@pytest.fixture
def damaged(make_lake, tmp_path):
    rows = sound(40)
    for row, image in BAD.items():
        rows[row] = (image, GOOD, (0, 1))
    rows[9] = (photo(21, encoding="png"), GOOD, (0, 1))  # a training decodes it as what it is
    return make_lake(rows, tmp_path / "lake")


def test_undecodable_and_missing_images_are_told_apart(damaged):
    result = look(damaged)
    assert kinds_of(result) == {"image-missing": [5], "image-undecodable": [3, 6, 8]}
    assert any("row 3: the file ends before the image does" in text for text in result.findings[1].details)
    assert result.lakes[0].images == 40
    assert not result.ok


def test_headers_show_less_and_nothing_shows_what_the_lake_knows(damaged):
    headers = look(damaged, verify="header")
    assert kinds_of(headers)["image-missing"] == [5]
    assert {6, 8} <= set(kinds_of(headers)["image-undecodable"])
    nothing = look(damaged, verify="none")
    assert kinds_of(nothing) == {"image-undecodable": [5, 6, 8]}
    assert nothing.lakes[0].images == 0


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_threads_finds_the_same(damaged, workers):
    assert kinds_of(look(damaged, workers=workers)) == kinds_of(look(damaged))


def test_the_same_image_twice(make_lake):
    rows = sound(4)
    rows += [(photo(0), GOOD[::-1], (1, 0)), (photo(1), GOOD, (1, 1)), (photo(1), GOOD, (0, 1)), rows[0]]
    result = look(make_lake(rows))
    assert kinds_of(result) == {"image-duplicate": [4, 6, 7], "image-contradiction": [5]}
    assert result.find("image-duplicate").details == ("rows 0, 4, 7", "rows 1, 5, 6")
    assert result.ok


def test_orientations_that_nothing_heeds(make_lake):
    rows = [*sound(2), (photo(5, orientation=6), GOOD, (0, 1))]
    assert kinds_of(look(make_lake(rows))) == {"image-exif": [2]}


def test_orientations_that_the_import_recorded(tmp_path):
    import json

    (tmp_path / "1.jpg").write_bytes(photo(1, orientation=6))
    (tmp_path / "2.jpg").write_bytes(photo(2))
    images = [
        {"id": 1, "file_name": "1.jpg", "width": H, "height": W},
        {"id": 2, "file_name": "2.jpg", "width": W, "height": H},
    ]
    boxes = [
        {"id": n, "image_id": n, "category_id": 1, "bbox": [5, 5, 20, 20], "area": 400, "iscrowd": 0}
        for n in (1, 2)
    ]
    data = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "a"}]}
    (tmp_path / "coco.json").write_text(json.dumps(data))
    import_coco(tmp_path / "coco.json", tmp_path / "lake", images=tmp_path, progress=False)
    result = look(tmp_path / "lake")
    assert result.ok
    assert kinds_of(result) == {"image-turned": [0]}


def test_sizes_that_are_not_those_of_the_images(tmp_path):
    lake = tmp_path / "lake"
    with LakeWriter(str(lake), class_names=["a"], box_format="ltwh", image_format="jpeg") as writer:
        for row, size in enumerate([(W, H), (W + 10, H), (W, H)]):
            boxes, labels = np.array([GOOD[0]]), np.array([0])
            writer.append(ImageRecord(photo(row), *size, f"{row}.jpg", boxes=boxes, labels=labels))
    assert kinds_of(look(lake)) == {"image-size": [1]}


def test_images_as_arrays(make_lake):
    pixels = [np.random.default_rng(n).integers(0, 255, (H, W, 3), np.uint8) for n in (0, 1, 0)]
    lake = make_lake(
        [(b"", GOOD, (0, 1))] * 3, kinds={"images": None, "pixels": types.Array("uint8", 3)}, pixels=pixels
    )
    result = look(lake, tensors={"img": "pixels"})
    assert kinds_of(result) == {"image-duplicate": [2]}


def polygons(*rows):
    shape = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    return [[np.array([x, y]) + shape * (w, h) for x, y, w, h in row] for row in rows]


def test_masks_that_do_not_fit(make_lake):
    good, elsewhere = list(GOOD), [GOOD[1], GOOD[0]]
    cells = polygons(good, elsewhere, good[:1], good)
    lake = make_lake(sound(4), kinds={"masks": types.Polygon()}, masks=cells)
    result = look(lake)
    assert kinds_of(result) == {"mask-unreadable": [2], "mask-misfit": [1]}
    assert "polygon cell holds 1 objects" in result.find("mask-unreadable").details[0]
    assert result.find("mask-misfit").count == 2


def test_masks_of_pixels(make_lake):
    def drawn(*boxes):
        masks = np.zeros((H, W, len(boxes)), bool)
        for number, (x, y, w, h) in enumerate(boxes):
            masks[int(y) : int(y + h), int(x) : int(x + w), number] = True
        return masks

    cells = [drawn(*GOOD), drawn(GOOD[0], (0, 0, 0, 0)), drawn(*GOOD)[:30]]
    lake = make_lake(sound(3), kinds={"masks": types.BinaryMask(sample_compression="lz4")}, masks=cells)
    assert kinds_of(look(lake)) == {"mask-unreadable": [2], "mask-none": [1]}


def test_files_are_named_where_the_lake_knows_them(tmp_path):
    lake = tmp_path / "lake"
    with LakeWriter(str(lake), class_names=["a"], box_format="ltwh", image_format="jpeg") as writer:
        for row in range(12):
            boxes, labels = np.array([(200, 5, 9, 9) if row > 3 else GOOD[0]]), np.array([0])
            writer.append(ImageRecord(photo(row), W, H, f"[b]/{row}.jpg", boxes=boxes, labels=labels))
    finding = look(lake).find("box-outside")
    assert finding.rows.tolist() == list(range(4, 12))
    assert finding.files == tuple(f"[b]/{row}.jpg" for row in range(4, 9))
    assert finding.to_dict()["example_files"] == list(finding.files)


def test_links_are_followed_and_those_that_lead_nowhere_are_named(make_lake, tmp_path):
    places = [tmp_path / f"{number}.jpg" for number in range(4)]
    for number, image in enumerate((photo(0), photo(1)[:-300], photo(0))):
        places[number].write_bytes(image)
    kind = types.Link(types.Image(sample_compression="jpeg"))
    rows = [(str(place), GOOD, (0, 1)) for place in places]
    result = look(make_lake(rows, tmp_path / "lake", kinds={"images": kind}))
    assert kinds_of(result) == {"image-undecodable": [1, 3], "image-duplicate": [2]}
    assert any(f"row 3: link '{places[3]}'" in text for text in result.find("image-undecodable").details)
