"""Success against what it cost: the share of tasks won within a budget of tokens or of steps.

Attempts alone favour an agent that thinks long in each of them; a budget does not. The last point
of a curve is pass@k at the last k.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lamer_bench.metrics import NO_INTERVAL, wilson_interval
from lamer_bench.plots import grouping, style
from lamer_bench.plots.sources import Run
from lamer_bench.plots.style import Drawing, Look

Unit = Literal["tokens", "steps"]
AXES: dict[Unit, str] = {
    "tokens": "tokens read and written in a trial (thousands)",
    "steps": "environment steps in a trial",
}
_SCALE: dict[Unit, float] = {"tokens": 1000.0, "steps": 1.0}


def tokens(runs: Sequence[Run]) -> Drawing | None:
    """Tasks won within so many tokens; runs that counted none are left out."""
    return _draw(runs, [run for run in runs if any(one.tokens for one in run.spent)], "tokens")


def steps(runs: Sequence[Run]) -> Drawing | None:
    """Tasks won within so many environment steps."""
    return _draw(runs, [run for run in runs if run.spent], "steps")


def _draw(all_runs: Sequence[Run], runs: Sequence[Run], unit: Unit) -> Drawing | None:
    """Names and looks are those that ``all_runs`` have in the other figures."""
    if not runs:
        return None
    panels = grouping.panels(runs)
    names = grouping.label_runs(all_runs, grouping.panels(all_runs))
    table = pd.concat([curve(run, unit, names[run.folder]) for run in runs], ignore_index=True)
    shown = list(dict.fromkeys(table["label"]))
    chosen = style.looks((run.settings.agent, names[run.folder]) for run in all_runs)
    figure, axes = style.panels(len(panels), shown, "y")
    of_run = grouping.by_run(table)
    for panel, on in zip(panels, axes, strict=True):
        for run in panel.runs:
            own = of_run[str(run.folder)]
            name = style.slug(names[run.folder], panel.title)
            _draw_curve(on, own, chosen[names[run.folder]], _SCALE[unit], name)
        on.set_title(panel.title)
        longest = max(of_run[str(run.folder)][unit].max() for run in panel.runs)
        on.set_xlim(0, 1.05 * max(longest, 1) / _SCALE[unit])
    axes[0].set_ylim(-0.02, 1.02)
    style.name_axes(axes, AXES[unit], "tasks won (share)")
    style.add_legend(figure, [style.handle(label, chosen[label]) for label in shown])
    style.add_caption(
        figure,
        f"Share of tasks won before a trial had used so many {unit}, all its attempts together"
        + (" and reflections included" if unit == "tokens" else "")
        + ". A curve ends where its longest trial does, at pass@k of the last k. Bands: 95 % "
        "intervals over tasks." + grouping.warnings(runs, names),
    )
    return Drawing(figure, table)


def curve(run: Run, unit: Unit, label: str) -> pd.DataFrame:
    """A row for each budget at which another trial is won, besides 0 and the longest trial.

    A task's value is the share of its trials that are won within the budget; the interval is
    Wilson's and is left out where tasks have several trials.
    """
    costs = np.array([getattr(one, unit) for one in run.spent])
    won = np.array([one.won for one in run.spent])
    weights = _weights([one.task for one in run.spent])
    budgets = np.unique(np.concatenate([[0], costs[won], [costs.max()]]))
    within = won & (costs <= budgets[:, None])  # [budgets, trials]
    has_one_trial_each = bool((weights == weights[0]).all() and run.settings.repeats == 1)
    values = within.sum(axis=1) / len(costs) if has_one_trial_each else within @ weights
    low, high = np.array(
        [
            wilson_interval(int(row.sum()), len(row)) if has_one_trial_each else NO_INTERVAL
            for row in within
        ]
    ).T
    return pd.DataFrame(
        {
            **grouping.identity(run, label),
            unit: budgets,
            "value": values,
            "low": low,
            "high": high,
            "run_dir": str(run.folder),
        }
    )


def _weights(tasks: Sequence[str]) -> np.ndarray[Any, Any]:
    """[num_trials], the share of each trial in the mean over tasks of the mean over repeats."""
    counts = pd.Series(tasks).map(pd.Series(tasks).value_counts()).to_numpy(dtype=float)
    return np.asarray(1.0 / counts / len(set(tasks)))


def _draw_curve(on: Axes, table: pd.DataFrame, look: Look, scale: float, name: str) -> None:
    column = "tokens" if "tokens" in table else "steps"
    places = table[column] / scale
    on.fill_between(
        places,
        table["low"].astype(float),
        table["high"].astype(float),
        step="post",
        color=look.colour,
        alpha=0.12,
        linewidth=0,
    ).set_gid(f"band-{name}")
    on.step(
        places,
        table["value"],
        where="post",
        color=look.colour,
        marker=look.marker,
        markevery=[len(table) - 1],
        gid=f"line-{name}",
    )
