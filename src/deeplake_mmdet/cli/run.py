"""``deeplake-mmdet run``: MMDetection's own tools, and scripts for 2.x and Deep Lake's own integration."""

from __future__ import annotations

import argparse
import ast
import builtins
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from deeplake_mmdet.cli import script_in_child
from deeplake_mmdet.cli.old_scripts import old_names, supply, way_on
from deeplake_mmdet.errors import SourceNotFoundError, readable
from deeplake_mmdet.terminal import print_readable
from deeplake_mmdet.terminal.verbosity import VARIABLE as VERBOSITY

__all__ = ["add_parser", "run_script"]

# New processes look at __main__'s spec to know what to import first.
_CHILD_OF_GUARDED = script_in_child.__name__
_NOTHING = "deeplake_mmdet.cli.__main__"  # multiprocessing leaves names that end so alone


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "run",
        help="run a tool of MMDetection's, or an old training script",
        description="Run an unmodified script as 'python SCRIPT ARGS' would, with this package imported "
        "first: a tool of MMDetection 3.x, or a script for MMDetection 2.x and deeplake.integrations.mmdet. "
        "The old names that it imports are supplied for this process only.",
        epilog="Example: deeplake-mmdet run tools/test.py config.py runs/first/epoch_12.pth",
    )
    parser.add_argument(
        "script",
        metavar="SCRIPT",
        help="Python file; 'tools/test.py' and the like are the installed MMDetection's where there are none",
    )
    parser.add_argument("args", nargs=argparse.REMAINDER, metavar="ARGS", help="its arguments")
    parser.set_defaults(run=run, own_output=True)


def run(args: argparse.Namespace) -> None:
    """Run the script; its exit code and its tracebacks are this command's."""
    file = _found(args.script)
    os.environ.setdefault(VERBOSITY, "verbose")  # a script shows what it always has
    try:
        supply()  # for good: threads and exit handlers of the script outlive it
        _execute(file, args.script, args.args)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        error.__traceback__ = _of_script(error, str(file))
        from deeplake_mmdet.lake import masked

        if sys.excepthook in (sys.__excepthook__, print_readable):  # which show the secrets in lines
            text = masked("".join(traceback.format_exception(error)))
            print(readable(text, lines=True), end="", file=sys.stderr)
        else:
            sys.excepthook(type(error), error, error.__traceback__)
        if (hint := way_on(error)) is not None:
            print(f"deeplake-mmdet: {hint}", file=sys.stderr)
        raise SystemExit(1) from None


def run_script(script: str | Path, args: Sequence[str] = ()) -> dict[str, Any]:
    """Run a script as ``python SCRIPT ARGS`` does.

    ``tools/test.py`` and the like that are not here are those that the installed MMDetection brings. While
    the script runs, the old names of mmcv 1.x, MMDetection 2.x and Deep Lake 3 stand for their equals here:
    `cli/old_scripts/names.py` lists them all.

    Args:
        script: The Python file.
        args: Its arguments.

    Returns:
        The script's global variables.

    Raises:
        SourceNotFoundError: There is no such file.
        BaseException: Whatever the script raises.
    """
    before = sys.modules["__main__"], sys.argv, sys.path[:]
    try:
        with old_names():
            return _execute(_found(script), script, args)
    finally:
        sys.modules["__main__"], sys.argv, sys.path[:] = before
        os.environ.pop(script_in_child.SCRIPT, None)


def _execute(path: Path, script: str | Path, args: Sequence[str]) -> dict[str, Any]:
    """Run a script, and leave this process as the script's own; its global variables."""
    source = path.read_bytes()
    code = compile(source, str(path), "exec", dont_inherit=True)
    main = ModuleType("__main__")
    main.__file__ = str(path)
    # A script without guard would be run again by each process that it starts.
    main.__spec__ = ModuleSpec(_CHILD_OF_GUARDED if _is_guarded(source) else _NOTHING, None)
    vars(main)["__builtins__"] = builtins
    sys.modules["__main__"], sys.argv = main, [str(script), *args]
    sys.path.insert(0, str(path.resolve().parent))
    os.environ[script_in_child.SCRIPT] = str(path.resolve())
    exec(code, vars(main))
    return vars(main)


def _found(script: str | Path) -> Path:
    """The script's absolute path; that of a tool of the installed MMDetection if there is none here."""
    path = Path(script)
    if path.is_file():
        return path.absolute()
    if path.parts[:1] == ("tools",):
        from deeplake_mmdet.config.bases import installed_configs  # heavy, and most scripts are there

        if (configs := installed_configs()) is not None and (tool := configs.parent / path).is_file():
            return tool
    raise SourceNotFoundError(
        "There is no such script",
        where=str(script),
        advice="name a Python file, then its arguments; tools/... may be one of the installed MMDetection's",
    )


def _is_guarded(source: bytes) -> bool:
    """Whether the script says ``if __name__ == '__main__'``."""
    return any(
        isinstance(node, ast.If)
        and any(isinstance(part, ast.Name) and part.id == "__name__" for part in ast.walk(node.test))
        for node in ast.parse(source).body
    )


def _of_script(error: BaseException, script: str) -> Any:
    """The traceback from the script on, without the frames that started it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != script:
        trace = trace.tb_next
    return trace
