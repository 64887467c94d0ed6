"""Lakes of turned photographs, and of all encodings, give the samples of stock MMDetection."""

import io
import json
from types import SimpleNamespace

import cv2
import deeplake
import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS, TRANSFORMS
from mmdet.utils import register_all_modules
from PIL import Image

from deeplake_mmdet import DeepLakeDataset, Feed
from deeplake_mmdet.cli import main
from deeplake_mmdet.errors import ColumnError
from deeplake_mmdet.lake import Source, inspect, open_view
from deeplake_mmdet.transfer import import_coco, import_voc

WIDTH, HEIGHT = 45, 28
BOXES = ([2, 3, 20.5, 12], [10, 1, 15, 22])
PIPELINE = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_bbox": True, "with_mask": True},
    {"type": "PackDetInputs", "meta_keys": ("img_id", "img_path", "ori_shape", "img_shape")},
]
PLAIN = [PIPELINE[0], {"type": "LoadAnnotations", "with_bbox": True}, PIPELINE[2]]  # without masks


@pytest.fixture(scope="module", autouse=True)
def mmdet_scope():
    register_all_modules(init_default_scope=True)


def picture(mode="RGB", seed=0):
    coarse = np.random.default_rng(seed).integers(0, 255, (4, 6, 4), np.uint8)
    smooth = Image.fromarray(coarse, "RGBA").resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    return smooth.quantize(30) if mode == "P" else smooth.convert(mode)


def encoded(encoding, mode="RGB", orientation=None, seed=0, **options):
    if orientation:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["tiffinfo" if encoding == "tiff" else "exif"] = exif
    out = io.BytesIO()
    picture(mode, seed).save(out, encoding, **options)
    return out.getvalue()


def sixteen_bit():
    return cv2.imencode(".png", np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH), np.uint16))[1]


def shown(data):
    """Width and height of what stock MMDetection decodes."""
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[1::-1]


@pytest.fixture
def data_set(tmp_path):
    """Write images with two objects each, which have polygons and run lengths."""

    def make(files, size=shown):
        folder = tmp_path / "images"
        folder.mkdir(exist_ok=True)
        images, annotations = [], []
        for number, (name, data) in enumerate(files.items()):
            (folder / name).write_bytes(data)
            width, height = shown(data)
            stated = size(data)
            entry = {"id": number, "file_name": name}
            images.append(entry if stated is None else entry | {"width": stated[0], "height": stated[1]})
            rle = {"size": [height, width], "counts": [40, 13, width * height - 53]}
            shapes = [[[3, 4, 20, 4, 20, 14]], rle]
            for box, shape in zip(BOXES, shapes, strict=True):
                place = {"image_id": number, "category_id": 7, "id": len(annotations)}
                about = {"bbox": box, "area": 200.0, "iscrowd": 0, "segmentation": shape}
                annotations.append(place | about)
        document = {"images": images, "annotations": annotations, "categories": [{"id": 7, "name": "x"}]}
        path = tmp_path / "coco.json"
        path.write_text(json.dumps(document))
        stock = {
            "type": "CocoDataset",
            "ann_file": str(path),
            "data_prefix": {"img": str(folder)},
            "metainfo": {"classes": ("x",)},
            "pipeline": PIPELINE,
        }
        return SimpleNamespace(
            path=path, folder=folder, stock=lambda: DATASETS.build(stock), lake=str(tmp_path / "lake")
        )

    return make


def run(made, **options):
    return import_coco(made.path, made.lake, images=made.folder, progress=False, **options)


def assert_same(ours, theirs):
    assert len(ours) == len(theirs) > 0
    fed = Feed(ours).__getitems__([(0, index) for index in range(len(ours))])
    for index in range(len(theirs)):
        other = theirs[index]
        for sample in (ours[index], fed[index]):
            assert torch.equal(sample["inputs"], other["inputs"]), index
            mine, stock = sample["data_samples"], other["data_samples"]
            assert mine.ori_shape == stock.ori_shape
            assert torch.equal(mine.gt_instances.bboxes.tensor, stock.gt_instances.bboxes.tensor)
            masks = mine.gt_instances.masks, stock.gt_instances.masks
            assert np.array_equal(masks[0].to_ndarray(), masks[1].to_ndarray()), index


def dataset(made, pipeline=PIPELINE, **options):
    return DeepLakeDataset(made.lake, pipeline=pipeline, **options)


