"""Reads from a real S3 endpoint over HTTP, through a proxy that fails, delays and counts requests."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from deeplake_mmdet.errors import ConfigError, CredentialError, SourceNotFoundError, StorageError
from deeplake_mmdet.lake import CredentialRef, Source, open_view
from deeplake_mmdet.lake.calls import faults as policy
from deeplake_mmdet.lake.calls import lifecycle
from deeplake_mmdet.lake.calls.storage_errors import translate
from s3 import Rule, fault_proxy, s3_endpoint

pytestmark = pytest.mark.gives_up

TESTS = Path(__file__).resolve().parents[1]
ROWS = 400


@pytest.fixture(scope="module")
def endpoint():
    with s3_endpoint() as found:
        yield found


@pytest.fixture(scope="module")
def local(make_lake, encode, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lakes") / "lake"
    counts = [row % 4 for row in range(ROWS)]
    make_lake(
        folder,
        images=[encode(seed=row) for row in range(ROWS)],
        boxes=[np.arange(4.0 * count).reshape(count, 4) + row + 1 for row, count in enumerate(counts)],
        labels=[np.arange(count, dtype=np.uint32) % 2 for count in counts],
    )
    return open_view(Source(str(folder)))


@pytest.fixture(scope="module")
def url(endpoint, local):
    return endpoint.upload(Path(local.source.url), "lake")


@pytest.fixture(scope="module")
def proxy(endpoint):
    with fault_proxy(endpoint.url) as found:
        yield found
        # Reads that were given up end at their next try. Later tests fork, which would crash before that.
        found.rules()
        end = time.monotonic() + 60
        while lifecycle.abandoned() and time.monotonic() < end:
            time.sleep(0.1)
        assert not lifecycle.abandoned()


@pytest.fixture
def remote(url, proxy, monkeypatch, tmp_path):
    """The lake through the proxy, opened; its cache is its own."""
    for name, value in (("AWS_ACCESS_KEY_ID", "an-id"), ("AWS_SECRET_ACCESS_KEY", "a-secret")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("DEEPLAKE_MMDET_CACHE", str(tmp_path))
    proxy.rules()
    with open_view(Source(url), credentials=ref(proxy)) as view:
        yield view
    proxy.rules()


def ref(proxy):
    return CredentialRef({"endpoint_url": proxy.url, "aws_region": "us-east-1"})


def deadline(monkeypatch, seconds):
    monkeypatch.setenv("DEEPLAKE_MMDET_DEADLINE", str(seconds))


def opened_anew(view, proxy, *rules):
    """A handle without anything in its cache, and then the rules."""
    view.close()
    proxy.rules()
    assert len(view.handle) == ROWS
    proxy.rules(*rules)


def test_opening_and_the_table_take_few_requests(remote, local, proxy):
    # Open, one per column and, as this lake has no size columns, one per image chunk.
    assert proxy.counts().requests <= 20
    for name in ("offsets", "boxes", "labels", "widths", "heights"):
        assert getattr(remote.table, name).tolist() == getattr(local.table, name).tolist()


def test_a_span_takes_one_request_for_each_chunk(remote, local, proxy):
    opened_anew(remote, proxy)
    assert remote.has_encoded_images
    assert remote.fetch_span(100, 300) == local.images(range(100, 300))
    assert proxy.counts().requests == 1


@pytest.mark.slow
def test_no_read_is_lost_or_wrong_under_faults(remote, local, proxy):
    chance = random.Random(0)
    opened_anew(remote, proxy, *(Rule(kind, probability=0.025) for kind in ("status", "reset")))
    for number in range(1000):
        if number % 10 == 0:
            remote.close()  # what was read before would need no request
        rows = chance.sample(range(ROWS), 4)
        assert remote.images(rows) == local.images(rows)
    counts = proxy.counts()
    assert counts.faults > 0.03 * counts.requests > 20


def test_no_short_body_is_taken_for_a_whole_one(remote, local, proxy):
    chance = random.Random(1)
    opened_anew(remote, proxy, Rule("short", probability=0.05))
    for number in range(100):
        if number % 10 == 0:
            remote.close()
        rows = chance.sample(range(ROWS), 4)
        assert remote.images(rows) == local.images(rows)
    assert proxy.counts().faults > 3


@pytest.mark.parametrize("action", ["status", "reset", "short"])
def test_the_table_is_right_after_faults(url, local, proxy, monkeypatch, tmp_path, remote, action):
    monkeypatch.setenv("DEEPLAKE_MMDET_CACHE", str(tmp_path / "other"))
    remote.close()
    proxy.rules(Rule(action, match="GET", skip=3, times=3))
    view = open_view(Source(url), credentials=ref(proxy), box_format="ltwh")
    assert view.table.boxes.tolist() == local.table.boxes.tolist()
    assert proxy.counts().faults >= 1


@pytest.mark.parametrize("what", ["read", "open", "table"])
def test_a_silent_server_ends_in_an_error_within_the_deadline(
    remote, url, proxy, monkeypatch, tmp_path, local, what
):
    opened_anew(remote, proxy, Rule("silence", skip=9 if what == "table" else 0))
    monkeypatch.setenv("DEEPLAKE_MMDET_CACHE", str(tmp_path / what))
    deadline(monkeypatch, 2)
    if what != "read":
        remote.close()
    start = time.monotonic()
    with pytest.raises(StorageError, match=r"within 2 s.*s3://lakes/lake.*DEEPLAKE_MMDET_DEADLINE"):
        open_view(Source(url), credentials=ref(proxy)) if what == "table" else remote.images([5])
    assert time.monotonic() - start < 4
    proxy.rules()
    deadline(monkeypatch, 20)  # Deep Lake's own threads may still wait for the silent answers, 8 s each
    assert remote.images([5]) == local.images([5])


def test_a_failure_that_lasts_ends_in_an_error_and_the_next_read_recovers(remote, local, proxy, monkeypatch):
    deadline(monkeypatch, 2)
    opened_anew(remote, proxy, Rule("status", status=503))
    with pytest.raises(StorageError, match=r"did not answer properly"):
        remote.images([7])
    proxy.rules()
    assert remote.images([7]) == local.images([7])


def test_a_missing_object_is_not_asked_for_again(remote, proxy):
    opened_anew(remote, proxy, Rule("status", status=404))
    with pytest.raises(StorageError, match="does not exist"):
        remote.images([1])
    # Now and then Deep Lake looks into its log meanwhile, whatever we ask for.
    assert len([asked for asked in proxy.counts().log if "_deeplake_log" not in asked]) <= 2


def test_refused_credentials_are_resolved_once_more(remote, local, proxy):
    opened_anew(remote, proxy, Rule("status", status=403, times=1))
    assert remote.images([3]) == local.images([3])
    opened_anew(remote, proxy, Rule("status", status=403))
    with pytest.raises(CredentialError, match=r"refused access.*AWS variables") as caught:
        remote.images([3])
    assert proxy.counts().requests <= 5
    assert "a-secret" not in str(caught.value)


CAUSES = {
    "ExpiredToken": (400, CredentialError, "temporary credentials have expired.*AWS_SESSION_TOKEN.*--resume"),
    "InvalidToken": (400, CredentialError, "does not take the session token"),
    "SignatureDoesNotMatch": (403, CredentialError, "secret key is not the one.*AWS_SECRET_ACCESS_KEY"),
    "InvalidAccessKeyId": (403, CredentialError, "knows no such key id.*AWS_ACCESS_KEY_ID"),
    "AccessDenied": (403, CredentialError, "refused access.*s3:GetObject.*s3:ListBucket"),
    "PermanentRedirect": (301, StorageError, "in another region.*AWS_REGION"),
    "AuthorizationHeaderMalformed": (400, StorageError, "in another region.*AWS_REGION"),
    "MethodNotAllowed": (405, StorageError, r"did not answer properly \(MethodNotAllowed\)"),
}


@pytest.mark.parametrize("code", CAUSES)
def test_each_refusal_has_its_own_cause(url, proxy, remote, code):
    status, kind, text = CAUSES[code]
    proxy.rules(Rule("status", status=status, code=code))
    start = time.monotonic()
    with pytest.raises(kind, match=text) as caught:
        open_view(Source(url), credentials=ref(proxy))
    assert code in str(caught.value)
    assert time.monotonic() - start < 10, "it was asked for again, though it cannot pass"


@pytest.mark.parametrize("code", ["ExpiredToken", "SignatureDoesNotMatch"])
def test_refusals_while_reading_have_the_same_cause(remote, proxy, code):
    status, kind, text = CAUSES[code]
    opened_anew(remote, proxy, Rule("status", status=status, code=code))
    with pytest.raises(kind, match=text):
        remote.images([3])


class _Told(Exception):
    """What Deep Lake raises, whose name says nothing."""


@pytest.mark.parametrize(
    ("code", "kind", "text"),
    [  # Deep Lake itself asks again for half a minute and more
        ("RequestTimeTooSkewed", StorageError, "clock is wrong.*set the clock"),
        ("NoSuchBucket", SourceNotFoundError, "no such bucket.*endpoint_url"),
        ("SlowDown", StorageError, "fewer requests.*fewer workers"),
        ("AuthorizationHeaderMalformed", StorageError, r"the bucket's region \(eu-west-1\)"),
    ],
)
def test_causes_by_code(code, kind, text):
    message = f"[S3] UNKNOWN action=GetObject status=403 code={code} message=region is wrong; "
    error = translate(_Told(f"{message}expecting 'eu-west-1'"), "lake s3://a/b")
    assert type(error) is kind
    assert re.search(text, str(error))


@pytest.mark.parametrize("reopened", [False, True])
def test_fifty_epochs_of_reads_leave_nothing_behind(remote, proxy, reopened):
    def usage():
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * 4 / 1024
        files, tasks = (len(list(Path(f"/proc/self/{kind}").iterdir())) for kind in ("fd", "task"))
        return resident, files, tasks

    def epochs(count):
        for _ in range(count):
            if reopened:
                remote.close()
            for start in range(0, ROWS, 100):
                remote.images(range(start, start + 100))

    epochs(10)
    before = usage()
    epochs(50)
    after = usage()
    # Each opening leaves some kB inside Deep Lake, and its caches settle over the first hundred.
    assert after[0] - before[0] < (12 if reopened else 5)
    assert after[1] <= before[1]
    assert after[2] <= before[2]


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan"])
def test_a_deadline_must_be_a_positive_number(monkeypatch, text):
    deadline(monkeypatch, text)
    with pytest.raises(ConfigError, match="DEEPLAKE_MMDET_DEADLINE"):
        policy.deadline_seconds()


def test_pauses_grow_and_end_with_the_retries(monkeypatch):
    slept = []
    monkeypatch.setattr(policy.time, "sleep", slept.append)
    end = time.monotonic() + 1000
    assert [policy.pause_before_retry(attempt, end) for attempt in range(1, 8)] == [True] * 5 + [False] * 2
    assert all(0.1 * 2**place <= pause <= 0.2 * 2**place for place, pause in enumerate(slept))
    assert not policy.pause_before_retry(1, time.monotonic())


SCRIPT = """
import sys, os, time, signal
sys.path.insert(0, {root!r})
from deeplake_mmdet.errors import StorageError
from deeplake_mmdet.lake import CredentialRef, Source
from deeplake_mmdet.lake.source.pinning import handle_of, resolve
from s3 import Proxy, Rule
proxy = Proxy({proxy!r})
ref = CredentialRef({{"endpoint_url": proxy.url, "aws_region": "us-east-1"}})
handle = handle_of(resolve(Source({url!r}), ref), ref)
proxy.rules(Rule("silence"))
"""


def run_script(proxy, url, code, interrupt_after=None, **variables):
    script = SCRIPT.format(root=str(TESTS), proxy=proxy.url, url=url) + code
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )
    try:
        if interrupt_after is not None:
            assert process.stdout.readline() == "reading\n"
            time.sleep(interrupt_after)
            process.send_signal(signal.SIGINT)
        start = time.monotonic()
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    return process.returncode, out, err, time.monotonic() - start


def test_a_process_ends_cleanly_after_a_read_that_was_never_answered(remote, url, proxy):
    code = """
