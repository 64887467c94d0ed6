"""What no error of this package is, in one line all the same; the traceback goes to a file."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback
from typing import Any

from deeplake_mmdet.errors import DeepLakeMMDetError, InstallError, StorageError

__all__ = ["as_error"]

_OF_FILES = {
    errno.ENOSPC: "make room on that disk, or choose another one (--work-dir, TMPDIR)",
    errno.EDQUOT: "make room, or choose another disk (--work-dir, TMPDIR)",
    errno.EACCES: "choose a place that you may read and write, or change its permissions",
    errno.EPERM: "choose a place that you may read and write, or change its permissions",
    errno.EROFS: "choose a place that can be written, e.g. by --work-dir",
    errno.ENOENT: "check the path, or take out of the config what reads it",
    errno.EEXIST: "choose another path",
    errno.ENOTDIR: "choose another path: a part of this one is a file",
    errno.EISDIR: "name a file, not a folder",
    errno.EMFILE: "raise the limit of open files (ulimit -n 65536), or use fewer workers",
}
_WINDOWS = ("libGL", "libgthread", "libglib", "libxcb", "libSM")


def as_error(error: Exception) -> DeepLakeMMDetError:
    """An error of this package that stands for any other one, so that it can be told in one line.

    Args:
        error: With its traceback.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return _of_files(error)
    if isinstance(error, ImportError):
        return _of_imports(error)
    text = f"{type(error).__name__}: {str(error).strip() or 'no message'}"
    if type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError):
        return StorageError(
            f"Memory ran out: {text.partition(chr(10))[0]}",
            where="the GPU" if "CUDA" in text else "this process",
            advice="use a smaller batch_size or smaller images, or fewer workers",
        )
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if part := _module([frame.f_locals.get("self") for frame in frames]):
        return DeepLakeMMDetError(
            f"{part} fails: {text[:1000]}",
            where=_line(error),
            advice="compare sizes and channels in its config with those of the parts around it; "
            f"{_kept(error)}",
        )
    return DeepLakeMMDetError(
        f"Something failed in a way that this package does not know: {text[:1000]}",
        where=_place(error),
        advice=f"look there; {_kept(error)}",
    )


def _of_files(error: OSError) -> DeepLakeMMDetError:
    what = error.strerror or str(error)
    if "temporary directory" in what:
        return StorageError(
            what,
            where="the environment variable TMPDIR",
            advice="make one of these folders, or set TMPDIR to one that can be written",
        )
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    known = _OF_FILES.get(error.errno or 0)
    return StorageError(
        f"The system refused a file: {what}",
        where=" -> ".join(names) or _place(error),
        advice=known or f"look there; {_kept(error)}",
    )


def _of_imports(error: ImportError) -> DeepLakeMMDetError:
    if any(name in str(error) for name in _WINDOWS):
        return InstallError(
            f"OpenCV cannot be imported: {error}",
            where=f"the packages of {sys.prefix}",
            advice="pip uninstall -y opencv-python opencv-contrib-python && "
            "pip install --force-reinstall --no-deps opencv-python-headless",
        )
    if "temp_directory_path" in str(error):  # the C++ library's, as Deep Lake is loaded
        return StorageError(
            "There is no temporary folder",
            where=f"environment variable TMPDIR={os.environ.get('TMPDIR')!r}",
            advice="make this folder, or set TMPDIR to another one",
        )
    advice = f"pip install {error.name}" if isinstance(error, ModuleNotFoundError) and error.name else ""
    return InstallError(
        f"A package cannot be imported: {error}", where=_place(error), advice=advice or _kept(error)
    )


def _place(error: BaseException) -> str:
    """Where it failed: in which hook, if in any, and the line."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    told = _hook([frame.f_locals.get("self") for frame in frames])
    return f"{told} ({_line(error)})" if told else _line(error)


def _line(error: BaseException) -> str:
    lines = traceback.extract_tb(error.__traceback__)
    return f"{lines[-1].filename}, line {lines[-1].lineno}" if lines else "not known"


def _module(owners: list[Any]) -> str | None:
    torch = sys.modules.get("torch")
    modules = [owner for owner in owners if torch is not None and isinstance(owner, torch.nn.Module)]
    if not modules:
        return None
    names = {id(module): name for name, module in modules[0].named_modules()}
    found = next((each for each in reversed(modules) if names.get(id(each))), modules[0])
    key = ".".join(["model", *filter(None, [names.get(id(found))])])
    return f"The model's part {key!r} ({type(found).__name__})"


def _hook(owners: list[Any]) -> str | None:
    hooks = sys.modules.get("mmengine.hooks")
    found = [owner for owner in owners if hooks is not None and isinstance(owner, hooks.Hook)]
    return f"the hook {type(found[-1]).__name__}" if found else None


def _kept(error: Exception) -> str:
    """Keep the traceback in a file, without the secrets of the lines in it; what to say of it."""
    from deeplake_mmdet.lake import masked  # loads NumPy

    text = masked("".join(traceback.format_exception(error)))
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="deeplake-mmdet-error-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            file.write(text)
    except OSError:
        return "DEEPLAKE_MMDET_TRACEBACK=1 shows the traceback"
    return f"the traceback is in {file.name}"
