import io
import itertools

import cv2
import numpy as np
import pytest
from PIL import Image

from deeplake_mmdet.errors import ImageError, StorageError
from deeplake_mmdet.lake.schema.columns import describe_columns
from deeplake_mmdet.lake.table.sizes import read_sizes

_numbers = itertools.count()


def turned(encode, orientation, **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(exif=exif.tobytes(), **options)


def only(kind, cells):
    """A lake with one column of images."""
    import deeplake

    lake = deeplake.create(f"mem://sizes-{next(_numbers)}", schema={"images": kind})
    lake.append({"images": cells})
    lake.commit()
    return lake


@pytest.mark.parametrize("sizes", [[(32, 24)], [(32, 24)] * 3, [(32, 24), (7, 300), (1, 1)]])
def test_sizes_are_heights_and_widths(make_lake, rows, encode, sizes):
    lake = make_lake(images=[encode(*size) for size in sizes], **rows(len(sizes)))
    found = read_sizes(lake.dataset, "images")
    assert found.dtype == np.int32
    assert found.tolist() == [[height, width] for width, height in sizes]
    facts = describe_columns(lake.dataset)["images"]
    assert read_sizes(lake.dataset, facts).tolist() == found.tolist()


@pytest.mark.parametrize("modes", ["L", "RGB", "CMYK", "L RGB CMYK", "RGB L L"])
def test_sizes_of_jpegs_of_every_mode(make_lake, rows, encode, modes):
    modes = modes.split()
    images = [encode(32 + i, 24, mode=mode) for i, mode in enumerate(modes)]
    lake = make_lake(images=images, **rows(len(modes)))
    assert read_sizes(lake.dataset, "images").tolist() == [[24, 32 + i] for i in range(len(modes))]


def test_sizes_of_pngs_of_every_mode(encode):
    from deeplake import types

    modes = ("L", "1", "P", "LA", "RGB", "RGBA")
    cells = [encode(32 + i, 24, "png", mode=mode) for i, mode in enumerate(modes)]
    for channels in (1, 3):
        pixels = np.full((24, 32 + len(cells), channels), 40000, np.uint16)
        cells.append(cv2.imencode(".png", pixels)[1].tobytes())
    found = read_sizes(only(types.Image(sample_compression="png"), cells), "images")
    assert found.tolist() == [[24, 32 + i] for i in range(len(cells))]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("as_image", [True, False])
def test_sizes_of_arrays(dtype, as_image):
    from deeplake import types

    kind = types.Image(dtype, sample_compression="null") if as_image else types.Array(dtype, 3)
    cells = [np.zeros((5 + i, 7, channels), dtype) for i, channels in enumerate((1, 3, 4))]
    assert read_sizes(only(kind, cells), "images").tolist() == [[5, 7], [6, 7], [7, 7]]


def test_sizes_of_flat_arrays():
    from deeplake import types

    lake = only(types.Array("uint8", 2), [np.zeros((5, 7), np.uint8), np.zeros((6, 7), np.uint8)])
    assert read_sizes(lake, "images").tolist() == [[5, 7], [6, 7]]


@pytest.mark.parametrize("channels", [2, 5, 13])
@pytest.mark.parametrize("allow_bad", [False, True])
def test_arrays_of_other_channels_are_refused_with_advice(channels, allow_bad):
    from deeplake import types

    cells = [np.zeros((5, 7, 3), np.uint8), np.zeros((5, 7, channels), np.uint8)]
    with pytest.raises(ImageError, match=rf"has {channels} channels.*'images', rows 1.*column of their own"):
        read_sizes(only(types.Array("uint8", 3), cells), "images", allow_bad=allow_bad)


def test_sizes_are_those_of_the_stored_pixels_unless_displayed_ones_are_asked_for(make_lake, rows, encode):
    images = [turned(encode, orientation) for orientation in range(1, 9)] + [encode(7, 9)]
    lake = make_lake(images=images, **rows(len(images)))
    assert read_sizes(lake.dataset, "images").tolist() == [[24, 32]] * 8 + [[9, 7]]
    displayed = read_sizes(lake.dataset, "images", displayed=True)
    decoded = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[:2] for data in images]
    assert displayed.tolist() == [list(shape) for shape in decoded]


