"""Links to files that cannot be read: each error names row and column, and no secret of the address."""

import contextlib
import http.server
import os
import threading
import time

import mmcv
import pytest

from deeplake_mmdet.errors import ConfigError, CredentialError, ImageError, StorageError
from deeplake_mmdet.lake import CredentialRef, Source, open_view, put_away
from deeplake_mmdet.lake.calls import lifecycle
from deeplake_mmdet.lake.images.cells import fetch_images, read_images
from deeplake_mmdet.lake.images.links import is_inside
from deeplake_mmdet.lake.schema.columns import describe_columns
from deeplake_mmdet.lake.source.pinning import handle_of, resolve
from deeplake_mmdet.lake.table.sizes import read_sizes
from s3 import Rule, fault_proxy, s3_endpoint

pytestmark = pytest.mark.gives_up


class Server(http.server.ThreadingHTTPServer):
    """Answers ``/<name>.jpg?key=...`` as ``answers[name]`` says: a status, or 0 for silence."""

    daemon_threads = True

    def __init__(self, image):
        self.answers, self.asked, self.over = {}, [], threading.Event()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.strip("/").split(".")[0]
                server.asked.append(name)
                statuses = server.answers.setdefault(name, [200])
                status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
                if not status:
                    server.over.wait(60)
                    status = 404
                self.send_response(status)
                body = image if status == 200 else b""
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def address(self, name):
        return f"http://127.0.0.1:{self.server_port}/{name}.jpg?key=s3cr3t"


@pytest.fixture
def server(encode):
    with Server(encode()) as found:
        yield found
        found.over.set()
        end = time.monotonic() + 30
        while lifecycle.abandoned() and time.monotonic() < end:  # later tests fork
            time.sleep(0.05)
        found.shutdown()


@pytest.fixture(scope="module")
def endpoint():
    with s3_endpoint() as found:
        yield found


@pytest.fixture
def linked(make_lake, rows, tmp_path):
    """A local lake whose images are links, opened as the package opens it."""
    from deeplake import types

    def make(*addresses, query=None):
        kind = types.Link(types.Image(sample_compression="jpeg"))
        cells = rows(len(addresses))
        make_lake(tmp_path / "lake", schema={"images": kind}, images=list(addresses), **cells)
        handle = handle_of(resolve(Source(str(tmp_path / "lake"), query=query)))
        return handle, describe_columns(handle)["images"]

    return make


@pytest.mark.parametrize("query", [None, "SELECT * ORDER BY RANDOM()"])
def test_a_missing_file_spoils_no_other(server, linked, encode, query):
    server.answers["gone"] = [404]
    handle, facts = linked(server.address("gone"), server.address("gone"), query=query)
    found = fetch_images(handle, facts, [0, 1])
    for row, error in enumerate(found):
        assert isinstance(error, ImageError)
        assert f"column 'images', row {row}" in str(error)
        assert "s3cr3t" not in str(error)


def test_a_fault_that_passes_is_no_error(server, linked, encode):
    server.answers["busy"] = [503, 500, 200]
    handle, facts = linked(server.address("busy"))
    (image,) = read_images(handle, facts, [0])
    assert (mmcv.imfrombytes(image) == mmcv.imfrombytes(encode())).all()
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [403, 500])
def test_a_refusal_names_the_row(server, linked, monkeypatch, status):
    monkeypatch.setenv("DEEPLAKE_MMDET_DEADLINE", "1")
    server.answers["secret"] = [status]
    handle, facts = linked(server.address("good"), server.address("secret"))
    with pytest.raises(StorageError, match=r"cannot be fetched.*column 'images', row 1.*secret") as caught:
        read_images(handle, facts, [0, 1])
    assert "s3cr3t" not in str(caught.value)


