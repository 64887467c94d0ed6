import pytest

from deeplake_mmdet.formats.xml_text import read_xml

TEXT = "<annotation><name>猫</name></annotation>"


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        b"\xef\xbb\xbf" + TEXT.encode(),
        b"\n\n <?xml version='1.0' encoding='UTF-8'?>" + TEXT.encode(),
        f'<?xml version="1.0" encoding="GBK"?>{TEXT}'.encode("gbk"),
        f'<?xml version="1.0" encoding="gb2312"?>{TEXT}'.encode("gbk"),
        f'<?xml version="1.0" encoding="Shift_JIS"?>{TEXT}'.encode("shift_jis"),
        f'<?xml version="1.0" encoding="utf-16"?>{TEXT}'.encode("utf-16"),
        f'<?xml version="1.0" encoding="utf-16"?>{TEXT}'.encode(),  # .NET declares what it does not write
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        f'<!DOCTYPE annotation SYSTEM "a.dtd">{TEXT}'.encode(),
        TEXT.replace("annotation", "v:annotation").replace("tion>", "tion xmlns:v='u'>", 1).encode(),
        f"<!DOCTYPE a [<!ENTITY cat '猫'>]>{TEXT.replace('猫', '&cat;')}".encode(),
    ],
)
def test_text_in_any_encoding(tmp_path, data):
    path = tmp_path / "a.xml"
    path.write_bytes(data)
    root = read_xml(path)
    assert (root.tag, root.findtext("name")) == ("annotation", "猫")


def bomb(levels=12):
    chain = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, levels))
    return f'<!DOCTYPE a [<!ENTITY a0 "ha">{chain}]><annotation>&a{levels - 1};</annotation>'


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"\0" * 100, "empty"),
        ("<a>中文</a>".encode("gbk"), "not text in the encoding utf-8"),
        (f'<?xml version="1.0" encoding="klingon"?>{TEXT}'.encode(), "klingon"),
        (f'<?xml version="1.0" encoding="punycode"?>{TEXT}'.encode(), "punycode"),
        (TEXT.encode() + b"<x/>", "something follows the end"),
        (TEXT.encode()[:-3], "line 1"),
        (b"{}", "line 1"),
        (bomb().encode(), "entities"),
        (bomb().encode("utf-16"), "entities"),
        (b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/hosts'>]><a>&x;</a>", "entities"),
        (b"<!DOCTYPE a [<!ENTITY % x 'y'>%x;]><a/>", "entities"),
        (f"<!DOCTYPE a [<!ENTITY x '{'y' * 9999}'>]><a>&x;</a>".encode(), "entities"),
        (f"<!DOCTYPE a [<!ENTITY x '{'y' * 200}'>]><a>{'&x;' * 50_000}</a>".encode(), "entities"),
        (b"<a>&nbsp;</a>", "undefined entity"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path, data, why):
    path = tmp_path / "a.xml"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=why):
        read_xml(path)
