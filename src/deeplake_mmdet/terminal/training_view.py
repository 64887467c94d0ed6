"""A training on the screen: one block that is drawn anew, or, where that cannot be, a few lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deeplake_mmdet.terminal.progress import duration
from deeplake_mmdet.terminal.screen import drawing, is_first_process, say, screen_can_be_drawn_on
from deeplake_mmdet.terminal.text import console, plain
from deeplake_mmdet.terminal.verbosity import verbosity

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["Standing", "TrainingView"]

_REDRAWN = 0.2  # seconds between two drawings of the block
_PAUSE = 10.0  # seconds between two lines at least
_PER_EPOCH = 10  # lines at most
_IN_ALL = 100  # of a training without epochs
_WIDEST_BAR = 40
_PARTS_SHOWN = 4  # of the loss


@dataclass(frozen=True)
class Standing:
    """Where a training stands.

    Attributes:
        epoch: Number of the epoch, from 1 on; None where a training is counted in iterations alone.
        epochs: How many epochs there are.
        iteration: Iterations that are done, in the epoch or in all.
        iterations: How many there are, in the epoch or in all.
        share: Share of the whole training that is done, from 0 to 1.
        losses: Means of the last iterations; ``'loss'`` is the sum.
        lr: Learning rate.
        images: Images per second, of all processes; None if unknown.
        data: Share of the time that was spent waiting for data; None if unknown.
        left: Seconds to the end; None if unknown.
        best: What the best score is, and when; empty if there is none yet.
    """

    epoch: int | None
    epochs: int | None
    iteration: int
    iterations: int
    share: float
    losses: Mapping[str, float] = field(default_factory=dict)
    lr: float | None = None
    images: float | None = None
    data: float | None = None
    left: float | None = None
    best: str = ""

    def place(self) -> str:
        """Epoch and iteration."""
        epoch = "" if self.epoch is None else f"Epoch {self.epoch}/{self.epochs}  "
        return f"{epoch}{'i' if epoch else 'I'}teration {self.iteration:,}/{self.iterations:,}"

    def facts(self, *, parts: bool) -> list[str]:
        """Everything else, in pieces that may stand in one line or below each other.

        Args:
            parts: Whether the parts of the loss are told, too.
        """
        facts = []
        if (loss := self.losses.get("loss")) is not None:
            others = [
                f"{name.removeprefix('loss_')} {value:.3g}"
                for name, value in self.losses.items()
                if name.rpartition(".")[2].startswith("loss_")
            ]
            told = f" ({', '.join(others)})" if parts and 1 < len(others) <= _PARTS_SHOWN else ""
            facts.append(f"loss {loss:.4g}{told}")
        if self.lr is not None:
            facts.append(f"lr {self.lr:.3g}")
        if self.images is not None:
            facts.append(f"{self.images:,.1f} images/s")
        if self.data is not None:
            facts.append(f"data {self.data:.0%}")
        if self.left is not None:
            facts.append(f"{duration(self.left)} left")
        return facts


class TrainingView:
    """Shows a training; nothing by ``--quiet`` and in other processes than the first.

    By ``--verbose`` there are MMEngine's own lines instead of the block, and only scores are told here.
    """

    def __init__(self) -> None:
        level = verbosity()
        self._shown = level != "quiet" and is_first_process()
        self._draws = self._shown and level == "normal" and screen_can_be_drawn_on()
        self._lines = self._shown and level == "normal" and not self._draws
        self._stack = ExitStack()
        self._live: Any = None
        self._drawn = self._told = -1e9
        self._begun = time.monotonic()
        self._line: tuple[int | None, float] = (0, 0.0)  # epoch, and how far it was, at the last line

    def begin(self, head: Iterable[str]) -> None:
        """Show what begins, and the block.

        Args:
            head: Lines.
        """
        self._begun = time.monotonic()
        for line in head if self._shown else ():
            say(line)
        if not self._draws:
            return
        from rich.live import Live

        self._screen = console(stderr=True, soft_wrap=False)
        # No thread draws it: processes are forked meanwhile, and a lock that it holds would stay.
        self._live = Live(
            console=self._screen,
            auto_refresh=False,
            redirect_stdout=sys.stdout.isatty(),
            vertical_overflow="crop",
            transient=True,
        )
        self._stack.enter_context(drawing(self._screen))
        self._stack.enter_context(self._live)
        self._screen.show_cursor(True)  # so that no end of the process, however hard, leaves none
        self._draw("Waiting for the first batch", None, [])

    def wants(self, epoch: int | None, share: float) -> bool:
        """Whether there is anything to show now; to find out where a training stands may cost some time.

        Args:
            epoch: Number of the epoch; None in a training without.
            share: Share of the epoch, or of the training without epochs, that is done.
        """
        now = time.monotonic()
        if self._live is not None:
            return share >= 1 or now - self._drawn >= _REDRAWN
        if not self._lines or share >= 1:
            return self._lines
        far = self._line[0] != epoch or share - self._line[1] >= 1 / (_PER_EPOCH if epoch else _IN_ALL)
        return far and now - self._told >= _PAUSE

    def show(self, at: Standing) -> None:
        """Show where the training stands.

        Args:
            at: Where.
        """
        if self._live is not None:
            head = [at.place(), f"{duration(time.monotonic() - self._begun)} gone"]
            self._draw("  ".join(head), at.share, at.facts(parts=True) + ([at.best] if at.best else []))
        elif self._lines:
            self._line, self._told = (at.epoch, at.iteration / max(at.iterations, 1)), time.monotonic()
            say("  ".join([at.place(), *at.facts(parts=False)]))

    def validating(self, done: int, total: int, left: float) -> None:
        """Show how far a validation has come.

        Args:
            done: Batches that are done.
            total: How many there are.
            left: Seconds to its end.
        """
        now = time.monotonic()
        if self._live is not None:
            if done >= total or now - self._drawn >= _REDRAWN:
                text = "Scoring" if done >= total else f"{duration(left)} left"
                self._draw(f"Validating  batch {done:,}/{total:,}", done / max(total, 1), [text])
        elif self._lines and now - self._told >= _PAUSE and done < total:
            self._told = now
            say(f"Validating: {done:,} of {total:,} batches, {duration(left)} left")

    def tell(self, line: str) -> None:
        """Show a line that stays.

        Args:
            line: The line.
        """
        if self._shown:
            say(line)

    def close(self) -> None:
        """Take the block off, if it is there: after the training, or as it fails."""
        self._live = None
        self._stack.close()

    def _draw(self, head: str, share: float | None, facts: list[str]) -> None:
        from rich.console import Group

        self._drawn = time.monotonic()
        width = self._screen.width - 1
        lines = [plain(line) for line in _flowed([*head.split("  "), *facts], width)]
        if share is not None:
            lines.insert(0, _bar(share, min(width, _WIDEST_BAR), self._screen.encoding))
        for line in lines:
            line.no_wrap, line.overflow = True, "ellipsis"
        self._live.update(Group(*lines), refresh=True)


def _bar(share: float, width: int, encoding: str) -> Text:
    done, left = "━━" if encoding.startswith("utf") else "#-"
    count = round(min(max(share, 0.0), 1.0) * width)
    bar = plain(done * count, "cyan")
    bar.append(left * (width - count), "dim")
    return bar


def _flowed(pieces: list[str], width: int) -> list[str]:
    """Pieces put into lines, as many into each as fit."""
    lines: list[str] = []
    for piece in pieces:
        if lines and len(lines[-1]) + 2 + len(piece) <= width:
            lines[-1] += f"  {piece}"
        else:
            lines.append(piece)
    return lines
