"""Bars by level: pass@k at the last k for the levels of a family, out of distribution included, and
below them each agent's paired difference to the first one named that played the family."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from lamer_bench.comparison import Difference, compare_at
from lamer_bench.errors import SettingError
from lamer_bench.plots import grouping, style
from lamer_bench.plots.grouping import Panel
from lamer_bench.plots.sources import Run
from lamer_bench.plots.style import Drawing, Look
from lamer_bench.task import split_environment_id

BAR_INCHES = 0.2
GROUP_SHARE = 0.84
"""Of the space of a level that its bars take."""
LEAST_INCHES = 3.3
MOST_INCHES = 16.0


@dataclass(frozen=True, slots=True)
class Family:
    """The levels of one family and split."""

    title: str
    panels: Sequence[Panel]
    first: str
    """The agent that is named first of those that played it."""


def levels(runs: Sequence[Run]) -> Drawing | None:
    """Bars of pass@k with 95 % intervals; below, paired differences to the family's first agent."""
    panels = grouping.panels(runs, grouping.apart_by_k(runs))
    names = grouping.label_runs(runs, panels)
    families = _families(panels, runs, names)
    rows = [row for family in families for row in _family_rows(family, names)]
    table = pd.DataFrame(rows)
    if table.empty or table["value"].isna().all():
        return None
    shown = list(dict.fromkeys(names[run.folder] for run in runs))
    chosen = style.looks((run.settings.agent, names[run.folder]) for run in runs)
    figure, axes = _panels(families, len(shown), shown)
    for family, (above, below) in zip(families, axes, strict=True):
        own = table[table["family"] == family.title]
        _draw_bars(above, own, family, shown, chosen)
        _draw_differences(below, own, family, shown, chosen)
    style.add_legend(figure, [_patch(label, chosen[label]) for label in shown])
    firsts = dict.fromkeys(family.first for family in families)
    style.add_caption(
        figure,
        "Above: pass@k at the last k. Below: its difference to the first agent named in the "
        f"paths that played the family, here {' or '.join(firsts)}, on the same tasks; paired "
        "bootstrap. Bars: 95 % intervals over tasks." + grouping.warnings(runs, names),
    )
    return Drawing(figure, table)


def _families(panels: Sequence[Panel], runs: Sequence[Run], names: dict[Path, str]) -> list[Family]:
    found: dict[str, list[Panel]] = {}
    for panel in panels:
        settings = panel.runs[0].settings
        family, _ = split_environment_id(settings.environment)
        found.setdefault(f"{family}, {settings.split}", []).append(panel)
    families = []
    for title, own in found.items():
        folders = {run.folder for panel in own for run in panel.runs}
        first = next(names[run.folder] for run in runs if run.folder in folders)
        families.append(Family(title, own, first))
    return families


def _family_rows(family: Family, names: dict[Path, str]) -> Iterator[dict[str, Any]]:
    """A row for each run; the difference is to the run of the family's first agent in its panel."""
    for position, panel in enumerate(family.panels):
        reference = next((run for run in panel.runs if names[run.folder] == family.first), None)
        for run in panel.runs:
            k = str(grouping.last_k(run))
            low, high = run.scores["pass_at_ci"].get(k) or (None, None)
            yield {
                "family": family.title,
                "position": position,
                **grouping.identity(run, names[run.folder]),
                "k": int(k),
                "value": run.scores["pass_at"].get(k),
                "low": low,
                "high": high,
                "against": family.first if reference not in (None, run) else None,
                **_difference_row(run, reference),
                "run_dir": str(run.folder),
            }


def _difference_row(run: Run, reference: Run | None) -> dict[str, Any]:
    test = None if reference in (None, run) else _difference(run, reference)
    interval = (test and test.interval) or (None, None)
    return {
        "difference": test and test.difference,
        "difference_low": interval[0],
        "difference_high": interval[1],
        "num_better": test and test.num_better,
        "num_worse": test and test.num_worse,
        "p": test and test.p,
    }


