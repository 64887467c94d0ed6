"""How far an import verifies images, and what it says of what it did not."""

import json
import shutil

import deeplake
import numpy as np
import pytest
from PIL import Image

from deeplake_mmdet.cli import main
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake.table.sizes import read_sizes
from deeplake_mmdet.transfer import import_coco, import_voc


@pytest.fixture
def mixed(make_coco, make_image):
    """Three sound images, and others that are odd; each is stated to have 32 x 24 pixels."""
    whole = make_image(seed=9)
    exif = Image.Exif()
    exif[0x0112] = 6
    files = {
        **{f"cut{tenth}.jpg": whole[: len(whole) * tenth // 10] for tenth in range(1, 10)},
        "zero.jpg": b"",
        "other.jpg": make_image(48, 24),
        "junk.jpg": b"\xff\xd8\xff" + b"junk" * 99,
        "turned.jpg": make_image(exif=exif.tobytes()),
        "png.jpg": make_image(encoding="png"),
    }

    def change(data):
        for number, name in enumerate(files, 50):
            data["images"].append({"id": number, "file_name": name, "width": 32, "height": 24})
        data["images"].append({"id": 99, "file_name": "turned.jpg"})

    return make_coco(change=change, files=files)


def run(made, lake, verify, **options):
    summary = import_coco(made[0], lake, images=made[1], progress=False, verify=verify, **options)
    refused = {refusal.file.rsplit("/", 1)[1]: refusal.reason for refusal in summary.refused}
    return summary, refused, deeplake.open_read_only(str(lake))


CUTS = {f"cut{tenth}.jpg" for tenth in range(1, 10)}


def test_by_default_everything_is_decoded(mixed, tmp_path):
    summary, refused, lake = run(mixed, tmp_path / "lake", "decode", convert="never")
    assert refused.keys() == CUTS | {"zero.jpg", "other.jpg", "junk.jpg", "png.jpg"}
    assert refused["other.jpg"] == "size differs from the annotation"
    assert summary.not_decoded == 0
    assert "not decoded" not in str(summary)
    told = lake.metadata["deeplake_mmdet"]
    assert (told["verify"], told["images_not_decoded"], told["complete"]) == ("decode", 0, True)


def test_headers_tell_formats_and_sizes(mixed, tmp_path):
    summary, refused, lake = run(mixed, tmp_path / "lake", "header", convert="never")
    with_header = {name for name in CUTS if name not in refused}
    assert {"cut8.jpg", "cut9.jpg"} <= with_header
    assert refused.keys() >= {"zero.jpg", "other.jpg", "junk.jpg", "png.jpg", "cut1.jpg"}
    assert summary.not_decoded == summary.images == 5 + len(with_header)
    assert f"{summary.images} images were not decoded, as --verify header says" in str(summary)
    told = lake.metadata["deeplake_mmdet"]
    assert (told["verify"], told["images_not_decoded"]) == ("header", summary.images)
    names = [lake["file_name"][row] for row in range(len(lake))]
    turned = [name == "turned.jpg" for name in names]
    assert lake["exif_turned"][:].tolist() == [6 if one else 0 for one in turned]
    assert lake["width"][:].tolist() == [24 if one else 32 for one in turned]
    assert lake["width"].metadata["format"] == "turned-pixels"


def test_stated_sizes_can_be_believed(mixed, tmp_path):
    summary, refused, lake = run(mixed, tmp_path / "lake", "none", convert="never")
    assert refused.keys() == {"zero.jpg", "png.jpg"}
    assert summary.not_decoded == summary.images == 16
    assert "sizes that are stated were not held against them" in str(summary)
    assert lake.metadata["deeplake_mmdet"]["verify"] == "none"
    names = [lake["file_name"][row] for row in range(len(lake))]
    other = names.index("other.jpg")
    assert (lake["width"][other], lake["height"][other]) == (32, 24)
    assert "format" not in lake["width"].metadata  # so that readers measure the images
    assert read_sizes(lake, "images", allow_bad=True)[other].tolist() == [24, 48]


def test_what_is_converted_is_decoded(mixed, tmp_path):
    for verify in ("header", "none"):
        summary, refused, _ = run(mixed, tmp_path / verify, verify)
        assert "png.jpg" not in refused
        assert summary.not_decoded == summary.images - 1  # but for the PNG, which is converted


@pytest.mark.parametrize("verify", ["Decode", "", "all", None, 3, ["decode"]])
def test_other_values_are_refused_before_anything_is_read(tmp_path, verify):
    (tmp_path / "images").mkdir()
    with pytest.raises(ConfigError, match=r"verify.*decode, header, none"):
        import_coco(tmp_path / "none.json", tmp_path / "lake", images=tmp_path / "images", verify=verify)
    with pytest.raises(ConfigError, match="verify"):
        import_voc(tmp_path, tmp_path / "lake", verify=verify)
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize("workers", [0, -1, 1.5, "2", True])
def test_threads_are_a_positive_number(make_coco, tmp_path, workers):
    annotations, images = make_coco()
    with pytest.raises(ConfigError, match="workers"):
        import_coco(annotations, tmp_path / "lake", images=images, workers=workers)
    assert not (tmp_path / "lake").exists()


def test_the_command_has_the_same_choice(make_coco, tmp_path, capsys):
    annotations, images = make_coco()
    args = ["import", "coco", str(annotations), str(tmp_path / "lake"), "--images", str(images)]
    with pytest.raises(SystemExit, match="2"):
        main([*args, "--verify", "all"])
    assert "--verify" in capsys.readouterr().err
    assert main([*args, "--verify", "header"]) == 0
    assert "3 images were not decoded" in " ".join(capsys.readouterr().out.split())


def test_voc_takes_it_too(tmp_path, make_image):
    for name in ("Annotations", "JPEGImages"):
        (tmp_path / name).mkdir()
    whole = make_image()
    for name, content in (("a", whole), ("b", whole[:-200])):
        (tmp_path / f"JPEGImages/{name}.jpg").write_bytes(content)
        box = "<xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>20</ymax>"
        (tmp_path / f"Annotations/{name}.xml").write_text(
            f"<annotation><object><name>cat</name><bndbox>{box}</bndbox></object></annotation>"
        )
    for verify, images in (("decode", 1), ("header", 2), ("none", 2)):
        summary = import_voc(tmp_path, tmp_path / verify, verify=verify, progress=False)
        assert (summary.images, summary.not_decoded) == (images, 0 if verify == "decode" else 2)


def test_bytes_are_those_that_were_checked(make_coco, make_image, tmp_path, monkeypatch):
    """A file that grows while it is read is taken or refused as it was at one moment."""
    from deeplake_mmdet.transfer import images as module

    annotations, folder = make_coco(3)
    whole = make_image(seed=1)
    (folder / "1.jpg").write_bytes(whole[:-100])
    read_file = module.read_file

    def read_and_grow(path, size=None):
        data = read_file(path, size)
        if path.name == "1.jpg":
            path.write_bytes(whole)
        return data

    monkeypatch.setattr(module, "read_file", read_and_grow)
    first, refused, _ = run((annotations, folder), tmp_path / "first", "decode")
    assert (first.images, refused) == (2, {"1.jpg": "image cannot be decoded"})
    second, _, lake = run((annotations, folder), tmp_path / "second", "decode")
    assert second.images == 3
    assert lake["images"].get_bytes(1) == whole


def test_images_and_rows_stay_together_over_many_blocks(make_image, tmp_path):
    """Images of many sizes, some of which are refused, in blocks that end anywhere."""
    random = np.random.default_rng(7)
    folder, data = tmp_path / "images", {"images": [], "annotations": [], "categories": []}
    folder.mkdir()
    data["categories"] = [{"id": 3, "name": "a"}, {"id": 1, "name": "b"}]
    sound = {}
    for number in range(700):
        name = f"{number:03d}.jpg"
        width, height = 8 + number % 40, 8 + number // 40
        content = make_image(width, height, seed=number)
        if number % 11 == 5:
            content = content[: len(content) // 2]
        (folder / name).write_bytes(content)
        data["images"].append({"id": number, "file_name": name, "width": width, "height": height})
        boxes = random.uniform(0.5, 9, (number % 4, 4)).round(3).tolist()
        if number % 11 != 5:
            sound[number] = boxes, content
        for box in boxes:
            entry = {"id": len(data["annotations"]), "image_id": number, "category_id": 1 + 2 * (number % 2)}
            data["annotations"].append(entry | {"bbox": box, "area": box[2] * box[3], "iscrowd": number % 2})
    (tmp_path / "coco.json").write_text(json.dumps(data))
    made = tmp_path / "coco.json", folder
    for workers in (1, 3):
        shutil.rmtree(tmp_path / "lake", ignore_errors=True)
        summary, refused, lake = run(made, tmp_path / "lake", "decode", workers=workers)
        assert len(refused) == summary.refused_images == 700 - len(sound)
        assert lake["image_id"][:].tolist() == list(sound)
        assert lake["width"][:].tolist() == [8 + number % 40 for number in sound]
        boxes, labels, images = lake["boxes"][:], lake["labels"][:], lake["images"]
        for row, (number, (expected, content)) in enumerate(sound.items()):
            assert np.asarray(boxes[row]).tolist() == expected
            assert set(np.asarray(labels[row]).tolist()) <= {(number + 1) % 2}
            assert images.get_bytes(row) == content
