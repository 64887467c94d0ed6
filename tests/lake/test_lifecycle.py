"""Data loaders over a lake, broken off in every way: no crash, no hang, no noise of crashed workers."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from deeplake_mmdet.lake import Source, open_view
from deeplake_mmdet.lake.calls import lifecycle
from deeplake_mmdet.lake.calls.handle import close_all
from deeplake_mmdet.lake.source.pinning import handle_of, resolve

SCRIPT = """
import os, sys, time
from torch.utils.data import DataLoader, Dataset

class Images(Dataset):
    def __init__(self, view, die_at=None):
        self.view, self.die_at = view, die_at
    def __len__(self):
        return len(self.view.table)
    def __getitem__(self, row):
        if row == self.die_at:
            os._exit(9)
        time.sleep(0.002)
        return self.view.images([row])[0][:2]

def main(path, method, what):
    from deeplake_mmdet.lake import Source, open_view
    view = open_view(Source(path))
    view.images([0])
    loader = DataLoader(
        Images(view, 40 if what == "worker dies" else None), batch_size=4, num_workers=2,
        multiprocessing_context=method, persistent_workers=what == "break",
    )
    for _ in range(2):
        for number, batch in enumerate(loader):
            if number == 0:
                print("reading", flush=True)
            if number == 3 and what == "exception":
                raise ValueError("in the loop")
            if number == 3 and what == "break":
                break
            if what == "interrupt":
                view.images([number])
                time.sleep(0.1)
    print("done", flush=True)

if __name__ == "__main__":
    main(*sys.argv[1:])
"""


@pytest.fixture(scope="module")
def folder(make_lake, rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("lakes") / "lake"
    make_lake(path, **rows(200))
    return str(path)


@pytest.mark.parametrize(
    ("method", "what"),
    [
        *itertools.product(("fork", "spawn"), ("exception", "interrupt", "worker dies", "break")),
        *itertools.product(("forkserver",), ("interrupt", "break")),
    ],
)
def test_a_broken_off_loader_ends_as_it_should(folder, tmp_path, method, what):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, str(script), folder, method, what],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        assert process.stdout.readline() == "reading\n"
        if what == "interrupt":
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    expected = {
        "exception": (1, "ValueError: in the loop"),
        "interrupt": (1, "KeyboardInterrupt"),
        "worker dies": (1, "exited unexpectedly"),
        "break": (0, ""),
    }
    code, text = expected[what]
    assert (process.returncode, "done" in out) == (
        -signal.SIGINT if what == "interrupt" else code,
        what == "break",
    )
    assert text in err
    assert "egmentation" not in err


def test_a_closed_lake_opens_again_at_the_next_read(folder):
    view = open_view(Source(folder))
    first = view.images([1])
    with view as same:
        assert same is view
    assert view.images([1]) == first
    handle = view.handle
    close_all()
    assert "closed" in repr(handle)
    assert view.images([1]) == first
    assert handle_of(view.source) is view.handle


def test_a_handle_is_never_pickled(folder):
    import pickle

    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(handle_of(resolve(Source(folder))))


def test_a_fork_hook_waits_for_calls_of_other_threads_and_holds_new_ones_back():
    events, inside, go = [], threading.Event(), threading.Event()

    def read(name):
        with lifecycle.in_flight():
            events.append(f"{name} begins")
            inside.set()
            go.wait(5)
            events.append(f"{name} ends")

    first = threading.Thread(target=read, args=("first",))
    first.start()
    inside.wait(5)
    threading.Timer(0.2, go.set).start()
    lifecycle._before_fork()
    second = threading.Thread(target=read, args=("second",))
    second.start()
    time.sleep(0.1)
    events.append("forked")
    lifecycle._after_fork_in_parent()
    first.join(5)
    second.join(5)
    assert events == ["first begins", "first ends", "forked", "second begins", "second ends"]