@pytest.mark.parametrize("encoding", ["jpeg", "png"])
def test_turned_photographs_are_stocks_samples(data_set, encoding):
    files = {f"{o}.jpg": encoded(encoding, orientation=o, seed=o) for o in range(1, 9)}
    made = data_set(files)
    summary = run(made)
    assert (summary.images, summary.boxes, summary.refusals.counts) == (8, 16, {})
    assert "4 images are turned by their EXIF orientation, as their stated sizes say" in str(summary)
    assert summary.changes.total("image") == 3  # orientations 2 to 4, which no size tells
    assert "--exif stored" in str(summary)
    ours = dataset(made)
    assert_same(ours, made.stock())
    lake = deeplake.open_read_only(made.lake)
    assert lake["exif_turned"][:].tolist() == [0, 2, 3, 4, 5, 6, 7, 8]
    assert [lake["images"].get_bytes(row) for row in range(8)] == list(files.values())
    # Sizes come from the import's own columns: no image is fetched for them.
    assert (ours.view.roles.width, ours.view.roles.height) == ("width", "height")


def test_sizes_and_boxes_decide_image_by_image(data_set):
    files = {f"{seed}.jpg": encoded("jpeg", orientation=6, seed=seed) for seed in range(3)}
    files["upright.jpg"] = encoded("jpeg", seed=9)
    made = data_set(files)
    document = json.loads(made.path.read_text())
    boxes = {0: [2, 3, 20, 12], 1: [2, 3, 42, 12], 2: [2, 3, 12, 40], 3: [2, 3, 42, 12]}
    for annotation in document["annotations"]:
        annotation["bbox"] = boxes[annotation["image_id"]]
        annotation["segmentation"] = []
    for image in document["images"]:
        image["width"], image["height"] = WIDTH, HEIGHT
    made.path.write_text(json.dumps(document))
    summary = run(made)
    lake = deeplake.open_read_only(made.lake)
    assert lake["exif_turned"][:].tolist() == [6, 0, 6, 0]
    assert {reason.split(":")[0].split(",")[0] for _, reason in summary.changes.counts} == {
        "turned by its EXIF orientation",
        "not turned by its EXIF orientation",
    }
    ours = dataset(made)
    infos = [ours.get_data_info(index) for index in range(4)]
    assert [info["width"] for info in infos] == [HEIGHT, WIDTH, HEIGHT, WIDTH]
    assert [len(info["instances"]) for info in infos] == [2] * 4
    assert [sample["inputs"].shape[2] for sample in ours] == [HEIGHT, WIDTH, HEIGHT, WIDTH]


@pytest.mark.parametrize(("exif", "turned"), [("turn", [6, 3, 0]), ("stored", [0, 0, 0])])
def test_the_whole_import_can_be_decided(data_set, exif, turned):
    files = {"a.jpg": encoded("jpeg", orientation=6), "b.jpg": encoded("jpeg", orientation=3)}
    made = data_set({**files, "c.jpg": encoded("jpeg", seed=4)}, size=lambda _: None)
    summary = run(made, exif=exif)
    lake = deeplake.open_read_only(made.lake)
    assert lake["exif_turned"][:].tolist() == turned
    assert lake["width"][:].tolist() == [HEIGHT if turned[0] else WIDTH, WIDTH, WIDTH]
    assert f"--exif {exif}" in str(summary)
    # The run lengths of this data set are those of turned images.
    assert {kind for kind, _ in summary.changes.counts} == (set() if exif == "turn" else {"mask"})


def test_a_dataset_may_overrule_the_record(data_set):
    files = {f"{o}.jpg": encoded("jpeg", orientation=o, seed=o) for o in (6, 1, 3)}
    made = data_set(files)
    run(made)
    keys = set()
    for choice, flag in ((None, "color"), (True, "color"), (False, "color_ignore_orientation")):
        ours = dataset(made, PLAIN, apply_exif=choice)
        keys.add(ours.view.key)
        for index, data in enumerate(files.values()):
            flags = cv2.IMREAD_COLOR | (cv2.IMREAD_IGNORE_ORIENTATION if "ignore" in flag else 0)
            expected = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
            assert np.array_equal(ours[index]["inputs"].numpy().transpose(1, 2, 0), expected)
            info = ours.get_data_info(index)
            assert (info["height"], info["width"]) == expected.shape[:2]
    assert len(keys) == 3


