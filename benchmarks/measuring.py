"""One measurement in a fresh process of the same script, and the record of a run in ``results.jsonl``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from loaders.records import RESULTS

__all__ = ["append_record", "measured"]


def measured(script: str, *arguments: str, environment: Mapping[str, str]) -> dict[str, float]:
    """What a script prints last, as JSON, when it is run with ``--measure`` in a process of its own.

    Args:
        script: The file, e.g. the caller's ``__file__``.
        arguments: What follows ``--measure``.
        environment: Variables that are added to those of this process.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    done = subprocess.run(
        [sys.executable, script, "--measure", *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def append_record(benchmark: str, arguments: argparse.Namespace, **results: Any) -> None:
    """Append the results of a benchmark, with what they depend on."""
    record = {
        "benchmark": benchmark,
        "commit": subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip(),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "arguments": {key: str(value) for key, value in vars(arguments).items()},
        **results,
    }
    with RESULTS.open("a") as file:
        file.write(json.dumps(record) + "\n")
