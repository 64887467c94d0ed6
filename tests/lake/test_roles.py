import pytest

from deeplake_mmdet.errors import ColumnError, ConfigError
from deeplake_mmdet.lake.schema.columns import ColumnFacts
from deeplake_mmdet.lake.schema.roles import (
    COCO_JSON,
    EXIF_TURNED,
    STORED_PIXELS,
    Roles,
    assign_roles,
    explain_roles,
)

OURS = {
    "images": "image",
    "boxes": "boundingbox",
    "labels": "classlabel",
    "width": "generic",
    "height": "generic",
    "file_name": "text",
}


MARKS = {"width": STORED_PIXELS, "height": STORED_PIXELS, "segmentations": COCO_JSON}


def columns(marked=True, **kinds):
    """Facts of columns; sizes and segmentations marked as our imports mark them."""
    marks = MARKS if marked else {}
    return {
        name: ColumnFacts(name, kind, metadata={"format": marks[name]} if name in marks else {})
        for name, kind in kinds.items()
    }


def assign(kinds, given=None):
    return assign_roles(columns(**kinds), given)


def test_the_columns_of_our_own_imports_are_found():
    optional = {
        "areas": "generic",
        "iscrowds": "generic",
        "difficults": "generic",
        "ignores": "generic",
        "annotation_ids": "generic",
        "image_id": "generic",
        "segmentations": "text",
    }
    assert assign(OURS | optional) == Roles(
        img="images",
        gt_bboxes="boxes",
        gt_labels="labels",
        gt_masks="segmentations",
        iscrowd="iscrowds",
        area="areas",
        difficult="difficults",
        ignore="ignores",
        img_id="image_id",
        file_name="file_name",
        width="width",
        height="height",
    )


def test_the_columns_of_deep_lakes_coco_import_are_found():
    kinds = {
        "images": "image",
        "images_meta": "dict",
        "super_categories": "classlabel",
        "categories": "classlabel",
        "boxes": "boundingbox",
        "masks": "binarymask",
        "areas": "generic",
        "iscrowds": "generic",
    }
    assert assign(kinds) == Roles(
        "images", "boxes", "categories", gt_masks="masks", area="areas", iscrowd="iscrowds"
    )


def test_what_a_lake_lacks_stays_open():
    assert assign({"images": "image", "boxes": "boundingbox", "labels": "classlabel"}) == Roles(
        "images", "boxes", "labels"
    )


@pytest.mark.parametrize(
    ("role", "kind", "names"),
    [
        ("img", "image", ["images", "image", "img"]),
        ("gt_bboxes", "boundingbox", ["boxes", "bboxes", "bbox", "gt_bboxes"]),
        ("gt_labels", "classlabel", ["categories", "labels", "label", "classes", "gt_labels"]),
    ],
)
def test_conventions_decide_between_columns_of_a_type_best_first(role, kind, names):
    for best, other in zip(names, [*names[1:], "something_else"], strict=True):
        others = {name: k for name, k in OURS.items() if k != kind}
        assert getattr(assign(others | {other: kind, best: kind}), role) == best


def test_a_columns_type_qualifies_it_whatever_its_name():
    found = assign({"photo": "image", "things": "boundingbox", "kinds": "classlabel"})
    assert (found.img, found.gt_bboxes, found.gt_labels) == ("photo", "things", "kinds")


def test_a_conventional_name_of_another_type_does_not_qualify():
    found = assign(
        {"photo": "image", "images": "text", "boxes": "generic", "b": "boundingbox", "l": "classlabel"}
    )
    assert (found.img, found.gt_bboxes) == ("photo", "b")


def test_optional_roles_go_by_name_only_in_any_case():
    found = assign(OURS | {"number": "generic", "IsCrowd": "generic", "remark": "text"})
    assert found.iscrowd == "IsCrowd"
    assert found.area is found.img_id is found.gt_masks is None


def test_a_group_never_wins_over_the_top_level():
    kinds = {"pose/boxes": "boundingbox", "pose/labels": "classlabel", "pose/area": "generic"}
    found = assign(kinds | {"images": "image", "odd_boxes": "boundingbox", "odd": "classlabel"})
    assert (found.gt_bboxes, found.gt_labels) == ("odd_boxes", "odd")
    assert found.area == "pose/area"


def test_a_group_serves_where_the_top_level_has_nothing():
    found = assign({"cam/image": "image", "truth/boxes": "boundingbox", "truth/labels": "classlabel"})
    assert (found.img, found.gt_bboxes, found.gt_labels) == ("cam/image", "truth/boxes", "truth/labels")


