"""A light, read-only S3 endpoint over a folder, with added latency, that counts what it serves.

    with s3_server(folder, core=0) as server:
        server.set_latency(0.05)
        server.reset()
        ...  # s3://<BUCKET>/<path below the folder>, endpoint_url=server.url
        server.counts().requests

It knows what readers of a lake ask for: GET with a Range, HEAD and ListObjectsV2; it checks no signatures. It
runs in a process of its own, on one core if asked to. Its parts that control it lie under ``/-/`` and are
neither delayed nor counted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from email.utils import formatdate
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

__all__ = ["BUCKET", "Counts", "Server", "s3_server"]

BUCKET = "bench"
_START_SECONDS = 20.0
_RANGE = re.compile(r"bytes=(\d*)-(\d*)$")
_REASONS = {200: "OK", 206: "Partial Content", 404: "Not Found", 405: "Not Allowed", 416: "Bad Range"}
# Longer bodies go from the file to the socket without passing Python.
_SENDFILE_FROM = 256 * 1024


@dataclass
class Counts:
    """What the server has served since the last reset.

    Attributes:
        requests: All of them.
        objects: GETs of objects or ranges of them; the others are HEADs, lists and errors.
        sent: Bytes of bodies.
        largest_queue: The most requests that waited at the same time.
    """

    requests: int = 0
    objects: int = 0
    sent: int = 0
    largest_queue: int = 0


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        url: ``http://127.0.0.1:<port>``, the endpoint.
        pid: Its process.
    """

    url: str
    pid: int

    @property
    def creds(self) -> dict[str, str]:
        """Storage options for ``deeplake.open``."""
        return {**self.environment_keys, "endpoint_url": self.url, "aws_region": "us-east-1"}

    @property
    def environment_keys(self) -> dict[str, str]:
        """Keys that the server accepts; it accepts any."""
        return {"aws_access_key_id": "an-id", "aws_secret_access_key": "a-secret"}

    def set_latency(self, seconds: float) -> None:
        """Delay each answer from now on."""
        self._call(f"latency?seconds={seconds}")

    def reset(self) -> None:
        """Start counting anew."""
        self._call("reset")

    def counts(self) -> Counts:
        """What was served since the last reset."""
        return Counts(**json.loads(self._call("counts")))

    def _call(self, command: str) -> bytes:
        with urllib.request.urlopen(f"{self.url}/-/{command}", timeout=30) as response:
            return bytes(response.read())


