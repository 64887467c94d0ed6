"""What would be converted, had the 2.x files held the values of the 3.x ones.

    python tests/legacy/zoo_counterfactual.py [--write]

Wherever a converted config of the zoo differs from the official 3.x config, the values in which the raw files
differ are put into the 2.x content, and that is converted. If it equals the official config then, nothing but
those values made the difference. ``--write`` writes them to ``zoo_counterfactual.json``.
"""

from __future__ import annotations

import argparse
import functools
import json
import logging
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

import zoo
import zoo_compare
from zoo_causes import OURS_FAILS, cause_of, demanded
from zoo_edits import BASE, CONVERTED, Edit, apply, with_other_base
from zoo_raw import raw_values
from zoo_substitutes import edits_for
from zoo_sweep import same_parameters

from deeplake_mmdet.legacy import convert_config_dict

TABLE = Path(__file__).with_name("zoo_counterfactual.json")
Convert = Callable[[Mapping[str, Any]], tuple[dict[str, Any], Any]]
Found = dict[str, list[str]]


class Counterfactual(NamedTuple):
    """Differences by section before the edits and after them, and the edits."""

    before: Found
    after: Found
    edits: list[Edit]


@functools.cache
def differing() -> dict[str, Any]:
    """Lines of the table whose config differs from an official one that builds."""
    outcomes = ("same", "different", OURS_FAILS)
    table = zoo.expected()
    return {name: line for name, line in table.items() if line["parameters"] in outcomes and demanded(line)}


def counterfactual(
    name: str, line: Mapping[str, Any], convert: Convert = convert_config_dict
) -> Counterfactual:
    """Edit the 2.x config until no difference is left that the raw files explain.

    Args:
        name: That of the 2.x config.
        line: Its line of the table of differences.
        convert: What converts it.
    """
    content, official = zoo.old(name), zoo.official(line["counterpart"])
    converted = convert(content)[0]
    before = found = _compare(converted, official, line)
    edits: list[Edit] = []
    done: list[tuple[str, Any]] = []
    # One difference may hide another: that of two lengths those of their milestones.
    while wanted := [item for item in _raw(found, content, official) if item not in done]:
        for section, value in wanted:
            for edit in edits_for(section, value, content, official, converted):
                edits.append(edit)
                if edit.path == BASE:
                    content = with_other_base(name, edit)
                elif not edit.path.startswith(CONVERTED):
                    apply(content, edit)
        done += wanted
        converted = convert(content)[0]
        for edit in edits:
            if edit.path.startswith(CONVERTED):
                apply(converted, edit)
        found = _compare(converted, official, line)
    return Counterfactual(before, found, edits)


def _raw(found: Found, content: dict[str, Any], official: Mapping[str, Any]) -> list[tuple[str, Any]]:
    values: list[tuple[str, Any]] = []
    for section, texts in demanded({"differences": found}).items():
        for text in texts:
            new = [(section, value) for value in raw_values(section, text, content, official)]
            values += [item for item in new if item not in values]
    return values


def _compare(ours: dict[str, Any], official: dict[str, Any], line: Mapping[str, Any]) -> Found:
    found = zoo_compare.compare(ours, official)
    # Only here do the edits change the model.
    if "parameters" in line["differences"]:
        _, different = same_parameters(ours, official)
        found |= {"parameters": different} if different else {}
    return found


def table(results: Mapping[str, Counterfactual]) -> list[dict[str, Any]]:
    """The edits, by cause, with the configs that need the same ones."""
    groups: dict[str, dict[str, Any]] = {}
    for name, result in results.items():
        group = {"causes": _causes(name), "edits": json.loads(json.dumps(result.edits))}
        groups.setdefault(json.dumps(group), {**group, "configs": []})["configs"].append(name)
    return [groups[key] for key in sorted(groups)]


def _causes(name: str) -> list[str]:
    line = differing()[name]
    found = set()
    for part, texts in demanded(line).items():
        pairs = zip(texts, line["raw"][part], strict=True)
        found |= {f"{part}: {cause_of(part, text, name, values)}" for text, values in pairs}
    return sorted(found)


def main() -> None:
    """Print, and perhaps write, the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    results = {name: counterfactual(name, line) for name, line in differing().items()}
    groups = table(results)
    equal = [name for name, result in results.items() if not demanded({"differences": result.after})]
    edits = [edit for result in results.values() for edit in result.edits]
    print(f"{len(equal)} of {len(results)} are equal after {len(edits)} edits, {len(groups)} sets of them")
    for name in results.keys() - equal:
        print(name, results[name].after)
    if options.write:
        TABLE.write_text(json.dumps(groups, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
