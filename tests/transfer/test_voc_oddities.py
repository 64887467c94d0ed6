"""Whatever stands in VOC files: stock's reading where it has one, and every object imported or refused."""

import re
import tempfile
from contextlib import suppress
from pathlib import Path

import deeplake
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deeplake_mmdet.errors import ConfigError, SourceFormatError
from deeplake_mmdet.transfer import import_voc

CLASSES = ["cat", "猫"]
SIZE = "<size><width>32</width><height>24</height><depth>3</depth></size>"

number = st.one_of(
    st.integers(-3, 40).map(str),
    st.floats(-3, 40).map(str),
    st.sampled_from([" 7 ", "\n9", "+4", "1e1", "1_0", "٣", "1e300"]),
)
oddity = st.sampled_from(["", " ", "nan", "-inf", "1e400", "x", "6,5", "1,024", "1.2.3", None])
corner = st.one_of(number, number, number, number, number, oddity)
name = st.sampled_from(["cat", "cat", "猫", " cat ", "\n\t猫\n", "Cat", "cat dog", "", "  ", None])
difficult = st.sampled_from([None, "0", "1", "-1", "", " 1 ", "0.0", "True", "false", "Unspecified", "½"])
shape = st.sampled_from(["bndbox"] * 6 + ["robndbox", "polygon", "BndBox", None])


def element(tag, text):
    return "" if text is None else f"<{tag}>{text}</{tag}>"


@st.composite
def an_object(draw):
    corners = [draw(corner) for _ in range(4)]
    if draw(st.booleans()):  # most boxes are sound
        left, top = draw(st.integers(1, 20)), draw(st.integers(1, 10))
        corners = [str(left), f"{top}.7", f" {left + 5}", str(top + 8)]
    part = f"<part>{element('name', 'head')}<bndbox><xmin>1</xmin></bndbox></part>" * draw(st.integers(0, 1))
    kind = draw(shape)
    inside = "".join(map(element, ("xmin", "ymin", "xmax", "ymax"), corners))
    box = element(kind, inside) if kind else ""
    text = part + element("name", draw(name)) + element("difficult", draw(difficult)) + box
    return f"<object>{text}</object>", corners


