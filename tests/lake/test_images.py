import functools
import http.server
import itertools
import threading

import cv2
import mmcv
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deeplake_mmdet.errors import ColumnError, ConfigError, ImageError
from deeplake_mmdet.lake.images.cells import check_image_column, holds_files, image_extension, read_images
from deeplake_mmdet.lake.images.lossless import encode_array
from deeplake_mmdet.lake.schema.columns import ColumnFacts, describe_columns
from deeplake_mmdet.lake.table.sizes import read_sizes

_numbers = itertools.count()
FLAGS = ("color", "unchanged", "color_ignore_orientation")


def column(**facts):
    defaults = {"dtype": "uint8", "sample_compression": "jpeg", "dimensions": 3}
    return ColumnFacts("photos", facts.pop("kind", "image"), **(defaults | facts))


def only(kind, cells):
    """A lake with one column of images, and that column's facts."""
    import deeplake

    lake = deeplake.create(f"mem://images-{next(_numbers)}", schema={"photos": kind})
    lake.append({"photos": cells})
    lake.commit()
    return lake, describe_columns(lake)["photos"]


def noise(*shape, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def png(pixels):
    """The file that stock MMDetection would be given; ``pixels`` as RGB or RGBA."""
    order = [0] if pixels.ndim == 2 or pixels.shape[2] == 1 else [2, 1, 0, 3][: pixels.shape[2]]
    return cv2.imencode(".png", np.ascontiguousarray(np.atleast_3d(pixels)[:, :, order]))[1].tobytes()


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"sample_compression": "png"},
        {"sample_compression": None},
        {"sample_compression": None, "dtype": "uint16"},
        {"sample_compression": None, "kind": "generic"},
        {"sample_compression": None, "kind": "generic", "dimensions": 2},
        {"is_link": True},
        {"is_nullable": True, "sample_compression": None},
    ],
    ids=str,
)
def test_columns_of_files_arrays_and_links_will_do(facts):
    check_image_column(column(**facts))


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        ({"is_sequence": True}, "holds sequences"),
        ({"kind": "generic", "dtype": "float32"}, "float32.*holds no images"),
        ({"kind": "generic", "dimensions": 1}, "holds no images"),
        ({"is_nullable": True}, "JPEG files behind a nullable type"),
        ({"is_nullable": True, "sample_compression": "png"}, "PNG files behind a nullable type"),
    ],
    ids=str,
)
def test_other_columns_are_refused_with_advice(facts, what):
    with pytest.raises(ColumnError, match=rf"'photos'.*{what}.*What to do"):
        check_image_column(column(**facts))


def test_extensions_follow_what_is_served():
    assert image_extension(column()) == "jpg"
    others = [{"sample_compression": "png"}, {"sample_compression": None}]
    assert {image_extension(column(**facts)) for facts in others} == {"png"}


def test_images_come_out_byte_for_byte_in_the_order_asked(make_lake, rows, encode):
    images = [encode(seed=seed) for seed in range(4)]
    lake = make_lake(images=images, **rows(4))
    facts = describe_columns(lake.dataset)["images"]
    assert holds_files(facts)
    assert read_images(lake.dataset, facts, np.array([3, 0, 3])) == [images[3], images[0], images[3]]


def test_an_orientation_is_neutralised_unless_it_is_to_be_applied(make_lake, rows, encode):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = encode(exif=exif.tobytes())
    lake = make_lake(images=[image], **rows(1))
    facts = describe_columns(lake.dataset)["images"]
    (upright,), (turned,) = (read_images(lake.dataset, facts, [0], apply_exif=on) for on in (False, True))
    assert turned == image
    assert mmcv.imfrombytes(upright).shape == (24, 32, 3)
    assert mmcv.imfrombytes(turned).shape == (32, 24, 3)
    assert (mmcv.imfrombytes(upright) == mmcv.imfrombytes(image, flag="color_ignore_orientation")).all()


