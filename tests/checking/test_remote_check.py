"""Lakes in a bucket are checked as those in a folder."""

from __future__ import annotations

from made_lakes import GOOD, kinds_of, make_lake, photo, sound

from deeplake_mmdet import check
from s3 import s3_endpoint

__all__ = ["make_lake"]  # a fixture


def test_a_bucket_and_a_folder_give_the_same(make_lake, tmp_path, monkeypatch):
    rows = [
        *sound(20),
        (photo(30)[:-300], GOOD, (0, 1)),
        (b"", GOOD, (0, 1)),
        (photo(31), [(200, 9, 9, 9)], (0,)),
        (photo(32), GOOD, (0, 7)),
        (photo(3), GOOD, (0, 1)),
    ]
    make_lake(rows, tmp_path / "lake")
    make_lake([*sound(3, 60), (photo(5), GOOD, (0, 1))], tmp_path / "other")
    here = check(tmp_path / "lake", tmp_path / "other", progress=False)
    assert len(kinds_of(here)) == 6
    with s3_endpoint() as bucket:
        for key, value in bucket.creds.items():
            if key.startswith("aws_"):
                monkeypatch.setenv(key.upper(), value)
        urls = [bucket.upload(tmp_path / name, name) for name in ("lake", "other")]
        there = check(*urls, credentials={"endpoint_url": bucket.url}, progress=False)
        assert kinds_of(there) == kinds_of(here)
        assert there.find("leak-same", 1).details == here.find("leak-same", 1).details
