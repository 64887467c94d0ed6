import json
import tempfile
from pathlib import Path

import deeplake
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from deeplake_mmdet.errors import AnnotationError, ConfigError, ImportRefusedError, SourceNotFoundError
from deeplake_mmdet.transfer import import_coco


def run(made, lake, **options):
    return import_coco(made[0], lake, images=made[1], progress=False, **options)


def test_nuts_comes_back_whole(shared_data, tmp_path):
    source = json.loads((shared_data / "nuts/trainval.json").read_text())
    folder = shared_data / "nuts/images"
    summary = import_coco(
        shared_data / "nuts/trainval.json", tmp_path / "lake", images=folder, progress=False
    )
    assert (summary.images, summary.boxes, summary.empty_images) == (18, 165, 0)
    assert summary.class_counts == {"date": 71, "fig": 41, "hazelnut": 53}
    assert summary.refused == []
    assert summary.next_command in str(summary)
    ds = deeplake.open_read_only(str(tmp_path / "lake"))
    for row, image in enumerate(source["images"]):
        objects = [a for a in source["annotations"] if a["image_id"] == image["id"]]
        assert ds["images"].get_bytes(row) == (folder / image["file_name"]).read_bytes()
        assert ds["boxes"][row].tolist() == [a["bbox"] for a in objects]
        assert ds["areas"][row].tolist() == [a["area"] for a in objects]
        assert ds["annotation_ids"][row].tolist() == [a["id"] for a in objects]
        assert json.loads(ds["segmentations"][row]) == [a["segmentation"] for a in objects]
        assert (ds["image_id"][row], ds["file_name"][row]) == (image["id"], image["file_name"])
    assert list(ds["labels"].metadata["category_ids"]) == [1, 2, 3]


number = st.floats(-1e4, 1e4, allow_nan=False)
side = st.floats(2**-20, 1e4)
polygon = st.lists(st.tuples(number, number), min_size=3, max_size=6).map(
    lambda points: [value for point in points for value in point]
)
runs = st.lists(st.integers(0, 150), max_size=5).map(lambda counts: [*counts, 24 * 32 - sum(counts)])


def compressed(counts):
    return coco_mask.frPyObjects({"size": [24, 32], "counts": counts}, 24, 32)["counts"].decode()


shape = st.one_of(
    st.none(),
    st.lists(polygon, max_size=3),
    st.fixed_dictionaries({"size": st.just([24, 32]), "counts": runs.map(compressed)}),
    st.fixed_dictionaries({"size": st.just([24, 32]), "counts": runs}),
)
annotation = st.fixed_dictionaries(
    {
        "bbox": st.tuples(number, number, side, side).map(list),
        "category_id": st.sampled_from([9, 4]),
        "iscrowd": st.integers(0, 1),
        "area": st.floats(2**-20, 1e8),
        "segmentation": shape,
        "ignore": st.integers(0, 1),
    }
)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(groups=st.lists(st.lists(annotation, max_size=4), min_size=1, max_size=3))
def test_whatever_coco_holds_comes_back_exactly(make_image, groups):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = {
            "images": [],
            "annotations": [],
            "categories": [{"id": 9, "name": "é"}, {"id": 4, "name": "b"}],
        }
        (folder / "x.jpg").write_bytes(make_image())
        for i, group in enumerate(groups):
            data["images"].append({"id": 7 - i, "file_name": "x.jpg", "width": 32, "height": 24})
            data["annotations"] += [a | {"image_id": 7 - i, "id": 10 * i + j} for j, a in enumerate(group)]
        (folder / "coco.json").write_text(json.dumps(data))
        import_coco(folder / "coco.json", folder / "lake", images=folder, progress=False)
        ds = deeplake.open_read_only(str(folder / "lake"))
        present = {column.name for column in ds.schema.columns}
        for i, group in enumerate(groups):
            assert ds["boxes"][i].tolist() == [a["bbox"] for a in group]
            assert ds["labels"][i].tolist() == [[9, 4].index(a["category_id"]) for a in group]
            for column, key in (("iscrowds", "iscrowd"), ("areas", "area"), ("ignores", "ignore")):
                if column in present or group:
                    assert ds[column][i].tolist() == [a[key] for a in group]
            if "segmentations" in present:
                assert json.loads(ds["segmentations"][i]) == [a["segmentation"] for a in group]


