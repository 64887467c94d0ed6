"""Imports whose annotations and images lie in S3, over HTTP, are those of the folder that was uploaded."""

import urllib.request

import deeplake
import pytest

from deeplake_mmdet.cli import main
from deeplake_mmdet.errors import ConfigError, CredentialError, SourceNotFoundError, StorageError
from deeplake_mmdet.lake.calls import faults
from deeplake_mmdet.transfer import import_coco, import_voc
from s3 import BUCKET, Rule, fault_proxy, s3_endpoint


@pytest.fixture(scope="module")
def endpoint():
    with s3_endpoint() as server:
        yield server


def rows(lake):
    ds = deeplake.open_read_only(str(lake))
    return [
        (
            ds["file_name"][row],
            ds["images"].get_bytes(row),
            ds["boxes"][row].tolist(),
            ds["labels"][row].tolist(),
        )
        for row in range(len(ds))
    ]


@pytest.fixture
def coco(make_coco, make_image, tmp_path, endpoint):
    """A COCO data set with a PNG, a nested name with a space, and a missing image; on disk and in S3."""

    def change(data):
        data["images"][1]["file_name"] = "a b/ü 1.jpg"
        data["images"][2]["file_name"] = "2.png"
        data["images"].append({"id": 9, "file_name": "none.jpg", "width": 32, "height": 24})

    path, images = make_coco(count=4, change=change, files={"2.png": make_image(encoding="png")})
    (images / "a b").mkdir()
    (images / "1.jpg").rename(images / "a b/ü 1.jpg")
    root = tmp_path / "set"
    (root / "annotations").mkdir(parents=True)
    path.rename(root / "annotations/instances.json")
    images.rename(root / "images")
    return root, endpoint.upload(root, tmp_path.name)


def test_coco(coco, endpoint, tmp_path, monkeypatch):
    root, url = coco
    annotations = "annotations/instances.json"
    import_coco(root / annotations, tmp_path / "expected", images=root / "images", progress=False)
    expected = rows(tmp_path / "expected")
    assert len(expected) == 4
    ways = [(f"{url}/{annotations}", f"{url}/images"), (f"{url}/{annotations}", None), (url, None)]
    ways += [(root / annotations, f"{url}/images/"), (f"{url}/{annotations}", root / "images")]
    for number, (source, images) in enumerate(ways):
        lake = tmp_path / f"lake{number}"
        summary = import_coco(source, lake, images=images, creds=endpoint.creds, progress=False)
        assert rows(lake) == expected
        [finding] = summary.refused
        assert finding.reason == "image file is missing"
        if images != root / "images":
            assert finding.file == f"{url}/images/none.jpg"
    for key, value in endpoint.creds.items():
        if key != "endpoint_url":
            monkeypatch.setenv(key.upper(), value)
    args = ["import", "coco", url, str(tmp_path / "lake"), "--endpoint-url", endpoint.url]
    assert main(args) == 0
    assert rows(tmp_path / "lake") == expected


def test_voc(shared_data, endpoint, tmp_path):
    names = sorted(path.stem for path in (shared_data / "bccd/Annotations").glob("*.xml"))[:6]
    root = tmp_path / "voc"
    for split, some in (("train", names[:4]), ("valid", names[4:])):
        (root / split).mkdir(parents=True)
        for name in some:
            for folder, extension in (("Annotations", "xml"), ("JPEGImages", "jpg")):
                file = shared_data / "bccd" / folder / f"{name}.{extension}"
                (root / split / file.name).write_bytes(file.read_bytes())
    url = endpoint.upload(root, tmp_path.name)
    for marker in ("", "train/"):  # as consoles make folders
        urllib.request.urlopen(
            urllib.request.Request(
                f"{endpoint.url}/{BUCKET}/{tmp_path.name}/{marker}", data=b"", method="PUT"
            )
        ).close()
    import_voc(root, tmp_path / "expected", split="train", progress=False)
    lake = tmp_path / "lake"
    with fault_proxy(endpoint.url) as proxy:
        creds = endpoint.creds | {"endpoint_url": proxy.url}
        summary = import_voc(url, lake, split="train", creds=creds, progress=False)
        asked = [line for line in proxy.counts().log if ".xml" in line]
    assert (summary.images, summary.refusals.counts) == (4, {})
    assert len(asked) == len(names)  # each once, for its class names and for its boxes
    assert rows(lake) == rows(tmp_path / "expected")
    with pytest.raises(ConfigError, match="Splits here: train, valid"):
        import_voc(url, tmp_path / "none", creds=endpoint.creds, progress=False)


def test_what_is_not_there(coco, endpoint, tmp_path):
    root, url = coco
    creds, lake = endpoint.creds, tmp_path / "lake"
    for source, error, told in (
        (f"{url}/none", SourceNotFoundError, f"no objects below this address.*{url}/none"),
        (f"{url}/none.json", SourceNotFoundError, f"no such object.*{url}/none.json"),
        ("s3://no-such-bucket/x", SourceNotFoundError, "no such bucket"),
        (f"{url}/images", SourceNotFoundError, f"no JSON file.*{url}/images"),
        (f"{url}/set.zip", ConfigError, "from disks only"),
        ("s3://me:word@bucket/x", CredentialError, "user name or a password"),
    ):
        with pytest.raises(error, match=told) as refused:
            import_coco(source, lake, creds=creds, progress=False)
        assert "word" not in str(refused.value).replace("password", "")
    with pytest.raises(SourceNotFoundError, match="no objects"):
        import_coco(root / "annotations/instances.json", lake, images=f"{url}/x", creds=creds)
    assert not lake.exists()


def test_a_storage_that_fails_ends_the_import_and_leaves_nothing(coco, endpoint, tmp_path, monkeypatch):
    url = coco[1]
    monkeypatch.setattr(faults, "RETRIES", 1)
    before = sorted(tmp_path.iterdir())
    with fault_proxy(endpoint.url) as proxy:
        creds = endpoint.creds | {"endpoint_url": proxy.url}
        lake = tmp_path / "lake"
        proxy.rules(Rule("status", "images/3.jpg", times=1))
        assert import_coco(url, lake, creds=creds, progress=False).images == 4  # once is nothing
        deeplake.delete(str(lake))
        proxy.rules(Rule("status", "images/3.jpg"))
        with pytest.raises(StorageError, match=r"did not answer properly.*images/3\.jpg"):
            import_coco(url, lake, creds=creds, progress=False)
    assert sorted(tmp_path.iterdir()) == before
