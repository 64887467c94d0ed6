import os
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from deeplake_mmdet.formats.file_names import FileNames, is_file, loose

KINDS = (".jpg", ".png")


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_files_are_found_in_any_case_form_and_quoting(tmp_path):
    composed, split = (unicodedata.normalize(form, "Café") for form in ("NFC", "NFD"))
    touch(tmp_path, "a.jpg", "A.PNG", "a.txt", "sub/a.jpg", f"{split}.jpg", "x%20y.png", "a.b.jpg", ".jpg")
    names = FileNames(tmp_path, KINDS)
    assert names.like("a") == ["A.PNG", "a.jpg"]
    assert names.like("SUB/A") == ["sub/a.jpg"]
    assert names.like(composed.upper()) == [f"{split}.jpg"]
    assert names.like("X y") == ["x%20y.png"]
    assert names.like("a.b") == ["a.b.jpg"]
    assert names.like("none") == names.like("") == []
    assert len(names) == len(set(names)) == 6


def test_links_that_lead_back_are_followed_once(tmp_path):
    touch(tmp_path / "real", "a.jpg")
    touch(tmp_path / "other", "b.jpg")
    (tmp_path / "real/again").symlink_to(tmp_path / "real")
    (tmp_path / "real/other").symlink_to(tmp_path / "other")
    (tmp_path / "real/self.jpg").symlink_to(tmp_path / "real/self.jpg")
    (tmp_path / "real/gone.jpg").symlink_to(tmp_path / "nowhere")
    assert sorted(FileNames(tmp_path / "real", KINDS)) == ["a.jpg", "other/b.jpg"]


def test_a_missing_folder_has_no_files(tmp_path):
    names = FileNames(tmp_path / "none", KINDS)
    assert (len(names), names.like("a"), names.nearest("a.jpg")) == (0, [], None)


def test_the_nearest_name(tmp_path):
    touch(tmp_path, "train/0001.jpg", "IMG_20.jpg", *(f"{i}.png" for i in range(3000)))
    names = FileNames(tmp_path, KINDS)
    assert names.nearest("val/0001.JPG") == "train/0001.jpg"
    assert names.nearest("IMG-20.jpg") == "IMG_20.jpg"
    assert names.nearest("2999x.png") == "2999.png"
    assert names.nearest("zzzzzzzzzzzzzzzz") is None


def test_what_no_file_can_be_called_is_no_file(tmp_path):
    for name in ("a\0b", "a" * 5000, "\ud800", "", "a/b"):
        assert not is_file(tmp_path / name)


@settings(max_examples=30, deadline=None)
@given(
    st.sets(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0."), min_size=1, max_size=20)
    )
)
def test_every_name_finds_itself(tmp_path_factory, stems):
    folder = tmp_path_factory.mktemp("names")
    stems = {stem for stem in stems if len(os.fsencode(stem)) < 200}
    touch(folder, *(f"{stem}.jpg" for stem in stems))
    names = FileNames(folder, KINDS)
    for stem in stems:
        assert names.like(stem) == sorted(f"{s}.jpg" for s in stems if loose(s) == loose(stem))