def test_a_silent_server_does_not_hang_a_local_lake(server, linked, monkeypatch):
    monkeypatch.setenv("DEEPLAKE_MMDET_DEADLINE", "1")
    server.answers["silent"] = [0]
    handle, facts = linked(server.address("silent"))
    start = time.monotonic()
    with pytest.raises(StorageError, match=r"within 1 s.*column 'images', row 0") as caught:
        read_images(handle, facts, [0])
    assert time.monotonic() - start < 3
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.slow  # Deep Lake itself takes 25 s to say so
def test_a_bucket_that_refuses_says_so(linked, endpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    linked("s3://lakes/a.jpg")
    url = endpoint.upload(tmp_path / "lake", "linked")
    with fault_proxy(endpoint.url) as proxy:
        ref = CredentialRef(put_away({"creds": {**endpoint.creds, "endpoint_url": proxy.url}}))
        handle = handle_of(resolve(Source(url), ref), ref)
        facts = describe_columns(handle)["images"]
        proxy.rules(Rule("status", match="a.jpg", status=403))
        with pytest.raises(CredentialError, match=r"refused access.*column 'images', row 0"):
            read_images(handle, facts, [0])
        assert proxy.counts().faults == 1


def test_links_can_be_forbidden(server, linked, encode, tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(encode())
    (tmp_path / "b.jpg").write_bytes(encode())
    local, upper = str(tmp_path / "a.jpg"), f"FILE://{tmp_path / 'b.jpg'}"
    handle, facts = linked(local, server.address("good"), upper)
    assert all(isinstance(found, bytes) for found in fetch_images(handle, facts, [0, 1, 2]))
    for allowed in ("remote", "none"):
        monkeypatch.setenv("DEEPLAKE_MMDET_LINKS", allowed)
        before = len(server.asked)
        for row, error in enumerate(fetch_images(handle, facts, [0, 1, 2])):
            assert isinstance(error, ImageError)
            assert f"DEEPLAKE_MMDET_LINKS={allowed} forbids" in str(error)
            assert f"row {row}" in str(error)
        with pytest.raises(ImageError, match="DEEPLAKE_MMDET_LINKS"):
            read_sizes(handle, facts)
        assert len(server.asked) == before
    monkeypatch.setenv("DEEPLAKE_MMDET_LINKS", "some")
    with pytest.raises(ConfigError, match="all, remote or none"):
        fetch_images(handle, facts, [0])


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("http://127.0.0.1/a.jpg", True),
        ("http://169.254.169.254/latest/meta-data", True),
        ("http://[::1]:80/a.jpg", True),
        ("http://10.1.2.3/a.jpg", True),
        ("http://2130706433/a.jpg", True),
        ("http://user@localhost/a.jpg", True),
        ("ftp://8.8.8.8/a.jpg", True),
        ("http:///a.jpg", True),
        ("http://8.8.8.8/a.jpg", False),
        ("s3://bucket/a.jpg", False),
    ],
)
def test_addresses_of_this_network_are_told(address, inside):
    assert is_inside(address) is inside


def test_pipes_devices_and_bombs_behind_links(linked, encode, tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "good.jpg").write_bytes(encode())
    data = encode()
    at = data.index(b"\xff\xc0") + 5
    (tmp_path / "bomb.jpg").write_bytes(data[:at] + b"\xff\xdc\xff\xdc" + data[at + 4 :])
    with (tmp_path / "sparse.jpg").open("wb") as file:
        file.truncate(2**40)
    names = ("pipe", "zero", "sparse", "bomb", "good")
    handle, facts = linked(*(str(tmp_path / f"{name}.jpg") for name in names))
    found = dict(zip(names, fetch_images(handle, facts, range(5)), strict=True))
    assert found["good"] == encode()
    for name, text in {
        "pipe": "it is a pipe",
        "zero": "it is a device",
        "sparse": "bytes, more than",
    }.items():
        assert text in str(found[name])
    assert "more pixels than the limit" in str(found["bomb"])
    sizes = read_sizes(handle, facts, allow_bad=True)
    assert sizes[4].tolist() == [24, 32]
    assert not sizes[:3].any()


@pytest.mark.parametrize(
    "address", ["http://me:canary@127.0.0.1:9/x.jpg?sig=canary", "s3://me:canary@b/x.jpg"]
)
def test_secrets_of_links_are_neither_printed_nor_kept(
    make_lake, rows, monkeypatch, tmp_path, capfd, address
):
    from deeplake import types

    monkeypatch.setenv("DEEPLAKE_MMDET_DEADLINE", "1")
    monkeypatch.setenv("DEEPLAKE_MMDET_CACHE", str(tmp_path / "cache"))
    held = types.Link(types.Image(sample_compression="jpeg"))
    url = make_lake(schema={"images": held}, images=[address], **rows(1)).url
    for allow in (False, True):
        with contextlib.suppress(StorageError, CredentialError, ImageError):
            open_view(Source(url), allow_bad_images=allow)
    assert "canary" not in "".join(capfd.readouterr())
    kept = [file.read_bytes() for file in (tmp_path / "cache").rglob("*") if file.is_file()]
    assert not any(b"canary" in content for content in kept)
