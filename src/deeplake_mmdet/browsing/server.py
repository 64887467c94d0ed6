"""The server on this machine."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import socket
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from deeplake_mmdet.errors import ConfigError, InstallError

if TYPE_CHECKING:
    import uvicorn

    from deeplake_mmdet.browsing.gallery import Gallery

__all__ = ["Address", "check_server", "listen", "serve", "serving"]

_HOST = "127.0.0.1"
_PATIENCE = 2  # seconds for answers under way, at the end


class Address:
    """Where the page is.

    Attributes:
        url: With the token; whoever has it sees the lake.
        once: Opens the page one time.
    """

    def __init__(self, port: int, token: str, ticket: str) -> None:
        self.url = f"http://{_HOST}:{port}/?token={token}"
        self.once = f"http://{_HOST}:{port}/?token={ticket}"


def check_server() -> None:
    """Refuse to begin where the server's packages are missing.

    Raises:
        InstallError: They are.
    """
    missing = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise InstallError(
            f"To browse, {' and '.join(missing)} must be installed",
            advice="pip install 'deeplake-mmdet[browse]'; or write pictures without a server by --out FOLDER",
        )


def listen(port: int = 0) -> socket.socket:
    """Take a port of this machine that no other machine can reach.

    Args:
        port: Its number; 0 for any that is free.

    Raises:
        ConfigError: It cannot be had.
    """
    if not 0 <= port < 2**16:
        raise ConfigError(f"There is no port {port}", where="argument port", advice="from 0 to 65535")
    taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((_HOST, port))
        taken.listen(128)
    except OSError as error:
        taken.close()
        why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had: {error.strerror}"
        raise ConfigError(
            f"The port {port} {why}", where="argument port", advice="take another one, or 0 for any"
        ) from None
    return taken


def serve(gallery: Gallery, listening: socket.socket, told: Callable[[Address], None]) -> None:
    """Serve a page until this process is asked to end.

    Args:
        gallery: What is shown.
        listening: From `listen`.
        told: Called with the address as soon as it answers.
    """
    server, address = _server(gallery, listening)
    told(address)
    try:
        server.run(sockets=[listening])
    finally:
        listening.close()
        gallery.close()


@contextlib.contextmanager
def serving(gallery: Gallery, port: int = 0) -> Iterator[Address]:
    """Serve a page from a thread of this process, until the block is left.

    Args:
        gallery: What is shown.
        port: See `listen`.
    """
    listening = listen(port)
    server, address = _server(gallery, listening)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield address
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
        gallery.close()


def _server(gallery: Gallery, listening: socket.socket) -> tuple[uvicorn.Server, Address]:
    import uvicorn

    from deeplake_mmdet.browsing.app import make_app
    from deeplake_mmdet.browsing.door import Door

    port = listening.getsockname()[1]
    door = Door(make_app(gallery), port)
    settings = uvicorn.Config(
        door, lifespan="off", ws="none", http="h11", loop="asyncio", log_config=None, log_level="critical",
        access_log=False, server_header=False, proxy_headers=False,
        timeout_graceful_shutdown=_PATIENCE,
    )  # fmt: skip
    return uvicorn.Server(settings), Address(port, door.token, door.ticket())
