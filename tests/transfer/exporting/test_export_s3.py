"""A lake in S3, over HTTP, is exported as one on disk is."""

import json

from deeplake_mmdet import export_coco, import_coco
from s3 import BUCKET, s3_endpoint


def test_round_trip_through_s3(make_coco, tmp_path):
    def change(data):
        data["info"] = {"note": 'ü "quoted" \\ [b]', "year": 2026}
        data["images"][0]["camera"] = [1, None]
        data["annotations"][1]["attributes"] = {"occluded": True}
        data["categories"][0]["colour"] = [0, 1, 255]

    path, images = make_coco(3, change)
    with s3_endpoint() as endpoint:
        lake, options = f"s3://{BUCKET}/exported", {"creds": endpoint.creds, "progress": False}
        for _ in range(2):  # the second takes the place of the first by a record in Deep Lake's log
            import_coco(path, lake, images=images, overwrite=True, **options)
        export_coco(lake, tmp_path / "out", **options)
    before, after = (json.loads(file.read_text()) for file in (path, tmp_path / "out/annotations.json"))
    assert after == before
    for image in before["images"]:
        name = image["file_name"]
        assert (tmp_path / "out/images" / name).read_bytes() == (images / name).read_bytes()
