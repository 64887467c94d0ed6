"""Hypothesis: COCO files as people have them, with oddities of every kind."""

from hypothesis import strategies as st

NAN = float("nan")
MISSING = object()
ODD = {
    "id": [MISSING, None, "c33c3539-0000", "7", 1.5, 2.0, 2**65, -3, [1], True, NAN],
    "image_id": [MISSING, None, 999, "nowhere", True, [], {}, NAN, -1, 0.5],
    "category_id": [MISSING, None, 999, "nowhere", False, [3], NAN],
    "bbox": [
        MISSING, None, [], ["5", "6", "9", "8"], "[5, 6, 9, 8]", "5 6 9 8", [[5, 6, 9, 8]], [5, 6, 9], {}, 5,
        [NAN, 6, 9, 8], [5, 6, float("inf"), 8], [5, 6, -9, 8], [5, 6, 0, 8], [0, 0, 0, 0], [5, 6, True, 8],
        [5, 6, 10**400, 8], [-5.5, -3, 9, 8], [20, 20, 99, 99], [99, 99, 5, 5], [5, 6, 1e9, 8],
        [5, 6, 0.5, 8], [None] * 4,
    ],
    "area": [MISSING, None, 0, 0.0, -1, "5", "0", "wide", NAN, float("inf"), [], True, 10**400, 1e-300],
    "iscrowd": [MISSING, None, True, False, 1, 1.0, 0.0, "0", "1", "true", "", "maybe", 2, [], [0], {}, NAN],
    "ignore": [None, True, False, 0, 1, "0", "1", "no", 2, [1], NAN],
    "segmentation": [
        None, [], [[5, 6, 14, 6, 14, 14, 5, 14]], [[1, 2]], [[]], "x", NAN,
        {"size": [24, 32], "counts": [3, 9, 756]}, {"size": [24, 32], "counts": "P"}, {},
        [5, 6, 14, 6, 14, 14],
    ],
    "keypoints": [[1, 2, 3], None],
}  # fmt: skip
ODD_IMAGES = {
    "id": [MISSING, None, True, [], NAN, 0, "0", 1.0],
    "width": [MISSING, None, 0, -32, 32.0, "32", "wide", 31, NAN, [], True, 2**70],
    "height": [MISSING, None, 0, 24.0, "24", 24.5, {}],
    "file_name": [MISSING, None, "", 5, "none.jpg", "a\0b.jpg", "\ud800.jpg", "x" * 5000, ".", []],
    "coco_url": ["http://a/b/0.jpg", 5, "http://[/"],
    "license": [1],
}
KINDS = [int, float, "im_{}".format, "00{}".format, lambda i: 2**63 + i, lambda i: i + 0.5]
BROKEN = [None, [], "x", 5, {}]


@st.composite
def coco_files(draw, images=4):
    """A COCO file as a dict; images are called ``<number>.jpg`` and have 32 x 24 pixels."""
    often = draw(st.sampled_from([0, 1, 1, 3]))  # oddities of a record at most
    kind, other = draw(st.sampled_from(KINDS)), draw(st.sampled_from(KINDS))
    mixed = draw(st.booleans())
    data = {"images": [], "annotations": [], "categories": []}
    for number in range(draw(st.integers(1, 3))):
        data["categories"].append({"id": other(number), "name": "abc"[number]})
    odd = [
        None,
        {"id": 50, "name": 5},
        {"id": 51, "name": ""},
        {"id": 52},
        {"name": "d"},
        {"id": 53, "name": "a"},
    ]
    known = [category["id"] for category in data["categories"]]
    if often and draw(st.integers(0, 9)) == 0:
        data["categories"].append(draw(st.sampled_from([*odd, data["categories"][0]])))
    for number in range(draw(st.integers(2, images))):
        own = draw(st.sampled_from(KINDS)) if mixed else kind
        image = {"id": own(number), "file_name": f"{number}.jpg", "width": 32, "height": 24}
        data["images"].append(draw(oddly(image, ODD_IMAGES, often)))
        for _ in range(draw(st.integers(0, 4))):
            left, top = draw(st.integers(0, 20)), draw(st.floats(0, 12))
            width, height = draw(st.integers(1, 12)), draw(st.floats(1, 12))
            annotation = {
                "id": len(data["annotations"]),
                "image_id": image["id"],
                "category_id": draw(st.sampled_from(known)),
                "bbox": [left, top, width, height],
                "area": width * height,
                "iscrowd": draw(st.sampled_from([0, 1, True, False, 1.0, None])),
                "ignore": draw(st.sampled_from([0, 0, None, False, 1, True])),
            }
            again = {key: [str(annotation[key])] for key in ("image_id", "category_id")}
            odd = {key: values + again.get(key, []) for key, values in ODD.items()}
            data["annotations"].append(draw(oddly(annotation, odd, often)))
    return data


@st.composite
def oddly(draw, record, odd, most):
    """The record with some of its values replaced."""
    if most and draw(st.integers(0, 19)) == 0:
        return draw(st.sampled_from(BROKEN))
    changed = dict(record)
    for _ in range(draw(st.integers(0, most))):
        key = draw(st.sampled_from(sorted(odd)))
        value = draw(st.sampled_from(odd[key]))
        if value is MISSING:
            changed.pop(key, None)
        else:
            changed[key] = value
    return changed
