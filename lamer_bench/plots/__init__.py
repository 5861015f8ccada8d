"""Figures of trainings and of run folders, each with the numbers that it shows as CSV beside it.

A kind of figure is an entry of `KINDS` and a function from what was read to a `Drawing`: its table
first, and the picture from nothing but that table. matplotlib and pandas (the extra ``plots``) are
imported when something is drawn, and nowhere else in the core.
"""

from __future__ import annotations

import gc
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lamer_bench import record
from lamer_bench.errors import MissingExtraError, SettingError, UnknownNameError
from lamer_bench.plots import sharing, sources
from lamer_bench.registry import unknown

if TYPE_CHECKING:
    from lamer_bench.plots.sources import Run
    from lamer_bench.plots.style import Drawing


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of figure."""

    reads: Literal["trainings", "runs"]
    summary: str
    function: str
    """``module:function`` of this package."""
    effort: float = 1.0
    """Seconds that it takes with 12 panels of 10 agents; the slowest is begun first."""

    def load(self) -> Callable[[Sequence[Any]], Drawing | None]:
        """The function: trainings or runs -> the drawing, None where they hold nothing for it."""
        module, _, name = self.function.partition(":")
        loaded = importlib.import_module(f"{__name__}.{module}")
        function: Callable[[Sequence[Any]], Drawing | None] = getattr(loaded, name)
        return function


KINDS: dict[str, Kind] = {
    "success": Kind("trainings", "Success within 1..k attempts over the steps.", "curves:success"),
    "entropy": Kind("trainings", "Entropy of the policy over the steps.", "curves:entropy"),
    "kl": Kind("trainings", "KL divergence of an update over the steps.", "curves:kl"),
    "metrics": Kind("trainings", "Every metric of the log, a panel each.", "curves:metrics"),
    "pass-at-k": Kind(
        "runs",
        "pass@k and the memory-wiped control, a panel for each environment.",
        "runs:pass_at",
        3.5,
    ),
    "diversity": Kind(
        "runs", "Trajectory entropy against pass@k at the last k.", "runs:diversity", 3.0
    ),
    "levels": Kind(
        "runs", "pass@k at the last k by level, and paired differences.", "levels:levels", 2.5
    ),
    "tokens": Kind("runs", "Tasks won within a budget of tokens.", "budget:tokens", 4.0),
    "steps": Kind("runs", "Tasks won within a budget of environment steps.", "budget:steps", 3.5),
    "conditional": Kind(
        "runs",
        "Success in each episode, given that the earlier ones failed.",
        "runs:conditional",
        2.5,
    ),
    "heat-map": Kind("runs", "pass@k at the last k, agent by environment.", "tables:heat_map", 2.0),
    "dots": Kind("runs", "Two agents task by task; for runs of two agents.", "tables:dots"),
}


def plot(
    paths: Sequence[str | Path],
    kinds: Sequence[str] = (),
    out: str | Path = "plots",
    *,
    with_report: bool = False,
    processes: int = 1,
    notice: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Draw the kinds, or all that the paths hold something for, as SVG, PDF and PNG with a CSV.

    ``paths`` are folders of trainings or runs, or folders that hold some. ``with_report`` adds
    ``report.html``, all figures and tables on one page. Returns the files.

    Runs without a finished trial, begun or all void, are left out, and ``notice`` is told.

    ``processes`` are used at most, and only where the runs are large. With more than one a script
    needs its ``if __name__ == "__main__"``, because they begin by importing it.

    Raises:
        UnknownNameError: no such kind.
        MissingExtraError: matplotlib or pandas is not installed.
        RecordError: a path holds neither a training nor a run, or a damaged one.
        SettingError: the paths hold nothing to draw, or nothing for a kind that was asked for.
    """
    for name in kinds:
        if name not in KINDS:
            raise UnknownNameError(unknown("kind of figure", name, KINDS))
    trainings, runs = sources.find([Path(path) for path in paths])
    wanted = list(dict.fromkeys(kinds or KINDS))
    reads = {KINDS[name].reads for name in wanted}
    with (
        sharing.Workers(sharing.processes_for(runs, processes)) as workers,
        record.seldom_collected(),
    ):
        workers.prepare(_begin)
        report = _drawing_module()
        held: dict[str, Sequence[Any]] = {
            "trainings": [sources.read_training(one) for one in trainings if "trainings" in reads],
            "runs": _scored(workers.map(sources.read_run, runs if "runs" in reads else []), notice),
        }
        slowest_first = sorted(wanted, key=lambda name: -KINDS[name].effort)
        draw = partial(_draw, held=sharing.Parcel(held), out=Path(out))
        made = workers.map(draw, slowest_first)
    files_of = {name: own for name, own in zip(slowest_first, made, strict=True) if own}
    drawn = [name for name in wanted if name in files_of]
    for name in kinds:
        if name not in files_of:
            raise SettingError(
                f"There is nothing to draw for {name!r}, which reads {KINDS[name].reads}: the "
                f"paths hold {len(trainings)} trainings and {len(runs)} runs."
            )
    files = [file for name in drawn for file in files_of[name]]
    if not drawn:
        raise SettingError(
            "There is nothing to draw: no run has a finished trial, and no training a step."
        )
    if with_report:
        figures = [(name, KINDS[name].summary) for name in drawn]
        files.append(report.write(Path(out), figures, held["runs"]))
    return files


def _scored(runs: Sequence[Run], notice: Callable[[str], None]) -> list[Run]:
    """Those with a score; a run that was just begun, or is all void, has none."""
    scored = []
    for run in runs:
        if any(value is not None for value in run.scores["pass_at"].values()):
            scored.append(run)
        else:
            notice(f"{run.folder} is left out: it has no finished trial that is not void.")
    return scored


def _draw(name: str, held: sharing.Parcel[Mapping[str, Sequence[Any]]], out: Path) -> list[Path]:
    """Draw a kind; returns its files, none where there is nothing for it."""
    from lamer_bench.plots import style

    kind = KINDS[name]
    read = held.content()[kind.reads]
    with style.applied():
        drawing = kind.load()(read) if read else None
        return style.save(drawing, out, name) if drawing is not None else []


def _begin() -> None:
    """What another process does as soon as it is there."""
    gc.set_threshold(*record.SELDOM)
    _drawing_module()


def _drawing_module() -> Any:
    """`report`, which needs all that drawing does."""
    try:
        from lamer_bench.plots import report, style  # noqa: F401 (both or none)
    except ImportError as error:
        raise MissingExtraError(
            f"Figures need packages that are not installed ({error}). "
            'Install them: pip install "lamer-bench[plots]"'
        ) from error
    return report
