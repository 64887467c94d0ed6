import numpy as np
import pytest

from deeplake_mmdet.lake.schema.boxes import MODES, UNITS, BoxFormat
from deeplake_mmdet.lake.schema.columns import describe_columns


@pytest.fixture(scope="module")
def box_columns(make_lake):
    from deeplake import types

    dtypes = ("float32", "float64", "int32", "uint32")
    schema = {
        f"{mode}_{unit}_{dtype}": types.BoundingBox(dtype, format=mode, bbox_type=unit)
        for mode in (*MODES, None)
        for unit in (*UNITS, None)
        for dtype in dtypes
    }
    lake = make_lake(schema={**schema, "plain": types.BoundingBox()})
    return lake, describe_columns(lake.dataset)


def test_every_declared_box_format_is_found(box_columns):
    _, facts = box_columns
    for mode in MODES:
        for unit in UNITS:
            for dtype in ("float32", "float64", "int32", "uint32"):
                column = facts[f"{mode}_{unit}_{dtype}"]
                assert (column.kind, column.dtype) == ("boundingbox", dtype)
                assert column.box_format == BoxFormat(mode, unit)
                assert str(column) == f"boundingbox {dtype}, {mode}_{unit}"


def test_a_format_that_is_not_fully_declared_stays_unspecified(box_columns):
    _, facts = box_columns
    unspecified = ["plain", *(name for name in facts if "None" in name)]
    assert len(unspecified) == 1 + 4 * (len(MODES) + len(UNITS) + 1)
    assert {facts[name].box_format for name in unspecified} == {None}


def test_formats_survive_reopening_and_queries(make_lake, rows, tmp_path):
    import deeplake

    make_lake(tmp_path / "lake", **rows())
    reopened = deeplake.open_read_only(str(tmp_path / "lake"))
    for handle in (reopened, reopened.query("SELECT * LIMIT 1"), reopened.history[reopened.version].open()):
        facts = describe_columns(handle)
        assert facts["boxes"].box_format == BoxFormat("ltwh", "pixel")
        assert facts["labels"].metadata == {"class_names": ["a", "b"]}


def test_an_aliased_box_column_says_nothing_about_its_format(make_lake, rows):
    lake = make_lake(**rows())
    facts = describe_columns(lake.dataset.query("SELECT images, boxes AS b, labels"))
    assert facts["b"].kind == "generic"
    assert facts["b"].box_format is None


def test_older_lakes_tell_their_format_by_metadata(make_lake):
    from deeplake import types

    lake = make_lake(schema={"boxes": types.BoundingBox("float32")})
    lake.dataset["boxes"].metadata["coords"] = {"mode": "LTRB", "type": "pixel"}
    lake.dataset.commit()
    assert describe_columns(lake.dataset)["boxes"].box_format == BoxFormat("ltrb", "pixel")


def test_only_metadata_of_interest_is_read(make_lake):
    lake = make_lake(classes=["ä", "b c"])
    lake.dataset["labels"].metadata["category_ids"] = [7, 2**40]
    lake.dataset["labels"].metadata["remark"] = "no matter"
    lake.dataset.commit()
    facts = describe_columns(lake.dataset)
    assert facts["labels"].metadata == {"class_names": ["ä", "b c"], "category_ids": [7, 2**40]}
    assert facts["images"].metadata == {}


def test_kinds_compression_links_and_sequences_are_told(make_lake):
    from deeplake import types

    schema = {
        "jpg": types.Image(sample_compression="jpg"),
        "png": types.Image(sample_compression="png"),
        "raw": types.Image(sample_compression="null"),
        "link": types.Link(types.Image(sample_compression="jpeg")),
        "many": types.Sequence(types.ClassLabel("uint32")),
        "name": "text",
        "number": "int64",
    }
    facts = describe_columns(make_lake(schema=schema).dataset)
    assert set(facts) == {"images", "boxes", "labels", *schema}
    compressions = [facts[name].sample_compression for name in ("images", "jpg", "png")]
    assert compressions == ["jpeg", "jpeg", "png"]
    assert facts["raw"].sample_compression not in ("jpeg", "png")
    assert facts["link"].is_link
    assert not facts["jpg"].is_link
    assert (facts["link"].kind, facts["many"].kind) == ("image", "classlabel")
    assert facts["many"].is_sequence
    assert [facts[name].kind for name in ("jpg", "labels", "name", "number")] == [
        "image",
        "classlabel",
        "text",
        "generic",
    ]


