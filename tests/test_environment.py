"""What is refused at import: forks beside originals, and a cv2 that cannot be loaded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import deeplake_mmdet.environment as environment
from deeplake_mmdet.errors import InstallError

WINDOWED = 'opencv_version = "4.12.0.88"\nheadless = False\n'


def distribution(folder: Path, name: str, version: str, metadata: bool = True) -> None:
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    if metadata:
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def windowed_cv2(folder: Path) -> None:
    (folder / "cv2").mkdir()
    (folder / "cv2" / "__init__.py").touch()
    (folder / "cv2" / "version.py").write_text(WINDOWED)


def check(folder: Path, *, alone: bool = False, prefix: tuple[str, ...] = ()) -> str:
    """Import the package in a fresh interpreter, ``folder`` first on the path; return what it raised.

    With ``alone``, no other folder of installed packages is on the path.
    """
    lib = folder.with_name(folder.name + "-lib")
    lib.mkdir(exist_ok=True)
    if not (lib / "deeplake_mmdet").exists():
        (lib / "deeplake_mmdet").symlink_to(Path(environment.__file__).parent)
    code = (
        f"import sys; sys.path[:0] = [{str(folder)!r}, {str(lib)!r}]\n"
        + ("sys.path[:] = [entry for entry in sys.path if 'site-packages' not in entry]\n" if alone else "")
        + "try:\n"
        "    from deeplake_mmdet.environment import check_environment\n"
        "    check_environment()\n"
        "except ImportError as error:\n"
        "    assert type(error).__name__ == 'InstallError', repr(error)\n"
        "    print(error)\n"
        "assert not {'cv2', 'torch', 'numpy', 'mmcv', 'mmengine'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [*prefix, sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_this_environment_passes(tmp_path):
    assert check(tmp_path) == ""


@pytest.mark.parametrize(
    ("fork", "original"),
    [
        ("onedl-mmdetection", "mmdet"),
        ("onedl-mmengine", "mmengine"),
        ("onedl-mmcv", "mmcv"),
        ("onedl-mmcv", "mmcv-full"),
        ("onedl-mmcv", "mmcv-lite"),
    ],
)
def test_fork_beside_original(tmp_path, fork, original):
    distribution(tmp_path, fork, "3.5.1")
    distribution(tmp_path, original, "3.3.0")
    said = check(tmp_path, alone=True)
    assert f"{fork} 3.5.1 and {original} 3.3.0 are both installed" in said
    assert f"pip uninstall -y {fork} {original} && pip install --no-deps {fork}==3.5.1" in said


def test_one_of_them_is_fine(tmp_path):
    for name in ("mmdet", "mmengine", "onedl-mmcv"):
        distribution(tmp_path, name, "1.0")
    distribution(tmp_path, "mmcv", "2.1.0", metadata=False)  # the leavings of a removal
    assert check(tmp_path, alone=True) == ""


@pytest.mark.parametrize("leftover", [False, True])
def test_cv2_files_gone(tmp_path, leftover):
    """Removing opencv-python takes the headless wheel's files along, though seldom all of them."""
    distribution(tmp_path, "opencv-python-headless", "4.12.0.88")
    if leftover:
        (tmp_path / "cv2" / "__pycache__").mkdir(parents=True)
    said = check(tmp_path, alone=True)
    assert "cv2 cannot be imported" in said
    assert (
        "pip uninstall -y opencv-python-headless && pip install --no-deps opencv-python-headless==4.12.0.88"
    ) in said


def test_headless_files_beside_both_wheels_are_fine(tmp_path):
    distribution(tmp_path, "opencv-python", "4.12.0.88")
    distribution(tmp_path, "opencv-python-headless", "4.12.0.88")
    windowed_cv2(tmp_path)
    (tmp_path / "cv2" / "version.py").write_text(WINDOWED.replace("False", "True"))
    assert check(tmp_path, alone=True) == ""


def refuse_gl(name: str) -> None:
    if name != "libglib-2.0.so.0":
        raise OSError("libGL.so.1: cannot open shared object file: No such file or directory")


@pytest.mark.skipif(sys.platform != "linux", reason="about Linux shared libraries")
def test_windowed_cv2_without_libgl(tmp_path, monkeypatch):
    """The same decision with an injected loader, for systems without mount namespaces."""
    windowed_cv2(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    installed = {"opencv-python-headless": "4.12.0.88", "opencv-python": "4.12.0.80"}
    with pytest.raises(InstallError) as caught:
        environment._check_opencv(installed, refuse_gl)
    assert "libGL.so.1" in str(caught.value)
    assert (
        "pip uninstall -y opencv-python-headless opencv-python && "
        "pip install --no-deps opencv-python-headless==4.12.0.88"
    ) in str(caught.value)

    # A build that brings its own libraries along loads, and is believed.
    (tmp_path / "cv2" / "cv2.abi3.so").touch()
    environment._check_opencv(installed, lambda name: None if name.endswith("abi3.so") else refuse_gl(name))


def _hide(library: Path) -> tuple[str, ...]:
    """A command prefix that runs its arguments where ``library`` is an empty file."""
    return ("unshare", "--mount", "sh", "-c", f'mount --bind /dev/null "{library}" && exec "$@"', "sh")


def _libgl() -> Path | None:
    if shutil.which("unshare") is None or shutil.which("ldconfig") is None or os.geteuid() != 0:
        return None
    listed = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True).stdout
    paths = [line.split("=> ")[1] for line in listed.splitlines() if line.strip().startswith("libGL.so.1 ")]
    if not paths:
        return None
    library = Path(paths[0]).resolve()
    works = subprocess.run([*_hide(library), "true"], capture_output=True).returncode == 0
    return library if works else None


@pytest.mark.skipif(sys.platform != "linux", reason="about Linux shared libraries")
def test_windowed_cv2_with_libgl_hidden_from_the_linker(tmp_path):
    """The real linker, in a mount namespace where libGL cannot be read."""
    library = _libgl()
    if library is None:
        pytest.skip("needs root, mount namespaces and an installed libGL to hide")
    distribution(tmp_path, "opencv-python", "4.12.0.88")
    windowed_cv2(tmp_path)
    assert check(tmp_path) == ""  # libGL can be loaded
    said = check(tmp_path, prefix=_hide(library))
    assert "this system lacks a library" in said
    assert "libGL.so.1" in said
    assert "pip install --no-deps opencv-python-headless==4.12.0.88" in said
