"""The command, and lakes in a bucket."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from shown_lakes import RUN, Visitor, write_lake, write_predictions

import deeplake_mmdet.browsing
from deeplake_mmdet.browsing import open_gallery
from s3 import s3_endpoint

COMMAND = [sys.executable, "-m", "deeplake_mmdet.cli", "browse"]


def test_the_command_prints_its_address_and_nothing_secret_later(shown_lake, tmp_path):
    with (tmp_path / "err").open("w+") as errors:
        process = subprocess.Popen(
            [*COMMAND, str(shown_lake), "--no-open", "--run", RUN],
            stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
        address = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{40,}", address)
        visitor = Visitor(address)
        assert visitor.ask("/")[0] == 403
        visitor.enter()
        assert visitor.told("/api/facts")[1]["run"] == RUN
        assert visitor.told("/api/page")[1]["run"]["id"] == RUN
        process.send_signal(signal.SIGINT)
        assert process.wait(30) in (0, 130)
        assert process.stdout.read() == ""
        process.stdout.close()
        errors.seek(0)
        assert "token" not in errors.read()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["/no/lake", "--no-open"], "There is nothing at this path"),
        (["LAKE", "--no-open", "--run", "none"], "The lake has no run"),
        (["LAKE", "--no-open", "--query", "SELECT * WHERE"], "cannot be run"),
        (["LAKE", "--no-open", "--port", "99999"], "There is no port 99999"),
        (["config.py", "--out", "x"], "config.py"),
    ],
)
def test_what_cannot_be_is_one_line(command_in_copy, shown_lake, tmp_path, arguments, text):
    told = [str(shown_lake) if one == "LAKE" else one for one in arguments]
    done = command_in_copy("browse", *told, cwd=tmp_path)
    assert done.returncode == 1
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_server_the_extra_is_named(shown_lake, tmp_path):
    code = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "from deeplake_mmdet.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "browse", str(shown_lake), "--no-open"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "deeplake-mmdet[browse]" in done.stderr
    assert "uvicorn" in done.stderr


def test_the_pages_files_are_in_the_wheel(tmp_path):
    pytest.importorskip("hatchling")
    root = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=root, check=True, capture_output=True,
    )  # fmt: skip
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        packed = {Path(name).name for name in wheel.namelist() if "/browsing/site/" in name}
    there = {file.name for file in (Path(deeplake_mmdet.browsing.__file__).parent / "site").iterdir()}
    assert packed == there
    assert {"index.html", "main.js", "page.css"} <= packed


def test_a_lake_in_a_bucket(tmp_path, monkeypatch):
    pytest.importorskip("moto.server")
    with s3_endpoint() as endpoint:
        for name, value in endpoint.creds.items():
            if name.startswith("aws_"):
                monkeypatch.setenv(name.upper(), value)
        local = write_lake(tmp_path / "lake", rows=20)
        write_predictions(local, rows=20)
        url = endpoint.upload(tmp_path / "lake", tmp_path.name)
        gallery = open_gallery(url, credentials={"endpoint_url": endpoint.url})
        try:
            assert gallery.facts()["title"] == url
            found = gallery.page({"run": RUN, "query": "width > 0", "masks": "1"}, 5, 10)
            assert [item["row"] for item in found["items"]] == list(range(5, 15))
            assert gallery.picture("5", False).kind == "image/jpeg"
            assert gallery.picture("6", True).kind == "image/jpeg"
            assert gallery.save({"name": "remote", "rows": [3, 4]}) == {"name": "remote", "rows": 2}
        finally:
            gallery.close()
        seen = open_gallery(url, view="remote", credentials={"endpoint_url": endpoint.url})
        assert seen.facts()["rows"] == 2
        seen.close()
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in str(seen.facts())
