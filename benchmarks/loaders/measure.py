"""One measurement of one MMDetection loader in this fresh process: ``python measure.py SPEC``, SPEC as JSON.

Keys of SPEC: ``side`` ('stock', 'ours', 'limits', 'turns', 'pairs' or 'growth'), ``set`` (folder and
rows) or ``lake``, ``pipeline``, ``workers``, ``mode`` and ``extra`` (arguments of `fast_loader`),
``endpoint`` and ``cache`` (ours), ``cores``, ``window``; those of 'turns', 'pairs' and 'growth' see there.
Prints the result as JSON in the last line.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import Any

from loaders.window import Window, pin, served, time_passes, time_window


def main() -> None:
    """Measure, print."""
    spec = json.loads(sys.argv[1])
    # Before anything starts a thread: those would keep all cores.
    pin(spec.get("cores"))

    from loaders.built import set_up

    set_up()
    if spec["side"] == "limits":
        from loaders.limits import measure_limits

        result = measure_limits(spec)
    elif spec["side"] == "growth":
        from loaders.growth import measure_growth

        result = measure_growth(spec)
    elif spec["side"] == "turns":
        from loaders.turns import measure_in_turns

        result = measure_in_turns(spec)
    elif spec["side"] == "pairs":
        from loaders.pairs import measure_pairs

        result = measure_pairs(spec)
    else:
        result = _measure(spec)
    print(json.dumps(result), flush=True)


def _measure(spec: dict[str, Any]) -> dict[str, Any]:
    import time

    from loaders.built import begin_pass, build_loader

    before = served(spec.get("endpoint"))
    start = time.perf_counter()
    loader = build_loader(spec)
    built = time.perf_counter() - start
    window = Window(**spec.get("window", {}))
    if window.passes:
        result = time_passes(partial(begin_pass, loader), _size, window, spec.get("endpoint"))
    else:
        result = time_window(partial(begin_pass, loader), _size, window)
    after = served(spec.get("endpoint"))
    # ``built``: data set, table and loader, but no imports. ``served``: from opening the lake on.
    return {**result, "built": built, "served": {key: after[key] - before[key] for key in after}}


def _size(batch: dict[str, Any]) -> int:
    return len(batch["inputs"])


if __name__ == "__main__":
    main()