@contextlib.contextmanager
def s3_server(folder: Path, *, core: int | None = None, latency: float = 0.0) -> Iterator[Server]:
    """Serve a folder as bucket `BUCKET` until leaving.

    Args:
        folder: Its files are the objects; a file's path below it is its key.
        core: The only core that the server may use.
        latency: Seconds before each answer.

    Raises:
        RuntimeError: The server did not start.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-S", __file__, str(folder), str(port), "--latency", str(latency)]
    process = subprocess.Popen(command + ([] if core is None else ["--core", str(core)]))
    server = Server(f"http://127.0.0.1:{port}", process.pid)
    try:
        end = time.monotonic() + _START_SECONDS
        while True:
            try:
                server.counts()
                break
            except (urllib.error.URLError, OSError):
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"the S3 server of {folder} does not answer") from None
                time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait()


class _Service:
    """The folder, the latency and the counts that all connections share."""

    def __init__(self, folder: Path, latency: float) -> None:
        self.folder = folder.resolve()
        self.latency = latency
        self.counts = Counts()
        self.waiting = 0

    def control(self, command: str, query: dict[str, list[str]]) -> bytes:
        if command == "latency":
            self.latency = float(query["seconds"][0])
        elif command == "reset":
            self.counts = Counts()
        return json.dumps(asdict(self.counts)).encode()

    def find(self, key: str) -> Path | None:
        path = self.folder / key
        return path if path.is_file() and path.resolve().is_relative_to(self.folder) else None

    def list_objects(self, query: dict[str, list[str]]) -> bytes:
        """ListObjectsV2 of all keys with a prefix, cut at the delimiter, in pages."""
        prefix = query.get("prefix", [""])[0]
        delimiter = query.get("delimiter", [""])[0]
        after = query.get("continuation-token", query.get("start-after", [""]))[0]
        limit = int(query.get("max-keys", ["1000"])[0])
        keys, prefixes = [], []
        for key in self._keys(prefix):
            rest = key[len(prefix) :]
            if delimiter and delimiter in rest:
                folder = prefix + rest.split(delimiter)[0] + delimiter
                if folder > after and folder not in prefixes:
                    prefixes.append(folder)
            elif key > after:
                keys.append(key)
        found = sorted([*keys, *prefixes])[:limit]
        more = len(keys) + len(prefixes) > len(found)
        parts = [f"<Name>{BUCKET}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(found)}</KeyCount>"]
        parts.append(f"<MaxKeys>{limit}</MaxKeys><IsTruncated>{str(more).lower()}</IsTruncated>")
        if more:
            parts.append(f"<NextContinuationToken>{escape(found[-1])}</NextContinuationToken>")
        for key in found:
            if key in prefixes:
                parts.append(f"<CommonPrefixes><Prefix>{escape(key)}</Prefix></CommonPrefixes>")
                continue
            status = (self.folder / key).stat()
            changed = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(status.st_mtime))
            parts.append(
                f"<Contents><Key>{escape(key)}</Key><LastModified>{changed}</LastModified>"
                f"<ETag>{_tag(status)}</ETag><Size>{status.st_size}</Size>"
                "<StorageClass>STANDARD</StorageClass></Contents>"
            )
        head = '<?xml version="1.0" encoding="UTF-8"?>'
        space = "http://s3.amazonaws.com/doc/2006-03-01/"
        return f'{head}<ListBucketResult xmlns="{space}">{"".join(parts)}</ListBucketResult>'.encode()

    def _keys(self, prefix: str) -> list[str]:
        start = self.folder / prefix.rpartition("/")[0]
        if not start.is_dir() or not start.resolve().is_relative_to(self.folder):
            return []
        keys = (str(path.relative_to(self.folder)) for path in start.rglob("*") if path.is_file())
        return sorted(key for key in keys if key.startswith(prefix))


class _Connection(asyncio.Protocol):
    """One client's connection: reads a request, waits, answers, reads the next."""

    def __init__(self, service: _Service) -> None:
        self.service = service
        self.buffer = bytearray()
        self.busy = False
        self.transport: asyncio.Transport | None = None
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self._next()

    def _next(self) -> None:
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0 or self.busy:
            return
        line, *rest = bytes(self.buffer[:end]).decode("latin-1").split("\r\n")
        del self.buffer[: end + 4]
        headers = dict(entry.lower().split(": ", 1) for entry in rest if ": " in entry)
        method, target, _ = line.split(" ")
        address = urlsplit(target)
        query = parse_qs(address.query, keep_blank_values=True)
        path = unquote(address.path)
        if path.startswith("/-/"):
            self._send(200, self.service.control(path[3:], query))
            self._next()
            return
        self.busy = True
        service = self.service
        service.counts.requests += 1
        service.waiting += 1
        service.counts.largest_queue = max(service.counts.largest_queue, service.waiting)
        loop = asyncio.get_running_loop()
        answer = (method, path, query, headers.get("range", ""))
        if service.latency:
            loop.call_later(service.latency, lambda: self._start(answer))
        else:
            self._start(answer)

    def _start(self, answer: tuple[str, str, dict[str, list[str]], str]) -> None:
        self.task = asyncio.get_running_loop().create_task(self._answer(*answer))

    async def _answer(self, method: str, path: str, query: dict[str, list[str]], span: str) -> None:
        self.service.waiting -= 1
        try:
            if self.transport is not None:
                await self._serve(method, path, query, span)
        except (ConnectionError, RuntimeError):  # the client has gone
            return
        finally:
            self.busy = False
        self._next()

    async def _serve(self, method: str, path: str, query: dict[str, list[str]], span: str) -> None:
        _, bucket, *key = path.split("/", 2)
        if method not in ("GET", "HEAD"):
            self._send(405, b"")
        elif bucket != BUCKET:
            self._send(404, b"<Error><Code>NoSuchBucket</Code></Error>", head=method == "HEAD")
        elif not key or not key[0]:
            self._send(200, self.service.list_objects(query), kind="application/xml")
        elif (file := self.service.find(key[0])) is None:
            self._send(404, b"<Error><Code>NoSuchKey</Code></Error>", head=method == "HEAD")
        else:
            await self._send_file(file, span, head=method == "HEAD")

    async def _send_file(self, file: Path, span: str, *, head: bool) -> None:
        with file.open("rb") as opened:
            status = os.fstat(opened.fileno())
            size = status.st_size
            start, stop = 0, size
            if (match := _RANGE.match(span)) is not None:
                first, last = match.groups()
                start = int(first) if first else max(0, size - int(last))
                stop = min(size, int(last) + 1) if first and last else size
                if start >= size:
                    self._send(416, b"<Error><Code>InvalidRange</Code></Error>")
                    return
            extra = [
                f"ETag: {_tag(status)}",
                f"Last-Modified: {formatdate(status.st_mtime, usegmt=True)}",
                "Accept-Ranges: bytes",
            ]
            if match is not None:
                extra.append(f"Content-Range: bytes {start}-{stop - 1}/{size}")
            code, length = (200 if match is None else 206), stop - start
            if head:
                self._send(code, b"", length=length, extra=extra)
                return
            self.service.counts.objects += 1
            self.service.counts.sent += length
            if length < _SENDFILE_FROM:
                self._send(code, os.pread(opened.fileno(), length, start), extra=extra)
                return
            self._send(code, b"", length=length, extra=extra)
            assert self.transport is not None
            await asyncio.get_running_loop().sendfile(self.transport, opened, start, length)

    def _send(
        self,
        code: int,
        body: bytes,
        *,
        length: int | None = None,
        kind: str = "application/octet-stream",
        extra: list[str] | None = None,
        head: bool = False,
    ) -> None:
        lines = [
            f"HTTP/1.1 {code} {_REASONS[code]}",
            f"Content-Length: {len(body) if length is None else length}",
            f"Content-Type: {kind}",
            *(extra or []),
        ]
        if self.transport is not None:
            self.transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if head else body))


def _tag(status: os.stat_result) -> str:
    return f'"{status.st_size:x}-{status.st_mtime_ns:x}"'


async def _run(folder: Path, port: int, latency: float) -> None:
    service = _Service(folder, latency)
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(service), "127.0.0.1", port, backlog=512
    )
    async with server:
        await server.serve_forever()


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--core", type=int, help="the only core to use")
    args = parser.parse_args()
    if args.core is not None:
        os.sched_setaffinity(0, {args.core})
    asyncio.run(_run(args.folder, args.port, args.latency))


if __name__ == "__main__":
    main()
