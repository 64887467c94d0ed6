"""moto's S3 server in a process of its own.

In-process servers share the GIL with Deep Lake calls that hold it, and hang.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BUCKET", "Endpoint", "s3_endpoint", "wait_for_port"]

BUCKET = "lakes"
_START_SECONDS = 60


@dataclass(frozen=True)
class Endpoint:
    """A running S3 server.

    Attributes:
        url: ``http://127.0.0.1:<port>``; it checks no signatures.
    """

    url: str

    @property
    def creds(self) -> dict[str, str]:
        """Storage options for ``deeplake.create`` and ``deeplake.open``."""
        return {
            "aws_access_key_id": "an-id",
            "aws_secret_access_key": "a-secret",
            "endpoint_url": self.url,
            "aws_region": "us-east-1",
        }

    def upload(self, folder: Path, name: str) -> str:
        """Copy a local lake into the bucket, and name its address."""
        import boto3

        creds = self.creds
        client = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=creds["aws_region"],
            aws_access_key_id=creds["aws_access_key_id"],
            aws_secret_access_key=creds["aws_secret_access_key"],
        )
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                client.upload_file(str(file), BUCKET, f"{name}/{file.relative_to(folder)}")
        return f"s3://{BUCKET}/{name}"


@contextlib.contextmanager
def s3_endpoint() -> Iterator[Endpoint]:
    """Start the server, with an empty bucket `BUCKET`, and stop it on leaving."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "MOTO_ALLOW_NONEXISTENT_REGION": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(port)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port, server)
        url = f"http://127.0.0.1:{port}"
        urllib.request.urlopen(urllib.request.Request(f"{url}/{BUCKET}", method="PUT"), timeout=30).close()
        yield Endpoint(url)
    finally:
        server.kill()
        server.wait()


# Keep-alive, as the real one has it; without, each request would open a connection.
_SERVER = """
import logging, sys
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, run_simple
logging.getLogger("werkzeug").setLevel(logging.ERROR)
WSGIRequestHandler.protocol_version = "HTTP/1.1"
run_simple("127.0.0.1", int(sys.argv[1]), DomainDispatcherApplication(create_backend_app), threaded=True)
"""


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a process accepts connections."""
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with code {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError("the server does not answer")
