"""How a process that loads samples keeps its memory."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

COUNT_HEAPS = """
import ctypes, sys, tempfile, threading
import numpy as np

def heaps():
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    with tempfile.NamedTemporaryFile() as file:
        stream = ctypes.c_void_p(libc.fopen(file.name.encode(), b"w"))
        libc.malloc_info(0, stream)
        libc.fclose(stream)
        return file.read().count(b"<heap nr=")

def hold():
    started.wait()
    held = np.ones(10**6)
    started.wait()

done = False
if sys.argv[1] == "keep":
    from deeplake_mmdet.loading.process_settings import keep_freed_memory
    done = keep_freed_memory()
before, started = heaps(), threading.Barrier(12)
threads = [threading.Thread(target=hold) for _ in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(done, heaps() - before)
"""

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library's allocator")


def more_heaps(how: str, **environment: str) -> list[str]:
    told = subprocess.run(
        [sys.executable, "-c", COUNT_HEAPS, how],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return told.stdout.split()[-2:]


def test_new_threads_share_the_memory_that_there_is() -> None:
    done, more = more_heaps("leave")
    assert done == "False"
    assert int(more) > 0
    assert more_heaps("keep") == ["True", "0"]


def test_who_has_set_the_allocator_is_left_alone() -> None:
    done, more = more_heaps("keep", MALLOC_TRIM_THRESHOLD_="131072")
    assert done == "False"
    assert int(more) > 0
