import pytest
from mmengine.config import Config

from deeplake_mmdet.config import load_config, use_lake_metrics
from deeplake_mmdet.errors import ConfigError

LAKE = {"type": "deeplake_mmdet.DeepLakeDataset", "path": "lake"}
STOCK = {
    "type": "CocoMetric",
    "ann_file": "a.json",
    "metric": "bbox",
    "format_only": False,
    "backend_args": None,
}
OURS = "deeplake_mmdet.CocoMetric"


def replaced(evaluator, dataset=LAKE, split="val"):
    cfg = Config({f"{split}_dataloader": {"dataset": dataset}, f"{split}_evaluator": evaluator})
    use_lake_metrics(cfg)
    return cfg.to_dict()[f"{split}_evaluator"]


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_stock_box_metric_gives_way_where_the_split_reads_a_lake(split):
    assert replaced(STOCK, split=split) == {"type": OURS, "metric": "bbox"}


@pytest.mark.parametrize("kind", ["mmdet.CocoMetric", "mmdet.evaluation.metrics.coco_metric.CocoMetric"])
def test_it_is_known_by_its_scope_and_by_its_module(kind):
    assert replaced({**STOCK, "type": kind})["type"] == OURS


def test_a_lake_inside_wrappers_counts():
    for wrapped in (
        {"type": "RepeatDataset", "times": 2, "dataset": LAKE},
        {"type": "ConcatDataset", "datasets": [LAKE, LAKE]},
        {**LAKE, "type": "deeplake_mmdet.dataset.DeepLakeDataset"},
    ):
        assert replaced(STOCK, wrapped)["type"] == OURS


def test_a_split_on_files_keeps_its_metric():
    assert replaced(STOCK, {"type": "CocoDataset", "ann_file": "a.json"}) == STOCK


@pytest.mark.parametrize(
    "evaluator",
    [
        {"type": "LVISFixedAPMetric"},
        {"type": "someone.CocoMetric"},
        {"type": OURS, "metric": "bbox", "classwise": True},
    ],
)
def test_other_metrics_stay_as_they_are(evaluator):
    assert replaced(evaluator) == evaluator


@pytest.mark.parametrize("metric", ["bbox", ["bbox", "segm"], "segm", "proposal", ["proposal_fast"], None])
def test_every_coco_metric_is_replaced(metric):
    evaluator = {key: value for key, value in STOCK.items() if key != "metric"}
    found = replaced(evaluator if metric is None else {**evaluator, "metric": metric})
    assert found == {"type": OURS, **({} if metric is None else {"metric": metric})}


def test_a_voc_metric_is_replaced():
    stock = {"type": "VOCMetric", "metric": "mAP", "eval_mode": "11points", "iou_thrs": [0.5, 0.75]}
    assert replaced(stock) == {**stock, "type": "deeplake_mmdet.VOCMetric"}
    assert replaced({"type": "mmdet.VOCMetric", "scale_ranges": None}) == {"type": "deeplake_mmdet.VOCMetric"}


def test_the_metric_of_a_stock_lvis_config_is_replaced(tmp_path):
    loader = f"dict(dataset=dict(_delete_=True, **{LAKE}))"
    file = tmp_path / "lvis.py"
    file.write_text(
        "_base_ = 'mmdet::lvis/mask-rcnn_r50_fpn_sample1e-3_ms-1x_lvis-v1.py'\n"
        f"val_dataloader = {loader}\ntest_dataloader = {loader}\n"
    )
    cfg = load_config(file)
    use_lake_metrics(cfg)
    for split in ("val", "test"):
        assert dict(cfg[f"{split}_evaluator"]) == {
            "type": "deeplake_mmdet.LVISMetric",
            "metric": ["bbox", "segm"],
        }


def test_writing_files_only_is_kept():
    options = {"format_only": True, "outfile_prefix": "work_dirs/test"}
    assert replaced({**STOCK, **options}) == {"type": OURS, "metric": "bbox", **options}


def test_options_that_both_have_are_kept():
    options = {
        "classwise": True,
        "proposal_nums": [100, 1, 10],
        "iou_thrs": [0.5],
        "metric_items": ["mAP_50"],
        "prefix": "lake",
        "collect_device": "gpu",
    }
    assert replaced({**STOCK, **options}) == {"type": OURS, "metric": "bbox", **options}


def test_metrics_in_a_list_are_replaced_one_by_one():
    other = {"type": "DumpResults", "out_file_path": "a.pkl"}
    assert replaced([STOCK, other]) == [{"type": OURS, "metric": "bbox"}, other]


def test_configs_without_evaluators_are_left_alone():
    content = {"train_dataloader": {"dataset": LAKE}, "val_dataloader": None, "val_evaluator": None}
    cfg = Config(content)
    use_lake_metrics(cfg)
    assert cfg.to_dict() == content


def test_what_is_put_in_builds():
    from mmengine.registry import METRICS

    assert METRICS.build(replaced({**STOCK, "classwise": True})).classwise
    assert METRICS.build(replaced({"type": "VOCMetric", "eval_mode": "area"})).eval_mode == "area"


FILES = {"type": "CocoDataset", "ann_file": "a.json"}


@pytest.mark.parametrize(
    ("metric", "instead"),
    [("proposal_fast", "proposal"), (["bbox", "proposal_fast", "proposal"], ["bbox", "proposal"])],
)
def test_recalls_of_files_are_those_that_numpy_lets_mmdet_compute(metric, instead):
    assert replaced({**STOCK, "metric": metric}, FILES)["metric"] == instead
    assert replaced([{**STOCK, "metric": metric}], FILES)[0]["metric"] == instead
    several = {"type": "MultiDatasetsEvaluator", "metrics": [{**STOCK, "metric": metric}]}
    assert replaced(several, FILES)["metrics"][0]["metric"] == instead
    assert replaced({**STOCK, "metric": metric})["metric"] == metric  # ours can


@pytest.mark.parametrize(
    ("metric", "what"),
    [
        ({"type": "VOCMetric", "metric": "recall"}, "recalls"),
        ({**STOCK, "iou_thrs": [0.5]}, "IoU thresholds"),
    ],
)
def test_what_mmdet_cannot_score_with_numpy_is_refused_before_training(metric, what):
    with pytest.raises(ConfigError, match=what):
        replaced(metric, FILES)
    assert replaced(metric)["type"].startswith("deeplake_mmdet.")