@pytest.mark.parametrize("cell", [b"", None])
def test_an_empty_image_cell_is_named(make_lake, rows, encode, cell):
    from deeplake import types

    if cell is None:  # beside images, None in a column that is not nullable ends the process
        kind, images = types.Nullable(types.Array("uint8", 3)), [noise(4, 5, 3), None, noise(4, 5, 3)]
    else:
        kind, images = types.Image(sample_compression="jpeg"), [encode(), cell, encode()]
    lake, facts = only(kind, images)
    with pytest.raises(ImageError, match=r"empty.*column 'photos', row 1.*on_error='skip'"):
        read_images(lake, facts, [0, 1])


def test_rows_older_than_their_column_are_named(encode):
    import deeplake
    from deeplake import types

    lake = deeplake.create("mem://late-photos", schema={"number": "int64"})
    lake.append({"number": [1, 2]})
    lake.add_column("photos", types.Image(sample_compression="jpeg"))
    lake.append({"number": [3], "photos": [encode()]})
    lake.commit()
    facts = describe_columns(lake)["photos"]
    assert read_images(lake, facts, [2]) == [encode()]
    with pytest.raises(ImageError, match=r"empty.*row 1"):
        read_images(lake, facts, [2, 1])


@settings(deadline=None, max_examples=60)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    channels=st.sampled_from([0, 1, 3, 4]),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    seed=st.integers(0, 9),
)
def test_arrays_decode_as_an_equal_png_file_would(height, width, channels, dtype, seed):
    pixels = noise(height, width, *([channels] if channels else []), dtype=dtype, seed=seed)
    served = encode_array(pixels, "here")
    for flag in FLAGS:
        found, expected = mmcv.imfrombytes(served, flag=flag), mmcv.imfrombytes(png(pixels), flag=flag)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        assert (found == expected).all()


def test_grey_of_colour_arrays_is_that_of_a_bmp_file():
    # cv2 lets libpng compute the grey of PNG files, which rounds otherwise.
    pixels = noise(20, 30, 3)
    bmp = cv2.imencode(".bmp", pixels[:, :, ::-1])[1].tobytes()
    found, expected = (mmcv.imfrombytes(data, flag="grayscale") for data in (encode_array(pixels, ""), bmp))
    assert (found == expected).all()
    other = mmcv.imfrombytes(png(pixels), flag="grayscale")
    assert np.abs(found.astype(int) - other.astype(int)).max() <= 2


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.zeros((4, 5, 2), np.uint8), "2 channels"),
        (np.zeros((4, 5, 13), np.uint16), "13 channels"),
        (np.zeros((4, 5, 3), np.float32), "not float32"),
        (np.zeros((2, 4, 5, 3), np.uint8), r"shape \(2, 4, 5, 3\)"),
        (np.zeros((0, 5, 3), np.uint8), "empty"),
    ],
)
def test_arrays_that_are_no_images_are_refused(array, what):
    with pytest.raises(ImageError, match=rf"{what}.*Where: column 'photos', row 7"):
        encode_array(array, "column 'photos', row 7")


@pytest.mark.parametrize("as_image", [True, False])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_arrays_of_a_lake_are_served(as_image, dtype):
    from deeplake import types

    kind = types.Image(dtype, sample_compression="null") if as_image else types.Array(dtype, 3)
    cells = [noise(6, 7, channels, dtype=np.dtype(dtype).type) for channels in (1, 3, 4, 3)]
    cells[3] = cells[3][:5]
    lake, facts = only(kind, cells)
    check_image_column(facts)
    found = read_images(lake, facts, [3, 0, 1, 2, 3])
    for data, number in zip(found, [3, 0, 1, 2, 3], strict=True):
        decoded, expected = (mmcv.imfrombytes(d, flag="unchanged") for d in (data, png(cells[number])))
        assert decoded.dtype == np.dtype(dtype)
        assert (decoded == expected).all()


def test_deep_lake_gives_wrong_pixels_of_nullable_grey_images(encode):
    # Why nullable columns of files are refused; a Deep Lake that did better would make it needless.
    from deeplake import types

    lake, _ = only(types.Nullable(types.Image(sample_compression="jpeg")), [encode(mode="L")])
    assert lake["photos"][[0]][0].shape == (24, 32, 3)


