"""``version``: a branch, a tag or a commit, whichever the lake has under a name."""

import pytest

from deeplake_mmdet.errors import ConfigError, SourceNotFoundError
from deeplake_mmdet.lake import Source
from deeplake_mmdet.lake.source.pinning import handle_of, resolve

from .helpers import unpack_v3


def count(url, version):
    return len(handle_of(resolve(Source(url, version=version))))


def test_of_a_v4_lake(make_lake, rows, tmp_path):
    lake = make_lake(tmp_path / "lake", **rows())
    first = lake.dataset.version
    lake.dataset.tag("three")
    lake.dataset.branch("dev")
    dev = lake.dataset.branches["dev"].open()
    dev.append({"images": [b"\xff\xd8"], **rows(1)})
    dev.commit("four")
    lake.append(images=[b"\xff\xd8"] * 2, **rows(2))
    found = {name: count(lake.url, name) for name in ("main", "dev", "three", first)}
    assert found == {"main": 5, "dev": 4, "three": 3, first: 3}
    with pytest.raises(SourceNotFoundError, match="nowhere"):
        count(lake.url, "nowhere")


def test_of_a_v3_lake(tmp_path):
    url = unpack_v3(tmp_path)
    assert count(url, "extra") == 8
    with pytest.raises(SourceNotFoundError, match="nowhere"):
        count(url, "nowhere")


@pytest.mark.parametrize("key", ["commit", "branch", "tag", "view"])
def test_it_stands_alone(key):
    with pytest.raises(ConfigError, match=f"'version'='dev' and '{key}'"):
        Source("lake", version="dev", **{key: "other"})
