"""The finder and the stand-in module: what resolves, what raises, what is logged, who wins."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest


@pytest.fixture
def python(tmp_path):
    """Run code in a fresh interpreter."""
    spec = find_spec("mmcv")
    assert spec is not None
    assert spec.origin is not None
    if list(Path(spec.origin).parent.glob("_ext*.so")):
        pytest.skip("compiled mmcv ops are installed here")

    def run(code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout + done.stderr

    return run


def test_install_is_cheap_and_idempotent(python):
    python(
        """
        import sys
        from deeplake_mmdet import ops
        ops.install(); ops.install()
        assert [type(f).__name__ for f in sys.meta_path].count('StandInFinder') == 1
        assert type(sys.meta_path[-1]).__name__ == 'StandInFinder'
        assert not {'torch', 'mmcv', 'mmengine', 'numpy'} & set(sys.modules)
        assert ops.in_use() == 'not loaded'
        """
    )


def test_everything_imports_and_says_so_once(python):
    out = python(
        """
        from deeplake_mmdet import ops
        ops.install()
        import mmcv.ops
        from mmdet.utils import register_all_modules
        register_all_modules()
        import mmdet.models.roi_heads
        assert ops.in_use() == 'stand-in'
        ops.log_ops_in_use(); ops.log_ops_in_use()
        from mmcv.utils import collect_env
        assert collect_env()['MMCV Compiler'] == 'n/a'
        """
    )
    assert out.count("mmcv ops:") == 1
    assert "stand-in provides nms, soft_nms" in out


def test_other_ops_raise_and_name_themselves(python):
    python(
        """
        import copy, inspect, pickle
        from deeplake_mmdet import ops
        from deeplake_mmdet.errors import MissingOpError
        ops.install()
        import mmcv._ext as ext, torch
        from mmcv.ops import box_iou_rotated
        for call, name in (
            (lambda: box_iou_rotated(torch.zeros(1, 5), torch.zeros(1, 5)), 'box_iou_rotated'),
            (lambda: ext.psamask_forward(), 'psamask_forward'),
            (lambda: ext.no_such_op(), 'no_such_op'),
        ):
            try:
                call()
            except MissingOpError as error:
                assert isinstance(error, NotImplementedError)
                assert repr(name) in str(error) and '--no-build-isolation' in str(error), error
            else:
                raise AssertionError(name)
        assert not hasattr(ext, '__wrapped__') and not hasattr(ext, '__path__')
        assert ext.psamask_forward is ext.psamask_forward
        assert ext.psamask_forward.__name__ == 'psamask_forward'
        assert inspect.ismodule(ext) and inspect.getsource(ext)
        inspect.getmembers(ext)
        assert pickle.loads(pickle.dumps(ext.nms)) is ext.nms
        """
    )


def test_a_compiled_module_wins(python, tmp_path):
    (tmp_path / "_ext.py").write_text("def __getattr__(name):\n    return print\n")
    out = python(
        """
        import sys
        import mmcv
        mmcv.__path__.append(sys.path[0] or '.')
        from deeplake_mmdet import ops
        from deeplake_mmdet.ops.finder import StandInFinder
        ops.install()
        asked = []
        def find_spec(self, name, path, target=None):
            asked.append(name)
        StandInFinder.find_spec = find_spec
        import mmcv.ops
        assert 'mmcv._ext' not in asked, asked
        assert sys.modules['mmcv._ext'].__file__.endswith('_ext.py')
        assert 'deeplake_mmdet.ops.stand_in' not in sys.modules
        assert ops.in_use() == 'compiled'
        ops.log_ops_in_use(); ops.log_ops_in_use()
        """
    )
    assert out.count("mmcv ops:") == 1
    assert "the compiled module mmcv._ext is in use" in out
