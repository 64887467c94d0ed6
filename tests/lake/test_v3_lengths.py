"""Tensors of a v3 lake that have different lengths: the boxes of one image would belong to another."""

import json
from pathlib import Path

import pytest

from deeplake_mmdet.errors import AnnotationError
from deeplake_mmdet.lake import CredentialRef, Source, inspect, open_view, open_view_of
from deeplake_mmdet.lake.source.pinning import resolve
from deeplake_mmdet.lake.source.v3 import tensor_lengths

from .helpers import unpack_v3

FIRST = "firstdbf9474d461a19e9333c2fd19b46115348f"


def shorten(lake, tensor, by=1, **told):
    """What Deep Lake 3 leaves if the last samples were not appended to a tensor."""
    for meta in Path(lake).glob(f"versions/*/{tensor}/tensor_meta.json"):
        content = json.loads(meta.read_text())
        content["length"] -= by
        meta.write_text(json.dumps({**content, **told}))
    return lake


@pytest.fixture
def lake(tmp_path):
    return unpack_v3(tmp_path)


def test_lengths_are_read_at_the_pinned_commit(lake):
    shorten(lake, "boxes")
    for asked, boxes, images in (({}, 6, 7), ({"commit": FIRST}, 4, 4), ({"branch": "extra"}, 7, 8)):
        resolved = resolve(Source(lake, **asked))
        assert tensor_lengths(resolved, ["boxes", "images"], CredentialRef()) == {
            "boxes": boxes,
            "images": images,
        }


@pytest.mark.parametrize("tensor", ["images", "boxes", "categories"])
@pytest.mark.parametrize(
    "asked", [{}, {"view": "big"}, {"query": "SELECT * LIMIT 2"}, {"branch": "extra"}], ids=str
)
def test_required_tensors_of_unequal_length_are_refused(lake, tensor, asked):
    shorten(lake, tensor)
    with pytest.raises(AnnotationError, match=rf"different lengths.*{tensor} [67]\b.*lake"):
        open_view(Source(lake, **asked))


def test_a_commit_from_before_is_sound(lake):
    shorten(lake, "boxes")
    assert len(open_view(Source(lake, commit=FIRST)).table) == 4
    assert isinstance(inspect(lake).problem, AnnotationError)


@pytest.mark.parametrize("rest", ["", "WHERE any(categories == 'bolt')", "ORDER BY RANDOM()"])
def test_opened_lakes_and_views_are_checked_too(lake, rest):
    import deeplake

    shorten(lake, "boxes")
    opened = deeplake.query(f'SELECT * FROM "{lake}" {rest}')
    with pytest.raises(AnnotationError, match=r"different lengths.*boxes 6"):
        open_view_of(opened)


def test_extra_tensors_that_are_shorter_are_left_out_and_told(lake):
    shorten(lake, "masks")
    view = open_view(Source(lake))
    assert view.roles.gt_masks is None
    assert view.notes["gt_masks"].endswith("'masks' has 6 samples, the images 7")
    with pytest.raises(AnnotationError, match=r"masks 6"):
        open_view(Source(lake), tensors={"gt_masks": "masks"})


def test_the_length_of_sequences_is_that_of_their_ids(lake):
    shorten(lake, "boxes", by=-5, is_sequence=True)  # counts items: more than samples
    resolved = resolve(Source(lake))
    assert tensor_lengths(resolved, ["boxes"], CredentialRef()) == {"boxes": 7}


def test_names_may_stand_in_the_info_of_the_whole_lake(lake):
    for info in Path(lake).glob("**/categories/tensor_info.json"):
        info.write_text("{}")
    with pytest.raises(AnnotationError, match="does not name its classes"):
        open_view(Source(lake))
    for info in Path(lake).glob("versions/*/dataset_info.json"):
        info.write_text(json.dumps({"class_names": {"2": "c", "0": "a", "1": "b"}}))
    assert open_view(Source(lake)).classes == ("a", "b", "c")


def test_names_of_the_tensor_may_be_a_mapping(lake):
    for info in Path(lake).glob("**/categories/tensor_info.json"):
        info.write_text(json.dumps({"class_names": {"2": "c", "0": "a", "1": "b"}}))
    assert open_view(Source(lake)).classes == ("a", "b", "c")