@st.composite
def a_file(draw):
    """Bytes of a file, its objects, and whether all can be told apart in it."""
    objects = draw(st.lists(an_object(), max_size=4))
    size = draw(
        st.sampled_from(
            [
                SIZE,
                "",
                SIZE.replace("32", "32.0").replace("24", " 24 "),
                SIZE.replace("32", "0"),
                SIZE.replace("32", "wide"),
                "<size/>",
            ]
        )
    )
    head = draw(
        st.sampled_from(["", "<filename>x.jpg</filename>", "<folder/><source><name>q</name></source>"])
    )
    text = f"<annotation>{head}{size}{''.join(text for text, _ in objects)}</annotation>"
    way = draw(
        st.sampled_from(
            [*["plain"] * 4, "namespace", "wrapper", "doctype", "gbk", "utf-16", "mark", "entity"]
        )
    )
    text = {
        "namespace": text.replace("<annotation>", '<annotation xmlns="urn:voc">'),
        "wrapper": f"<annotations>\n{text}</annotations>",
        "doctype": f'<!DOCTYPE annotation SYSTEM "voc.dtd">{text}',
        "entity": f'<!DOCTYPE annotation [<!ENTITY e "">]>{text.replace("</annot", "&e;</annot")}',
        "gbk": f'<?xml version="1.0" encoding="gbk"?>{text}',
        "mark": f"\ufeff{text}",
    }.get(way, text)
    encoding = {"gbk": "gb18030", "utf-16": "utf-16"}.get(way, "utf-8")
    spoiled = draw(st.sampled_from([None] * 9 + ["cut", "junk", "bomb"]))
    data = text.encode(encoding)
    if spoiled == "cut":
        data = data[: len(data) // 2]
    elif spoiled == "junk":
        data += "<x/>".encode("utf-16-le" if way == "utf-16" else encoding)
    elif spoiled == "bomb":
        data = b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><annotation>&c;</annotation>'
    return data, objects, spoiled is None


def stock_reads(folder, text):
    """What ``XMLDataset`` makes of a file with this object alone; ``None`` where it stops."""
    from mmdet.datasets import XMLDataset

    (folder / "Annotations").mkdir(exist_ok=True)
    (folder / "Annotations/one.xml").write_text(f"<annotation>{SIZE}{text}</annotation>", encoding="utf-8")
    (folder / "one.txt").write_text("one\n")
    stock = XMLDataset(
        data_root=str(folder),
        ann_file="one.txt",
        data_prefix={"sub_data_root": ""},
        metainfo={"classes": CLASSES},
        lazy_init=True,
    )
    try:
        found = stock.load_data_list()[0]["instances"]
        return [([float(x) for x in i["bbox"]], i["bbox_label"], i["ignore_flag"]) for i in found]
    except (AttributeError, TypeError, ValueError, OverflowError):
        return None


def write(folder, files, image):
    for place in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (folder / place).mkdir(parents=True)
    for position, (data, _, _) in enumerate(files):
        (folder / f"Annotations/{position}.xml").write_bytes(data)
        (folder / f"JPEGImages/{position}.jpg").write_bytes(image)
    box = "".join(map(element, ("xmin", "ymin", "xmax", "ymax"), (1, 1, 9, 9)))
    rest = "".join(f"<object><name>{name}</name><bndbox>{box}</bndbox></object>" for name in CLASSES)
    (folder / "Annotations/rest.xml").write_text(f"<annotation>{rest}</annotation>", encoding="utf-8")
    (folder / "JPEGImages/rest.jpg").write_bytes(image)
    (folder / "ImageSets/Main/train.txt").write_text("\n".join([*map(str, range(len(files))), "rest"]))


def check_file(folder, file, refused, row):
    """One file's rows against stock's reading of each of its objects."""
    objects = file[1]
    kept = [i for i in range(len(objects)) if i + 1 not in refused]
    assert len(row) == len(kept)
    for i, text_and_corners in enumerate(objects):
        text, corners = text_and_corners
        expected = stock_reads(folder, text)
        if expected and expected[0][0][2] > expected[0][0][0] and expected[0][0][3] > expected[0][0][1]:
            assert row[kept.index(i)] == expected[0]
        elif i in kept:  # stock stops or passes over it: the corners are its own, whatever else was mended
            assert row[kept.index(i)][0] == [
                float(int(float(text.replace(",", "."))) - 1) for text in corners
            ]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(files=st.lists(a_file(), min_size=1, max_size=4))
def test_stocks_boxes_or_a_counted_refusal(make_image, files):
    pytest.importorskip("mmdet")
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch, "voc")
        write(root, files, make_image())
        summary = import_voc(root, root / "lake", split="train", classes=CLASSES, progress=False)
        refused_files = {Path(f.file).stem for f in summary.refused if f.kind == "image"}
        assert refused_files == {str(i) for i, (_, _, sound) in enumerate(files) if not sound}
        assert summary.images + summary.refused_images == len(files) + 1
        total = 2 + sum(len(objects) for _, objects, sound in files if sound)
        assert summary.boxes + summary.refused_boxes == total
        ds = deeplake.open_read_only(str(root / "lake"))
        for position in range(len(ds) - 1):
            number = Path(ds["file_name"][position]).stem
            refused = {
                int(re.match(r"object (\d+)", f.detail)[1])
                for f in summary.refused
                if f.kind == "box" and Path(f.file).stem == number
            }
            columns = (ds[column][position].tolist() for column in ("boxes", "labels", "difficults"))
            check_file(Path(scratch), files[int(number)], refused, list(zip(*columns, strict=True)))


@settings(max_examples=200, deadline=None)
@given(
    data=st.one_of(st.binary(max_size=80), st.text(max_size=80).map(str.encode), a_file().map(lambda f: f[0]))
)
def test_no_file_raises(data):
    from deeplake_mmdet.formats import load_voc, read_voc_xml

    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "Annotations").mkdir()
        (Path(scratch) / "Annotations/a.xml").write_bytes(data)
        (Path(scratch) / "train.txt").write_bytes(data)
        image = read_voc_xml(Path(scratch), "a")
        assert image.fault is None or image.fault.startswith("annotation file")
        with suppress(SourceFormatError, ConfigError):  # what this package says of them
            ids = load_voc(scratch, "train", ["cat"]).ids
            assert len(set(ids)) == len(ids)
