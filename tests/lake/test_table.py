import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from deeplake_mmdet.errors import AnnotationError
from deeplake_mmdet.lake.schema.boxes import BoxFormat, to_xywh, to_xyxy
from deeplake_mmdet.lake.schema.columns import describe_columns
from deeplake_mmdet.lake.schema.roles import Roles, assign_roles
from deeplake_mmdet.lake.table.blocks import read_blocks
from deeplake_mmdet.lake.table.build import build_table

LTWH = BoxFormat("ltwh", "pixel")
U32 = np.uint32


SIZES = {"width": "width", "height": "height"}


def build(lake, class_count=2, box_format=LTWH, tensors=None):
    handle = getattr(lake, "dataset", lake)
    return build_table(handle, assign_roles(describe_columns(handle), tensors), box_format, class_count)


def boxes(*counts, dtype=np.float64):
    return [np.arange(4.0 * count).reshape(count, 4).astype(dtype) + 1 for count in counts]


def all_xywh(table):
    return np.concatenate([block.xywh for block in table.blocks()])


def labels(*counts, dtype=U32):
    return [np.arange(count).astype(dtype) % 2 for count in counts]


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_table_equals_what_was_appended(make_lake, encode, data):
    from deeplake import types

    counts = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=6))
    finite = st.floats(-1e6, 1e6)
    cells = [data.draw(arrays(np.float64, (count, 4), elements=finite)) for count in counts]
    classes = [data.draw(arrays(np.uint32, count, elements=st.integers(0, 4))) for count in counts]
    areas = [data.draw(arrays(np.float64, count, elements=finite)) for count in counts]
    flags = [data.draw(arrays(np.uint8, count, elements=st.integers(0, 1))) for count in counts]
    sizes = [(data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))) for _ in counts]
    ids = data.draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=len(counts), max_size=len(counts)))
    columns = {"boxes": cells, "labels": classes, "areas": areas, "iscrowds": flags, "image_id": ids}
    lake = make_lake(
        schema={"iscrowds": types.Array("uint8", 1), "image_id": "int64"},
        images=[encode(*size, encoding="jpeg") for size in sizes],
        **columns,
    )
    table = build(lake, class_count=5)
    assert len(table) == len(counts)
    assert np.diff(table.offsets).tolist() == counts
    assert table.boxes.tobytes() == np.concatenate(cells).tobytes()
    assert table.labels.tolist() == np.concatenate(classes).tolist()
    assert table.areas.tobytes() == np.concatenate(areas).tobytes()
    assert table.iscrowd.tolist() == np.concatenate(flags).astype(bool).tolist()
    assert list(zip(table.widths, table.heights, strict=True)) == sizes
    assert table.img_ids.tolist() == ids
    assert table.difficult is table.ignore is None
    assert table.rows_of_boxes().tolist() == np.repeat(np.arange(len(counts)), counts).tolist()
    for row, cell in enumerate(cells):
        assert table.boxes[table.span(row)].tobytes() == cell.tobytes()
        assert table.xywh(row).tobytes() == cell.tobytes()
        assert table.corners(row) == table.xyxy(row).tolist() == to_xyxy(cell, LTWH, 0, 0).tolist()
    assert all_xywh(table).tobytes() == table.boxes.tobytes()


@pytest.mark.parametrize("counts", [(2, 2, 2), (1, 1), (0, 0), (3,), (0,), (0, 2, 0), (2, 0, 1, 5)], ids=str)
def test_ragged_equal_and_empty_rows_are_read(make_lake, counts):
    table = build(make_lake(boxes=boxes(*counts), labels=labels(*counts)))
    assert np.diff(table.offsets).tolist() == list(counts)
    assert table.boxes.tolist() == np.concatenate(boxes(*counts)).tolist()
    assert table.labels.tolist() == np.concatenate(labels(*counts)).tolist()
    assert (table.boxes.dtype, table.labels.dtype, table.offsets.dtype) == (np.float64, np.int32, np.int64)
    assert table.boxes.shape == (sum(counts), 4)


def test_rows_appended_as_empty_lists_have_no_boxes(make_lake):
    table = build(make_lake(boxes=[*boxes(2), []], labels=[*labels(2), []]))
    assert np.diff(table.offsets).tolist() == [2, 0]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint32"])