@pytest.mark.parametrize("names", [("left", "right"), ("cam1/images", "cam2/images")])
def test_several_equally_good_columns_stop_with_their_names(names):
    kinds = {"boxes": "boundingbox", "labels": "classlabel", **dict.fromkeys(names, "image")}
    with pytest.raises(ColumnError) as caught:
        assign(kinds)
    text = str(caught.value)
    assert all(repr(name) in text for name in names)
    assert f"tensors=dict(img={names[0]!r})" in text
    assert assign(kinds, {"img": names[1]}).img == names[1]


def test_an_ambiguous_optional_role_stays_open():
    assert assign(OURS | {"a/area": "generic", "b/area": "generic"}).area is None


def test_given_names_win_and_the_rest_is_inferred():
    kinds = OURS | {"other": "image", "more": "boundingbox"}
    found = assign(kinds, {"img": "other", "gt_bboxes": "", "gt_labels": None})
    assert (found.img, found.gt_bboxes, found.gt_labels, found.width) == ("other", "boxes", "labels", "width")


@pytest.mark.parametrize(("role", "kind"), [("gt_bboxes", "generic"), ("gt_labels", "generic")])
def test_plain_arrays_serve_as_boxes_and_labels_if_named(role, kind):
    assert getattr(assign(OURS | {"array": kind}, {role: "array"}), role) == "array"


def test_an_unknown_role_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"Unknown role 'gt_boxes'.*did you mean 'gt_bboxes'"):
        assign(OURS, {"gt_boxes": "boxes"})


def test_a_named_column_that_is_missing_is_refused_with_the_nearest():
    with pytest.raises(ColumnError, match=r"no column 'box'.*'gt_bboxes'.*did you mean 'boxes'"):
        assign(OURS, {"gt_bboxes": "box"})


@pytest.mark.parametrize("name", [3, ["boxes"], b"boxes"])
def test_a_column_name_that_is_no_text_is_refused(name):
    with pytest.raises(ColumnError, match="gt_bboxes"):
        assign(OURS, {"gt_bboxes": name})


@pytest.mark.parametrize(
    ("role", "name"),
    [("img", "boxes"), ("gt_masks", "images"), ("gt_labels", "boxes"), ("area", "file_name")],
)
def test_a_named_column_of_the_wrong_type_is_refused(role, name):
    with pytest.raises(ColumnError, match=f"{name!r} is of type {OURS[name]}.*{role!r}"):
        assign(OURS, {role: name})


@pytest.mark.parametrize(
    ("role", "missing"), [("img", "images"), ("gt_bboxes", "boxes"), ("gt_labels", "labels")]
)
def test_a_lake_without_a_required_column_is_refused_with_what_it_has(role, missing):
    kinds = {name: kind for name, kind in OURS.items() if name != missing}
    with pytest.raises(ColumnError, match=f"no column for {role!r}.*file_name \\(text\\).*tensors="):
        assign(kinds)


@pytest.mark.parametrize("name", ["width", "height"])
def test_size_columns_serve_only_if_both_are_marked_as_of_the_stored_pixels(name):
    assert assign_roles(columns(marked=False, **OURS)).width is None
    kinds = {other: kind for other, kind in OURS.items() if other != name}
    found = assign(kinds)
    assert found.width is found.height is None
    whole = assign(OURS)
    assert (whole.width, whole.height) == ("width", "height")
    turned = assign_roles(columns(**OURS), stored_sizes=False)
    assert turned.width is turned.height is None


def test_a_record_of_turned_images_must_be_marked_or_named():
    kinds = columns(**OURS | {"exif_turned": "generic"})
    assert assign_roles(kinds).exif_turned is None
    assert assign_roles(kinds, {"exif_turned": "exif_turned"}).exif_turned == "exif_turned"
    marked = ColumnFacts("exif_turned", "generic", "uint8", metadata={"format": EXIF_TURNED})
    assert assign_roles({**kinds, "exif_turned": marked}).exif_turned == "exif_turned"
    assert assign_roles({**kinds, "exif_turned": marked}, {"exif_turned": False}).exif_turned is None


def test_size_columns_serve_as_they_are_if_named():
    kinds = columns(marked=False, **OURS | {"w": "generic"})
    for stored in (True, False):
        found = assign_roles(kinds, {"width": "w", "height": "height"}, stored_sizes=stored)
        assert (found.width, found.height) == ("w", "height")
    with pytest.raises(ConfigError, match=r"only one is named.*'width' and 'height'.*name both"):
        assign_roles(kinds, {"width": "w"})


