"""What a person sees of a training: a table that is redrawn on a terminal, plain lines elsewhere.

It is drawn by the training's own thread after a step: a thread of its own would run through every
fork of a data loader or process pool.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

SMOOTHING = 0.9
"""Weight of the past in the values that a person sees; files hold the raw ones."""
SECONDS_BETWEEN_DRAWINGS = 0.2
SPARK_WIDTH = 32
SPARKS = "▁▂▃▄▅▆▇█"
UNITS = {
    "entropy": "nats/token",
    "kl": "nats/token",
    "invalid_rate": "of answers",
}
SPEED = "tokens_per_second"
LEAST_WIDTH_FOR_SPARKS = 72


@dataclass
class Course:
    """How a training stands: all that a view shows."""

    name: str
    total: int
    """Steps of the whole training."""
    step: int = 0
    last: dict[str, float] = field(default_factory=dict)
    """Metrics of the last step."""
    smooth: dict[str, float] = field(default_factory=dict)
    """Exponentially smoothed metrics; the first value stands for the past before it."""
    history: dict[str, list[float]] = field(default_factory=dict)
    """Every smoothed value so far, oldest first."""
    seconds_left: float | None = None
    """At the mean pace since this start; None before its first step."""

    def add(self, step: int, metrics: dict[str, float]) -> None:
        """Take in the metrics of one step."""
        self.step, self.last = step, dict(metrics)
        for name, value in metrics.items():
            before = self.smooth.get(name, value)
            self.smooth[name] = SMOOTHING * before + (1 - SMOOTHING) * value
            self.history.setdefault(name, []).append(self.smooth[name])


class View(Protocol):
    """Shows a training to a person."""

    def show(self, course: Course) -> None:
        """Called after each step."""

    def close(self) -> None:
        """Give the terminal back; may be called again."""


def choose_view(course: Course, seconds_between: float, console: Console | None = None) -> View:
    """The live table where the console (unless given, the standard error) is a terminal."""
    if console is None and not sys.stderr.isatty():
        return Lines(seconds_between)
    from rich.console import Console

    console = console or Console(stderr=True)
    return LiveTable(console, course) if console.is_terminal else Lines(seconds_between)


class Lines:
    """A plain line of smoothed metrics to the standard error every few seconds."""

    def __init__(self, seconds_between: float) -> None:
        self._seconds_between = seconds_between
        self._printed = time.perf_counter()

    def show(self, course: Course) -> None:
        now = time.perf_counter()
        if now - self._printed < self._seconds_between and course.step < course.total:
            return
        self._printed = now
        shown = "  ".join(f"{label(name)} {value:.4g}" for name, value in course.smooth.items())
        minutes = (course.seconds_left or 0.0) / 60
        print(
            f"step {course.step}/{course.total}  {shown}  {minutes:.1f} min left", file=sys.stderr
        )

    def close(self) -> None:
        pass


class LiveTable:
    """The live view of a terminal."""

    def __init__(self, console: Console, course: Course) -> None:
        from rich.live import Live

        self._console = console
        self._live = Live(console=console, auto_refresh=False)
        self._live.start()
        self._draw(course)
        self._drawn = float("-inf")

    def show(self, course: Course) -> None:
        now = time.perf_counter()
        if now - self._drawn < SECONDS_BETWEEN_DRAWINGS and course.step < course.total:
            return
        self._drawn = now
        self._draw(course)

    def _draw(self, course: Course) -> None:
        self._live.update(drawing(course, *self._console.size), refresh=True)

    def close(self) -> None:
        self._live.stop()


def drawing(course: Course, width: int, height: int) -> RenderableType:
    """The live view within so many columns and lines: progress above, a row for each metric."""
    from rich.console import Group

    if not course.smooth:
        return _progress(course)
    return Group(_progress(course), "", _table(course, width, max(1, height - 6)))


def _progress(course: Course) -> RenderableType:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    left = course.seconds_left
    cells: list[RenderableType] = [
        Text(course.name, style="bold"),
        ProgressBar(total=course.total, completed=course.step, width=24),
        f"step {course.step}/{course.total}",
        "waiting for a step" if left is None else f"{timedelta(seconds=round(left))} left",
    ]
    if SPEED in course.smooth:
        cells.append(f"{course.smooth[SPEED]:,.0f} tokens/s")
    line = Table.grid(padding=(0, 2))
    line.add_row(*cells)
    return line


def _table(course: Course, width: int, most_rows: int) -> RenderableType:
    from rich import box
    from rich.table import Table

    has_sparks = width >= LEAST_WIDTH_FOR_SPARKS
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="")
    table.add_column("")
    table.add_column("smoothed", justify="right", style="bold")
    table.add_column("last step", justify="right")
    table.add_column("", style="dim")
    if has_sparks:
        table.add_column("so far", no_wrap=True)
    for name in list(_in_order(course.smooth))[:most_rows]:
        last = course.last.get(name)
        row = [
            label(name),
            f"{course.smooth[name]:.4g}",
            "" if last is None else f"{last:.4g}",
            UNITS.get(name, "of trials" if name.startswith("pass_at_") else ""),
        ]
        table.add_row(*row, *([spark_line(course.history[name])] if has_sparks else []))
    return table


def _in_order(metrics: dict[str, float]) -> Iterator[str]:
    """Success at each attempt, entropy and KL first; the rest as the loop names it."""
    first = [name for name in metrics if name.startswith("pass_at_")]
    first += [name for name in ("entropy", "kl") if name in metrics]
    yield from first
    yield from (name for name in metrics if name not in first and name != SPEED)


def label(name: str) -> str:
    """``pass@1`` for ``pass_at_1``, ``KL`` for ``kl``, else the name with spaces."""
    if name.startswith("pass_at_"):
        return "pass@" + name.removeprefix("pass_at_")
    return "KL" if name == "kl" else name.replace("_", " ")


def spark_line(values: Sequence[float], width: int = SPARK_WIDTH) -> str:
    """The course as one character for each of at most ``width`` equal parts: the part's mean on
    eight levels from the lowest to the highest; a space where no value is finite."""
    if not values:
        return ""
    width = min(width, len(values))
    edges = [len(values) * part // width for part in range(width + 1)]
    means = [_finite_mean(values[start:end]) for start, end in pairwise(edges)]
    known = [mean for mean in means if mean is not None]
    if not known:
        return " " * width
    low, high = min(known), max(known)
    step = (high - low) / (len(SPARKS) - 1) or 1.0
    return "".join(" " if mean is None else SPARKS[round((mean - low) / step)] for mean in means)


def _finite_mean(values: Sequence[float]) -> float | None:
    finite = [value for value in values if abs(value) < float("inf")]
    return sum(finite) / len(finite) if finite else None
