"""The Python reference: every public name of the package."""

from __future__ import annotations

import ast
import re

from sources import modules

# Heading, and the names below it; those that stand nowhere here come last, under "More".
_GROUPS = {
    "Train, test, predict": ("train", "test", "predict", "Run", "bench", "prepare"),
    "Datasets and metrics": ("DeepLakeDataset", "CocoMetric", "VOCMetric", "deterministic"),
    "Data in and out": (
        *("import_coco", "import_voc", "import_yolo", "export_coco", "export_voc", "export_yolo"),
        *("inspect", "check"),
    ),
    "Results": ("evaluate_predictions", "compare_predictions", "mine", "lineage"),
    "Configs": ("load_config", "fast_loader", "convert", "convert_config"),
    "Old scripts": (
        "build_detector",
        "train_detector",
        "test_detector",
        "Config",
        "mkdir_or_exist",
        "run_script",
    ),
    "Parts of the loader": ("Feed", "LakeSampler", "LakeBatchSampler", "packed_collate"),
}
_OTHERS = "More"
# MMEngine's own: its documentation is MMEngine's.
_FOREIGN = {
    "mkdir_or_exist": "MMEngine's function of this name.",
}
_NONE = ast.Module([], [])
_OPTIONS = "    options:\n      heading_level: 3"
# Of these a config names the class; what MMDetection calls on it is nobody else's business.
_NAMED_BY_CONFIGS = ("Datasets and metrics", "Parts of the loader")


def python_page() -> str:
    """The page: public names in groups, each with its docstring."""
    names = public_names()
    groups = {title: [name for name in below if name in names] for title, below in _GROUPS.items()}
    grouped = {name for below in groups.values() for name in below}
    groups[_OTHERS] = [name for name in names if name not in grouped]
    lines = [
        "# Python",
        "",
        "The public names of `deeplake_mmdet`, from their docstrings. A command and its Python function have "
        "one name and the same options. Boxes are corners in pixels unless something else is said.",
        "",
        "The errors that these raise have one family, `deeplake_mmdet.errors.DeepLakeMMDetError`; "
        "[all messages](messages.md) by class.",
    ]
    for title, below in groups.items():
        if below:
            lines += ["", f"## {title}"]
        for name in below:
            if name in _FOREIGN:
                lines += ["", f"### {name} {{#{name}}}", "", _FOREIGN[name]]
            else:
                inner = "\n      members: false" if title in _NAMED_BY_CONFIGS else ""
                lines += ["", f"::: {_home(name)}\n{_OPTIONS}{inner}"]
    lines += ["", "## What they return"]
    for path in result_classes():
        lines += ["", f"::: {path}\n{_OPTIONS}"]
    return "\n".join(lines) + "\n"


def result_classes() -> list[str]:
    """Dotted paths of this package's classes that public functions return and that have no public name."""
    trees, names = dict(modules()), public_names()
    found: dict[str, None] = {}
    for name in names:
        if name in _FOREIGN:
            continue
        module = _home(name).rpartition(".")[0]
        for node in trees[module].body:
            if isinstance(node, ast.FunctionDef) and node.name == name and node.returns is not None:
                told = set(re.findall(r"\w+", ast.unparse(node.returns))) - set(names)
                found |= dict.fromkeys(path for word in sorted(told) if (path := _class_seen(module, word)))
    return list(found)


def _class_seen(module: str, name: str) -> str | None:
    """Dotted path of the class that a name stands for in a module; None if it is none of this package's."""
    trees = dict(modules())
    rooms = [module]
    for node in ast.walk(trees[module]):
        if isinstance(node, ast.ImportFrom) and any(one.name == name for one in node.names):
            rooms.insert(0, str(node.module))
    for room in rooms:
        for path in (room, *(path for path in trees if path.startswith(f"{room}."))):
            if any(
                isinstance(node, ast.ClassDef) and node.name == name for node in trees.get(path, _NONE).body
            ):
                return f"{path}.{name}"
    return None


def public_names() -> list[str]:
    """``deeplake_mmdet.__all__``, without its version."""
    return [name for name in _constant("__all__") if not name.startswith("__")]


def _home(name: str) -> str:
    """Dotted path of a public name where it is defined."""
    room = f"deeplake_mmdet.{_constant('_HOMES')[name]}"
    trees = dict(modules())
    for module in (room, *(path for path in trees if path.startswith(f"{room}."))):
        if any(getattr(node, "name", None) == name for node in trees[module].body):
            return f"{module}.{name}"
    raise LookupError(name)


def _constant(name: str):
    """The value of a constant of the package's face."""
    for node in dict(modules())["deeplake_mmdet"].body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise LookupError(name)
