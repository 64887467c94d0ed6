"""Keeping a process free of Deep Lake calls, so that it may fork while others of its threads read."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time

import pytest

from deeplake_mmdet.errors import StorageError
from deeplake_mmdet.lake import rest, resting
from deeplake_mmdet.lake.calls.lifecycle import in_flight

FORKS = """
import os, sys, threading
from deeplake_mmdet.lake import Source, open_view, resting
view = open_view(Source(sys.argv[1]))
expected = view.images(range(40))
stop, reads = threading.Event(), [0] * 3

def read(number):
    while not stop.is_set():
        assert view.images(range(40)) == expected
        reads[number] += 1

threads = [threading.Thread(target=read, args=(number,)) for number in range(3)]
for thread in threads:
    thread.start()
for _ in range(int(sys.argv[2])):
    with resting():
        before = list(reads)
        children = []
        for _ in range(4):
            child = os.fork()
            if not child:
                os._exit(0 if view.images([3]) == expected[3:4] else 9)
            children.append(child)
        assert reads == before
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
stop.set()
for thread in threads:
    thread.join()
print(min(reads))
"""


def test_children_can_be_forked_while_threads_read(make_lake, rows, encode, tmp_path):
    make_lake(tmp_path / "lake", images=[encode(seed=seed) for seed in range(60)], **rows(60))
    done = subprocess.run(
        [sys.executable, "-c", FORKS, str(tmp_path / "lake"), "5"],
        capture_output=True,
        text=True,
        timeout=120,
        # images read past Deep Lake are in nobody's way
        env={**os.environ, "OMP_NUM_THREADS": "1", "DEEPLAKE_MMDET_DIRECT": "0"},
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0


class Reader(threading.Thread):
    """Has one call under way until it is let go, and then a second."""

    def __init__(self):
        super().__init__(daemon=True)
        self.inside, self.go, self.second = threading.Event(), threading.Event(), threading.Event()
        self.start()
        self.inside.wait(5)

    def run(self):
        with in_flight():
            self.inside.set()
            self.go.wait(10)
        with in_flight():
            self.second.set()


def test_calls_under_way_are_waited_for_and_new_ones_wait():
    rest()  # what earlier tests of this process may have left under way
    reader = Reader()
    threading.Timer(0.2, reader.go.set).start()
    start = time.monotonic()
    with resting():
        assert 0.1 < time.monotonic() - start < 5
        assert not reader.second.wait(0.2)
        with in_flight(), resting():  # the thread itself may go on
            pass
        assert not reader.second.wait(0.2)
    assert reader.second.wait(5)


def test_a_rest_that_does_not_come_is_an_error_and_holds_nobody_up():
    reader = Reader()
    start = time.monotonic()
    for seconds in (0, 0.3):
        with pytest.raises(StorageError, match=r"still under way after .*other threads.*'spawn'"):
            rest(seconds)
    assert time.monotonic() - start < 3
    reader.go.set()
    assert reader.second.wait(5)
    rest(1)


def test_an_error_ends_the_rest():
    with pytest.raises(KeyError), resting():
        raise KeyError
    reader = Reader()
    reader.go.set()
    assert reader.second.wait(5)


def test_two_threads_rest_one_after_the_other():
    order = []

    def other():
        with resting():
            order.append("other")

    with resting():
        thread = threading.Thread(target=other)
        thread.start()
        time.sleep(0.1)
        order.append("first")
    thread.join(5)
    assert order == ["first", "other"]


def test_a_child_forked_at_rest_may_read_and_rest():
    context = multiprocessing.get_context("fork")
    with resting():
        child = context.Process(target=rest, args=(1,))
        child.start()
    child.join(20)
    assert child.exitcode == 0
