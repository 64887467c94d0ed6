import copy
import multiprocessing
import pickle

import numpy as np
import pytest

from deeplake_mmdet.errors import (
    AnnotationError,
    BoxFormatError,
    ConfigError,
    ImageError,
    SourceNotFoundError,
)
from deeplake_mmdet.lake import CredentialRef, Source, find_view, open_view, parse_uri, put_away

SECRET = "canary-0123456789"


@pytest.fixture
def view_of(make_lake, rows):
    """Open a view, of a new lake of three rows with two boxes each if none is given."""
    kept = []

    def make(lake=None, **options):
        lake = lake or make_lake(**rows())
        kept.append(lake)
        return open_view(Source(lake.url), **options)

    return make


def test_a_view_of_all_classes_maps_labels_to_themselves(make_lake, view_of, rows):
    labels = np.array([1, 0], np.uint32)
    view = view_of(make_lake(classes=["a", "b", "c"], **rows(labels=labels)))
    assert view.classes == view.lake_classes == ("a", "b", "c")
    assert view.labels.tolist() == view.table.labels.tolist() == [1, 0] * 3


@pytest.mark.parametrize(
    ("classes", "expected"),
    [(["c", "a"], [1, -1, 0]), (("b",), [-1, 0, -1]), (["b", "c", "a"], [2, 0, 1])],
)
def test_classes_are_selected_and_reordered(make_lake, view_of, rows, classes, expected):
    labels = np.array([0, 1, 2], np.uint32)
    lake = make_lake(classes=["a", "b", "c"], **rows(boxes=3, labels=labels))
    view = view_of(lake, classes=classes)
    assert view.classes == tuple(classes)
    assert view.labels.tolist() == expected * 3
    assert view.table.labels.tolist() == [0, 1, 2] * 3


def test_an_unknown_class_is_refused_with_the_lakes_own(view_of):
    with pytest.raises(ConfigError, match=r"no class 'cat'.*metainfo.*a, b"):
        view_of(classes=["a", "cat"])


def test_selecting_no_class_at_all_is_refused(view_of):
    with pytest.raises(ConfigError, match=r"selects no class.*a, b"):
        view_of(classes=())


def test_a_class_that_is_named_twice_is_refused(view_of):
    with pytest.raises(ConfigError, match="occurs twice"):
        view_of(classes=["a", "b", "a"])


def test_a_lake_that_does_not_name_its_classes_needs_them_given(make_lake, view_of, rows):
    lake = make_lake(classes=(), **rows())
    with pytest.raises(AnnotationError, match=r"does not name its classes.*'labels'.*metainfo"):
        view_of(lake)
    view = view_of(lake, classes=["x", "y"])
    assert view.classes == view.lake_classes == ("x", "y")
    with pytest.raises(ConfigError, match="occurs twice"):
        view_of(lake, classes=["x", "x"])


def test_a_lake_that_names_a_class_twice_is_refused(make_lake, view_of, rows):
    with pytest.raises(AnnotationError, match=r"'a' occurs twice.*'labels'"):
        view_of(make_lake(classes=["a", "a"], **rows()))


def test_an_unspecified_box_format_is_asked_for_never_guessed(make_lake, view_of, rows):
    from deeplake import types

    lake = make_lake(schema={"boxes": types.BoundingBox("float32")}, **rows())
    with pytest.raises(BoxFormatError, match=r"'boxes' does not say.*box_format="):
        view_of(lake)
    corners = view_of(lake, box_format="ltrb")
    sizes = view_of(lake, box_format="ltwh")
    assert corners.table.xyxy(0).tolist() == sizes.table.xywh(0).tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert corners.key != sizes.key


def test_a_given_box_format_overrides_the_lakes(view_of):
    assert view_of(box_format="ltrb").table.xyxy(0).tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    with pytest.raises(BoxFormatError, match="xyxy"):
        view_of(box_format="xyxy")


def test_given_columns_are_used(make_lake, view_of, rows):
    from deeplake import types

    cells = rows()
    lake = make_lake(
        schema={"more": types.BoundingBox("float64", "ltwh", "pixel")}, more=cells["boxes"][::-1], **cells
    )
    assert view_of(lake, tensors={"gt_bboxes": "more"}).table.xywh(0).tolist() == cells["boxes"][2].tolist()


def test_links_to_local_files_are_images(make_lake, view_of, rows, encode, tmp_path):
    from deeplake import types

    (tmp_path / "a.jpg").write_bytes(encode())
    kind = types.Link(types.Image(sample_compression="jpeg"))
    lake = make_lake(schema={"images": kind}, images=[str(tmp_path / "a.jpg")] * 3, **rows())
    view = view_of(lake)
    assert view.images([1]) == [encode()]
    assert view.uri(1).endswith("/images/00000001.jpg")