def test_boxes_of_every_element_type_become_float64(make_lake, dtype):
    from deeplake import types

    kind = types.BoundingBox(dtype, format="ltwh", bbox_type="pixel")
    table = build(make_lake(schema={"boxes": kind}, boxes=boxes(2, 1, dtype=dtype), labels=labels(2, 1)))
    assert table.boxes.dtype == np.float64
    assert table.boxes.tolist() == np.concatenate(boxes(2, 1)).tolist()


@pytest.mark.parametrize("dtype", ["uint8", "uint32", "int64"])
def test_labels_of_every_whole_number_type_become_int32(make_lake, dtype):
    from deeplake import types

    kind = types.ClassLabel(types.Array(dtype, 1))
    table = build(
        make_lake(schema={"labels": kind}, boxes=boxes(2, 0, 1), labels=labels(2, 0, 1, dtype=dtype))
    )
    assert table.labels.dtype == np.int32
    assert table.labels.tolist() == [0, 1, 0]


def test_one_label_for_each_image_and_sequences_of_labels_are_read(make_lake):
    from deeplake import types

    one = make_lake(schema={"labels": types.ClassLabel("uint32")}, boxes=boxes(1, 1), labels=[1, 0])
    assert build(one).labels.tolist() == [1, 0]
    kind = types.Sequence(types.ClassLabel("uint32"))
    many = make_lake(schema={"labels": kind}, boxes=boxes(2, 0, 1), labels=[[1, 0], [], [1]])
    assert build(many).labels.tolist() == [1, 0, 1]


def test_fractional_boxes_are_scaled_by_their_own_image(make_lake, encode):
    cells = [np.array([[0.25, 0.5, 0.5, 0.5]]), np.array([[0.5, 0.25, 0.125, 0.25]] * 2)]
    images = [encode(40, 20), encode(16, 80)]
    box_format = BoxFormat("ccwh", "fractional")
    table = build(make_lake(images=images, boxes=cells, labels=labels(1, 2)), box_format=box_format)
    expected = [to_xywh(cells[0], box_format, 40, 20), to_xywh(cells[1], box_format, 16, 80)]
    assert table.xywh(1).tolist() == expected[1].tolist()
    assert all_xywh(table).tolist() == np.concatenate(expected).tolist()
    expected_corners = to_xyxy(cells[0], box_format, 40, 20).tolist()
    assert table.corners(0) == table.xyxy(0).tolist() == expected_corners


def test_flags_are_read(make_lake):
    from deeplake import types

    flags = [np.array([0, 1], np.uint8), np.array([1], np.uint8)]
    names = ("iscrowds", "difficults", "ignores")
    lake = make_lake(
        schema=dict.fromkeys(names, types.Array("uint8", 1)),
        boxes=boxes(2, 1),
        labels=labels(2, 1),
        **dict.fromkeys(names, flags),
    )
    table = build(lake)
    for found in (table.iscrowd, table.difficult, table.ignore):
        assert found.tolist() == [False, True, True]
        assert found.dtype == bool


def test_sizes_come_from_columns_where_the_lake_has_them(make_lake):
    lake = make_lake(
        schema={"width": "int32", "height": "int32"},
        boxes=boxes(1, 1),
        labels=labels(1, 1),
        width=[7, 8],
        height=[9, 10],
    )
    table = build(lake, tensors=SIZES)
    assert (table.widths.tolist(), table.heights.tolist()) == ([7, 8], [9, 10])
    assert table.widths.dtype == table.heights.dtype == np.int32


def test_a_query_gives_the_table_of_its_rows(make_lake):
    lake = make_lake(boxes=boxes(1, 3, 0, 2), labels=labels(1, 3, 0, 2))
    table = build(lake.dataset.query("SELECT * WHERE ROW_NUMBER() > 0 AND ROW_NUMBER() < 3"))
    assert np.diff(table.offsets).tolist() == [3, 0]


def refused(*words):
    return pytest.raises(AnnotationError, match=".*".join(words))


def test_an_empty_lake_is_refused(make_lake):
    with refused("no rows"):
        build(make_lake())


def test_boxes_and_labels_of_unequal_number_are_refused(make_lake):
    with refused("Row 1 has 3 boxes but 2 values in 'labels'", "2 such rows", "'boxes'", "rows 1, 2"):
        build(make_lake(boxes=boxes(1, 3, 0), labels=labels(1, 2, 1)))


