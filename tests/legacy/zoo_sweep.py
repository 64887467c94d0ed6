"""Compare every converted 2.x config with its official 3.x counterpart and write ``zoo_differences.json``.

    python tests/legacy/zoo_sweep.py [--build none|differing|sample|all] [--again TEXT] [--write]

``all`` builds all models, on torch's meta device where that works, and compares names and shapes of their
parameters: some minutes on two cores. ``differing`` builds those whose settings differ; equal settings build
equal models. Without ``--write`` the summary is printed only.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import re
import sys
import warnings
from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import torch
import zoo
import zoo_compare
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from zoo_causes import OURS_FAILS, all_proven, cause_of, demanded
from zoo_raw import raw_values

from deeplake_mmdet.legacy import convert_config_dict, counterpart

Shapes = dict[str, tuple[int, ...]]


def parameters(model: Mapping[str, Any]) -> Shapes | str:
    """Names and shapes of a model's parameters, without its weights; or why it cannot be built."""
    content = zoo_compare.without(model, {"teacher_ckpt"})
    key = json.dumps(content, sort_keys=True, default=str)
    if key not in _built:
        _built[key] = _parameters(ConfigDict(content))
    return _built[key]


_built: dict[str, Shapes | str] = {}


def _parameters(content: Any) -> Shapes | str:
    with contextlib.suppress(Exception), torch.device("meta"):
        return _shapes(MODELS.build(deepcopy(content)))
    try:
        return _shapes(MODELS.build(deepcopy(content)))
    except Exception as error:  # what it is goes into the table
        text = re.sub(r"'/\S*/(\w+/configs/|configs/)", r"'\1", str(error).partition("\n")[0])
        return f"{type(error).__name__}: {text[:120]}"


def _shapes(model: torch.nn.Module) -> Shapes:
    return {name: tuple(value.shape) for name, value in model.named_parameters()}


def same_parameters(ours: Mapping[str, Any], official: Mapping[str, Any]) -> tuple[str, list[str]]:
    """How the parameters of two configs' models compare, and their differences."""
    one, two = parameters(ours["model"]), parameters(official["model"])
    if isinstance(two, str):
        return f"the official one does not build: {two}", []
    if isinstance(one, str):
        return OURS_FAILS, [f"{OURS_FAILS}: {one}"]
    names = sorted({*one, *two})
    found = [
        f"{name}: {one.get(name)} != {two.get(name)}" for name in names if one.get(name) != two.get(name)
    ]
    return ("different" if found else "same"), found[:3]


def entry(name: str, build: str, number: int) -> dict[str, Any] | None:
    """The table's line about one config; None if it has no counterpart."""
    new, old = counterpart(name), zoo.old(name)
    converted, _ = convert_config_dict(old)
    if new is None:
        return None
    official = zoo.official(new)
    found = zoo_compare.compare(converted, official)
    wanted = (
        build == "all"
        or (build == "differing" and ("model" in found or demanded({"differences": found})))
        or (build == "sample" and number % 25 == 0)
    )
    line: dict[str, Any] = {"counterpart": new}
    if not converted.get("model"):
        line["parameters"] = "there is no model"
    elif wanted:
        line["parameters"], different = same_parameters(converted, official)
        if different:
            found["parameters"] = different
    if found:
        line["differences"] = found
        line["raw"] = {
            part: [raw_values(part, text, old, official) for text in texts] for part, texts in found.items()
        }
        pairs = [
            (part, pair)
            for part, texts in found.items()
            for pair in zip(texts, line["raw"][part], strict=True)
        ]
        line["causes"] = sorted({cause_of(part, text, name, values) for part, (text, values) in pairs})
    return line


def summary(table: Mapping[str, Any]) -> str:
    """Counts of equal and different configs, by section and by cause."""
    lines = list(table.values())
    comparable = [line for line in lines if line.get("parameters") in ("same", "different", OURS_FAILS)]
    equal = [line for line in comparable if not demanded(line)]
    proven = [line for line in comparable if demanded(line) and all_proven(line)]
    sections = Counter(part for line in lines for part in line.get("differences", ()))
    causes = Counter(cause for line in lines for cause in line.get("causes", ()))
    text = [
        f"{len(lines)} with a counterpart; {len(comparable)} whose counterpart builds a model",
        f"{len(equal)} of these equal in {', '.join(zoo_compare.DEMANDED)} and parameters "
        f"({100 * len(equal) / max(1, len(comparable)):.1f} %)",
        f"{len(proven)} differ by values that the raw 3.x file has changed; "
        f"{len(comparable) - len(equal) - len(proven)} for other reasons",
        f"{sum('differences' not in line for line in lines)} equal in everything that is compared",
    ]
    built = Counter(line.get("parameters", "not built") for line in lines)
    text += [f"  {count:4} parameters: {outcome}" for outcome, count in built.most_common()]
    text += [f"  {count:4} {part}" for part, count in sections.most_common()]
    text += [f"  {count:4} {cause}" for cause, count in causes.most_common()]
    return "\n".join(text)


def main() -> None:
    """Sweep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", choices=("none", "differing", "sample", "all"), default="none")
    parser.add_argument(
        "--again", help="only configs whose line in the table holds this text; keep the others"
    )
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    zoo_compare.register()
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group(
        "gloo", store=store, rank=0, world_size=1
    )  # synchronised norms ask for it
    table = zoo.expected() if options.again else {}
    for number, name in enumerate(zoo.names()):
        if options.again and options.again not in json.dumps(table.get(name)):
            continue
        line = entry(name, options.build, number)
        if line is not None:
            table[name] = line
    print(summary(table))
    if options.write:
        zoo.DIFFERENCES.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
