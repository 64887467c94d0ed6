"""An HTTP proxy that counts, delays and fails requests on their way to one upstream server.

Runs in a process of its own (this file as a script), so that it answers while the client's
process holds its GIL. Control goes over the same port, under ``/-/``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Counts", "Proxy", "Rule", "fault_proxy"]

_ACTIONS = ("status", "reset", "short", "silence", "delay", "flip")
_CODES = {400: "Bad Request", 403: "AccessDenied", 404: "NoSuchKey", 500: "InternalError", 503: "SlowDown"}


@dataclass(frozen=True)
class Rule:
    """What happens to requests that match; the first rule that fires decides, delays add up before it.

    Args:
        action: ``status`` (answer with it), ``reset`` (close with RST), ``short`` (half the body, then
            close), ``silence`` (accept and never answer), ``flip`` (other bytes in the body, as many) or
            ``delay`` (forward after ``seconds``).
        match: Text that must occur in ``"<METHOD> <path and query>"``.
        status: For ``status``.
        code: Likewise: S3's name of the error; one that fits the status otherwise.
        seconds: For ``delay``.
        probability: Of firing, from a generator seeded once for each proxy.
        skip: How many matching requests pass first.
        times: How often it fires at most; None: without limit.
        every: For ``flip``: bytes from one that is altered to the next.
        after: For ``flip``: bytes at an object's beginning that stay; over a table of lengths that makes no
            sense Deep Lake waits for ever.
    """

    action: str
    match: str = ""
    status: int = 500
    code: str = ""
    seconds: float = 0.0
    probability: float = 1.0
    skip: int = 0
    times: int | None = None
    every: int = 61
    after: int = 1000

    def __post_init__(self) -> None:
        if self.action not in _ACTIONS:
            raise ValueError(f"action {self.action!r} is none of {', '.join(_ACTIONS)}")


@dataclass(frozen=True)
class Counts:
    """What passed since the last reset.

    Attributes:
        requests: Requests received.
        faults: Those that a rule other than ``delay`` answered.
        bytes_out: Bytes of response bodies sent to the client.
        connections: Connections accepted.
        log: ``"<METHOD> <path and query> <range>"`` of each request.
    """

    requests: int = 0
    faults: int = 0
    bytes_out: int = 0
    connections: int = 0
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proxy:
    """A running proxy.

    Attributes:
        url: The endpoint that clients are to use.
    """

    url: str

    def rules(self, *rules: Rule) -> None:
        """Replace all rules, and count anew."""
        body = json.dumps([asdict(rule) for rule in rules]).encode()
        urllib.request.urlopen(f"{self.url}/-/rules", data=body, timeout=10).close()

    def counts(self) -> Counts:
        """What passed since the rules were last set."""
        with urllib.request.urlopen(f"{self.url}/-/counts", timeout=10) as answer:
            found = json.load(answer)
        return Counts(**{**found, "log": tuple(found["log"])})


@contextlib.contextmanager
def fault_proxy(upstream: str, seed: int = 0) -> Iterator[Proxy]:
    """Start a proxy before ``upstream`` (``http://host:port``), and stop it on leaving."""
    process = subprocess.Popen(
        [sys.executable, __file__, upstream, str(seed)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        yield Proxy(f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@dataclass
class _Message:
    line: str
    headers: list[str]
    body: bytes

    def header(self, name: str) -> str:
        prefix = name.lower() + ":"
        return next((h[len(prefix) :].strip() for h in self.headers if h.lower().startswith(prefix)), "")

    def encode(self) -> bytes:
        return "\r\n".join([self.line, *self.headers, "", ""]).encode("latin-1") + self.body


async def _read(reader: asyncio.StreamReader, head_only: bool = False) -> _Message | None:
    """One request or response with its body; None at the end of the connection."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    line, *headers = head.split("\r\n")[:-2]
    message = _Message(line, headers, b"")
    if message.header("expect").lower() == "100-continue":
        message.headers = [h for h in headers if not h.lower().startswith("expect:")]
    if head_only:
        return message
    if message.header("transfer-encoding").lower() == "chunked":
        parts = []
        while size := int((await reader.readline()).split(b";")[0], 16):
            parts.append(await reader.readexactly(size))
            await reader.readexactly(2)
        while (await reader.readline()).strip():
            pass
        message.body = b"".join(parts)
        kept = [h for h in message.headers if not h.lower().startswith("transfer-encoding:")]
        message.headers = [*kept, f"Content-Length: {len(message.body)}"]
    elif length := int(message.header("content-length") or 0):
        message.body = await reader.readexactly(length)
    return message


class _Server:
    def __init__(self, upstream: str, seed: int) -> None:
        parts = urlsplit(upstream)
        self.host, self.port = parts.hostname, parts.port
        self.random = random.Random(seed)
        self.set_rules([])

    def set_rules(self, rules: list[dict[str, Any]]) -> None:
        self.rules = [Rule(**rule) for rule in rules]
        self.seen = [0] * len(rules)
        self.fired = [0] * len(rules)
        self.requests = self.faults = self.bytes_out = self.connections = 0
        self.log: list[str] = []

    def decide(self, text: str) -> tuple[float, Rule | None]:
        delay = 0.0
        for number, rule in enumerate(self.rules):
            if rule.match not in text:
                continue
            self.seen[number] += 1
            if self.seen[number] <= rule.skip or (
                rule.times is not None and self.fired[number] >= rule.times
            ):
                continue
            if rule.probability < 1 and self.random.random() >= rule.probability:
                continue
            self.fired[number] += 1
            if rule.action != "delay":
                return delay, rule
            delay += rule.seconds
        return delay, None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while (request := await _read(reader)) is not None:
                method, target, _ = request.line.split(" ", 2)
                if target.startswith("/-/"):
                    self.connections -= 1
                    await self.control(target, request, writer)
                    break
                text = f"{method} {target}"
                self.requests += 1
                self.log.append(f"{text} {request.header('range')}".strip())
                delay, rule = self.decide(text)
                if delay:
                    await asyncio.sleep(delay)
                if rule is not None:
                    self.faults += 1
                    if rule.action == "status":
                        await self.refuse(rule.status, rule.code, method, writer)
                        continue
                    if rule.action == "reset":
                        writer.transport.abort()
                        return
                    if rule.action == "silence":
                        await reader.read()  # until the client gives up
                        return
                if upstream is None:
                    upstream = await asyncio.open_connection(self.host, self.port, limit=2**20)
                upstream[1].write(request.encode())
                await upstream[1].drain()
                answer = await _read(upstream[0], head_only=method == "HEAD")
                if answer is None:
                    return
                if rule is not None and rule.action == "flip":
                    begin = request.header("range").removeprefix("bytes=").partition("-")[0]
                    self.flip(answer, int(begin or 0), rule)
                    rule = None
                data = answer.encode()
                if rule is not None:  # short
                    data = data[: len(data) - (len(answer.body) + 1) // 2]
                self.bytes_out += len(answer.body)
                writer.write(data)
                await writer.drain()
                if rule is not None:
                    break
                if answer.header("connection").lower() == "close":
                    upstream[1].close()
                    upstream = None
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            if upstream is not None:
                upstream[1].close()
            writer.close()

    def flip(self, answer: _Message, begin: int, rule: Rule) -> None:
        body = bytearray(answer.body)
        for place in range(max(rule.after - begin, 0) + rule.every // 2, len(body), rule.every):
            body[place] ^= self.random.randrange(1, 256)
        answer.body = bytes(body)

    async def refuse(self, status: int, code: str, method: str, writer: asyncio.StreamWriter) -> None:
        code = code or _CODES.get(status, "InternalError").replace(" ", "")
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
        head = f"HTTP/1.1 {status} {code}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        writer.write(head + (b"" if method == "HEAD" else body))
        await writer.drain()

    async def control(self, target: str, request: _Message, writer: asyncio.StreamWriter) -> None:
        if target == "/-/rules":
            self.set_rules(json.loads(request.body))
        counts = Counts(self.requests, self.faults, self.bytes_out, self.connections, tuple(self.log))
        body = json.dumps(asdict(counts)).encode()
        writer.write(
            f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
        )
        await writer.drain()


async def _main(upstream: str, seed: int) -> None:
    served = _Server(upstream, seed)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0, limit=2**20)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