@pytest.mark.parametrize("name", ["areas", "iscrowds", "difficults", "ignores"])
def test_values_per_box_of_another_number_are_refused(make_lake, name):
    with refused("Row 1 has 1 boxes but 2 values", f"'{name}', row 1"):
        build(make_lake(boxes=boxes(1, 1), labels=labels(1, 1), **{name: [np.ones(1), np.ones(2)]}))


@pytest.mark.parametrize("label", [2, 4294967295])
def test_a_label_outside_the_class_names_is_refused(make_lake, label):
    cells = [np.array([0, 1], U32), np.array([1, label], U32)]
    with refused(f"Label {label} lies outside the 2 class names", "'labels', row 1"):
        build(make_lake(boxes=boxes(2, 2), labels=cells))


def test_any_label_will_do_if_the_number_of_classes_is_unknown(make_lake):
    lake = make_lake(boxes=boxes(1), labels=[np.array([99], U32)])
    assert build(lake, class_count=None).labels.tolist() == [99]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_box_that_is_not_finite_is_refused(make_lake, value):
    cells = boxes(0, 2, 1)
    cells[1][1, 2] = value
    with refused("1 boxes are not finite", "'boxes', row 1"):
        build(make_lake(boxes=cells, labels=labels(0, 2, 1)))


@pytest.mark.parametrize("shape", [(2, 5), (5,), (1, 3)])
def test_boxes_that_are_not_four_numbers_are_refused(make_lake, shape):
    with refused("four|4 numbers", "shape", "'boxes', row 1"):
        build(make_lake(boxes=[*boxes(2), np.ones(shape)], labels=labels(2, 2)))


def test_labels_that_are_no_whole_numbers_are_refused(make_lake):
    from deeplake import types

    lake = make_lake(
        schema={"labels": types.Array("float32", 1)}, classes=(), boxes=boxes(1), labels=[np.full(1, 0.5)]
    )
    with refused("whole numbers", "'labels'"):
        build_table(lake.dataset, Roles("images", "boxes", "labels"), LTWH, 2)


def test_image_sizes_that_are_not_positive_are_refused(make_lake):
    lake = make_lake(
        schema={"width": "int32", "height": "int32"},
        boxes=boxes(1, 1),
        labels=labels(1, 1),
        width=[7, 0],
        height=[9, 10],
    )
    with refused("1 rows give no positive image size", "'width' and 'height', row 1"):
        build(lake, tensors=SIZES)


def test_widths_of_boxes_are_not_taken_for_widths_of_images(make_lake):
    cells = [np.ones(2), np.ones(2)]
    lake = make_lake(boxes=boxes(2, 2), labels=labels(2, 2), width=cells, height=cells)
    with refused("Row 0 has 2 values where one is expected", "'width', rows 0, 1"):
        build(lake, tensors=SIZES)


@pytest.mark.parametrize("name", ["areas", "image_id"])
def test_rows_older_than_a_column_are_refused_if_it_should_have_values(make_lake, name):
    from deeplake import types

    lake = make_lake(boxes=boxes(2, 1), labels=labels(2, 1))
    lake.dataset.add_column(name, types.Array("float64", 1) if name == "areas" else "int64")
    lake.dataset.commit()
    with refused("Row 0", f"'{name}', rows 0, 1"):
        build(lake)


def test_cells_of_other_shapes_are_not_read_as_boxes_though_their_bytes_would_fit():
    cells = [np.ones((2, 4)), np.ones((4, 5)), np.ones((4, 3))]
    with pytest.raises(AnnotationError, match=r"A box has 4 numbers.*\(4, 5\).*row 1"):
        list(read_blocks(Cells(cells), "boxes", width=4))


@pytest.mark.parametrize("order", ["C", "F"])
def test_blocks_are_what_numpy_concatenates(order):
    cells = [np.asarray(np.arange(4.0 * count).reshape(count, 4), order=order) for count in (3, 0, 2, 5)]
    cells[1] = np.zeros((0,), np.uint8)
    (block,) = read_blocks(Cells(cells), "boxes", width=4)
    assert block.values.tolist() == np.concatenate([cell for cell in cells if len(cell)]).tolist()
    assert block.counts.tolist() == [3, 0, 2, 5]


class Cells:
    """A lake with one column of given cells."""

    def __init__(self, cells):
        self.cells = cells

    def __len__(self):
        return len(self.cells)

    def __getitem__(self, column):
        return self.cells
