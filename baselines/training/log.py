"""The training log: metrics.jsonl, one object a step, and whoever shows or copies it.

A resumed training drops what lies beyond its checkpoint. TensorBoard's event files are a copy of
the JSONL and made anew when a training goes on, so that both end at the same step. What a person
sees is in live.py.
"""

from __future__ import annotations

import json
import os
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baselines.training.live import Course, View, choose_view
from lamer_bench.errors import MissingExtraError

if TYPE_CHECKING:
    from rich.console import Console

METRICS_FILE = "metrics.jsonl"
TRAINING_FILE = "training.json"
TENSORBOARD_FOLDER = "tensorboard"


class TrainingLog:
    """Appends one line a step and shows how the training stands."""

    def __init__(
        self,
        out: Path,
        total: int,
        resumed_at: int = 0,
        seconds_between: float = 10.0,
        console: Console | None = None,
    ) -> None:
        """``total`` steps are planned, ``resumed_at`` of them are done. Without a terminal a line
        is printed every ``seconds_between``. The ``console`` is the standard error unless given."""
        out.mkdir(parents=True, exist_ok=True)
        self.path = out / METRICS_FILE
        self.total = total
        self._first_step = resumed_at
        self._course = Course(out.resolve().name, total)
        session = _SESSION.get() or _Session()
        kept = [entry for entry in _entries(self.path) if entry["step"] <= resumed_at]
        _replace(self.path, "".join(json.dumps(entry) + "\n" for entry in kept))
        if session.training:
            text = json.dumps(session.training, indent=2, default=str)
            _replace(out / TRAINING_FILE, text + "\n")
        self._events = _Events(out / TENSORBOARD_FOLDER) if session.tensorboard else None
        for entry in kept:
            self._take_in(entry.pop("step"), entry)
        self._started = time.perf_counter()
        self._view = choose_view(self._course, seconds_between, console)
        # an aborted training must not leave the terminal without its cursor
        self._finish = weakref.finalize(self, _close, self._view, self._events)
        session.logs.append(self)

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Store the metrics of a step and show how the training stands."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **metrics}) + "\n")
        self._take_in(step, metrics)
        seconds_per_step = (time.perf_counter() - self._started) / max(1, step - self._first_step)
        self._course.seconds_left = seconds_per_step * (self.total - step)
        self._view.show(self._course)
        if step == self.total:
            self.close()

    def close(self) -> None:
        """Give the terminal back and end the event files; the last step does it by itself."""
        self._finish()

    def _take_in(self, step: int, metrics: dict[str, float]) -> None:
        self._course.add(step, metrics)
        if self._events:
            self._events.write(step, metrics)


def _close(view: View, events: _Events | None) -> None:
    view.close()
    if events:
        events.close()


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of an earlier start; one that was cut off in the middle is left out."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue


def _replace(path: Path, text: str) -> None:
    """Write a file that is there in its old or its new form whenever the process ends."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


# What a command adds to the logs of its trainings ------------------------------------------------


@dataclass
class _Session:
    training: dict[str, Any] = field(default_factory=dict)
    tensorboard: bool = False
    logs: list[TrainingLog] = field(default_factory=list)


_SESSION: ContextVar[_Session | None] = ContextVar("_SESSION", default=None)


@contextmanager
def session(algorithm: str, settings: Any, *, tensorboard: bool = False) -> Iterator[None]:
    """Logs that are opened inside keep the algorithm and its settings in ``training.json``, write
    TensorBoard's event files where asked, and are closed at the end, whatever ends it.

    It is a context and no argument of the trainers: how a training is watched is no setting of it,
    and a checkpoint goes on with or without.

    Raises:
        MissingExtraError: TensorBoard is asked for and not installed.
    """
    if tensorboard:
        _summary_writer()
    opened = _Session({"algorithm": algorithm, "settings": asdict(settings)}, tensorboard)
    token = _SESSION.set(opened)
    try:
        yield
    finally:
        _SESSION.reset(token)
        for log in opened.logs:
            log.close()


# TensorBoard --------------------------------------------------------------------------------------


class _Events:
    """Event files with the metrics under their own names."""

    def __init__(self, folder: Path) -> None:
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        # purge_step tells a TensorBoard that is watching to forget what it has read
        self._writer = _summary_writer()(folder, purge_step=1, flush_secs=10)

    def write(self, step: int, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


def _summary_writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError(
            f"TensorBoard is not installed ({error}). Leave --tensorboard out, or install it: "
            'pip install "lamer-bench[tensorboard]"'
        ) from error
    return SummaryWriter