def _difference(run: Run, reference: Run | None) -> Difference | None:
    """None where the two may not be compared, such as runs of another k."""
    assert reference is not None
    try:
        return compare_at(run.full, reference.full, grouping.last_k(run))
    except SettingError:
        return None


def _panels(
    families: Sequence[Family], num_bars: int, shown: Sequence[str]
) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """For each family its bars above its differences, as wide as the bars need: families stand
    beside each other, or below where they would be wider than a page."""
    widths = [max(LEAST_INCHES, BAR_INCHES * num_bars * len(one.panels) + 1) for one in families]
    is_one_row = sum(widths) <= MOST_INCHES
    rows = 1 if is_one_row else len(families)
    columns = widths if is_one_row else [max(widths)]
    figure = style.wide_figure(sum(columns), 5.6 * rows, shown)
    grid = figure.add_gridspec(
        2 * rows, len(columns), width_ratios=columns, height_ratios=(3, 2) * rows
    )
    axes = []
    for number in range(len(families)):
        row, column = (0, number) if is_one_row else (2 * number, 0)
        above = figure.add_subplot(grid[row, column])
        axes.append((above, figure.add_subplot(grid[row + 1, column], sharex=above)))
    return figure, axes


def _draw_bars(
    on: Axes, table: pd.DataFrame, family: Family, shown: Sequence[str], chosen: dict[str, Look]
) -> None:
    for number, label in enumerate(shown):
        own = table[table["label"] == label]
        known = own[own["value"].notna()]
        name = style.slug(label, family.title)
        places = known["position"] + _offset(number, len(shown))
        bars = on.bar(
            places,
            known["value"].astype(float),
            width=GROUP_SHARE / len(shown),
            color=chosen[label].colour,
            edgecolor="white",
            hatch=style.hatch(chosen[label]),
            linewidth=0.5,
        )
        for bar, environment in zip(bars, known["env"], strict=True):
            bar.set_gid(f"bar-{style.slug(label, environment)}")
        _draw_intervals(on, places, known["low"], known["high"], f"interval-{name}")
    on.set_title(family.title)
    on.set_ylim(0, 1.02)
    on.set_ylabel("pass@k (share)")
    on.grid(axis="x", visible=False)


def _draw_differences(
    on: Axes, table: pd.DataFrame, family: Family, shown: Sequence[str], chosen: dict[str, Look]
) -> None:
    on.axhline(0, color="#444444", linewidth=1)
    for number, label in enumerate(shown):
        own = table[(table["label"] == label) & table["difference"].notna()]
        places = own["position"] + _offset(number, len(shown))
        name = style.slug(label, family.title)
        look = chosen[label]
        _draw_intervals(
            on, places, own["difference_low"], own["difference_high"], f"gap-{name}", look.colour
        )
        on.plot(
            places,
            own["difference"].astype(float),
            color=look.colour,
            marker=look.marker,
            linestyle="none",
            gid=f"difference-{name}",
        )
    on.set_xticks(range(len(family.panels)), [_level(panel) for panel in family.panels])
    on.set_xlim(-0.6, len(family.panels) - 0.4)
    on.set_ylabel("difference")
    on.grid(axis="x", visible=False)


def _draw_intervals(
    on: Axes, places: Any, low: Any, high: Any, name: str, colour: str = "#222222"
) -> None:
    lines = on.vlines(places, low.astype(float), high.astype(float), color=colour, linewidth=1.1)
    lines.set_gid(name)


def _offset(number: int, count: int) -> float:
    """Where the bar of an agent stands beside the middle of its level, in levels."""
    return GROUP_SHARE * ((number + 0.5) / count - 0.5)


def _level(panel: Panel) -> str:
    """``hard``, and below it what else the panel's title says where two levels are alike."""
    level = split_environment_id(panel.runs[0].settings.environment)[1]
    more = panel.title.rpartition(", v")
    return f"{level}\nv{more[2]}" if more[1] else level


def _patch(label: str, look: Look) -> Patch:
    return Patch(facecolor=look.colour, edgecolor="white", hatch=style.hatch(look), label=label)
