"""COCO files with oddities as annotation tools, exports and editors leave them."""

from __future__ import annotations

import json
import urllib.parse
from typing import Any

import numpy as np
from odd_draws import OddDraws
from odd_images import BROKEN, ODD, PLAIN, Kind

MISSING = object()


class OddCoco(OddDraws):
    """Makes one file after the other from a generator of random numbers.

    Args:
        rng: What everything is drawn from.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        # Stock loads the masks of an image only if all of its objects have one.
        self.masks = float(rng.choice([0.0, 0.5, 1.0]))

    def file(self) -> Any:
        """A whole file, as what JSON holds."""
        images = self.images()
        categories = self.categories()
        annotations = [
            self.odd(self.annotation(number, images, categories), None, 5, [], "x", MISSING)
            if self.rng.random() < 0.1
            else self.annotation(number, images, categories)
            for number in range(int(self.rng.integers(0, 12)))
        ]
        data: dict[str, Any] = {
            "info": self.odd({"year": 2026}, None, "x", MISSING),
            "images": [entry for _, entry in images if entry is not MISSING],
            "annotations": [entry for entry in annotations if entry is not MISSING],
            "categories": [entry for _, entry in categories],
        }
        if self.rng.random() < self.share / 10:
            data[self.pick("images", "annotations")] = self.pick(None, {}, [], MISSING)
        if self.rng.random() < self.share / 20:
            return _without_missing(self.pick([], data["categories"], None, 3))
        return _without_missing(data)

    def images(self) -> list[tuple[Kind | None, Any]]:
        """Image records, each with the file that it means."""
        number = self.pick(int, int, int, str, float, lambda i: f"im_{i}", lambda i: 2**40 + i)
        kinds = [*PLAIN, *(ODD if self.rng.random() < max(0.1, self.share) else ())]
        order = self.rng.permutation(len(kinds))[: int(self.rng.integers(1, 6))]
        found: list[tuple[Kind | None, Any]] = []
        for position, index in enumerate(order):
            kind = kinds[int(index)]
            name = kind.name
            quoted = urllib.parse.quote(name)
            width, height = kind.width, kind.height
            stored = kind.stored
            entry = {
                "id": self.odd(number(position), number(0), None, MISSING, True, [1], 2**70, -1),
                "file_name": self.odd(
                    name,
                    name.replace("/", "\\"),
                    quoted,
                    f"./{name}",
                    f"images/{name}",
                    f"C:\\data\\{name}",
                    name.replace(".jpg", ".JPG"),
                    f"../images/{name}",
                    "nowhere.jpg",
                    self.pick(*BROKEN),
                    "",
                    None,
                    7,
                    MISSING,
                ),
                "width": self.odd(
                    width,
                    height,
                    width + 1,
                    0,
                    None,
                    float(width),
                    str(width),
                    -5,
                    MISSING,
                    stored[0],
                    1e9,
                    "x",
                ),
                "height": self.odd(
                    height, width, height - 1, 0, None, float(height), str(height), MISSING, stored[1]
                ),
                "licence": 1,
            }
            found.append((kind, self.odd(entry, entry, entry, entry, None, 3)))
        return found

    def categories(self) -> list[tuple[Any, Any]]:
        """Category records, each with its id."""
        number = self.pick(int, int, int, float, str, lambda i: 10 * i + 7)
        names = [
            self.pick("cat", "dog [big]", "[/]", "Ä", " lead", "x" * 40) + str(i)
            for i in range(int(self.rng.integers(1, 4)))
        ]
        found = []
        for position, name in enumerate(names):
            # A fault here ends the whole import, and nothing is left to compare.
            share, self.share = self.share, self.share / 8
            key = self.odd(number(position), number(0), None, "k", 1.5)
            entry = {
                "id": key,
                "name": self.odd(name, name, names[0], "", None, 5, MISSING),
                "supercategory": "s",
            }
            found.append((key, self.odd(entry, entry, entry, None)))
            self.share = share
        return found

    def annotation(
        self, number: int, images: list[tuple[Kind | None, Any]], categories: list[tuple[Any, Any]]
    ) -> dict[str, Any]:
        """One object."""
        kind, image = images[int(self.rng.integers(len(images)))]
        width, height = (kind.width, kind.height) if kind else (64, 48)
        x, y = float(self.rng.integers(0, width - 12)), float(self.rng.integers(0, height - 12))
        w, h = float(self.rng.integers(4, width - int(x))), float(self.rng.integers(4, height - int(y)))
        if self.rng.random() < 0.3:
            x, y = x + 0.25, y + 0.123456789
        box = [x, y, w, h]
        image_id = image["id"] if isinstance(image, dict) and "id" in image else 1
        key = categories[int(self.rng.integers(len(categories)))][0]
        polygon = [x, y, x + w, y, x + w, y + h, x, y + h]
        return {
            "id": self.odd(number + 1, 1, None, MISSING, f"u-{number}", 1.0 * number, 2**70, True),
            "image_id": self.odd(image_id, 99, str(image_id), None, MISSING, [1]),
            "category_id": self.odd(key, 99, str(key), None, MISSING),
            "bbox": self.odd(
                box,
                [str(v) for v in box],
                [box],
                None,
                MISSING,
                [],
                box[:3],
                [x, y, -w, h],
                [x, y, 0, h],
                [float("nan"), y, w, h],
                [x, y, 1e300, h],
                [-5.5, y, w, h],
                [200, 200, 5, 5],
                [x, y, 900, h],
                [True, y, w, h],
                {"x": 1},
                "x",
                [x, y, 0.5, 0.4],
            ),
            "area": self.odd(w * h, 0, None, MISSING, -3, "12", float("nan"), 1e-9),
            "iscrowd": self.odd(
                self.pick(0, 0, 0, 0, 1), "0", "1", None, MISSING, True, False, 0.0, 2, [], "yes"
            ),
            "ignore": self.odd(MISSING, 0, 1, "1", None),
            "segmentation": self.segmentation(polygon) if self.rng.random() < self.masks else MISSING,
        }

    def segmentation(self, polygon: list[float]) -> Any:
        """A mask, mostly a sound polygon."""
        pairs = [polygon[i : i + 2] for i in range(0, 8, 2)]
        rle = {"size": [48, 64], "counts": [100, 30, 48 * 64 - 130]}
        return self.odd(
            [polygon],
            polygon,
            json.dumps([polygon]),
            [pairs],
            pairs,
            [polygon[:4]],
            [polygon[:7]],
            [polygon, [1, 2]],
            [[str(v) for v in polygon]],
            [[float("nan")] * 6],
            [[1e300] * 6],
            [],
            None,
            {},
            "x",
            rle,
            [rle],
            {"counts": rle["counts"]},
            {"size": [64, 48], "counts": rle["counts"]},
            {"size": [48, 64], "counts": [-1, 5]},
            {"size": [48, 64], "counts": "~~~"},
            {"size": [48, 64], "counts": [1.5, 3000]},
            {"size": "x", "counts": []},
            [None],
            [[None] * 6],
            5,
        )


def _without_missing(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_missing(item) for key, item in value.items() if item is not MISSING}
    if isinstance(value, list):
        return [_without_missing(item) for item in value if item is not MISSING]
    return value
