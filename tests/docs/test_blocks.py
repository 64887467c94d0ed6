"""Every code block of README.md and of docs/ is run, or says why it is not.

Blocks of a page run in its order, in a folder of their own. Blocks of commands are run line by line, those of
Python as a script, and configs (with a title) are read and their parts are built.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from blocks import PAGES, Block, blocks_of, commands_in, words_of

# A process that has scored itself cannot be forked for a command that does.
pytestmark = pytest.mark.gives_up

_COMMAND = "deeplake-mmdet"
_LANGUAGES = ("bash", "python", "")  # GitHub shows a block without a language as a terminal
# These start processes that import torch and MMDetection, or train several times what other tests train, too.
_SLOW = ("README.md", "from-2x.md", "gpus.md")
_RUN = [
    pytest.param(page, id=page.name, marks=[pytest.mark.slow] * (page.name in _SLOW))
    for page in PAGES
    if any(not block.reason for block in blocks_of(page))
]


def _every_block() -> Iterator[Block]:
    for page in PAGES:
        yield from blocks_of(page)


def test_every_block_is_of_a_kind_that_can_be_run_or_says_why_not() -> None:
    unknown = [
        block.place for block in _every_block() if block.language not in _LANGUAGES and not block.reason
    ]
    assert not unknown, "neither bash nor python, and no <!-- not run: REASON --> before them"


def test_lines_that_are_run_are_commands_of_this_package() -> None:
    others = [
        f"{block.place}: {line}"
        for block in _every_block()
        if block.language in ("bash", "") and not block.reason
        for line in commands_in(block)
        if not line.startswith((f"{_COMMAND} ", "export "))
    ]
    assert not others, "what else a reader types needs <!-- not run: REASON --> before its block"


def test_python_blocks_that_are_not_run_are_python() -> None:
    for block in _every_block():
        if block.language == "python" and block.reason:
            compile(block.text, block.place, "exec")


def test_blocks_are_found_with_their_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A\n```bash\nfoo --a \\\n  b  # why\n\n# nothing\n```\n\n<!-- not run: no bucket -->\n"
        '```python title="config.py"\nx = 1\n```\n\n```yaml\na: 1\n```\n'
    )
    first, second, third = blocks_of(page)
    assert (first.line, first.language, first.reason, first.is_config) == (2, "bash", "", False)
    assert commands_in(first) == ["foo --a    b"]
    assert (second.language, second.reason, second.is_config) == ("python", "no bucket", True)
    assert (third.language, third.reason) == ("yaml", "")
    (tmp_path / "a b.txt").touch()
    assert words_of("run '*.txt' *.txt", tmp_path) == ["run", "*.txt", "a b.txt"]


@pytest.mark.parametrize("page", _RUN)
def test_the_blocks_of_a_page_run(
    page: Path, world: Path, tmp_path: Path, command_in_copy: Callable[..., Any], in_copy: Callable[..., Any]
) -> None:
    folder = tmp_path / "world"
    shutil.copytree(world, folder)
    environment = {"DEEPLAKE_MMDET_CACHE": str(tmp_path / "cache")}
    for number, block in enumerate(blocks_of(page)):
        if block.reason:
            continue
        if block.language in ("bash", ""):
            for line in commands_in(block):
                words = words_of(line, folder)
                if words[0] == "export":
                    name, _, value = words[1].partition("=")
                    environment[name] = value
                    continue
                _make_room(words[1:], folder)
                _check(block, line, command_in_copy(*words[1:], cwd=folder, **environment))
        else:
            call, args = (build, (block.text, number)) if block.is_config else (run, (block.text,))
            _check(block, block.text, in_copy(call, *args, cwd=folder, **environment))


def _make_room(args: list[str], folder: Path) -> None:
    """What an import or an export makes is not there yet: each page tells of a first time."""
    if args[0] in ("import", "export") and not {"--append", "--overwrite"} & set(args):
        shutil.rmtree(folder / args[3], ignore_errors=True)


def _check(block: Block, text: str, done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, f"{block.place}: {text}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


def run(text: str) -> None:
    """Run a block of Python as a script."""
    exec(compile(text, "block.py", "exec"), {"__name__": "__main__"})


def build(text: str, number: int) -> None:
    """Read a config and build what it names. One without a base changes the config of the folder."""
    from mmdet.registry import DATASETS, HOOKS, METRICS, MODELS

    from deeplake_mmdet import load_config
    from deeplake_mmdet.config import check_data
    from deeplake_mmdet.config.evaluators import use_lake_metrics

    file = Path(f"block_{number}.py")
    file.write_text(text if "_base_" in text else f"_base_ = './config.py'\n{text}")
    cfg = load_config(file)
    cfg.model.backbone.init_cfg = None  # whose weights would be downloaded
    check_data(cfg, ("train", "val", "test"))
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        dataset = DATASETS.build(loader.dataset)
        assert len(dataset) > 0
        assert dataset[0]["inputs"].shape[0] == 3
    MODELS.build(cfg.model)
    use_lake_metrics(cfg)  # as `train` and `test` do
    METRICS.build(cfg.val_evaluator)
    for hook in cfg.get("custom_hooks", []):
        HOOKS.build(hook)
