"""Names are data: every table, line and picture shows them as they are, whatever is in them."""

from __future__ import annotations

import ast
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import deeplake_mmdet
from deeplake_mmdet.cli import main
from deeplake_mmdet.errors import DeepLakeMMDetError
from deeplake_mmdet.terminal import console, plain, readable, table

ROOT = Path(deeplake_mmdet.__file__).parent
HOSTILE = [
    "car [parked]", "sign[/]", "[bold]", "[/bold]", "a[/]b", "[red]x[/red]", "[link=http://x]y", "on[/off]",
    "[@click=f()]z", "ends in \\", "\\[bold]", ":dog:", "a:smile:b", "100%", "%s %d %(name)s", "{0} {name} {",
    "$x$", "$\\frac{$", "a_b_", "_hidden", "<b>&amp;</b>", "阿芬眼蝶", "🦝", "it's", 'a "b"', " lead",
]  # fmt: skip
CONTROL = {
    "tab\tx": "tab\\tx",
    "two\nlines": "two\\nlines",
    "\x1b[31mred": "\\x1b[31mred",
    "\u202eturned": "\\u202eturned",
}


def printed(part: Any, width: int = 300) -> str:
    screen = console(file=io.StringIO(), width=width, color_system=None)
    screen.print(part)
    text: str = screen.file.getvalue()  # type: ignore[attr-defined]
    return text


def assert_all(text: str, names: list[str]) -> None:
    assert [name for name in names if readable(name) not in text] == []


def test_only_one_module_makes_what_could_take_names_for_markup() -> None:
    made = []
    for file in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call) or file.parent.name == "terminal":
                continue
            name = ast.unparse(node.func).rpartition(".")[2]
            literal = bool(node.args) and all(
                isinstance(argument, ast.Constant) and "{" not in str(argument.value)
                for argument in node.args
            )
            safe = any(key.arg == "markup" and ast.unparse(key.value) == "False" for key in node.keywords)
            if name in ("Console", "Table", "Panel", "Tree", "from_markup") or (
                name in ("Text", "TextColumn", "Column") and not literal and not safe
            ):
                made.append(f"{file.relative_to(ROOT)}:{node.lineno} {name}")
    assert made == []


def test_a_name_is_printed_as_it_is_and_long_ones_are_not_cut() -> None:
    for name in HOSTILE:
        assert printed(plain(name)) == f"{name}\n"
        assert printed(name) == f"{name}\n"
    for name, shown in CONTROL.items():
        assert printed(plain(name)) == f"{shown}\n"
    made = table("class", title="[t]")
    made.add_row(plain("x" * 500))
    text = printed(made, width=60)
    assert "[t]" in text
    assert text.count("x") == 500


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=30) | st.text(st.characters(categories=("Cc", "Cs", "Cf")), max_size=5))
def test_whatever_a_name_holds_can_be_printed(text: str) -> None:
    shown = readable(text)
    shown.encode()
    assert not any(ord(letter) < 32 or letter == "\x7f" for letter in shown)
    assert printed(plain(text)) == f"{shown}\n"
    assert readable(shown) == shown


def test_the_tables_of_results() -> None:
    from deeplake_mmdet.evaluation import ClassScore, VOCClassScore
    from deeplake_mmdet.evaluation.tables import class_lines, voc_lines
    from deeplake_mmdet.report import class_table

    names = [*HOSTILE, *CONTROL]
    scores = [ClassScore(name, 1, *[0.5] * 6) for name in names]
    assert_all(printed(class_table(scores, title="[val]")), ["[val]", *names])
    assert_all(class_lines(scores), names)
    curve = np.zeros(1)
    assert_all(voc_lines([VOCClassScore(name, 1, 1, curve, curve, 0.5) for name in names], 0.5), names)


def test_the_tables_of_a_conversion() -> None:
    from deeplake_mmdet.cli.conversion_tables import render
    from deeplake_mmdet.config.comparison import Difference
    from deeplake_mmdet.legacy.notes import Note

    notes = [Note(f"key.{name}", f"what {name}", f"why {name}", "dropped") for name in HOSTILE]
    differences = [Difference(f"{name}.{name}", repr(name), name) for name in HOSTILE]
    done = SimpleNamespace(
        out="runs/[bold]/new.py", legacy=True, notes=notes, differences=differences, stock="[stock].py"
    )
    text = "".join(printed(part, 2000) for part in render(done, compared=True, width=2000))  # type: ignore[arg-type]
    assert_all(text, ["runs/[bold]/new.py", "[stock].py", *HOSTILE])


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[str]]:
    """A COCO data set whose names are all hostile, in a folder of such a name."""
    folder = tmp_path_factory.mktemp("names") / "in [bold] $x$ 100% :dog: {0}"
    (folder / "img").mkdir(parents=True)
    names = [*HOSTILE, *CONTROL]
    files = ["a[b].png", "[red]c.png", "d[/]e.png".replace("/", ""), "100% :dog: {0}.png", "missing [x].png"]
    for seed, file in enumerate(files[:-1]):
        pixels = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), np.uint8)
        (folder / "img" / file).write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    images = [{"id": n, "file_name": file, "width": 64, "height": 48} for n, file in enumerate(files)]
    annotations = [
        {"id": n, "image_id": n % 4, "category_id": n, "bbox": [2, 3, 20, 15], "area": 300, "iscrowd": 0}
        for n in range(len(names))
    ]
    annotations.append({"id": 99, "image_id": 0, "category_id": 0, "bbox": [1, 2, "[/x]", 4]})
    categories = [{"id": n, "name": name} for n, name in enumerate(names)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "a.json").write_text(json.dumps(document))
    return folder, folder / "lake [/x]", names


