"""Figures in cells: agents by environments, and two agents task by task."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lamer_bench.plots import grouping, style
from lamer_bench.plots.grouping import Panel
from lamer_bench.plots.sources import Run
from lamer_bench.plots.style import Drawing

COLOURS = "cividis"
"""From dark to light, also in grey and for every colour vision."""
CELL_INCHES = (0.95, 0.42)


def heat_map(runs: Sequence[Run]) -> Drawing | None:
    """pass@k at the last k: a row for each agent, a column for each environment."""
    panels = grouping.panels(runs, grouping.apart_by_k(runs))
    names = grouping.label_runs(runs, panels)
    table = pd.DataFrame(_cell_row(run, panel, names) for panel in panels for run in panel.runs)
    if table.empty or table["value"].isna().all():
        return None
    agents = list(dict.fromkeys(names[run.folder] for run in runs))
    width, height = CELL_INCHES
    figure = Figure(
        figsize=(max(5.0, 3.2 + width * len(panels)), max(3.0, 2.4 + height * len(agents))),
        layout="constrained",
    )
    on = figure.add_subplot()
    for column, panel in enumerate(panels):
        for row, label in enumerate(agents):
            own = table[(table["panel"] == panel.title) & (table["label"] == label)]
            value = float(own["value"].iloc[0]) if len(own) else math.nan
            _draw_cell(on, row, column, value, style.slug(label, panel.title))
    on.set_xlim(0, len(panels))
    on.set_ylim(len(agents), 0)
    titles = [panel.title.replace("-", "-\n", 1) for panel in panels]
    on.set_xticks([column + 0.5 for column in range(len(panels))], titles, fontsize=8)
    on.set_yticks([row + 0.5 for row in range(len(agents))], [style.wrapped(one) for one in agents])
    on.grid(visible=False)
    on.set_title("pass@k at the last k")
    on.set_xlabel("environment")
    on.set_ylabel("agent")
    style.add_caption(
        figure,
        "pass@k at the last k, the share of tasks won; hatched where there is no run."
        + grouping.warnings(runs, names),
    )
    return Drawing(figure, table)


def _cell_row(run: Run, panel: Panel, names: dict[Path, str]) -> dict[str, Any]:
    k = str(grouping.last_k(run))
    low, high = run.scores["pass_at_ci"].get(k) or (None, None)
    return {
        "panel": panel.title,
        **grouping.identity(run, names[run.folder]),
        "k": int(k),
        "value": run.scores["pass_at"].get(k),
        "low": low,
        "high": high,
        "run_dir": str(run.folder),
    }


def _draw_cell(on: Axes, row: int, column: int, value: float, name: str) -> None:
    is_known = not math.isnan(value)
    fill = colormaps[COLOURS](value) if is_known else "white"
    cell = Rectangle(
        (column, row),
        1,
        1,
        facecolor=fill,
        edgecolor="white" if is_known else "#bbbbbb",
        hatch=None if is_known else "///",
    )
    cell.set_gid(f"cell-{name}")
    on.add_patch(cell)
    if is_known:
        ink = "black" if value > 0.5 else "white"
        on.text(column + 0.5, row + 0.5, f"{value:.2f}", ha="center", va="center", color=ink)


# Two agents --------------------------------------------------------------------------------------


def dots(runs: Sequence[Run]) -> Drawing | None:
    """Each task of two agents as a dot; None unless the runs are of exactly two agents."""
    panels = grouping.panels(runs)
    names = grouping.label_runs(runs, panels)
    agents = list(dict.fromkeys(names[run.folder] for run in runs))
    if len(agents) != 2:
        return None
    shared = [panel for panel in panels if len(panel.runs) == 2]
    table = pd.DataFrame(row for panel in shared for row in _task_rows(panel, agents, names))
    if table.empty:
        return None
    chosen = style.looks((run.settings.agent, names[run.folder]) for run in runs)
    titles = [panel.title for panel in shared if (table["panel"] == panel.title).any()]
    figure, axes = style.panels(len(titles), [_better(agent) for agent in agents])
    for title, on in zip(titles, axes, strict=True):
        own = table[table["panel"] == title]
        _draw_dots(on, own, [chosen[agent].colour for agent in agents], style.slug(title))
        on.set_title(title)
    x, y = (f"{style.wrapped(agent)}\n(mean of pass@k over k)" for agent in agents)
    style.name_axes(axes, x, y)
    style.add_legend(
        figure,
        [style.handle(_better(agent), chosen[agent], linestyle="none") for agent in agents],
    )
    style.add_caption(
        figure,
        "A dot is a task; dots of one place are spread around it. 1 is a win in the first "
        "attempt, 0 none; with one trial for each task a win in attempt j of k is (k - j + 1) / k. "
        "On the line the two are equal." + grouping.warnings(runs, names),
    )
    return Drawing(figure, table)


def _better(agent: str) -> str:
    return f"{agent} is better"


def _task_rows(
    panel: Panel, agents: Sequence[str], names: dict[Path, str]
) -> Iterator[dict[str, Any]]:
    first, second = sorted(panel.runs, key=lambda run: agents.index(names[run.folder]))
    others = {task.task: task for task in second.full.tasks}
    for task in first.full.tasks:
        other = others.get(task.task)
        if other is None or pd.isna(task.pass_at).any() or pd.isna(other.pass_at).any():
            continue
        yield {
            "panel": panel.title,
            "env": first.settings.environment,
            "task": task.task,
            "a": agents[0],
            "b": agents[1],
            "value_a": float(task.pass_at.mean()),
            "value_b": float(other.pass_at.mean()),
        }


def _draw_dots(on: Axes, table: pd.DataFrame, colours: Sequence[str], name: str) -> None:
    on.plot([0, 1], [0, 1], color="#888888", linewidth=1)
    gap = table["value_a"] - table["value_b"]
    for which, is_shown, colour, marker in (
        ("a", gap > 0, colours[0], "o"),
        ("b", gap < 0, colours[1], "s"),
        ("equal", gap == 0, "#777777", "."),
    ):
        own = table[is_shown]
        spread = _spread(own)
        on.plot(
            own["value_a"] + spread["x"],
            own["value_b"] + spread["y"],
            color=colour,
            marker=marker,
            markersize=3.5,
            linestyle="none",
            gid=f"dots-{which}-{name}",
        )
    on.set_xlim(-0.14, 1.14)
    on.set_ylim(-0.14, 1.14)
    on.set_aspect("equal")


def _spread(table: pd.DataFrame) -> pd.DataFrame:
    """Offsets of the dots of one place: a sunflower, at most 0.12 wide, the same every time."""
    number = table.groupby(["value_a", "value_b"]).cumcount()
    radius = 0.012 * number.map(math.sqrt)
    angle = number * math.pi * (3 - math.sqrt(5))
    return pd.DataFrame({"x": radius * angle.map(math.cos), "y": radius * angle.map(math.sin)})
