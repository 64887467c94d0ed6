"""What `doctor` tells of machines that are not as they should be, and what it never tells."""

import json
import resource
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from deeplake_mmdet.cli import main
from deeplake_mmdet.doctor import Status, examine
from deeplake_mmdet.environment import available_cores

Usage = namedtuple("Usage", "total used free")


def facts(tmp_path):
    return {(fact.area, fact.name): fact for fact in examine(tmp_path / "work_dirs")}


def test_this_machine(tmp_path, capsys):
    found = facts(tmp_path)
    assert found["packages", "fit together"].status is Status.OK
    assert found["machine", "cores"].value.startswith(f"{available_cores()} usable")
    assert "work_dirs" in found["disk", "work dir"].value
    assert not (tmp_path / "work_dirs").exists()
    assert not list(tmp_path.iterdir())
    assert main(["doctor", "--work-dir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "Everything that was looked at works" in out
    assert "stand-in" in out or "compiled" in out


def test_identities_are_told_and_keys_are_not(tmp_path, monkeypatch, capsys):
    secrets = {
        "AWS_ACCESS_KEY_ID": "AKIA-1",
        "AWS_SECRET_ACCESS_KEY": "value-2",
        "ACTIVELOOP_TOKEN": "value-3",
        "AZURE_CLIENT_SECRET": "value-4",
        "AZURE_TENANT_ID": "value-5",
        "AZURE_CLIENT_ID": "value-6",
    }
    for name, value in {**secrets, "DEEPLAKE_MMDET_CACHE": str(tmp_path / "cache")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    assert main(["doctor", "--json"]) == 0
    out = capsys.readouterr().out
    told = {(fact["area"], fact["name"]): fact for fact in json.loads(out)["facts"]}
    assert "AWS_ACCESS_KEY_ID" in told["storage", "S3"]["value"]
    assert "ACTIVELOOP_TOKEN" in told["storage", "Deep Lake's platform"]["value"]
    assert "DEEPLAKE_MMDET_CACHE" in told["storage", "our variables"]["value"]
    assert not [value for value in secrets.values() if value in out]


def test_what_is_short_is_told_with_what_to_type(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**30, 2**30 - 2**20, 2**20))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 200, hard))
    try:
        found = facts(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for place, advice in (
        (("machine", "shared memory"), "shm-size"),
        (("machine", "open files"), "ulimit -n"),
        (("disk", "work dir"), "make room"),
        (("disk", "cache"), "make room"),
    ):
        assert found[place].status is Status.NOTE
        assert advice in found[place].advice


def test_a_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["doctor", "--work-dir", str(tmp_path / "file" / "runs")]) == 1
    out = capsys.readouterr().out
    assert "cannot be written" in out
    assert "1 of them does not work" in out


@pytest.mark.parametrize("option", ["--help"])
def test_help_ends_with_an_example(option, capsys):
    with pytest.raises(SystemExit):
        main(["doctor", option])
    assert capsys.readouterr().out.rstrip().endswith("Example: deeplake-mmdet doctor")