def test_refused_images_are_named_with_reason(make_coco, make_image, tmp_path):
    whole = make_image(seed=9)
    files = {
        "cut.jpg": whole[: len(whole) // 2],
        "text.jpg": b"not an image at all",
        "empty.jpg": b"",
        "small.jpg": make_image(16, 16),
    }

    def change(data):
        for i, name in enumerate([*files, "none.jpg"], 50):
            data["images"].append({"id": i, "file_name": name, "width": 32, "height": 24})
        data["annotations"].append({"id": 99, "image_id": 50, "category_id": 4, "bbox": [0, 0, 1, 1]})

    summary = run(make_coco(change=change, files=files), tmp_path / "lake", workers=3)
    assert (summary.images, summary.refused_images, summary.lost_with_images) == (3, 5, 1)
    assert {(Path(r.file).name, r.reason) for r in summary.refused} == {
        ("cut.jpg", "image cannot be decoded"),
        ("text.jpg", "not an image that OpenCV reads"),
        ("empty.jpg", "image file is empty"),
        ("small.jpg", "size differs from the annotation"),
        ("none.jpg", "image file is missing"),
    }
    assert "32 x 24 stated, 16 x 16 stored" in str(summary)
    assert summary.changes.counts == {}  # a box that went with its image changed nothing
    ds = deeplake.open_read_only(str(tmp_path / "lake"))
    assert [ds["image_id"][i] for i in range(len(ds))] == [0, 1, 2]


def test_refused_boxes_are_named_with_reason(make_coco, tmp_path):
    bad = [None, [], [1, 2, 3], "box", [1, 2, True, 4], [0, 0, float("nan"), 1], [0, 0, 1, float("inf")],
           [0, 0, 0, 5], [0, 0, 5, -1], [0, 0, 10**400, 1]]  # fmt: skip

    def change(data):
        data["annotations"] = [
            {"id": i, "image_id": 0, "category_id": 2, "bbox": box} for i, box in enumerate(bad)
        ] + [{"id": 99, "image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4]}]

    summary = run(make_coco(change=change), tmp_path / "lake")
    assert (summary.images, summary.boxes, summary.refused_boxes) == (3, 1, len(bad))
    assert (summary.empty_images, summary.emptied_images) == (2, 1)
    reasons = {reason.split(" (")[0]: count for (_, reason), count in summary.refusals.counts.items()}
    assert reasons == {"box is missing": 2, "box is not four finite numbers": 6, "box has no area": 2}
    assert all(r.file.endswith("0.jpg") and r.detail.startswith("annotation ") for r in summary.refused)


def test_many_refusals_are_counted_but_not_kept(make_coco, tmp_path):
    def change(data):
        data["annotations"] += [{"id": i, "image_id": 0, "category_id": 2} for i in range(9, 1009)]

    summary = run(make_coco(change=change), tmp_path / "lake")
    assert summary.refused_boxes == 1000
    assert len(summary.refused) == 100
    assert "and 995 more" in str(summary)


def test_no_usable_image_is_an_error(make_coco, tmp_path):
    made = make_coco()
    for path in made[1].iterdir():
        path.unlink()
    with pytest.raises(AnnotationError, match="image file is missing: 3"):
        run(made, tmp_path / "lakes/lake")
    assert list((tmp_path / "lakes").iterdir()) == []


def test_png_by_content(make_image, tmp_path):
    for encoding in ("png", "jpeg"):
        (tmp_path / "x.jpg").write_bytes(make_image(encoding=encoding))
        image = {"id": 1, "file_name": "x.jpg"}
        data = {"images": [image], "annotations": [], "categories": [{"id": 1, "name": "a"}]}
        (tmp_path / "c.json").write_text(json.dumps(data))
        summary = run((tmp_path / "c.json", tmp_path), tmp_path / encoding)
        ds = deeplake.open_read_only(summary.lake)
        assert (ds["width"][0], ds["height"][0]) == (32, 24)
        assert ds["images"].get_bytes(0) == (tmp_path / "x.jpg").read_bytes()
        assert np.asarray(ds["boxes"][0]).shape == (0, 4)


def test_overwrite_and_refusals_up_front(make_coco, tmp_path):
    made = make_coco()
    run(made, tmp_path / "lake")
    with pytest.raises(ImportRefusedError):
        run((tmp_path / "not read", made[1]), tmp_path / "lake")
    assert run(make_coco(5), tmp_path / "lake", overwrite=True).images == 5
    with pytest.raises(SourceNotFoundError, match="image folder"):
        run((made[0], tmp_path / "none"), tmp_path / "new")


def test_an_interrupt_midway_leaves_no_lake(make_coco, tmp_path, monkeypatch):
    from deeplake_mmdet.lake.writing.writer import LakeWriter

    append = LakeWriter.append

    def interrupted(self, record):
        if self.rows == 3:
            raise KeyboardInterrupt
        append(self, record)

    made = make_coco(6)
    with monkeypatch.context() as patch:
        patch.setattr(LakeWriter, "append", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(made, tmp_path / "lakes/lake")
    assert list((tmp_path / "lakes").iterdir()) == []
    assert run(made, tmp_path / "lakes/lake").images == 6


def test_classes_are_selected_and_ordered(shared_data, tmp_path):
    nuts = shared_data / "nuts"
    options = {"images": nuts / "images", "progress": False}
    summary = import_coco(nuts / "trainval.json", tmp_path / "lake", classes=["hazelnut", "date"], **options)
    assert summary.class_counts == {"hazelnut": 53, "date": 71}
    assert summary.refusals.counts["box", "class is not in the class list"] == 41
    ds = deeplake.open_read_only(str(tmp_path / "lake"))
    assert list(ds["labels"].metadata["class_names"]) == ["hazelnut", "date"]
    assert list(ds["labels"].metadata["category_ids"]) == [3, 1]
    for wrong, said in ((["Date"], "did you mean 'date'"), (["zebra"], "'fig'"), ([], "none")):
        with pytest.raises(ConfigError, match=said):
            import_coco(nuts / "trainval.json", tmp_path / "other", classes=wrong, **options)
    assert not (tmp_path / "other").exists()