def test_displayed_sizes_of_arrays_are_theirs():
    from deeplake import types

    lake = only(types.Array("uint8", 3), [np.zeros((5, 7, 3), np.uint8)])
    assert read_sizes(lake, "images", displayed=True).tolist() == [[5, 7]]


def test_sizes_follow_a_query(make_lake, rows, encode):
    lake = make_lake(images=[encode(32 + i) for i in range(4)], **rows(4))
    view = lake.dataset.query("SELECT * WHERE ROW_NUMBER() > 1")
    assert read_sizes(view, "images")[:, 1].tolist() == [34, 35]


def test_images_that_cannot_be_decoded_are_named(make_lake, rows, encode):
    images = [b"no image", encode(), encode(encoding="png"), encode()[:60], b""]
    lake = make_lake(images=images, **rows(5))
    with pytest.raises(ImageError, match=r"3 of 5 images cannot be decoded.*'images', rows 0, 3, 4.*skip"):
        read_sizes(lake.dataset, "images")
    allowed = [[0, 0], [24, 32], [24, 32], [0, 0], [0, 0]]
    assert read_sizes(lake.dataset, "images", allow_bad=True).tolist() == allowed
    assert read_sizes(lake.dataset, "images", allow_bad=True, displayed=True).tolist() == allowed


def test_rows_older_than_their_image_column_are_named():
    import deeplake
    from deeplake import types

    lake = deeplake.create("mem://late-images", schema={"number": "int64"})
    lake.append({"number": [1, 2]})
    lake.add_column("images", types.Image(sample_compression="jpeg"))
    lake.commit()
    with pytest.raises(ImageError, match=r"2 of 2.*rows 0, 1"):
        read_sizes(lake, "images")


def test_nullable_arrays_are_measured_by_fetching_them():
    from deeplake import types

    cells = [np.zeros((5, 7, 3), np.uint8), None, np.zeros((9, 2, 1), np.uint8)]
    lake = only(types.Nullable(types.Array("uint8", 3)), cells)
    assert read_sizes(lake, "images", allow_bad=True).tolist() == [[5, 7], [0, 0], [9, 2]]
    with pytest.raises(ImageError, match=r"1 of 3.*rows 1"):
        read_sizes(lake, "images")


@pytest.fixture
def linked(tmp_path, encode):
    """A lake of links to files of some names, which are written."""
    from deeplake import types

    def make(*names, **options):
        for name in names:
            file = tmp_path / name.removeprefix("file://")
            if "missing" not in name:
                file.write_bytes(encode(encoding="png" if name.endswith("png") else "jpeg", **options))
        addresses = [
            f"file://{tmp_path / name.removeprefix('file://')}" if "://" in name else str(tmp_path / name)
            for name in names
        ]
        return only(types.Link(types.Image(sample_compression="jpeg")), addresses)

    return make


def test_linked_files_are_measured_by_their_headers(linked):
    lake = linked("a.jpg", "b.png", "file://c.jpg")
    assert read_sizes(lake, "images").tolist() == [[24, 32]] * 3


def test_displayed_sizes_of_linked_files(linked, encode):
    exif = Image.Exif()
    exif[0x0112] = 6
    lake = linked("a.jpg", exif=exif.tobytes())
    assert read_sizes(lake, "images").tolist() == [[24, 32]]
    assert read_sizes(lake, "images", displayed=True).tolist() == [[32, 24]]


def test_linked_files_that_are_missing_or_no_images_are_named(linked, tmp_path):
    lake = linked("a.jpg", "missing.jpg", "c.jpg", "d.jpg")
    (tmp_path / "c.jpg").write_text("no image")
    gif = io.BytesIO()
    Image.new("RGB", (3, 4)).save(gif, "gif")
    (tmp_path / "d.jpg").write_bytes(gif.getvalue())
    with pytest.raises(ImageError, match=r"3 of 4.*rows 1, 2, 3"):
        read_sizes(lake, "images")
    assert read_sizes(lake, "images", allow_bad=True)[:, 0].tolist() == [24, 0, 0, 0]


def test_a_linked_file_that_cannot_be_read_is_a_fault_of_the_storage(linked, tmp_path):
    lake = linked("a.jpg")
    (tmp_path / "a.jpg").unlink()
    (tmp_path / "a.jpg").mkdir()
    with pytest.raises(StorageError, match=r"cannot be read.*row 0, link '.*a\.jpg'"):
        read_sizes(lake, "images", allow_bad=True)
