"""Which data made which model, which predictions it made, and which view came of these; and back."""

import json
import shutil

import pytest
import torch
from runs_in_lakes import write_predictions

from deeplake_mmdet import lineage, mine, train
from deeplake_mmdet.cli import main
from deeplake_mmdet.errors import ConfigError, SourceFormatError, SourceNotFoundError
from deeplake_mmdet.lake import Source, resolve
from deeplake_mmdet.loop.tracing import file_hash, is_sound

ROWS, RUN = 6, "demo-0a1b2c3d"


@pytest.fixture(scope="module")
def made(tmp_path_factory, untrained_demo):
    """A lake, a training on it, a run of its predictions, a view that came of it, and a training on that."""
    folder = tmp_path_factory.mktemp("lineage")
    cfg, _, _, [lake] = untrained_demo(folder, [ROWS])
    train(cfg, work_dir=folder / "first")
    first = folder / "first" / "epoch_1.pth"
    told = {
        "checkpoint_hash": file_hash(first),
        "trained_on": [{"url": "elsewhere/lake", "branch": "main", "version": "0007", "view": "earlier"}],
    }
    write_predictions(lake, ROWS, RUN, numbers={"missed": [0, 3, 1, 0, 2, 0]}, told=told)
    mine(lake, RUN, "missed", save="missed 3")
    cfg.train_dataloader.dataset.view = "missed 3"
    train(cfg, work_dir=folder / "second")
    return {"folder": folder, "lake": lake, "first": first, "second": folder / "second" / "epoch_1.pth"}


@pytest.fixture
def copy(made, tmp_path):
    """A lake and a record of a training on it, to be spoiled."""
    shutil.copytree(made["lake"], tmp_path / "lake")
    (tmp_path / "run").mkdir()
    text = (made["second"].parent / "run.json").read_text()
    (tmp_path / "run" / "run.json").write_text(text.replace(made["lake"], str(tmp_path / "lake")))
    return tmp_path


def test_a_model_on_a_view_names_the_run_and_the_model_before(made):
    facts = lineage(made["second"], verify=True)
    assert (facts["kind"], facts["hash"], facts["epoch"]) == ("checkpoint", file_hash(made["second"]), 1)
    assert facts["classes"] == list(
        torch.load(made["second"], weights_only=False)["meta"]["dataset_meta"]["classes"]
    )
    assert facts["packages"]["deeplake-mmdet"]
    assert facts["seed"] is not None
    [lake] = facts["lakes"]
    assert (lake["url"], lake["view"], lake["rows"]) == (made["lake"], "missed 3", 3)
    came = lake["came_from"]
    assert (came["run"], came["by"], came["still_there"]) == (RUN, "missed", True)
    assert came["base"]["version"] == resolve(Source(made["lake"])).version
    assert came["of"]["checkpoint_hash"] == file_hash(made["first"])
    assert lake["verified"] == {"status": "OK", "why": ""}
    assert is_sound(facts)


def test_a_model_tells_the_predictions_that_it_made(made):
    [lake] = lineage(made["first"])["lakes"]
    assert lake["came_from"] is None
    [run] = lake["predictions"]
    assert run["run_id"] == RUN
    assert [view["name"] for view in run["views"]] == ["missed 3"]
    assert lineage(made["second"])["lakes"][0]["predictions"] == []


def test_a_lake_tells_its_runs_and_their_views(made):
    facts = lineage(made["lake"], verify=True)
    assert facts["kind"] == "lake"
    [run] = facts["runs"]
    assert (run["run_id"], run["verified"]["status"]) == (RUN, "OK")
    assert [view["name"] for view in run["views"]] == ["missed 3"]
    assert lineage(made["lake"], run=f"runs/{RUN}")["runs"][0]["run_id"] == RUN
    with pytest.raises(SourceNotFoundError, match=RUN):
        lineage(made["lake"], run="demo-0a1b2c3e")


def test_the_folder_of_a_training_is_as_good_as_its_checkpoint(made, copy):
    facts = lineage(made["second"].parent)
    assert (facts["kind"], facts["checkpoint"]) == ("training", str(made["second"]))
    assert facts["lakes"] == lineage(made["second"])["lakes"]
    facts = lineage(copy / "run", verify=True)  # its checkpoints are gone
    assert facts["lakes"][0]["came_from"]["run"] == RUN
    assert is_sound(facts)


