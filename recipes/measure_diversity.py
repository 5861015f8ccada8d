"""How varied the trained policies play: 16 memory-wiped episodes of every task of `hard`.

    python recipes/measure_diversity.py [--training runs/training] [--runs runs/diversity]

Three control episodes, which the comparison plays, cannot hold more than ln 3 = 1.10 nats; sixteen
hold up to ln 16 = 2.77. Plays the policies that recipes/train_algorithms.sh leaves under
``<training>/<family>/<algorithm>-seed<n>/policy`` on 200 test tasks; complete runs are not played
again. Writes docs/results/diversity.csv (one line for each run) and the table in docs/results.md:
means over the seeds, and LaMer's entropy minus that of the others, paired over tasks. What they
say of a family that was not played stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from compare_algorithms import (
    ROOT,
    Played,
    about,
    by_task,
    groups,
    parser_of,
    play,
    policies,
    stop_without,
    with_interval,
)
from tables import Row, markdown, update, update_csv

FAMILIES = ("minesweeper", "sokoban")
EPISODES = 16
"""Memory-wiped episodes for each task."""
MEASURES = {
    "entropy": "trajectory_entropy",
    "Miller-Madow": "miller_madow_entropy",
    "distinct": "distinct_share",
    "edit distance": "edit_diversity",
    "new retries": "novelty_share",
}
"""Heading -> attribute of a task's scores; the last is of the attempts with memory."""


def main() -> None:
    parser = parser_of(__doc__, "diversity")
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=list(FAMILIES))
    options = parser.parse_args()
    played = [
        play(policy, f"{family}-hard", options.runs, options.tasks, EPISODES)
        for family in options.families
        for policy in policies(options.training / family)
    ]
    stop_without(played, options.training)
    table = list(rows(played))
    print(markdown(table))
    if not options.no_docs:
        docs, is_anew = ROOT / "docs", about(played)
        update_csv(docs / "results" / "diversity.csv", [run_row(one) for one in played], is_anew)
        update(docs / "results.md", "diversity", table, is_anew)


def measured(played: Played, heading: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """[N], a measure for each task; NaN where a task has none."""
    return np.array([getattr(task, MEASURES[heading]) for task in played.scores.tasks])


def run_row(played: Played) -> Row:
    """One line of diversity.csv."""
    env, _, level = played.environment.rpartition("-")
    row = {"env": env, "level": level, "agent": played.policy.algorithm, "seed": played.policy.seed}
    row |= {"tasks": len(played.scores.tasks), "episodes": EPISODES}
    means = {MEASURES[name]: float(np.nanmean(measured(played, name))) for name in MEASURES}
    return row | {name: round(mean, 4) for name, mean in means.items()}


def rows(played: Sequence[Played]) -> Iterator[Row]:
    """The table of docs/results.md."""
    found = groups(played)
    for (environment, algorithm), seeds in found.items():
        row = {"environment": environment, "agent": algorithm, "seeds": len(seeds)}
        for heading in MEASURES:
            row[heading] = f"{np.mean([np.nanmean(measured(one, heading)) for one in seeds]):.2f}"
        lamer = found.get((environment, "lamer"))
        gap = "-"
        if lamer and algorithm != "lamer":
            gap = with_interval(by_task(lamer, "entropy") - by_task(seeds, "entropy"), 1)
        yield row | {
            "lamer's entropy minus": gap,
            "control": with_interval(by_task(seeds, "control"), 100),
        }


if __name__ == "__main__":
    main()