def test_facts_need_no_open_lake(make_lake, rows):
    import pickle

    lake = make_lake(**rows())
    facts = describe_columns(lake.dataset)
    assert pickle.loads(pickle.dumps(facts)) == facts
    assert np.asarray(facts["labels"].metadata["class_names"]).tolist() == ["a", "b"]


def test_what_sequences_and_nullable_columns_hold_is_told(make_lake):
    from deeplake import types

    schema = {
        "polygons": types.Sequence(types.Polygon()),
        "texts": types.Sequence("text"),
        "masks": types.Sequence(types.BinaryMask()),
        "numbers": types.Sequence(types.Array("uint8", 1)),
        "photo": types.Nullable(types.Image(sample_compression="jpeg")),
        "note": types.Nullable(types.Text()),
        "age": types.Nullable(types.Int32()),
        "semantic": types.SegmentMask("uint8", sample_compression="lz4"),
    }
    facts = describe_columns(make_lake(schema=schema).dataset)
    kinds = ("polygon", "text", "binarymask", "generic", "image", "text", "generic", "segmentmask")
    assert [facts[name].kind for name in schema] == list(kinds)
    assert [facts[name].is_sequence for name in schema] == [True] * 4 + [False] * 4
    assert [facts[name].is_nullable for name in schema] == [False] * 4 + [True] * 3 + [False]


def test_arrays_tell_their_dimensions(make_lake):
    from deeplake import types

    schema = {"flat": types.Array("uint8", 2), "deep": types.Array("uint16", 3), "one": "int32"}
    facts = describe_columns(make_lake(schema=schema).dataset)
    assert [facts[name].dimensions for name in schema] == [2, 3, 0]


@pytest.mark.parametrize("coords", [{"mode": "ltrb", "type": "PIXEL"}, {"mode": "LtRb", "type": "Pixel"}])
def test_the_case_of_older_metadata_is_ignored(make_lake, coords):
    from deeplake import types

    lake = make_lake(schema={"boxes": types.BoundingBox("float32")})
    lake.dataset["boxes"].metadata["coords"] = coords
    lake.dataset.commit()
    assert describe_columns(lake.dataset)["boxes"].box_format == BoxFormat("ltrb", "pixel")


@pytest.mark.parametrize(
    "coords", [{}, {"mode": "LTRB"}, {"type": "pixel"}, {"mode": "xy", "type": "pixel"}, 3]
)
def test_incomplete_older_metadata_leaves_the_format_open(make_lake, coords):
    from deeplake import types

    lake = make_lake(schema={"boxes": types.BoundingBox("float32")})
    lake.dataset["boxes"].metadata["coords"] = coords
    lake.dataset.commit()
    assert describe_columns(lake.dataset)["boxes"].box_format is None


def test_a_lake_of_the_older_format_is_described(tmp_path):
    """Asking its columns for metadata that they lack would abort the process."""
    import zipfile
    from pathlib import Path

    import deeplake

    with zipfile.ZipFile(Path(__file__).parents[1] / "data" / "v3_lake.zip") as archive:
        archive.extractall(tmp_path / "lake")
    facts = describe_columns(deeplake.query(f'SELECT * FROM "{tmp_path}/lake"'))
    assert {name: column.kind for name, column in facts.items()} == {
        "images": "image",
        "boxes": "boundingbox",
        "categories": "classlabel",
        "masks": "binarymask",
        "polygons": "polygon",
    }
    assert facts["boxes"].box_format == BoxFormat("ccwh", "fractional")
    assert facts["categories"].metadata["class_names"] == ["bolt", "nut", "washer"]
    assert facts["images"].metadata == {}
