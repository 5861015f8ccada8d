"""What the commands print: tables for a person, one JSON object for a program, progress to
stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from lamer_bench.runner import Progress

_SECONDS_BETWEEN_LINES = 5.0
_PLAIN_WIDTH = 110


def print_json(document: dict[str, Any]) -> None:
    """Exactly one JSON object on the standard output; NaN is not JSON and is refused."""
    print(json.dumps(document, indent=2, allow_nan=False))


def notice(line: str) -> None:
    """A line beside the result."""
    print(line, file=sys.stderr, flush=True)


def console() -> Console:
    """The standard output; wide enough not to break table rows where there is no terminal."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _PLAIN_WIDTH
    return Console(width=width, highlight=False, markup=False)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> None:
    """A table; columns whose heading starts with ``>`` are set to the right."""
    from rich import box
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column[:1] == ">" else "left")
    for row in rows:
        table.add_row(*row)
    console().print(table)


@contextmanager
def shown_progress(is_quiet: bool = False) -> Iterator[Callable[[Progress], None]]:
    """A bar with the remaining time on a terminal, else a line every five seconds."""
    if is_quiet:
        yield lambda progress: None
    elif sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield _Lines()


@contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("trials, {task.fields[wins]} won"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("trials", total=None, wins=0)
        yield lambda now: bar.update(task, completed=now.done, total=now.total, wins=now.wins)


class _Lines:
    """Plain lines for logs."""

    def __init__(self) -> None:
        self._start = self._last = monotonic()
        self._done_at_start: int | None = None

    def __call__(self, now: Progress) -> None:
        if self._done_at_start is None:
            self._done_at_start = now.done
        time = monotonic()
        if time - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._last = time
        newly_done = now.done - self._done_at_start
        left = ""
        if newly_done:
            seconds = (time - self._start) / newly_done * (now.total - now.done)
            left = f", about {duration(seconds)} left"
        notice(f"{now.done}/{now.total} trials, {now.wins} won{left}")


def duration(seconds: float) -> str:
    """``850 ms``, ``12.3 s``, ``4 min 5 s``, ``2 h 3 min``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
