"""A room imports from rooms below it only (see the list), and what is heavy is imported late."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import deeplake_mmdet

ROOT = Path(deeplake_mmdet.__file__).parent
FLOORS = (
    *(
        "cli",
        "demo",
        "browsing",
        "scale",
        "doctor",
        "loop",
        "checking",
        "training",
        "report",
        "config",
        "legacy",
        "evaluation",
        "loading",
        "dataset",
        "prepared",
        "pipeline",
    ),
    *("transfer", "formats", "lake", "models", "ops", "registry", "terminal", "environment", "errors"),
)
AT_THE_ROOT = {"__init__.py", "environment.py", "errors.py", "registry.py"}
FILES = sorted(ROOT.rglob("*.py"))
LONGEST = 400

Import = tuple[str, int, bool]  # absolute module, line, whether it happens as the file is imported


def imports_of(file: Path) -> list[Import]:
    package = ["deeplake_mmdet", *file.relative_to(ROOT).parent.parts]
    found: list[Import] = []

    def visit(node: ast.AST, at_import: bool) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.orelse:
                visit(child, at_import)
            return
        if isinstance(node, ast.Import):
            found.extend((alias.name, node.lineno, at_import) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found.extend((f"{module}.{alias.name}", node.lineno, at_import) for alias in node.names)
        inside = at_import and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    visit(ast.parse(file.read_text()), True)
    return found


def room_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def upward_imports() -> list[str]:
    wrong = []
    for file in FILES:
        room = room_of(file)
        if room == "__init__":  # the house's own face; it loads by name
            continue
        for module, line, _ in imports_of(file):
            parts = module.split(".")
            if parts[0] != "deeplake_mmdet":
                continue
            target = parts[1] if len(parts) > 1 else ""
            if target == room or target == "__version__":
                continue
            if target not in FLOORS or FLOORS.index(target) <= FLOORS.index(room):
                wrong.append(f"{file.relative_to(ROOT)}:{line} imports {module}")
    return wrong


def test_only_four_files_lie_at_the_root():
    assert {file.name for file in ROOT.glob("*.py")} == AT_THE_ROOT


def test_every_room_has_its_floor():
    assert {room_of(file) for file in FILES} - {"__init__"} <= set(FLOORS)


def test_rooms_import_from_below_only():
    assert not upward_imports()


def test_only_the_lake_room_imports_deeplake_and_only_when_a_lake_is_opened():
    wrong = [
        f"{file.relative_to(ROOT)}:{line}"
        for file in FILES
        for module, line, at_import in imports_of(file)
        if module.split(".")[0] == "deeplake" and (at_import or room_of(file) != "lake")
    ]
    assert not wrong


def loaded_after(code: str, *modules: str) -> list[str]:
    code += f"; import sys; print('loaded:', *[name for name in {modules!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()[1:]


@pytest.mark.parametrize("module", ["deeplake_mmdet", "deeplake_mmdet.cli", "deeplake_mmdet.cli.__main__"])
def test_the_face_and_the_command_line_import_nothing_heavy(module):
    code = f"import {module}" if not module.endswith("__main__") else "import deeplake_mmdet.cli as c; c.main"
    assert loaded_after(code, "torch", "mmengine", "mmcv", "mmdet", "cv2", "deeplake", "numpy") == []


def test_the_dataset_imports_no_deeplake():
    assert loaded_after("import deeplake_mmdet.dataset, deeplake_mmdet.evaluation", "deeplake") == []


@pytest.mark.parametrize("name", ["lake", "formats", "transfer", "legacy"])
def test_rooms_without_models_import_no_torch(name):
    if not (ROOT / name).exists():
        pytest.skip("not built yet")
    assert loaded_after(f"import deeplake_mmdet.{name}", "torch", "mmdet", "deeplake") == []


def test_no_file_is_longer_than_one_can_overlook():
    lengths = {str(file.relative_to(ROOT)): len(file.read_text().splitlines()) for file in FILES}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_every_public_name_can_be_had():
    for name in deeplake_mmdet.__all__:
        assert getattr(deeplake_mmdet, name) is not None
    assert set(dir(deeplake_mmdet)) == set(deeplake_mmdet.__all__)


def test_files_of_tests_have_names_of_their_own():
    """Pytest collects a folder without ``__init__.py`` by its files' names alone."""
    tests = Path(__file__).parent
    names = [file.name for file in tests.rglob("test_*.py") if not (file.parent / "__init__.py").exists()]
    assert sorted(names) == sorted(set(names))
