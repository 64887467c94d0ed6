import io
import multiprocessing
import pickle

import mmcv
import numpy as np
import pytest
from mmengine import fileio
from PIL import Image

import deeplake_mmdet.dataset.backend  # noqa: F401 - registers the backend
from deeplake_mmdet.errors import ConfigError, SourceNotFoundError
from deeplake_mmdet.lake import ImageRecord, LakeWriter, Source, open_view


def encode(seed, orientation=None):
    pixels = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), np.uint8)
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "jpeg", exif=exif.tobytes() if orientation else b"")
    return out.getvalue()


@pytest.fixture(scope="module")
def images():
    return [encode(0), encode(1), encode(2, orientation=6)]


@pytest.fixture(scope="module")
def view(tmp_path_factory, images):
    path = str(tmp_path_factory.mktemp("lakes") / "lake")
    with LakeWriter(path, class_names=["a"], box_format="ltwh", image_format="jpeg") as lake:
        for number, image in enumerate(images):
            lake.append(ImageRecord(image, 32, 24, f"{number}.jpg", np.ones((1, 4)), np.zeros(1, int)))
    return open_view(Source(path))


def test_mmengine_gets_the_stored_bytes(view, images):
    assert fileio.get(view.uri(1)) == images[1]
    assert fileio.get(view.uri(0), backend_args={"backend": "deeplake"}) == images[0]


def test_mmcv_decodes_images_as_they_are_stored(view):
    assert mmcv.imread(view.uri(0)).shape == (24, 32, 3)
    turned = mmcv.imfrombytes(fileio.get(view.uri(2)))
    assert (turned == mmcv.imfrombytes(encode(2))).all()


def test_stock_transforms_load_from_a_lake(view):
    from mmcv.transforms import LoadImageFromFile

    load = LoadImageFromFile()
    assert load({"img_path": view.uri(1)})["ori_shape"] == (24, 32)


def test_an_unknown_view_is_told():
    with pytest.raises(SourceNotFoundError, match="0123456789abcdef"):
        fileio.get("deeplake://0123456789abcdef/images/00000000.jpg")


def test_another_column_is_told_with_the_image_column(view):
    with pytest.raises(ConfigError, match=r"'boxes' is not the image column.*'images'"):
        fileio.get(view.uri(0).replace("images", "boxes"))


def test_a_row_beyond_the_view_is_told(view):
    with pytest.raises(ConfigError, match=r"has 3 rows.*00000003\.jpg"):
        fileio.get(view.uri(3))


@pytest.mark.parametrize("address", ["deeplake://", "deeplake://x/y", "deeplake://0a/images/first.jpg"])
def test_what_is_no_address_is_told(address):
    with pytest.raises(ConfigError, match="Not an image address"):
        fileio.get(address)


def fetch(pipe, pickled, uri):
    if pickled:
        import deeplake_mmdet.dataset.backend  # noqa: F401

        pickle.loads(pickled)
    pipe.send(fileio.get(uri))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_the_same_bytes(view, images, method):
    context = multiprocessing.get_context(method)
    assert fileio.get(view.uri(1)) == images[1]
    here, there = context.Pipe()
    pickled = pickle.dumps(view) if method == "spawn" else None
    child = context.Process(target=fetch, args=(there, pickled, view.uri(1)))
    child.start()
    there.close()
    assert here.recv() == images[1]
    child.join()
