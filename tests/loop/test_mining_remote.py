"""Mining a lake in a bucket."""

import pytest
from runs_in_lakes import write_lake, write_predictions

from deeplake_mmdet import DeepLakeDataset, lineage, mine
from deeplake_mmdet.errors import DeepLakeMMDetError
from deeplake_mmdet.lake import CredentialRef, Source, resolve, saved_views
from s3 import Rule, fault_proxy, s3_endpoint

ROWS, RUN = 6, "first-0a1b2c3d"


@pytest.fixture(scope="module")
def endpoint():
    pytest.importorskip("moto.server")
    with s3_endpoint() as running:
        yield running


@pytest.fixture
def remote(endpoint, tmp_path, monkeypatch):
    """Address and credentials of a lake with a run."""
    for name, value in endpoint.creds.items():
        if name.startswith("aws_"):
            monkeypatch.setenv(name.upper(), value)
    local = write_lake(tmp_path / "lake", range(ROWS))
    write_predictions(local, ROWS, RUN, numbers={"missed": [0, 2, 1, 0, 0, 5]})
    return endpoint.upload(tmp_path / "lake", tmp_path.name), {"endpoint_url": endpoint.url}


def test_rows_are_ranked_saved_drawn_and_trained_on(remote, tmp_path):
    url, credentials = remote
    found = mine(url, RUN, "missed", top=2, save="two", show=tmp_path / "a.png", credentials=credentials)
    assert found.rows.tolist() == [5, 1]
    assert found.picture.stat().st_size > 1000
    data = DeepLakeDataset(path=url, view="two", credentials=credentials, pipeline=[], test_mode=True)
    assert data.view.file_names([0, 1]) == ["photo [red] 1.png", "photo [red] 5.png"]
    assert mine(url, RUN, "duplicates", credentials=credentials).rows.tolist() == []
    facts = lineage(url, verify=True, credentials=credentials)
    assert [view["name"] for view in facts["runs"][0]["views"]] == ["two"]
    assert facts["runs"][0]["verified"]["status"] == "OK"


def test_without_leave_to_write_nothing_is_left(remote, endpoint):
    url, credentials = remote
    with fault_proxy(endpoint.url) as proxy:
        proxy.rules(Rule("status", match="PUT", status=403), Rule("status", match="POST", status=403))
        with pytest.raises(DeepLakeMMDetError, match="view 'two' cannot be saved") as refusal:
            mine(url, RUN, "missed", save="two", credentials={"endpoint_url": proxy.url})
    assert "a-secret" not in str(refusal.value)
    source = resolve(Source(url), CredentialRef(credentials))
    assert saved_views(source) == ()