def test_a_view_is_found_by_its_key(view_of):
    view = view_of()
    assert find_view(view.key) is view


def test_an_unknown_key_is_refused():
    with pytest.raises(SourceNotFoundError, match="'0123456789abcdef'"):
        find_view("0123456789abcdef")


def test_the_same_view_is_made_once_and_others_have_other_keys(make_lake, view_of, rows):
    lake = make_lake(**rows())
    views = [
        view_of(lake),
        view_of(lake, classes=["b", "a"]),
        view_of(lake, classes=["a"]),
        view_of(lake, box_format="ccwh"),
        open_view(Source(lake.url, query="SELECT * LIMIT 2")),
    ]
    assert len({view.key for view in views}) == len(views)
    assert view_of(lake) is views[0]
    lake.append(images=[views[0].images([0])[0]], **rows(1))
    assert view_of(lake).key != views[0].key


@pytest.mark.parametrize("encoding", ["jpeg", "png"])
def test_addresses_have_one_scheme_and_a_unique_name_with_an_image_extension(
    make_lake, view_of, rows, encode, encoding
):
    from deeplake import types

    kind = types.Image(sample_compression=encoding)
    lake = make_lake(schema={"images": kind}, images=[encode(encoding=encoding)] * 3, **rows())
    view = view_of(lake)
    uris = [view.uri(row) for row in range(3)]
    assert len({uri.rpartition("/")[2] for uri in uris}) == 3
    for row, uri in enumerate(uris):
        assert uri.startswith("deeplake://")
        assert uri.count("://") == 1
        assert uri.endswith(".jpg" if encoding == "jpeg" else ".png")
        assert parse_uri(uri) == (view.key, "images", row)


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("deeplake://0af/images/00000012.jpg", ("0af", "images", 12)),
        ("deeplake://0af/cam/front/00000000.png", ("0af", "cam/front", 0)),
        ("deeplake://0af/a b/123456789.jpg", ("0af", "a b", 123456789)),
    ],
)
def test_addresses_are_read(uri, parts):
    assert parse_uri(uri) == parts


@pytest.mark.parametrize(
    "uri",
    ["", "images/1.jpg", "deeplake://0af/1.jpg", "deeplake://0af/images/x.jpg", "deeplake://0af/images/1",
     "deeplake://xyz/images/1.jpg", "s3://0af/images/1.jpg", "deeplake://0af/images/-1.jpg", None],
)  # fmt: skip
def test_what_is_no_address_is_refused(uri):
    with pytest.raises(ConfigError, match="Not an image address"):
        parse_uri(uri)


def test_images_come_out_upright(make_lake, view_of, rows, encode):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    view = view_of(make_lake(images=[encode(seed=1, exif=exif.tobytes()), encode(seed=2)], **rows(2)))
    exif[0x0112] = 1
    assert view.images([1, 0]) == [encode(seed=2), encode(seed=1, exif=exif.tobytes())]


def test_masks_are_asked_for_in_vain_where_there_are_none(view_of):
    with pytest.raises(ConfigError, match=r"no mask column.*with_mask"):
        view_of().segmentations(0)


def test_a_copy_of_a_view_is_the_view(view_of):
    view = view_of()
    assert copy.deepcopy({"view": [view]})["view"][0] is view


def test_a_pickled_view_holds_neither_handle_nor_secret(make_lake, rows, tmp_path):
    make_lake(tmp_path / "lake", **rows())
    ref = CredentialRef(put_away({"token": SECRET}))
    view = open_view(Source(str(tmp_path / "lake")), credentials=ref)
    view.images([0])
    pickled = pickle.dumps(view)
    assert SECRET.encode() not in pickled
    assert b"deeplake._deeplake" not in pickled
    assert pickle.loads(pickled).key == view.key


def serve(pipe, pickled, key):
    try:
        find_view(key)
    except SourceNotFoundError:
        pickle.loads(pickled)
    view = find_view(key)
    pipe.send((view.uri(1), view.images([1])[0], view.labels.tolist(), view.table.boxes.tolist()))


def test_an_unpickled_view_serves_images_in_a_fresh_process(make_lake, rows, encode, tmp_path):
    images = [encode(seed=seed) for seed in range(3)]
    lake = make_lake(tmp_path / "lake", images=images, **rows())
    view = open_view(Source(lake.url), classes=["b", "a"])
    lake.append(images=images, **rows())
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=serve, args=(there, pickle.dumps(view), view.key))
    child.start()
    there.close()
    found = here.recv()
    child.join()
    assert found == (view.uri(1), images[1], view.labels.tolist(), view.table.boxes.tolist())


def test_an_image_that_cannot_be_decoded_stops_the_opening(make_lake, view_of, rows, encode):
    with pytest.raises(ImageError, match="row"):
        view_of(make_lake(images=[encode(), b"no image", encode()], **rows()))
