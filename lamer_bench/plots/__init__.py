"""Figures of trainings and of run folders, each with the numbers that it shows as CSV beside it.

A kind of figure is an entry of `KINDS` and a function from what was read to a `Drawing`: its table
first, and the picture from nothing but that table. matplotlib and pandas (the extra ``plots``) are
imported when something is drawn, and nowhere else in the core.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lamer_bench.errors import MissingExtraError, SettingError, UnknownNameError
from lamer_bench.registry import unknown

if TYPE_CHECKING:
    from lamer_bench.plots.style import Drawing


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of figure."""

    reads: Literal["trainings", "runs"]
    summary: str
    function: str
    """``module:function`` of this package."""

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
        "runs", "pass@k and the memory-wiped control, a panel for each environment.", "runs:pass_at"
    ),
    "diversity": Kind("runs", "Trajectory entropy against pass@k at the last k.", "runs:diversity"),
    "levels": Kind(
        "runs", "pass@k at the last k by level, and paired differences.", "levels:levels"
    ),
    "tokens": Kind("runs", "Tasks won within a budget of tokens.", "budget:tokens"),
    "steps": Kind("runs", "Tasks won within a budget of environment steps.", "budget:steps"),
    "conditional": Kind(
        "runs", "Success in each episode, given that the earlier ones failed.", "runs:conditional"
    ),
    "heat-map": Kind("runs", "pass@k at the last k, agent by environment.", "tables:heat_map"),
    "dots": Kind("runs", "Two agents task by task; for runs of two agents.", "tables:dots"),
}


def plot(
    paths: Sequence[str | Path],
    kinds: Sequence[str] = (),
    out: str | Path = "plots",
    *,
    with_report: bool = False,
) -> list[Path]:
    """Draw the kinds, or all that the paths hold something for, as SVG, PDF and PNG with a CSV.

    ``paths`` are folders of trainings or runs, or folders that hold some. ``with_report`` adds
    ``report.html``, all figures and tables on one page. Returns the files.

    Raises:
        UnknownNameError: no such kind.
        MissingExtraError: matplotlib or pandas is not installed.
        RecordError: a path holds neither a training nor a run, or a damaged one.
        SettingError: a kind was asked for and the paths hold nothing for it.
    """
    for name in kinds:
        if name not in KINDS:
            raise UnknownNameError(unknown("kind of figure", name, KINDS))
    report, sources, style = _drawing_modules()
    trainings, runs = sources.find([Path(path) for path in paths])
    wanted = list(kinds) or list(KINDS)
    reads = {KINDS[name].reads for name in wanted}
    held = {
        "trainings": [sources.read_training(one) for one in trainings if "trainings" in reads],
        "runs": [sources.read_run(one) for one in runs if "runs" in reads],
    }
    files: list[Path] = []
    drawn: list[tuple[str, str]] = []
    with style.applied():
        for name in wanted:
            kind = KINDS[name]
            drawing = kind.load()(held[kind.reads]) if held[kind.reads] else None
            if drawing is not None:
                files += style.save(drawing, Path(out), name)
                drawn.append((name, kind.summary))
            elif kinds:
                raise SettingError(
                    f"There is nothing to draw for {name!r}, which reads {kind.reads}: the paths "
                    f"hold {len(trainings)} trainings and {len(runs)} runs."
                )
    if with_report and drawn:
        files.append(report.write(Path(out), drawn, held["runs"]))
    return files


def _drawing_modules() -> tuple[Any, Any, Any]:
    try:
        from lamer_bench.plots import report, sources, style
    except ImportError as error:
        raise MissingExtraError(
            f"Figures need packages that are not installed ({error}). "
            'Install them: pip install "lamer-bench[plots]"'
        ) from error
    return report, sources, style