def test_a_query_that_loses_the_record_is_told(data_set):
    made = data_set({"a.jpg": encoded("jpeg", orientation=6), "b.jpg": encoded("jpeg")})
    run(made)
    few = "SELECT images, boxes, labels, segmentations"
    with pytest.raises(ColumnError, match=r"exif_turned.*EXIF orientation.*add exif_turned"):
        dataset(made, PLAIN, query=few).full_init()
    assert dataset(made, PLAIN, query=few, apply_exif=True)[0]["inputs"].shape == (3, WIDTH, HEIGHT)
    switched_off = dataset(made, PLAIN, query=few, tensors={"exif_turned": False})
    assert switched_off[0]["inputs"].shape == (3, HEIGHT, WIDTH)
    assert dataset(made, query=f"{few}, exif_turned")[0]["inputs"].shape == (3, WIDTH, HEIGHT)
    assert dataset(made, query="SELECT * WHERE width > 30")[0]["inputs"].shape == (3, HEIGHT, WIDTH)


def test_a_query_of_a_lake_that_turns_nothing_needs_no_record(data_set):
    made = data_set({"a.jpg": encoded("jpeg")})
    run(made)
    assert dataset(made, query="SELECT images, boxes, labels, segmentations")[0]["inputs"].shape[1] == HEIGHT


def test_views_and_inspection_follow_the_record(data_set, capsys):
    files = {"a.jpg": encoded("jpeg", orientation=8), "b.jpg": encoded("jpeg")}
    made = data_set(files)
    run(made)
    view = open_view(Source(made.lake))
    assert view.turns_images
    assert view.images([0, 1]) == list(files.values())
    assert view.fetch_span(0, 2) == list(files.values())
    sizes = list(zip(view.table.widths.tolist(), view.table.heights.tolist(), strict=True))
    assert sizes == [(HEIGHT, WIDTH), (WIDTH, HEIGHT)]
    found = inspect(made.lake)
    assert (found.view.key, found.turned_images()) == (view.key, 1)
    assert main(["inspect", made.lake]) == 0
    assert "1 turned by their EXIF orientation" in " ".join(capsys.readouterr().out.split())


def test_all_encodings_in_one_lake(data_set):
    files = {
        "a.jpg": encoded("jpeg"),
        "grey.jpg": encoded("jpeg", "L"),
        "cmyk.jpg": encoded("jpeg", "CMYK"),
        "turned.jpg": encoded("jpeg", orientation=6),
        "b.png": encoded("png", seed=1),
        "alpha.png": encoded("png", "RGBA"),
        "palette.png": encoded("png", "P"),
        "turned.png": encoded("png", orientation=8),
        "deep.png": sixteen_bit().tobytes(),
        "c.bmp": encoded("bmp"),
        "d.webp": encoded("webp", quality=80),
        "e.gif": encoded("gif", "P"),
        "f.jp2": encoded("jpeg2000"),
        "g.avif": encoded("avif"),
        "h.ppm": encoded("ppm"),
        **{f"{o}.tif": encoded("tiff", orientation=o, seed=o) for o in range(1, 9)},
    }
    made = data_set(files)
    summary = run(made)
    assert (summary.images, summary.refusals.counts) == (len(files), {})
    assert_same(dataset(made), made.stock())
    converted = {name: count for (_, name), count in summary.changes.counts.items() if "converted" in name}
    assert converted["PNG converted to JPEG without loss"] == 5
    assert converted["TIFF converted to JPEG without loss"] == 8
    assert sum(converted.values()) == len(files) - 4
    lake = deeplake.open_read_only(made.lake)
    stored = {name: lake["images"].get_bytes(row) for row, name in enumerate(files)}
    assert all(stored[name] == files[name] for name in files if name.endswith(".jpg"))
    for row, (name, data) in enumerate(files.items()):
        if not name.endswith(".jpg"):  # Deep Lake's own decoder, too
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            assert np.array_equal(lake["images"][row], pixels[..., ::-1]), name
    assert [bool(turned) for turned in lake["exif_turned"][:]] == [name == "turned.jpg" for name in files]


def test_few_jpegs_among_pngs(data_set):
    files = {f"{n}.png": encoded("png", seed=n) for n in range(12)} | {"a.jpg": encoded("jpeg")}
    made = data_set(files | {"b.bmp": encoded("bmp", orientation=None)})
    summary = run(made)
    assert_same(dataset(made), made.stock())
    assert "1 JPEG images" in str(summary)
    assert "0.png, 1.png, 2.png, 3.png, 4.png and 8 more" in " ".join(summary.notes)
    lake = deeplake.open_read_only(made.lake)
    stored = [lake["images"].get_bytes(row) for row in range(len(lake))]
    assert all(data.startswith(b"\x89PNG") for data in stored)
    assert stored[:12] == list(files.values())[:12]