def test_on_the_terminal_all_names_are_whole(made, capsys):
    assert main(["lineage", str(made["second"]), "--verify"]) == 0
    out = capsys.readouterr().out
    for name in (RUN, "missed 3", made["lake"], "verified: OK", file_hash(made["first"]), "elsewhere/lake"):
        assert name in out
    assert "…" not in out
    assert main(["lineage", made["lake"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"][0]["run_id"] == RUN


def gone(folder):
    shutil.rmtree(folder / "lake")


def another(folder):
    from deeplake_mmdet.demo.lakes import write_demo_lake

    shutil.rmtree(folder / "lake")
    write_demo_lake(folder / "lake", count=ROWS, seed=5)


def branch_gone(folder):
    import deeplake

    lake = deeplake.open(str(folder / "lake"))
    [name] = [name for name in lake.branches.names() if name.startswith("views/")]
    lake.branches[name].delete()


@pytest.mark.parametrize("spoil", [gone, another, branch_gone])
def test_a_lake_that_no_longer_holds_it_fails(copy, capsys, spoil):
    spoil(copy)
    assert main(["lineage", str(copy / "run"), "--verify"]) == 1
    assert "FAILED" in capsys.readouterr().out
    assert main(["lineage", str(copy / "run")]) == 0


def test_a_restored_backup_with_other_data_fails(copy):
    """The ids of lake, branch and version are equal; what is in it is not."""
    import deeplake

    path = str(copy / "lake")
    shutil.copytree(path, copy / "backup")
    record = json.loads((copy / "run" / "run.json").read_text())
    for folder, value in ((copy / "backup", 7), (copy / "lake", 9)):
        lake = deeplake.open(str(folder))
        lake["width"][0] = value
        lake.commit("changed")
    pinned = resolve(Source(path))
    record["starts"][-1]["lakes"] = [{**pinned.facts(), "branch": "main", "rows": ROWS}]
    (copy / "run" / "run.json").write_text(json.dumps(record))
    assert is_sound(lineage(copy / "run", verify=True))
    shutil.rmtree(path)
    (copy / "backup").rename(path)
    facts = lineage(copy / "run", verify=True)
    assert facts["lakes"][0]["verified"]["status"] == "FAILED"
    assert "other data" in facts["lakes"][0]["verified"]["why"]


@pytest.mark.gives_up
def test_a_lake_out_of_reach_is_told_for_itself(copy, monkeypatch):
    monkeypatch.setenv("DEEPLAKE_MMDET_DEADLINE", "1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    file = copy / "run" / "run.json"
    record = json.loads(file.read_text())
    [here] = record["starts"][-1]["lakes"]
    record["starts"][-1]["lakes"] = [here, {**here, "url": "s3://bucket/lake"}]
    file.write_text(json.dumps(record))
    facts = lineage(copy / "run", verify=True, credentials={"endpoint_url": "http://127.0.0.1:9"})
    assert [lake["verified"]["status"] for lake in facts["lakes"]] == ["OK", "UNREACHABLE"]
    assert facts["lakes"][1]["unread"]
    assert not is_sound(facts)


def test_a_tag_names_the_model_in_the_lake(copy, capsys):
    assert main(["lineage", str(copy / "run"), "--tag", "second model"]) == 0
    facts = lineage(copy / "lake")
    [model] = facts["models"]
    assert (model["name"], model["view"]) == ("second model", "missed 3")
    assert main(["lineage", str(copy / "lake")]) == 0
    assert "second model" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="needs a checkpoint"):
        lineage(copy / "lake", tag="third")
    with pytest.raises(FileExistsError, match="second model"):
        lineage(copy / "run", tag="second model")


def test_checkpoints_of_earlier_versions_are_read(made, tmp_path):
    content = torch.load(made["second"], weights_only=False)
    del content["deeplake_mmdet"]["packages"]
    for lake in content["deeplake_mmdet"]["pins"]["lakes"]:
        del lake["view"], lake["lineage"]
    torch.save(content, tmp_path / "old.pth")
    facts = lineage(tmp_path / "old.pth", verify=True)
    assert facts["packages"] == {}
    assert facts["lakes"][0]["came_from"] is None
    assert is_sound(facts)


def test_branches_that_are_called_like_runs_are_told(copy, capsys):
    import deeplake

    lake = deeplake.open(str(copy / "lake"))
    lake.branch("runs/foreign")
    half = lake.branch("runs/half").open()
    half.add_column("pred/boxes", "float32")
    half.commit("no run of ours")
    del half, lake
    for name in ("foreign", "half"):
        with pytest.raises(SourceFormatError, match="called as a run is"):
            mine(copy / "lake", name, "missed")
    assert main(["lineage", str(copy / "lake"), "--verify"]) == 1
    out = capsys.readouterr().out
    assert out.count("called as a run is") == 4  # each told, and not verified
    assert out.count("verified: OK") == 1


class Calls:
    def __reduce__(self):
        return print, ("it ran",)


def test_what_is_no_training_is_told(tmp_path, capsys):
    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "bare.pth")
    with pytest.raises(SourceFormatError, match="no record of the data"):
        lineage(tmp_path / "bare.pth")
    torch.save({"state_dict": {}, "meta": Calls()}, tmp_path / "hostile.pth")
    with pytest.raises(SourceFormatError, match="more than data"):
        lineage(tmp_path / "hostile.pth")
    assert "it ran" not in capsys.readouterr().out
    with pytest.raises(SourceNotFoundError, match="a checkpoint, the folder of a training, or a lake"):
        lineage(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceFormatError, match="a checkpoint, the folder of a training, or a lake"):
        lineage(tmp_path / "empty")
    for text in (
        "{",
        '{"starts": []}',
        '{"starts": [{"lakes": 3}]}',
        '{"starts": [{"lakes": [{"url": 1}]}]}',
    ):
        (tmp_path / "empty" / "run.json").write_text(text)
        with pytest.raises((ConfigError, SourceFormatError)):
            lineage(tmp_path / "empty")
    with pytest.raises(ConfigError, match="Only a lake has runs"):
        lineage(tmp_path / "bare.pth", run="x")