@pytest.mark.parametrize(
    ("kinds", "best"),
    [
        ({"segmentations": "text", "masks": "binarymask"}, "segmentations"),
        ({"masks": "binarymask", "polygons": "polygon"}, "masks"),
        ({"outlines": "polygon", "pixels": "binarymask"}, "outlines"),
        ({"segmentations": "text", "remark": "text"}, "segmentations"),
        ({"stuff/masks": "binarymask", "odd": "binarymask"}, "odd"),
        ({"one": "binarymask", "two": "binarymask"}, None),
        ({"remark": "text"}, None),
        ({"semantic": "segmentmask"}, None),
    ],
    ids=str,
)
def test_masks_go_by_convention_then_by_what_loses_least(kinds, best):
    assert assign(OURS | kinds).gt_masks == best


def test_text_is_masks_only_if_marked_or_named_by_convention():
    text = {"outlines": ColumnFacts("outlines", "text", metadata={"format": COCO_JSON})}
    assert assign_roles(columns(**OURS) | text).gt_masks == "outlines"
    assert assign_roles(columns(marked=False, **OURS, segmentations="text")).gt_masks == "segmentations"


def test_a_semantic_mask_is_refused_with_the_reason():
    with pytest.raises(ColumnError, match=r"segmentmask.*'gt_masks'.*not which object"):
        assign(OURS | {"semantic": "segmentmask"}, {"gt_masks": "semantic"})


@pytest.mark.parametrize(
    ("role", "kind", "serves"),
    [
        ("img", "image", False),
        ("gt_bboxes", "boundingbox", True),
        ("gt_labels", "classlabel", True),
        ("gt_masks", "polygon", True),
        ("gt_masks", "binarymask", True),
    ],
)
def test_sequences_serve_as_boxes_labels_and_masks_only(role, kind, serves):
    others = {name: facts for name, facts in columns(**OURS).items() if facts.kind != kind}
    many = others | {"many": ColumnFacts("many", kind, is_sequence=True)}
    if serves:
        assert getattr(assign_roles(many), role) == "many"
        assert getattr(assign_roles(many, {role: "many"}), role) == "many"
        return
    with pytest.raises(ColumnError, match=f"no column for '{role}'"):
        assign_roles(many)
    with pytest.raises(ColumnError, match=f"sequences of {kind}"):
        assign_roles(many | columns(spare=kind), {role: "many"})


def test_exact_spelling_decides_between_cases():
    assert assign(OURS | {"Boxes": "boundingbox"}).gt_bboxes == "boxes"


def test_the_choice_does_not_depend_on_the_order_of_columns():
    kinds = OURS | {"zeta": "image", "gt_labels": "classlabel", "pose/boxes": "boundingbox"}
    assert assign(kinds) == assign(dict(reversed(kinds.items())))


def test_one_line_explains_every_choice():
    kinds = {
        "images": "image",
        "pose/boxes": "boundingbox",
        "boxes": "boundingbox",
        "super_categories": "classlabel",
        "categories": "classlabel",
        "one": "binarymask",
        "two": "binarymask",
        "iscrowds": "generic",
        "width": "generic",
        "height": "generic",
        "other": "generic",
    }
    assert explain_roles(columns(**kinds), {"area": "other"}) == (
        "roles: img=images (only image column), gt_bboxes=boxes (not in a group; others: pose/boxes), "
        "gt_labels=categories (conventional name; others: super_categories), "
        "gt_masks=none (equally good: one and two), iscrowd=iscrowds (by name), "
        "area=other (named in tensors), width=width (marked stored-pixels), "
        "height=height (marked stored-pixels)"
    )


def test_the_better_type_is_a_reason():
    kinds = OURS | {"outlines": "polygon", "pixels": "binarymask"}
    assert "gt_masks=outlines (best type; others: pixels)" in explain_roles(columns(**kinds))


def test_extra_roles_can_be_switched_off():
    kinds = OURS | {"areas": "generic", "iscrowds": "generic", "image_id": "generic"}
    off = {"area": False, "iscrowd": False, "img_id": None}
    roles = assign(kinds, off)
    assert (roles.area, roles.iscrowd, roles.img_id) == (None, None, "image_id")
    assert "area=none (switched off in tensors)" in explain_roles(columns(**kinds), off)


@pytest.mark.parametrize("role", ["width", "height"])
def test_either_size_switches_off_both(role):
    sizes = columns(**OURS)
    assert assign_roles(sizes).width == "width"
    roles = assign_roles(sizes, {role: False})
    assert (roles.width, roles.height) == (None, None)


@pytest.mark.parametrize("role", ["img", "gt_bboxes", "gt_labels"])
def test_required_roles_cannot_be_switched_off(role):
    with pytest.raises(ConfigError, match=f"'{role}' cannot be switched off"):
        assign(OURS, {role: False})
