"""A part of a data set, for one of several machines or processes that share the work."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from deeplake_mmdet.errors import ConfigError

__all__ = ["Shard"]

_TEXT = re.compile(r"(auto|\d{1,9})(?:/(\d{1,9}))?")
_ADVICE = (
    "count from 0: the shards of three are 0/3, 1/3 and 2/3; auto or auto/3 takes the number from Slurm, "
)
_ADVICE += "Kubernetes or torchrun"
# (number, count, first number): of a Slurm array, of a Kubernetes Indexed Job, of torchrun and MPI's kin.
_VARIABLES = (
    ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"),
    ("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", ""),
    ("RANK", "WORLD_SIZE", ""),
    ("SLURM_PROCID", "SLURM_NTASKS", ""),
)


class Shard(NamedTuple):
    """One of several parts.

    Attributes:
        number: From 0.
        parts: How many there are.
    """

    number: int
    parts: int

    @classmethod
    def read(cls, stated: object, environment: Mapping[str, str] | None = None) -> Shard:
        """Make a shard of what a user gives.

        Args:
            stated: ``'i/n'``, a pair ``(i, n)``, or ``'auto'`` (``'auto/n'``): the number, and without ``n``
                the count, that Slurm, Kubernetes or torchrun have put into the environment.
            environment: The variables; None for this process's.

        Raises:
            ConfigError: It is nothing like that, out of range, or the environment has no such variables.
        """
        if isinstance(stated, str) and (match := _TEXT.fullmatch(stated.strip())):
            count = None if match[2] is None else int(match[2])
            if match[1] == "auto":
                return cls._of_environment(count, os.environ if environment is None else environment)
            if count is not None:
                return cls(int(match[1]), count)._checked(stated)
        elif isinstance(stated, (tuple, list)) and len(stated) == 2 and {type(n) for n in stated} == {int}:
            return cls(*stated)._checked(stated)
        raise ConfigError(f"{stated!r} is no shard", where="argument shard, --shard", advice=_ADVICE)

    @classmethod
    def _of_environment(cls, count: int | None, variables: Mapping[str, str]) -> Shard:
        for number, counted, first in _VARIABLES:
            if number not in variables or (count is None and counted not in variables):
                continue
            texts = {name: variables[name] for name in (number, counted, first) if name in variables}
            try:
                place = int(texts[number]) - int(texts.get(first, "0"))
                shard = cls(place, int(texts[counted]) if count is None else count)
            except ValueError:
                raise ConfigError(
                    f"The environment states no numbers: {texts}", where="--shard auto", advice=_ADVICE
                ) from None
            return shard._checked(", ".join(f"{name}={text}" for name, text in texts.items()))
        names = ", ".join(f"{number} and {counted}" for number, counted, _ in _VARIABLES)
        raise ConfigError(
            "The environment does not say which shard this is",
            where=f"--shard auto; looked for {names}",
            advice="give --shard i/n, or --shard auto/n where only the number is in the environment",
        )

    def _checked(self, stated: object) -> Shard:
        if 0 <= self.number < self.parts:
            return self
        raise ConfigError(
            f"There is no shard {self.number}/{self.parts}",
            where=f"argument shard, --shard ({stated})",
            advice=_ADVICE,
        )

    def span(self, total: int) -> range:
        """The neighbouring ones of a number of things that are this shard's; those of all shards are all.

        Args:
            total: How many things there are.
        """
        return range(self.number * total // self.parts, (self.number + 1) * total // self.parts)

    def __str__(self) -> str:
        return f"{self.number}/{self.parts}"
