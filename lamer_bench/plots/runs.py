"""Figures of run folders: pass@k with its memory-wiped control, diversity against success.

All numbers are those of `lamer-bench score --json`. A panel holds runs of one environment, version,
split and suite; where entropies are shown also of one m.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from lamer_bench.plots import grouping, style
from lamer_bench.plots.sources import Run
from lamer_bench.plots.style import Drawing, Look

ENTROPY_NOTE = (
    "Trajectory entropy: for each task H = -sum p ln p over the distinct action sequences of m "
    "memory-wiped episodes, mean over tasks; at most ln m (dotted)."
)


def pass_at(runs: Sequence[Run]) -> Drawing | None:
    """pass@k over k with 95 % bands; dashed the memory-wiped control."""
    panels = grouping.panels(runs)
    names = grouping.label_runs(runs, panels)
    table = pd.DataFrame(
        row for panel in panels for run in panel.runs for row in _pass_rows(run, names[run.folder])
    )
    if table.empty:
        return None
    shown = list(dict.fromkeys(table["label"]))
    chosen = style.looks((run.settings.agent, names[run.folder]) for run in runs)
    figure, axes = style.panels(len(panels), [*shown, "control: memory wiped"], "both")
    of_run = grouping.by_run(table)
    for panel, on in zip(panels, axes, strict=True):
        for run in panel.runs:
            own = of_run[str(run.folder)]
            label = names[run.folder]
            _draw_pass(on, own, chosen[label], label, panel.title, len(panel.runs))
        on.set_title(panel.title)
    _scale(axes, runs)
    style.name_axes(axes, "attempts k", "tasks won within k (share)")
    handles = [style.handle(label, chosen[label]) for label in shown]
    if (table["memory"] == "wiped").any():
        handles.append(
            Line2D([], [], color="#444444", linestyle="--", label="control: memory wiped")
        )
    style.add_legend(figure, handles)
    style.add_caption(
        figure,
        "Solid: pass@k, the share of tasks won within k attempts. Dashed: the same agent with its "
        "memory wiped between attempts (unbiased estimate); what lies between is adaptation. "
        "Bands: 95 % intervals over tasks." + grouping.warnings(runs, names),
    )
    return Drawing(figure, table)


def _scale(axes: Sequence[Axes], runs: Sequence[Run]) -> None:
    """All attempts of the longest run along x, shares along y, the same in every panel."""
    longest = max(run.settings.episodes for run in runs)
    axes[0].set_xticks(range(1, longest + 1))
    axes[0].set_xlim(1 - MARGIN, longest + MARGIN)
    axes[0].set_ylim(-0.02, 1.02)


def _pass_rows(run: Run, label: str) -> Iterator[dict[str, Any]]:
    for memory, name in (("kept", "pass_at"), ("wiped", "independent_pass_at")):
        for k, value in run.scores[name].items():
            low, high = run.scores[f"{name}_ci"][k] or (None, None)
            if value is not None:
                point = {"memory": memory, "k": int(k), "value": value, "low": low, "high": high}
                yield {**grouping.identity(run, label), **point, "run_dir": str(run.folder)}


def _draw_pass(
    on: Axes, table: pd.DataFrame, look: Look, label: str, place: str, count: int
) -> None:
    for memory in ("wiped", "kept"):  # what is drawn later lies above
        own = table[table["memory"] == memory]
        is_kept = memory == "kept"
        name = style.slug(label, place, memory)
        band = on.fill_between(
            own["k"],
            own["low"].astype(float),
            own["high"].astype(float),
            color=look.colour,
            alpha=style.band_alpha(0.18 if is_kept else 0.08, count),
            linewidth=0,
        )
        band.set_gid(f"band-{name}")
        on.plot(
            own["k"],
            own["value"],
            color=look.colour,
            marker=look.marker,
            markerfacecolor=look.colour if is_kept else "white",
            linestyle="-" if is_kept else "--",
            linewidth=1.8 if is_kept else 1.2,
            gid=f"line-{name}",
        )


def diversity(runs: Sequence[Run]) -> Drawing | None:
    """Trajectory entropy against pass@k at the last k, with the 95 % intervals of both."""
    known = [run for run in runs if run.scores["trajectory_entropy"] is not None]
    if not known:
        return None
    panels = grouping.panels(known, _m_and_k)
    names = grouping.label_runs(runs, grouping.panels(runs))
    table = pd.DataFrame(
        _diversity_row(run, names[run.folder]) for panel in panels for run in panel.runs
    )
    shown = list(dict.fromkeys(table["label"]))
    chosen = style.looks((run.settings.agent, names[run.folder]) for run in runs)
    figure, axes = style.panels(len(panels), shown, "y")
    of_run = grouping.by_run(table)
    for panel, on in zip(panels, axes, strict=True):
        for run in panel.runs:
            row = of_run[str(run.folder)].iloc[0]
            _draw_point(on, row, chosen[names[run.folder]], style.slug(row["label"], panel.title))
        most = of_run[str(panel.runs[0].folder)]["most_entropy"].iloc[0]
        on.axvline(most, color="#888888", linestyle=":", linewidth=1.2)
        on.set_xlim(-0.05 * (most or 1.0), 1.08 * (most or 1.0))
        on.set_ylim(-0.04, 1.04)
        on.set_title(panel.title)
    ks = {grouping.last_k(run) for run in known}
    k = ks.pop() if len(ks) == 1 else "k"
    style.name_axes(axes, "trajectory entropy (nats)", f"pass@{k} (share of tasks won)")
    style.add_legend(
        figure, [style.handle(label, chosen[label], linestyle="none") for label in shown]
    )
    style.add_caption(
        figure, f"{ENTROPY_NOTE} Bars: 95 % intervals over tasks.{grouping.warnings(known, names)}"
    )
    return Drawing(figure, table)


def _diversity_row(run: Run, label: str) -> dict[str, Any]:
    scores, k = run.scores, str(grouping.last_k(run))
    row = {
        **grouping.identity(run, label),
        "m": run.settings.control_episodes,
        "k": grouping.last_k(run),
    }
    for name, value, interval in (
        ("trajectory_entropy", scores["trajectory_entropy"], scores["trajectory_entropy_ci"]),
        ("pass_at", scores["pass_at"][k], scores["pass_at_ci"][k]),
    ):
        row[name] = value
        row[f"{name}_low"], row[f"{name}_high"] = interval or (None, None)
    row["most_entropy"] = math.log(run.settings.control_episodes)
    return {**row, "run_dir": str(run.folder)}


def _draw_point(on: Axes, row: Any, look: Look, name: str) -> None:
    x, y = float(row["trajectory_entropy"]), float(row["pass_at"])
    ends = {
        at: [float(row[f"{at}_low"]), float(row[f"{at}_high"])]
        for at in ("trajectory_entropy", "pass_at")
    }
    for what, xs, ys in (
        ("entropy", ends["trajectory_entropy"], [y, y]),
        ("pass", [x, x], ends["pass_at"]),
    ):
        on.plot(xs, ys, color=look.colour, linewidth=1.2, alpha=0.7, gid=f"bar-{what}-{name}")
    on.plot([x], [y], color=look.colour, marker=look.marker, markersize=8, gid=f"point-{name}")


def _m_and_k(run: Run) -> str:
    """Entropies of different m, and successes of different k, never share a panel."""
    return f", m = {run.settings.control_episodes}, k = {run.settings.episodes}"


def conditional(runs: Sequence[Run]) -> Drawing | None:
    """P(win episode j, given that episodes 1..j-1 were lost) over j, with 95 % bars."""
    panels = grouping.panels(runs)
    names = grouping.label_runs(runs, panels)
    table = pd.DataFrame(
        row
        for panel in panels
        for run in panel.runs
        for row in _conditional_rows(run, names[run.folder])
    )
    if table.empty:
        return None
    shown = list(dict.fromkeys(table["label"]))
    chosen = style.looks((run.settings.agent, names[run.folder]) for run in runs)
    figure, axes = style.panels(len(panels), shown, "both")
    of_run = grouping.by_run(table)
    for panel, on in zip(panels, axes, strict=True):
        for position, run in enumerate(panel.runs):
            own = of_run[str(run.folder)]
            shift = SHIFT * (position - (len(panel.runs) - 1) / 2)
            name = style.slug(names[run.folder], panel.title)
            _draw_conditional(on, own, chosen[names[run.folder]], shift, name)
        on.set_title(panel.title)
    _scale(axes, runs)
    style.name_axes(axes, "episode j", "won (share of tasks)")
    style.add_legend(figure, [style.handle(label, chosen[label]) for label in shown])
    style.add_caption(
        figure,
        "Share of tasks won in episode j among those whose episodes 1 to j-1 were lost. Bars: "
        "95 % intervals over tasks." + grouping.warnings(runs, names),
    )
    return Drawing(figure, table)


MARGIN = 0.3
"""Beside the first and last attempt; the bars of many runs stand there side by side."""
SHIFT = 0.05
"""Of a run beside the next, in episodes, so that their bars do not cover each other."""


def _conditional_rows(run: Run, label: str) -> Iterator[dict[str, Any]]:
    for j, value in run.scores["conditional_success"].items():
        low, high = run.scores["conditional_success_ci"][j] or (None, None)
        if value is not None:
            point = {"episode": int(j), "value": value, "low": low, "high": high}
            yield {
                **grouping.identity(run, label),
                **point,
                "at_risk": run.scores["at_risk"][j],
                "run_dir": str(run.folder),
            }


def _draw_conditional(on: Axes, table: pd.DataFrame, look: Look, shift: float, name: str) -> None:
    places = table["episode"] + shift
    on.vlines(
        places,
        table["low"].astype(float),
        table["high"].astype(float),
        color=look.colour,
        linewidth=1.2,
        alpha=0.7,
    ).set_gid(f"bars-{name}")
    on.plot(places, table["value"], color=look.colour, marker=look.marker, gid=f"line-{name}")