def test_nullable_arrays_are_served():
    from deeplake import types

    pixels = noise(4, 5, 3)
    lake, facts = only(types.Nullable(types.Array("uint8", 3)), [None, pixels])
    check_image_column(facts)
    (found,) = read_images(lake, facts, [1])
    assert (mmcv.imfrombytes(found) == pixels[:, :, ::-1]).all()


def test_linked_local_files_are_served_as_they_are(tmp_path, encode):
    from deeplake import types

    files = [tmp_path / "a.jpg", tmp_path / "b.png"]
    files[0].write_bytes(encode())
    files[1].write_bytes(encode(encoding="png", mode="P"))
    lake, facts = only(
        types.Link(types.Image(sample_compression="jpeg")), [str(files[0]), f"file://{files[1]}"]
    )
    check_image_column(facts)
    assert read_images(lake, facts, [1, 0]) == [files[1].read_bytes(), files[0].read_bytes()]


def test_links_that_lead_nowhere_are_named(tmp_path, encode):
    from deeplake import types

    (tmp_path / "text.jpg").write_text("no image")
    addresses = [str(tmp_path / "gone.jpg"), str(tmp_path / "text.jpg"), "", "s3://bucket/a.PNG?version=3"]
    lake, facts = only(types.Link(types.Image(sample_compression="jpeg")), addresses)
    whats = ["leads to no file.*row 0.*gone", "not a JPEG or PNG.*row 1", "empty.*row 2", "palette.*a.PNG'"]
    for row, what in enumerate(whats):
        with pytest.raises(ImageError, match=what):
            read_images(lake, facts, [row])


@pytest.fixture
def server(tmp_path):
    """A server of the files in ``tmp_path``."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=tmp_path))
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{found.server_port}"
    found.shutdown()
    found.server_close()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_links_to_elsewhere_are_fetched_by_deep_lake(server, tmp_path, encode, mode):
    from deeplake import types

    image = encode(mode=mode)
    (tmp_path / "a.jpg").write_bytes(image)
    (tmp_path / "b.jpg").write_text("no image")
    addresses = [f"{server}/{name}.jpg?key=s3cr3t" for name in ("a", "b", "c")]
    lake, facts = only(types.Link(types.Image(sample_compression="jpeg")), addresses)
    (found,) = read_images(lake, facts, [0])
    assert (mmcv.imfrombytes(found) == mmcv.imfrombytes(image)).all()
    assert read_sizes(lake, facts, allow_bad=True).tolist() == [[24, 32], [0, 0], [0, 0]]
    for row, what in ((1, "not a JPEG or PNG.*row 1"), (2, "leads to no file.*row 2")):
        with pytest.raises(ImageError, match=what) as caught:
            read_images(lake, facts, [row])
        assert "s3cr3t" not in str(caught.value)
    with pytest.raises(ConfigError, match="apply_exif"):
        read_sizes(lake, facts, allow_bad=True, displayed=True)


def test_links_to_elsewhere_are_fetched_side_by_side(tmp_path, encode):
    from deeplake import types

    together = threading.Barrier(4)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            try:
                together.wait(20)
            except threading.BrokenBarrierError:
                self.send_error(404)
                return
            body = encode(seed=int(self.path.strip("/").split(".")[0]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    addresses = [f"http://127.0.0.1:{server.server_port}/{number}.jpg" for number in range(4)]
    lake, facts = only(types.Link(types.Image(sample_compression="jpeg")), addresses)
    found = read_images(lake, facts, [2, 0, 3, 1])
    for image, number in zip(found, (2, 0, 3, 1), strict=True):
        assert (mmcv.imfrombytes(image) == mmcv.imfrombytes(encode(seed=number))).all()
    assert read_sizes(lake, facts, allow_bad=True).tolist() == [[24, 32]] * 4
    server.shutdown()
    server.server_close()
