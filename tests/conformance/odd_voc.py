"""Pascal VOC folders with oddities as annotation tools, exports and editors leave them."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from odd_draws import OddDraws
from odd_images import BROKEN, ODD, PLAIN, Kind


class OddVoc(OddDraws):
    """Makes one folder of annotations after the other beside one folder of images.

    Args:
        rng: What everything is drawn from.
    """

    def write(self, root: Path) -> int:
        """Write ``Annotations`` and ``ImageSets`` of one data set; how many objects they have."""
        kinds = [*PLAIN, *(ODD if self.rng.random() < max(0.1, self.share) else ())]
        kinds = [kind for kind in kinds if "/" not in kind.name]
        order = self.rng.permutation(len(kinds))[: int(self.rng.integers(1, 6))]
        (root / "Annotations").mkdir(parents=True)
        (root / "ImageSets" / "Main").mkdir(parents=True)
        lines = []
        for index in order:
            kind = kinds[int(index)]
            name = Path(self.odd(kind.name, "nowhere.jpg", self.pick(*BROKEN))).stem
            if name in lines:
                continue
            lines.append(name)
            data = self.odd(self.document(kind), b"", b"no xml", self.document(kind) + b"<x/>")
            if self.rng.random() > self.share / 5:
                (root / "Annotations" / f"{name}.xml").write_bytes(data)
        text = "\n".join(self.odd(line, f"{line}  1", f"{line} -1", f" {line} ") for line in lines)
        (root / "ImageSets" / "Main" / "train.txt").write_text(text + "\n", encoding="utf-8")
        return len(lines)

    def document(self, kind: Kind) -> bytes:
        """One annotation file."""
        width, height = kind.width, kind.height
        size = self.odd(
            f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
            "",
            "<size/>",
            "<size><width>0</width><height>0</height></size>",
            "<size><width/><height/></size>",
            f"<size><width>{width}.0</width><height>{height}.0</height></size>",
            f"<size><width>{height}</width><height>{width}</height></size>",
            f"<size><width>{width + 1}</width><height>{height}</height></size>",
            "<size><width>wide</width></size>",
        )
        named = self.odd(
            kind.name, Path(kind.name).stem, "other.png", f"C:\\x\\{kind.name}", "", PLAIN[0].name
        )
        objects = "".join(self.thing(kind) for _ in range(int(self.rng.integers(0, 5))))
        body = f"<filename>{escape(named)}</filename>{size}{objects}<segmented>0</segmented>"
        start = self.odd(
            "<annotation>", '<annotation xmlns="http://x.example/voc">', '<annotation verified="yes">'
        )
        head = self.odd("", '<?xml version="1.0" encoding="utf-8"?>\n', "<!DOCTYPE annotation>\n", "﻿")
        return (head + start + body + "</annotation>").encode()

    def thing(self, kind: Kind) -> str:
        """One object."""
        x, y = int(self.rng.integers(1, kind.width - 14)), int(self.rng.integers(1, kind.height - 14))
        w, h = int(self.rng.integers(4, kind.width - x)), int(self.rng.integers(4, kind.height - y))
        corners = [x, y, x + w, y + h]
        corners = self.odd(
            corners,
            [v + 0.7 for v in corners],
            [x + w, y + h, x, y],
            [x, y, x, y + h],
            [0, 0, 10, 10],
            [x, y, 400, 300],
            ["nan", y, x + w, y + h],
            ["", y, x + w, y + h],
            ["6,5", y, x + w, y + h],
            [" 6 ", f"\n{y}", x + w, y + h],
            ["inf"] * 4,
        )
        box = "".join(
            f"<{tag}>{value}</{tag}>"
            for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
        )
        box = self.odd(
            f"<bndbox>{box}</bndbox>",
            "",
            "<bndbox/>",
            f"<robndbox>{box}</robndbox>",
            f"<bndbox>{box}</bndbox><bndbox>{box}</bndbox>",
        )
        part = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin></bndbox></part>"
        name = escape(self.pick("cat", "dog", "[red]x"))
        name = self.odd(
            f"<name>{name}</name>",
            f"<name> {name} </name>",
            f"<name>\n\t{name}\n</name>",
            "<name/>",
            "",
            "<name>unlisted</name>",
        )
        difficult = self.odd(
            self.pick("", "<difficult>0</difficult>", "<difficult>1</difficult>"),
            "<difficult/>",
            "<difficult>Unspecified</difficult>",
            "<difficult> 1 </difficult>",
            "<difficult>True</difficult>",
            "<difficult>0.0</difficult>",
        )
        return f"<object>{name}{self.odd('', part)}{difficult}<pose>x</pose>{box}</object>"