def test_import_inspect_and_eval_show_names_as_they_are(
    hostile: tuple[Path, Path, list[str]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, lake, names = hostile
    monkeypatch.setenv("COLUMNS", "500")
    assert main(["import", "coco", str(folder / "a.json"), str(lake), "--images", str(folder / "img")]) == 0
    shown = capsys.readouterr().out
    assert_all(shown, [*names, str(lake), "missing [x].png", "[/x]"])
    assert main(["inspect", str(lake)]) == 0
    shown = capsys.readouterr().out
    assert_all(shown, [*names, str(lake)])
    results = [
        {"image_id": n % 4, "category_id": n, "bbox": [2, 3, 20, 15], "score": 0.5} for n in range(len(names))
    ]
    (folder / "found.json").write_text(json.dumps(results))
    assert main(["eval", str(folder / "found.json"), str(lake)]) == 0
    assert_all(capsys.readouterr().out, names)
    assert main(["eval", str(folder / "found.json"), str(lake), "--classes", "[no such]"]) == 1
    assert "[no such]" in capsys.readouterr().err
    assert main(["inspect", str(folder / "[/nowhere]")]) == 1
    assert str(folder / "[/nowhere]") in capsys.readouterr().err
    assert main(["import", "coco", str(folder / "[/no].json"), str(lake) + "2", "--images", str(folder)]) == 1
    assert "[/no].json" in capsys.readouterr().err


def test_errors_keep_their_lines_and_lose_their_control_characters(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import deeplake_mmdet.lake

    def refuse(*_: Any, **__: Any) -> None:
        raise DeepLakeMMDetError("one\ntwo \x1b[31m[/red]")

    monkeypatch.setattr(deeplake_mmdet.lake, "inspect", refuse)
    assert main(["inspect", "somewhere"]) == 1
    assert "one\ntwo \\x1b[31m[/red]" in capsys.readouterr().err


def test_a_terminal_that_lacks_the_characters_gets_them_written_out(
    hostile: tuple[Path, Path, list[str]], tmp_path: Path
) -> None:
    folder, _, _ = hostile
    command = ["import", "coco", folder / "a.json", tmp_path / "lake", "--images", folder / "img"]
    done = subprocess.run(
        [sys.executable, "-m", "deeplake_mmdet.cli", *map(str, command)],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "200"},
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert b"\\u963f" in done.stdout


def test_a_mosaic_of_such_names_is_drawn(tmp_path: Path) -> None:
    from deeplake_mmdet.report import MosaicItem, prediction_mosaic

    names = [*HOSTILE, *CONTROL]
    boxes, labels = [[5, 5, 40, 40]] * len(names), list(range(len(names)))
    image = np.zeros((60, 60, 3), np.uint8)
    item = MosaicItem(image, boxes, labels, boxes, labels, [0.9] * len(names))
    assert prediction_mosaic([item], names, tmp_path / "m.png").is_file()


def test_logs_errors_and_tracebacks_obey_no_name(tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\x9b31m"
    code = (
        "import logging, sys\n"
        "from deeplake_mmdet.cli import main\n"
        "main(['cache', 'show'])\n"
        "logging.basicConfig()\n"
        f"logging.getLogger('any').warning('class %s', {evil!r})\n"
        "from mmengine.logging import print_log\n"
        f"print_log({evil!r}, 'current')\n"
        f"raise RuntimeError({evil!r})\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    printed_text = found.stdout + found.stderr
    assert printed_text.count("owned") == 3
    for sequence in ("\x1b]", "\x1b[2J", "\x07", "\x9b"):
        assert sequence not in printed_text
    assert "\x1b" not in str(DeepLakeMMDetError(evil, where=evil, advice=evil))


def test_an_error_of_a_worker_is_the_error_alone() -> None:
    from torch._utils import ExceptionWrapper

    from deeplake_mmdet.errors import ColumnError, SourceNotFoundError

    for kind in (SourceNotFoundError, ColumnError):
        try:
            raise kind("The lake is gone", where="lake a", advice="put it back")
        except kind:
            told = ExceptionWrapper(where="in DataLoader worker process 1")
        with pytest.raises(kind) as caught:
            told.reraise()
        assert str(caught.value) == "The lake is gone. Where: lake a. What to do: put it back."
