import multiprocessing
import threading

import pytest

from deeplake_mmdet.lake.concurrency import ask_for_more_at_once
from deeplake_mmdet.lake.lifecycle import in_flight


@pytest.fixture
def limit():
    """Deep Lake's limit, at its default; put back later."""
    from deeplake import storage

    before = storage.concurrency()
    storage.set_concurrency(16)
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
    assert limit.concurrency() == 16
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
    assert here.recv() == 16
    child.join(20)
