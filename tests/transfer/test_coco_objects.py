"""Objects of many images as arrays, against the same ones looked at one by one."""

import numpy as np
from coco_files import ODD
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplake_mmdet.formats.coco_file import CocoAnnotation, CocoImage
from deeplake_mmdet.transfer.coco_objects import ObjectBlock, settle_area, settle_box

BOXES = [*ODD["bbox"][1:], [1, 2, 3, 4], [1.5, 2, 3, 4.25], [0, 0, 1e-300, 5], [2**60, 0, 3, 4]]
AREAS = [*ODD["area"][1:], 5, 7.25, 2**80]
annotations = st.builds(
    CocoAnnotation,
    category_id=st.just(1),
    id=st.integers(0, 99),
    bbox=st.one_of(st.just([1, 2, 3.5, 4]), st.sampled_from(BOXES)),
    area=st.one_of(st.just(14.0), st.sampled_from(AREAS)),
    iscrowd=st.integers(0, 1),
    ignore=st.none(),
    segmentation=st.sampled_from([None, [[1, 2, 9, 2, 9, 9]], "x"]),
    changes=st.sampled_from([(), (), (), ("iscrowd is a text and taken as what it says",)]),
)
images = st.builds(
    lambda size, change: CocoImage(1, "a.jpg", *size, change),
    st.sampled_from([(32, 24), (None, None)]),
    st.sampled_from([None, None, "the size is stated as text"]),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(images, st.lists(annotations, max_size=4)), min_size=1, max_size=5))
def test_blocks_are_what_their_objects_are(block):
    found = ObjectBlock(block)
    for place, (image, group) in enumerate(block):
        size = None if image.width is None else (image.width, image.height)
        boxes, areas, refused, good = [], [], [], []
        changes = [] if image.change is None else [("image", image.change, "")]
        for one in group:
            box, odd = settle_box(one)
            if box is None:
                refused.append(odd)
                continue
            area, odd_area = settle_area(one, box, size)
            boxes.append([float(side) for side in box])
            areas.append(area)
            good.append(one)
            reasons = (*one.changes, odd, odd_area)
            changes += [("box", reason, f"annotation {one.id}") for reason in reasons if reason]
        mine = found.rows(place)
        assert found.boxes[mine].tolist() == boxes
        np.testing.assert_array_equal(found.areas[mine], areas)
        assert [id(one) for one in found.good[mine]] == [id(one) for one in good]
        assert [reason for reason, _ in found.findings(place)[0]] == refused
        assert list(found.findings(place)[1]) == changes
