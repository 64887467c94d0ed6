"""Who is let in."""

from __future__ import annotations

import pytest
from shown_lakes import Visitor

from deeplake_mmdet.browsing.door import Door
from deeplake_mmdet.browsing.server import listen
from deeplake_mmdet.errors import ConfigError


def test_the_token_becomes_a_cookie_that_neither_scripts_nor_other_sites_get(address):
    visitor = Visitor(address)
    status, headers, _ = visitor.ask(f"/?{visitor.url.query}")
    token = visitor.url.query.partition("=")[2]
    assert status == 303
    assert headers["location"] == "/"  # the token is gone from the address
    parts = {part.strip().lower() for part in headers["set-cookie"].split(";")}
    assert {"httponly", "samesite=strict", "path=/"} <= parts
    assert len(token) >= 40
    assert "access-control-allow-origin" not in headers


def test_a_click_from_elsewhere_is_led_on_by_a_page_of_our_own(address):
    visitor = Visitor(address)
    status, headers, body = visitor.ask(f"/?{visitor.url.query}", Sec_Fetch_Site="cross-site")
    assert status == 200
    assert b"url=/" in body
    assert "set-cookie" in headers


@pytest.mark.parametrize("path", ["/", "/main.js", "/api/facts", "/api/page", "/image/0", "/nothing"])
def test_nothing_is_told_without_the_token(address, path):
    visitor = Visitor(address)
    port = visitor.url.port
    for cookie in (
        "",
        "deeplake_mmdet=x",
        f"deeplake_mmdet_{port}=wrong",
        f"deeplake_mmdet_{port}=\xe4",
        "=;=;",
    ):
        status, _, body = visitor.ask(path, **({"Cookie": cookie} if cookie else {}))
        assert status == 403
        assert len(body) < 200
        assert b"lake" not in body.replace(b"deeplake-mmdet", b"")
    assert visitor.ask("/?token=wrong")[0] == 403
    assert visitor.ask("/?token=")[0] == 403
    assert visitor.ask(f"/api/facts?{visitor.url.query}")[0] == 403  # only the page itself takes it


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example", ""])
def test_another_host_name_is_refused_even_with_the_token(visitor, host):
    for path in (f"/?{visitor.url.query}", "/api/facts"):
        status, headers, _ = visitor.ask(path, Host=host)
        assert status == 400
        assert "set-cookie" not in headers


def test_what_other_pages_ask_for_is_refused_even_with_the_cookie(visitor):
    own = f"http://{visitor.url.netloc}"
    assert visitor.ask("/api/facts", Origin=own)[0] == 200
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},  # another port of this machine
    ):
        assert visitor.ask("/api/facts", **headers)[0] == 403
    body = {"name": "taken", "rows": [0]}
    assert visitor.ask("/api/view", "POST", body, Origin="http://evil.example")[0] == 403
    assert visitor.ask("/api/view", "POST", body, Content_Type="text/plain")[0] == 415
    assert visitor.ask("/api/view", "GET")[0] == 405
    assert visitor.ask("/api/facts", "OPTIONS", Origin=own)[0] == 405
    assert visitor.ask("/api/facts", "DELETE")[0] == 405


def test_long_requests_are_refused(visitor):
    assert visitor.ask("/api/view", "POST", {"name": "x" * 2**20})[0] == 413
    assert visitor.ask("/api/view", "POST", {}, Content_Length="-1")[0] in (400, 413)


def test_what_is_sent_may_run_only_its_own_scripts(visitor):
    for path in ("/", "/main.js", "/api/facts", "/image/0", "/nothing", "/api/page?start=x"):
        _, headers, _ = visitor.ask(path)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers
        assert not any(name.startswith("access-control") for name in headers)
    _, _, page = visitor.ask("/")
    assert b"<script>" not in page
    assert b"style=" not in page
    assert b" on" not in page.replace(b" one ", b" ").replace(b" open", b" ").replace(b' on"', b" ")


@pytest.mark.parametrize(
    "path",
    ["/../browse.py", "/site/../app.py", "/%2e%2e/app.py", "/index.html/..", "/image/..%2f..%2fetc", "//"],
)
def test_no_other_file_is_served(visitor, path):
    status, _, body = visitor.ask(path)
    assert status in (200, 404)
    assert b"import" not in body
    assert status == 404 or b"<svg" in body  # an image that is not there


def test_a_ticket_opens_the_page_once():
    door = Door(lambda *_: None, 8000)
    ticket = door.ticket()
    assert door._is_known(ticket)
    assert not door._is_known(ticket)
    assert door._is_known(door.token)
    assert door._is_known(door.token)


def test_a_port_that_is_taken_or_none_is_one_error():
    with listen() as taken:
        port = taken.getsockname()[1]
        assert taken.getsockname()[0] == "127.0.0.1"
        with pytest.raises(ConfigError, match=f"port {port} is in use"):
            listen(port)
    with pytest.raises(ConfigError, match="no port 70000"):
        listen(70_000)
