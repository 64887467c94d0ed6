"""What the server answers: the page's own files, and what a gallery tells, as JSON and pictures."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from deeplake_mmdet.browsing.gallery import Gallery
from deeplake_mmdet.browsing.pictures import notice
from deeplake_mmdet.errors import ConfigError, DeepLakeMMDetError, readable

__all__ = ["make_app"]

_log = logging.getLogger("deeplake_mmdet")
_SITE = Path(__file__).parent / "site"
_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_FILES = {f"/{file.name}": file for file in sorted(_SITE.iterdir()) if file.suffix in _KINDS}
_MOST_ITEMS = 200
_FRESH = {"cache-control": "no-store"}
_LISTS = ("class", "size", "kind")


def make_app(gallery: Gallery) -> Starlette:
    """The application without its `Door`.

    Args:
        gallery: What is shown.
    """

    # Tells pictures apart that a browser keeps of another lake, seen by the same port.
    session = secrets.token_hex(8)

    async def facts(request: Request) -> Response:
        return await _told(gallery.facts)

    async def classes(request: Request) -> Response:
        text = request.query_params.get("text", "")[:200]
        return await _told(lambda: {"classes": gallery.classes(text)})

    async def page(request: Request) -> Response:
        asked = request.query_params
        told: dict[str, Any] = {name: asked.getlist(name) for name in _LISTS}
        told |= {name: asked[name] for name in asked if name not in _LISTS}

        def made() -> dict[str, Any]:
            start, count = _number(told, "start", 0), _number(told, "count", 48)
            return {**gallery.page(told, start, min(max(count, 1), _MOST_ITEMS)), "session": session}

        return await _told(made)

    async def picture(request: Request) -> Response:
        large = request.query_params.get("large") == "1"
        try:
            found = await run_in_threadpool(gallery.picture, request.path_params["name"], large)
            keep = {"cache-control": "private, max-age=600"} if found.kind == "image/jpeg" else _FRESH
        except DeepLakeMMDetError as error:
            found, keep = notice(error.what), _FRESH
        return Response(found.content, media_type=found.kind, headers=keep)

    async def save(request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return PlainTextResponse("Not JSON", 415)
        try:
            told = json.loads(await request.body())
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            return PlainTextResponse("Not a mapping in JSON", 400)
        return await _told(lambda: gallery.save(told))

    async def file(request: Request) -> Response:
        path = "/index.html" if request.url.path == "/" else request.url.path
        found = _FILES[path]
        return FileResponse(found, media_type=_KINDS[found.suffix], headers={"cache-control": "no-cache"})

    return Starlette(
        routes=[
            Route("/api/facts", facts),
            Route("/api/classes", classes),
            Route("/api/page", page),
            Route("/api/view", save, methods=["POST"]),
            Route("/image/{name}", picture),
            *(Route(path, file) for path in ("/", *_FILES)),
        ]
    )


async def _told(call: Callable[[], Mapping[str, Any]]) -> Response:
    """What a call gives, as JSON; or ``error``, texts for people, of which no browser need complain."""
    try:
        return JSONResponse(await run_in_threadpool(call), headers=_FRESH)
    except DeepLakeMMDetError as error:
        parts = {"what": error.what, "where": error.where, "advice": error.advice}
        told = {name: readable(text, lines=True) for name, text in parts.items() if text}
        return JSONResponse({"error": told}, headers=_FRESH)
    except Exception as error:
        _log.exception("The page could not be answered")
        told = {"what": f"{type(error).__name__}: the terminal that the command runs in says more"}
        return JSONResponse({"error": told}, 500, headers=_FRESH)


def _number(told: Mapping[str, Any], name: str, usual: int) -> int:
    text = str(told.get(name, usual))
    if not (text.isascii() and text.isdigit()) or len(text) > 12:
        raise ConfigError(f"{text[:40]!r} is no number", where=f"{name!r} of the page")
    return int(text)
