"""Figures of run folders: pass@k with its memory-wiped control, diversity against success.

All numbers are those of `lamer-bench score --json`. A panel holds runs of one environment, version,
split and suite; where entropies are shown also of one m.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from lamer_bench.errors import SettingError
from lamer_bench.plots import labels, style
from lamer_bench.plots.sources import Run
from lamer_bench.plots.style import Drawing, Look
from lamer_bench.task import split_environment_id

LEVELS = ("easy", "medium", "hard", "ood", "paper")
"""Their order in a figure."""
ENTROPY_NOTE = (
    "Trajectory entropy: for each task H = -sum p ln p over the distinct action sequences of m "
    "memory-wiped episodes, mean over tasks; at most ln m (dotted)."
)


@dataclass(frozen=True, slots=True)
class Panel:
    """Runs that may be compared."""

    title: str
    runs: Sequence[Run]


def pass_at(runs: Sequence[Run]) -> Drawing | None:
    """pass@k over k with 95 % bands; dashed the memory-wiped control."""
    panels = _panels(runs)
    names = label_runs(runs, panels)
    table = pd.DataFrame(
        row for panel in panels for run in panel.runs for row in _pass_rows(run, names[run.folder])
    )
    if table.empty:
        return None
    shown = list(dict.fromkeys(table["label"]))
    chosen = style.looks((run.settings.agent, names[run.folder]) for run in runs)
    figure, axes = style.panels(len(panels), [*shown, "control: memory wiped"])
    for panel, on in zip(panels, axes, strict=True):
        for run in panel.runs:
            own = table[table["run_dir"] == str(run.folder)]
            _draw_pass(on, own, chosen[names[run.folder]], names[run.folder], panel.title)
        on.set_title(panel.title)
        on.set_xticks(range(1, max(run.settings.episodes for run in panel.runs) + 1))
        on.set_ylim(-0.02, 1.02)
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
        "Bands: 95 % intervals over tasks." + _warnings(runs, names),
    )
    return Drawing(figure, table)


def _pass_rows(run: Run, label: str) -> Iterator[dict[str, Any]]:
    for memory, name in (("kept", "pass_at"), ("wiped", "independent_pass_at")):
        for k, value in run.scores[name].items():
            low, high = run.scores[f"{name}_ci"][k] or (None, None)
            if value is not None:
                point = {"memory": memory, "k": int(k), "value": value, "low": low, "high": high}
                yield {**_identity(run, label), **point, "run_dir": str(run.folder)}


def _draw_pass(on: Axes, table: pd.DataFrame, look: Look, label: str, place: str) -> None:
    for memory in ("wiped", "kept"):  # what is drawn later lies above
        own = table[table["memory"] == memory]
        is_kept = memory == "kept"
        name = style.slug(label, place, memory)
        band = on.fill_between(
            own["k"],
            own["low"].astype(float),
            own["high"].astype(float),
            color=look.colour,
            alpha=0.18 if is_kept else 0.08,
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
    panels = _panels(known, _m_and_k)
    names = label_runs(known, panels)
    table = pd.DataFrame(
        _diversity_row(run, names[run.folder]) for panel in panels for run in panel.runs
    )
    shown = list(dict.fromkeys(table["label"]))
    chosen = style.looks((run.settings.agent, names[run.folder]) for run in known)
    figure, axes = style.panels(len(panels), shown)
    for panel, on in zip(panels, axes, strict=True):
        for run in panel.runs:
            row = table[table["run_dir"] == str(run.folder)].iloc[0]
            _draw_point(on, row, chosen[names[run.folder]], style.slug(row["label"], panel.title))
        most = table[table["run_dir"] == str(panel.runs[0].folder)]["most_entropy"].iloc[0]
        on.axvline(most, color="#888888", linestyle=":", linewidth=1.2)
        on.set_xlim(-0.05 * (most or 1.0), 1.08 * (most or 1.0))
        on.set_ylim(-0.04, 1.04)
        on.set_title(panel.title)
    ks = {_k(run) for run in known}
    k = ks.pop() if len(ks) == 1 else "k"
    style.name_axes(axes, "trajectory entropy (nats)", f"pass@{k} (share of tasks won)")
    style.add_legend(
        figure, [style.handle(label, chosen[label], linestyle="none") for label in shown]
    )
    style.add_caption(
        figure, f"{ENTROPY_NOTE} Bars: 95 % intervals over tasks.{_warnings(known, names)}"
    )
    return Drawing(figure, table)


def _diversity_row(run: Run, label: str) -> dict[str, Any]:
    scores, k = run.scores, str(_k(run))
    row = {**_identity(run, label), "m": run.settings.control_episodes, "k": _k(run)}
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


# Which runs share a panel, and what they are called there ----------------------------------------


def _place(run: Run) -> tuple[Hashable, ...]:
    """What must be equal for two runs to be compared."""
    settings = run.settings
    suite = settings.suite and (settings.suite.name, settings.suite.version)
    return (settings.environment, settings.environment_version, settings.split, suite)


def _k(run: Run) -> int:
    return run.settings.episodes


def _m_and_k(run: Run) -> str:
    """Entropies of different m, and successes of different k, never share a panel."""
    return f", m = {run.settings.control_episodes}, k = {run.settings.episodes}"


def _panels(runs: Sequence[Run], also: Callable[[Run], str] = lambda run: "") -> list[Panel]:
    """Runs of one place, and of one text ``also``, which ends the title, in a panel."""
    by_place: dict[Hashable, list[Run]] = {}
    for run in runs:
        by_place.setdefault((_place(run), also(run)), []).append(run)
    shared = sorted(by_place.values(), key=_difficulty)
    titles = [_title(one) + also(one[0]) for one in shared]
    is_clear = len(set(titles)) == len(titles)
    return [
        Panel(title if is_clear else f"{title}, {_versions(one[0])}", one)
        for title, one in zip(titles, shared, strict=True)
    ]


def _difficulty(runs: Sequence[Run]) -> tuple[str, int, str]:
    """Families by name; in a family the usual levels from easy on, then others by name."""
    family, level = split_environment_id(runs[0].settings.environment)
    return (family, LEVELS.index(level) if level in LEVELS else len(LEVELS), level)


def _title(runs: Sequence[Run]) -> str:
    """``minesweeper-hard``, and below it ``test, 100 tasks``."""
    counts = sorted({run.scores["tasks"] for run in runs})
    num_tasks = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"{runs[0].settings.environment}\n{runs[0].settings.split}, {num_tasks} tasks"


def _versions(run: Run) -> str:
    settings = run.settings
    suite = f", suite {settings.suite.name} {settings.suite.version}" if settings.suite else ""
    return f"v{settings.environment_version}{suite}"


def label_runs(runs: Sequence[Run], panels: Sequence[Panel]) -> dict[Path, str]:
    """Run folder -> its label: the agent, and where a panel has two runs of it what differs.

    Raises:
        SettingError: two runs of a panel agree in all their settings.
    """
    keys: dict[str, dict[str, None]] = {}
    for panel in panels:
        for agent in dict.fromkeys(run.settings.agent for run in panel.runs):
            own = [run for run in panel.runs if run.settings.agent == agent]
            _refuse_twins(own)
            keys.setdefault(agent, {}).update(
                dict.fromkeys(labels.differing(_settings(run) for run in own))
            )
    return {
        run.folder: labels.label(
            run.settings.agent,
            _settings(run),
            list(keys[run.settings.agent]),
            run.folder.resolve().name,
        )
        for run in runs
    }


def _settings(run: Run) -> dict[str, Any]:
    settings = run.settings
    names = ("memory", "seed", "tasks", "episodes", "repeats", "control_episodes")
    return {
        **{name: getattr(settings, name) for name in names},
        **labels.flat(settings.agent_settings),
    }


def _refuse_twins(runs: Sequence[Run]) -> None:
    for index, run in enumerate(runs):
        for other in runs[:index]:
            if _settings(run) == _settings(other):
                raise SettingError(
                    f"{other.folder} and {run.folder} are the same run: {run.settings.agent} on "
                    f"{run.settings.environment} with the same settings. Give one of them."
                )


def _identity(run: Run, label: str) -> dict[str, Any]:
    """What a row of a table is about."""
    settings, scores = run.settings, run.scores
    return {
        "env": settings.environment,
        "environment_version": settings.environment_version,
        "split": settings.split,
        "tasks": scores["tasks"],
        "agent": settings.agent,
        "label": label,
        "is_complete": scores["is_complete"],
        "is_ranked": settings.is_ranked,
        "void_share": scores["void_share"],
    }


def _warnings(runs: Sequence[Run], names: dict[Path, str]) -> str:
    """What a reader must know about single runs, as sentences."""
    void = [
        f"{names[run.folder]} on {run.settings.environment} {run.scores['void_share']:.1%}"
        for run in runs
        if run.scores["void_share"]
    ]
    incomplete = [
        f"{names[run.folder]} on {run.settings.environment}"
        for run in runs
        if not run.scores["is_complete"]
    ]
    told = dict.fromkeys(names[run.folder] for run in runs if not run.settings.is_ranked)
    text = f" Void trials, left out: {', '.join(void)}." if void else ""
    text += f" Incomplete: {', '.join(incomplete)}." if incomplete else ""
    return text + (f" Told hidden state, never ranked: {', '.join(told)}." if told else "")
