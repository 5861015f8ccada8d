"""The report: all figures and tables of a `plot` call on one page that needs no network.

Figures stand in the page as data, so that the file can be sent on its own; its content security
policy allows pictures that are data and its own style, nothing else.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lamer_bench.plots import grouping
from lamer_bench.plots.sources import Run

FILE = "report.html"
MOST_ROWS = 2_000
"""Of a figure's table in the page; the CSV beside it holds all."""

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #1b1f24; background: #ffffff;
  max-width: 75rem; margin: 1.5rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
img { max-width: 100%; height: auto; }
.scroll { overflow: auto; max-height: 30rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .85rem; }
th, td { padding: .2rem .7rem .2rem 0; border-bottom: 1px solid #d5dae1; text-align: left;
  white-space: nowrap; }
summary { cursor: pointer; color: #5b6470; }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1rem; } nav a { white-space: nowrap; }
"""

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src '{policy}'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>lamer-bench report</title>
<style>{style}</style>
</head>
<body>
<h1>lamer-bench report</h1>
{parts}
</body>
</html>
"""

_SCORES = ("gain", "trajectory_entropy", "invalid_rate")


def write(out: Path, figures: Sequence[tuple[str, str]], runs: Sequence[Run]) -> Path:
    """Write ``report.html`` beside the figures.

    Args:
        out: the folder that holds ``<name>.svg`` and ``<name>.csv`` of each figure.
        figures: (name, what it shows), in their order.
        runs: the runs behind them, for the table of scores; may be empty.
    """
    links = "".join(f'<a href="#{name}">{html.escape(name)}</a>' for name, _ in figures)
    parts = [f"<nav>{links}</nav>"]
    if runs:
        scores = scores_table(runs)
        rows = list(scores.itertuples(index=False))
        parts.append(f"<h2>Scores</h2>{_table(scores.columns, rows)}")
    parts += [_figure(out, name, summary) for name, summary in figures]
    policy = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    page = _PAGE.format(policy=f"sha256-{policy}", style=_STYLE, parts="\n".join(parts))
    path = out / FILE
    path.write_text(page, encoding="utf-8")
    return path


def scores_table(runs: Sequence[Run]) -> pd.DataFrame:
    """A row for each run with its main scores, as `lamer-bench score --json` prints them."""
    panels = grouping.panels(runs)
    names = grouping.label_runs(runs, panels)
    return pd.DataFrame(
        _scores_row(run, names[run.folder]) for panel in panels for run in panel.runs
    )


def _scores_row(run: Run, label: str) -> dict[str, Any]:
    scores = run.scores
    identity = grouping.identity(run, label)
    kept = ("env", "split", "tasks", "label", "is_complete", "is_ranked", "void_share")
    row: dict[str, Any] = {name: identity[name] for name in kept}
    for k, value in scores["pass_at"].items():
        row[f"pass@{k}"] = _with_interval(value, scores["pass_at_ci"][k])
    for k, value in scores["independent_pass_at"].items():
        row[f"control pass@{k}"] = _with_interval(value, scores["independent_pass_at_ci"][k])
    row["m"] = run.settings.control_episodes
    for name in _SCORES:
        row[name.replace("_", " ")] = _with_interval(scores[name], scores[f"{name}_ci"])
    row["tokens"] = scores["tokens"]["prompt"] + scores["tokens"]["answer"]
    return row


def _with_interval(value: float | None, interval: Sequence[float] | None) -> str:
    if value is None:
        return "none"
    return f"{value:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def _figure(out: Path, name: str, summary: str) -> str:
    picture = base64.b64encode((out / f"{name}.svg").read_bytes()).decode()
    with (out / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        columns, *rows = csv.reader(file)
    title = html.escape(name.replace("-", " "))
    return (
        f'<section id="{name}"><h2>{title}</h2><p>{html.escape(summary)}</p>'
        f'<img alt="{html.escape(summary)}" src="data:image/svg+xml;base64,{picture}">'
        f"<details><summary>The numbers, also in {name}.csv</summary>"
        f"{_table(columns, rows)}</details>"
        "</section>"
    )


def _table(columns: Iterable[Any], rows: Sequence[Iterable[Any]]) -> str:
    head = "".join(f"<th>{html.escape(str(name))}</th>" for name in columns)
    shown = "".join(f"<tr>{_cells(row)}</tr>" for row in rows[:MOST_ROWS])
    rest = len(rows) - MOST_ROWS
    more = f"<p>{rest} more rows in the CSV.</p>" if rest > 0 else ""
    return f'<div class="scroll"><table><tr>{head}</tr>{shown}</table></div>{more}'


def _cells(row: Iterable[Any]) -> str:
    return "".join(f"<td>{html.escape(str(value))}</td>" for value in row)
