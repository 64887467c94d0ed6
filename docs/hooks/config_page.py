"""Everything that a config may name of this package, with all keys and their defaults."""

from __future__ import annotations

from sources import registered

# Registry, heading, and what stands below it.
_GROUPS = {
    "DATASETS": ("Datasets", "Under `dataset` of a dataloader."),
    "METRICS": ("Metrics", "As `val_evaluator` and `test_evaluator`. `train` and `test` put them in."),
    "EVALUATORS": ("Evaluators", "Put in by `train` and `test` where validation data stand in a list."),
    "HOOKS": (
        "Hooks",
        "In `custom_hooks`. `train` and `test` put in those that a run needs.",
    ),
    "LOOPS": ("Loops", "As `train_cfg.type`. `train` puts them in."),
    "DATA_SAMPLERS": ("Samplers", "Put into a dataloader by `fast_loader`."),
    "FUNCTIONS": ("Functions of loaders", "Put into a dataloader by `fast_loader`."),
    "PARAM_SCHEDULERS": ("Schedulers", "In `param_scheduler`. Converted 2.x configs use them."),
    "TRANSFORMS": ("Pipeline steps", "In a `pipeline`. Converted 2.x configs use them."),
    "MODELS": ("Models", "Within `model`."),
}
_NOTHING_BELOW = "    options:\n      members: false\n      heading_level: 3\n      show_bases: true"


def config_page() -> str:
    """The page: one section for each registry, and each registered part with its arguments as keys."""
    parts: dict[str, list[str]] = {registry: [] for registry in _GROUPS}
    for registry, path in registered():
        parts[registry].append(path)
    lines = [
        "# Config keys",
        "",
        "What a config can name of this package as `type='deeplake_mmdet.NAME'`. The arguments of each "
        "are its keys, and the page is made of the code. What is set most is explained in "
        "[config](../config.md); all other keys of a config are MMDetection's and MMEngine's own.",
        "",
        "## The key `fast_loader` {#fast_loader}",
        "",
        "The key `fast_loader` of a config is `'auto'`, `'threads'`, `'processes'`, `'off'`, or a "
        "dict with the arguments of this function; [speed](../loading.md) explains them.",
        "",
        f"::: deeplake_mmdet.config.fast_loader.fast_loader\n{_NOTHING_BELOW}",
    ]
    for registry, (title, text) in _GROUPS.items():
        lines += ["", f"## {title}", "", text]
        for path in sorted(parts[registry], key=lambda path: (not path.endswith("DeepLakeDataset"), path)):
            lines += ["", f"::: {path}\n{_NOTHING_BELOW}"]
    return "\n".join(lines) + "\n"
