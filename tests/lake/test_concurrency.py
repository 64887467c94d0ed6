import multiprocessing
import os
import subprocess
import sys
import threading

import pytest

from deeplake_mmdet.lake.calls.concurrency import ask_for_more_at_once
from deeplake_mmdet.lake.calls.lifecycle import in_flight

DEFAULT = 8 * os.cpu_count()
pytestmark = pytest.mark.skipif(DEFAULT >= 64, reason="Deep Lake's default is high enough on so many cores")


@pytest.fixture
def limit():
    """Deep Lake's limit, at its default; put back later."""
    from deeplake import storage

    before = storage.concurrency()
    storage.set_concurrency(DEFAULT)
    yield storage
    storage.set_concurrency(before)


def test_the_default_is_raised_and_another_choice_is_kept(limit):
    ask_for_more_at_once()
    assert limit.concurrency() == 64
    limit.set_concurrency(8)
    ask_for_more_at_once()
    assert limit.concurrency() == 8


def test_it_is_not_changed_under_a_call(limit):
    inside, go = threading.Event(), threading.Event()

    def read():
        with in_flight():
            inside.set()
            go.wait(10)

    thread = threading.Thread(target=read)
    thread.start()
    inside.wait(5)
    ask_for_more_at_once()
    assert limit.concurrency() == DEFAULT
    go.set()
    thread.join()
    ask_for_more_at_once()
    assert limit.concurrency() == 64


def _tell(pipe):
    from deeplake import storage

    ask_for_more_at_once()
    pipe.send(storage.concurrency())


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_keep_the_default(limit, method):
    ask_for_more_at_once()
    context = multiprocessing.get_context(method)
    here, there = context.Pipe()
    child = context.Process(target=_tell, args=(there,))
    child.start()
    assert here.recv() == DEFAULT
    child.join(20)


def test_deep_lakes_default_is_the_one_that_is_known():
    code = "import deeplake; print(deeplake.storage.concurrency())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(told.stdout) == DEFAULT
