"""XML files as annotation tools write them: any encoding, namespaces, and no way to blow up."""

from __future__ import annotations

import codecs
import re
import xml.etree.ElementTree as ET
from pathlib import Path

from deeplake_mmdet.lake.images.regular_files import read_regular

__all__ = ["decode_text", "read_xml"]

# A UTF-32 mark begins with that of UTF-16, so it is looked for first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_SLOW = {"idna", "punycode"}  # their decoders take time with the square of the length
_ENTITY = re.compile(r"<!ENTITY\b([^>]*)>?")
_SIMPLE_ENTITY = re.compile(r"""\s+[^\s%&"']+\s+("[^"&%]{0,256}"|'[^'&%]{0,256}')\s*""")
_EXPANDED = 10_000_000
_LONGEST = 2**28


def decode_text(data: bytes, declared: str | None = None) -> str:
    """Text of a file: by its byte order mark, else as declared, else UTF-8.

    Args:
        data: The file.
        declared: The encoding that the file names; None if it names none.

    Raises:
        ValueError: The bytes are no such text, or the encoding is not known.
    """
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), declared or "utf-8")
    try:
        name = codecs.lookup(encoding).name
        if name in _SLOW:
            raise LookupError
        if name in ("gbk", "gb2312"):
            encoding = "gb18030"  # which holds both: files say GB2312 and use the rest as well
        return data.decode(encoding)
    except LookupError:
        raise ValueError(f"its encoding '{encoding}' is not known") from None
    except UnicodeError:
        raise ValueError(f"it is not text in the encoding {encoding}") from None


def read_xml(path: Path) -> ET.Element:
    """The root element of a file, with namespaces taken off all tags.

    Multi-byte encodings, which Python's own parser refuses, are read too. Entities are expanded where
    they are short texts; a file whose entities refer to entities or to other files is refused.

    Args:
        path: The XML file.

    Raises:
        OSError: The file is missing or cannot be read.
        ValueError: It is not XML; the message says why.
    """
    data = read_regular(path, most=_LONGEST)
    if not data.strip(b"\0 \t\r\n"):
        raise ValueError("it is empty")
    found = _DECLARED.match(data)
    declared = found[1].decode("ascii") if found else None
    if declared and declared.lower().startswith(("utf-16", "utf-32", "utf16", "utf32", "ucs-")):
        declared = None  # cannot be: the declaration itself was read byte by byte
    text = decode_text(data, declared)
    _refuse_bombs(text)
    try:
        root = ET.fromstring(text.lstrip("\ufeff \t\r\n"))
    except ET.ParseError as error:
        line, column = error.position
        what = str(error).partition(":")[0]
        if what == "junk after document element":
            what = "something follows the end of the document"
        raise ValueError(f"{what}: line {line}, column {column + 1}") from None
    for node in root.iter():
        if "}" in node.tag:
            node.tag = node.tag.rpartition("}")[2]
    return root


def _refuse_bombs(text: str) -> None:
    if "<!ENTITY" not in text:
        return
    if not all(_SIMPLE_ENTITY.fullmatch(found[1]) for found in _ENTITY.finditer(text)):
        raise ValueError("it declares entities that are more than a short text")
    if text.count("&") * 256 > _EXPANDED:
        raise ValueError("it uses entities too often")
