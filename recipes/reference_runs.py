"""The reference table: the scripted agents on every environment, 200 test tasks, with control.

    python recipes/reference_runs.py [--runs runs/reference] [--tasks 200]

Runs that are already complete are not played again. Writes docs/results/reference.csv and the table
in docs/results.md between its markers; seeds and settings stand in each run's manifest.
"""

from __future__ import annotations

import argparse
import csv
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from lamer_bench.env import environment_ids
from lamer_bench.runner import run
from lamer_bench.scores import score_run

ROOT = Path(__file__).resolve().parent.parent
AGENTS = ["random", "explorer", "oracle"]
"""Scripted; the trained ones are in compare_algorithms.py."""
COLUMNS = [
    "env",
    "agent",
    "memory",
    "seed",
    "tasks",
    "pass_at_1",
    "pass_at_1_low",
    "pass_at_1_high",
    "pass_at_2",
    "pass_at_2_low",
    "pass_at_2_high",
    "pass_at_3",
    "pass_at_3_low",
    "pass_at_3_high",
    "independent_pass_at_3",
    "gain",
    "gain_low",
    "gain_high",
    "trajectory_entropy",
    "invalid_rate",
    "void_share",
    "content_digest",
]
BEGIN, END = "<!-- reference table: begin -->", "<!-- reference table: end -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "reference")
    parser.add_argument("--tasks", type=int, default=200)
    options = parser.parse_args()
    rows = []
    for environment in environment_ids():
        for agent in AGENTS:
            folder = run(
                agent, environment, tasks=options.tasks, out=options.runs / environment / agent
            )
            rows.append(table_row(score_run(folder).as_json(), folder.manifest().settings))
            print(markdown_row(rows[-1]), flush=True)
    results = ROOT / "docs" / "results"
    results.mkdir(exist_ok=True)
    with (results / "reference.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    write_table(ROOT / "docs" / "results.md", rows)


def table_row(scores: dict[str, Any], settings: Any) -> dict[str, Any]:
    """One line of the CSV file."""
    row = {
        "env": scores["env"],
        "agent": scores["agent"],
        "memory": settings.memory,
        "seed": settings.seed,
        "tasks": scores["tasks"],
        "independent_pass_at_3": scores["independent_pass_at"]["3"],
        "gain": scores["gain"],
        "gain_low": scores["gain_ci"][0],
        "gain_high": scores["gain_ci"][1],
        "trajectory_entropy": scores["trajectory_entropy"],
        "invalid_rate": scores["invalid_rate"],
        "void_share": scores["void_share"],
        "content_digest": scores["content_digest"],
    }
    for k in ("1", "2", "3"):
        row[f"pass_at_{k}"] = scores["pass_at"][k]
        row[f"pass_at_{k}_low"], row[f"pass_at_{k}_high"] = scores["pass_at_ci"][k]
    rounded = {name: round(v, 4) if isinstance(v, float) else v for name, v in row.items()}
    return {name: rounded[name] for name in COLUMNS}


def markdown_row(row: dict[str, Any]) -> str:
    """One line of the table in docs/results.md; shares in percent."""

    def percent(name: str) -> str:
        return f"{100 * row[name]:.1f}"

    def interval(name: str) -> str:
        return f"{percent(name)} [{percent(name + '_low')}, {percent(name + '_high')}]"

    cells = [
        row["env"],
        row["agent"],
        *(interval(f"pass_at_{k}") for k in (1, 2, 3)),
        percent("independent_pass_at_3"),
        interval("gain"),
        f"{row['trajectory_entropy']:.2f}",
        percent("invalid_rate"),
    ]
    return "| " + " | ".join(cells) + " |"


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """Replace what stands between the markers."""
    text = path.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    names = ["environment", "agent", "pass@1", "pass@2", "pass@3", "control pass@3", "gain"]
    names += ["entropy", "invalid"]
    lines = ["| " + " | ".join(names) + " |", "|---" * len(names) + "|", *map(markdown_row, rows)]
    path.write_text(f"{head}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