def test_converted_images_can_be_left_as_stored(data_set):
    files = {
        "a.png": encoded("png"),
        "b.jpg": encoded("jpeg", orientation=6),
        "c.tif": encoded("tiff", orientation=6, seed=2),
    }
    made = data_set(files, size=lambda _: (WIDTH, HEIGHT))
    run(made, exif="stored")
    ours = dataset(made, PLAIN)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    expected = cv2.imdecode(np.frombuffer(files["b.jpg"], np.uint8), flags)
    assert np.array_equal(ours[1]["inputs"].numpy().transpose(1, 2, 0), expected)
    assert np.array_equal(ours[2]["inputs"].numpy().transpose(1, 2, 0), np.array(picture(seed=2))[..., ::-1])


def test_never_converting_refuses_the_fewer_ones_by_name(data_set):
    made = data_set({"a.jpg": encoded("jpeg"), "b.jpg": encoded("jpeg"), "c.png": encoded("png")})
    summary = run(made, convert="never")
    assert [(r.file.rsplit("/", 1)[1], r.reason) for r in summary.refused] == [
        ("c.png", "PNG in a lake of JPEG images")
    ]
    lake = deeplake.open_read_only(made.lake)
    assert lake["images"].get_bytes(0) == encoded("jpeg")


def write_voc(root, images):
    """``images``: name to file, stated size and the four corners of a box."""
    for folder in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (root / folder).mkdir(parents=True)
    for name, (data, (width, height), corners) in images.items():
        (root / f"JPEGImages/{name}.jpg").write_bytes(data)
        keys = ("xmin", "ymin", "xmax", "ymax")
        box = "".join(f"<{key}>{value}</{key}>" for key, value in zip(keys, corners, strict=True))
        (root / f"Annotations/{name}.xml").write_text(
            f"<annotation><filename>{name}.jpg</filename><size><width>{width}</width><height>{height}"
            f"</height><depth>3</depth></size><object><name>x</name><difficult>0</difficult><bndbox>{box}"
            "</bndbox></object></annotation>"
        )
    (root / "ImageSets/Main/all.txt").write_text("\n".join(images))


def test_voc_is_read_by_the_same_rules(tmp_path):
    turned = encoded("jpeg", orientation=6)
    write_voc(
        tmp_path,
        {
            "shown": (turned, (HEIGHT, WIDTH), (2, 2, 20, 40)),
            "stored": (turned, (WIDTH, HEIGHT), (2, 2, 40, 20)),
            "off": (encoded("jpeg"), (WIDTH + 1, HEIGHT), (1, 1, WIDTH, HEIGHT)),
            "wrong": (turned, (10, 10), (1, 1, 9, 9)),
        },
    )
    summary = import_voc(tmp_path, tmp_path / "lake", split="all", progress=False)
    lake = deeplake.open_read_only(str(tmp_path / "lake"))
    assert lake["exif_turned"][:].tolist() == [6, 0, 0]
    assert summary.changes.total("image") == 2
    assert [(r.reason, r.detail) for r in summary.refused] == [
        (
            "size differs from the annotation, also with regard to its EXIF orientation",
            f"10 x 10 stated, {WIDTH} x {HEIGHT} stored, {HEIGHT} x {WIDTH} turned, EXIF orientation 6",
        )
    ]
    stock = DATASETS.build(
        {
            "type": "XMLDataset",
            "ann_file": str(tmp_path / "ImageSets/Main/all.txt"),
            "data_prefix": {"sub_data_root": str(tmp_path)},
            "metainfo": {"classes": ("x",)},
            "pipeline": PLAIN,
        }
    )
    ours = DeepLakeDataset(str(tmp_path / "lake"), pipeline=PLAIN)
    for index in (0, 2):
        assert torch.equal(ours[index]["inputs"], stock[index]["inputs"])
        boxes = [sample[index]["data_samples"].gt_instances.bboxes.tensor for sample in (ours, stock)]
        assert torch.equal(*boxes)


@pytest.mark.parametrize("backend", ["cv2", "pillow"])
@pytest.mark.parametrize("colours", ["color", "grayscale", "unchanged"])
def test_converted_images_in_every_loader(data_set, backend, colours):
    grey = np.full((HEIGHT, WIDTH, 3), np.arange(WIDTH, dtype=np.uint8)[None, :, None] * 5)
    made = data_set({"a.jpg": encoded("jpeg"), "b.bmp": cv2.imencode(".bmp", grey)[1].tobytes()})
    run(made)
    load = PLAIN[0] | {"color_type": colours, "imdecode_backend": backend}
    ours = DeepLakeDataset(path=made.lake, pipeline=[load, *PLAIN[1:]])
    stock = made.stock()
    stock.pipeline.transforms[0] = TRANSFORMS.build(load)
    for index in range(2):
        assert torch.equal(ours[index]["inputs"], stock[index]["inputs"])
