"""What an import says in the end, and how the command ends."""

import pytest

from deeplake_mmdet.cli import main
from deeplake_mmdet.errors import AnnotationError, ConfigError
from deeplake_mmdet.transfer import import_coco

STRANGE = "[red]x[/nothing] [link=a]"


def without_images(count):
    def change(data):
        for image in data["images"][:count]:
            image["file_name"] = f"gone{image['id']}.jpg"

    return change


@pytest.mark.parametrize(("gone", "status"), [(0, 0), (2, 0), (3, 1), (4, 1)])
def test_the_status_tells_of_most_images_refused(make_coco, tmp_path, capsys, gone, status):
    path, images = make_coco(5 if gone > 2 else 4, change=without_images(gone))
    args = ["import", "coco", str(path), str(tmp_path / "lake"), "--images", str(images)]
    assert main(args) == status
    shown = capsys.readouterr().out
    assert ("Most images were refused" in shown) == bool(status)
    assert (tmp_path / "lake").exists()


@pytest.mark.parametrize("empty", [False, True])
def test_no_box_that_can_be_imported_is_an_error(make_coco, tmp_path, empty):
    def change(data):
        for annotation in data["annotations"]:
            annotation["bbox"] = [1, 1, 0, 0]
        if empty:
            data["annotations"].clear()

    path, images = make_coco(3, change=change)
    if empty:  # an image set of nothing but background is one
        assert import_coco(path, tmp_path / "lake", images=images, progress=False).boxes == 0
        return
    with pytest.raises(AnnotationError, match=r"None of the 3 boxes .*has no area.*no lake was written"):
        import_coco(path, tmp_path / "lake", images=images, progress=False)
    assert not (tmp_path / "lake").exists()


def test_boxes_that_all_went_with_their_images(make_coco, make_image, tmp_path):
    def change(data):
        data["images"].append({"id": 9, "file_name": "plain.jpg", "width": 32, "height": 24})
        without_images(2)(data)

    path, images = make_coco(2, change=change, files={"plain.jpg": make_image()})
    with pytest.raises(AnnotationError, match=r"None of the 2 boxes .*image file is missing: 2"):
        import_coco(path, tmp_path / "lake", images=images, progress=False)


def test_names_are_never_markup(make_coco, make_image, tmp_path, capsys):
    name = f"{STRANGE}.jpg".replace("/", "")

    def change(data):
        data["categories"][0]["name"] = STRANGE
        data["images"][0]["file_name"] = name
        data["images"][1]["file_name"] = f"gone {name}"

    path, images = make_coco(3, change=change, files={name: make_image(33)})
    lake = tmp_path / "[bold]lake"
    summary = import_coco(path, lake, images=images, progress=True)
    shown = str(summary)
    assert STRANGE in shown
    assert str(lake) in shown
    assert sum(name in finding.file for finding in (*summary.refused, *summary.changes.kept)) == 2
    capsys.readouterr()


@pytest.mark.parametrize("option", [{"exif": "always"}, {"convert": "yes"}])
def test_other_values_are_told_before_anything_is_read(make_coco, tmp_path, option):
    path, images = make_coco()
    with pytest.raises(ConfigError, match=next(iter(option))):
        import_coco(path, tmp_path / "lake", images=images, progress=False, **option)
    assert not (tmp_path / "lake").exists()


def test_options_of_the_command(make_coco, make_image, tmp_path, capsys):
    path, images = make_coco(files={"1.jpg": make_image()}, change=None)
    (images / "1.jpg").write_bytes(make_image(encoding="png"))
    args = ["import", "coco", str(path), str(tmp_path / "lake"), "--images", str(images)]
    assert main([*args, "--convert", "never", "--exif", "stored"]) == 0
    shown = capsys.readouterr().out
    assert "PNG in a lake of JPEG images" in shown
    assert main([*args, "--overwrite"]) == 0
    assert "1 PNG images were converted to lossless JPEG" in " ".join(capsys.readouterr().out.split())
