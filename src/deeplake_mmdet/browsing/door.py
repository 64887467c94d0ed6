"""Who may see the page: whoever has the token, on this machine, from the page itself."""

from __future__ import annotations

import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Door"]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_ALWAYS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}
_METHODS = ("GET", "HEAD", "POST")
_MOST_BYTES = 2**20  # of a body
_ON = (
    '<!doctype html><title>deeplake-mmdet browse</title><script src="/enter.js"></script>'
    '<noscript><meta http-equiv="refresh" content="0;url=/"></noscript>'
)


class Door:
    """Lets requests through to an application that are addressed to this machine and show the token.

    The token comes in the address once, and is moved into a cookie that scripts cannot read and other sites
    cannot send. Requests that other pages cause are refused, whatever they show.

    Args:
        app: The application.
        port: Of the server, on 127.0.0.1.
        token: What has to be shown.

    Attributes:
        token: What has to be shown.
    """

    def __init__(self, app: ASGIApp, port: int, token: str | None = None) -> None:
        self._app = app
        self.token = token or secrets.token_urlsafe(32)
        self._hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        self._cookie = f"deeplake_mmdet_{port}"  # cookies are shared by all ports of a host
        self._tickets: set[str] = set()

    def ticket(self) -> str:
        """What opens the page once in place of the token: other users see a command's arguments."""
        ticket = secrets.token_urlsafe(32)
        self._tickets.add(ticket)
        return ticket

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Args:
            scope, receive, send: As ASGI has them.
        """
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in _ALWAYS.items()]
                message["headers"] = [*message["headers"], *own]
            await send(message)

        answer = self._refusal(scope)
        await (self._app if answer is None else answer)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that is not to be let through; None for the others."""
        headers = Headers(scope=scope)
        hosts, origin = headers.getlist("host"), headers.get("origin")
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return PlainTextResponse("Another host name than this machine's own", 400)
        if origin is not None and origin not in [f"http://{host}" for host in self._hosts]:
            return PlainTextResponse("Asked by another page", 403)
        if scope["method"] not in _METHODS:
            return PlainTextResponse("No such method", 405)
        length = headers.get("content-length", "0")
        if "transfer-encoding" in headers or not length.isdecimal() or int(length) > _MOST_BYTES:
            return PlainTextResponse("The request is too long", 413)
        shown = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [])
        from_elsewhere = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        if shown and scope["path"] == "/" and scope["method"] != "POST":
            return self._entered(from_elsewhere) if self._is_known(shown[-1]) else _denied()
        if not self._has_cookie(headers):
            return _denied()
        if from_elsewhere and scope["path"] != "/":
            return PlainTextResponse("Asked by another page", 403)
        return None

    def _entered(self, from_elsewhere: bool) -> Response:
        # A redirect of a click elsewhere counts as that page's, which the cookie is not sent with.
        answer: Response = HTMLResponse(_ON) if from_elsewhere else RedirectResponse("/", 303)
        answer.set_cookie(self._cookie, self.token, httponly=True, samesite="strict", path="/")
        answer.headers["cache-control"] = "no-store"
        return answer

    def _is_known(self, shown: str) -> bool:
        ticket = next((one for one in self._tickets if _same(one, shown)), None)
        if ticket is not None:
            self._tickets.discard(ticket)
        return ticket is not None or _same(self.token, shown)

    def _has_cookie(self, headers: Headers) -> bool:
        cookies = SimpleCookie()
        try:
            for text in headers.getlist("cookie"):
                cookies.load(text)
        except CookieError:
            return False
        found = cookies.get(self._cookie)
        return found is not None and _same(self.token, found.value)


def _same(known: str, shown: str) -> bool:
    return secrets.compare_digest(known.encode(), shown.encode("utf-8", "surrogatepass"))


def _denied() -> Response:
    text = "The address lacks its token: use the one that deeplake-mmdet browse has printed"
    return PlainTextResponse(text, 403, headers={"cache-control": "no-store"})