try:
    handle["images"].get_bytes([0])
except StorageError:
    print("told", flush=True)
sys.exit(7)
"""
    rc, out, err, _ = run_script(proxy, url, code, DEEPLAKE_MMDET_DEADLINE="1")
    assert (rc, out) == (7, "told\n")
    assert err.count("\n") == 1
    assert "must not fork" in err


def test_an_interrupt_ends_a_read_that_is_never_answered(remote, url, proxy):
    code = 'print("reading", flush=True)\nhandle["images"].get_bytes([0])'
    rc, _, err, seconds = run_script(proxy, url, code, interrupt_after=0.5)
    assert "KeyboardInterrupt" in err
    assert rc in (1, 130, -signal.SIGINT)
    assert seconds < 6


def test_a_read_that_was_given_up_warns_of_forks(remote, proxy, monkeypatch, caplog):
    opened_anew(remote, proxy, Rule("silence"))
    deadline(monkeypatch, 0.5)
    with pytest.raises(StorageError):
        remote.images([5])
    assert "must not fork" in caplog.text


@pytest.mark.slow
def test_a_process_ends_cleanly_after_an_opening_that_was_refused(remote, url, proxy):
    code = """
from deeplake_mmdet.errors import CredentialError
proxy.rules(Rule("status", status=403))
handle.close()
try:
    handle["images"].get_bytes([0])
except CredentialError:
    print("told", flush=True)
sys.exit(7)
"""
    rc, out, err, seconds = run_script(proxy, url, code)
    assert (rc, out, err) == (7, "told\n", "")
    assert seconds < 20
