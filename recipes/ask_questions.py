"""The questions that a comparison leaves open, each answered by runs of its own.

    python recipes/ask_questions.py [--training runs/training] [--runs runs/questions]

(a) Is the first attempt an exploration, or would a random one do? (b) What should the memory hold?
(c) Do the single-episode algorithms gain from reflections that they were not trained with? (d) What
is one long episode worth that has the turns of all attempts? (e) How much should later attempts pay
earlier ones? (f) Must reflections be trained? And: what do policies do on levels above those that
they were trained on, with numbers of mines that none of them ever saw, and sampled as they were in
training?

Plays the policies that recipes/train_algorithms.sh leaves under ``<training>/<family>/`` and, with
"variants", under ``<training>/<family>/variants/`` on 200 test tasks each; what was not trained is
left out. Complete runs are not played again. Writes docs/results/questions.csv and the table in
docs/results.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compare_algorithms import (
    MEMORY,
    ROOT,
    NamedAgent,
    Policy,
    markdown,
    policies,
    replace_between,
    write_csv,
)
from question_levels import EPISODES

from baselines.language_agent import SHIPPED_TEMPERATURE
from baselines.random_first import RandomFirst
from lamer_bench.agent import Agent
from lamer_bench.runner import run
from lamer_bench.scores import Scores, score_run

LEVELS = {"minesweeper": "hard", "sokoban": "hard"}
"""Where a family's questions are asked: the level with the most room for a second attempt."""
ABOVE = {"minesweeper": ("hard", "ood"), "sokoban": ("hard", "ood")}
"""Levels above those of the variants called ``easier``."""


@dataclass(frozen=True)
class Case:
    """One run that answers a part of a question."""

    question: str
    environment: str
    policy: Policy
    case: str
    """What is different in it."""
    memory: str
    is_random_first: bool = False
    episodes: int = EPISODES
    temperature: float = SHIPPED_TEMPERATURE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--training", type=Path, default=ROOT / "runs" / "training")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "questions")
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--families", nargs="+", default=list(LEVELS), choices=list(LEVELS))
    parser.add_argument("--no-docs", action="store_true", help="play and print only")
    options = parser.parse_args()
    rows = []
    for family in options.families:
        for case in cases(family, options.training / family):
            rows.append(row(case, play(case, options.runs, options.tasks)))
            print(markdown(rows[-1:]), flush=True)
    if not options.no_docs:
        write_csv(ROOT / "docs" / "results" / "questions.csv", rows)
        replace_between(ROOT / "docs" / "results.md", "questions", markdown(rows))


def cases(family: str, folder: Path) -> Iterator[Case]:
    """All runs for a family whose policies were trained."""
    trained = {policy.algorithm: policy for policy in policies(folder) if policy.seed == 0}
    environment = f"{family}-{LEVELS[family]}"
    lamer = trained.get("lamer")
    if lamer:
        yield Case("a", environment, lamer, "as trained", "reflection")
        yield Case("a", environment, lamer, "random first attempt", "reflection", True)
        for memory in ("none", "history", "both"):
            yield Case("b", environment, lamer, f"memory {memory}", memory)
    for algorithm, policy in trained.items():
        memory = MEMORY.get(algorithm, "none")
        for degrees in (0.6, 1.0):
            name = f"temperature {degrees}"
            yield Case("temperature", environment, policy, name, memory, temperature=degrees)
        if memory == "none":
            yield Case("c", environment, policy, "with reflections", "reflection")
        if family == "sokoban":
            long = f"question_levels:LongSokoban-{LEVELS[family]}"
            yield Case("d", long, policy, "one long episode", "none", episodes=1)
        if family == "minesweeper":
            for mines in (7, 8, 9):
                between = f"question_levels:MinesBetween-{mines}"
                yield Case("mines", between, policy, f"{mines} mines", memory)
    for path in sorted((folder / "variants").glob("*/policy")):
        algorithm, _, variant = path.parent.name.partition("-")
        policy = Policy(algorithm, 0, path / "adapter")
        memory = MEMORY.get(algorithm, "none")
        if variant == "easier":
            for level in ABOVE[family]:
                yield Case("above", f"{family}-{level}", policy, "trained on easier", memory)
        else:
            question = "f" if variant == "frozen" else "e"
            yield Case(question, environment, policy, variant.replace("_", " "), memory)


def play(case: Case, runs: Path, tasks: int) -> Scores:
    """Play a case, unless that run is there already."""
    agent: Agent = NamedAgent(case.policy, case.temperature)
    if case.is_random_first:
        agent = RandomFirst(agent)
    name = f"{case.policy.algorithm} {case.case}".replace(" ", "_")
    folder = run(
        agent,
        case.environment,
        tasks=tasks,
        episodes=case.episodes,
        memory=case.memory,
        out=runs / case.environment.rpartition(":")[2] / name,
    )
    return score_run(folder)


def row(case: Case, scores: Scores) -> dict[str, Any]:
    """One line of the table; shares in percent, 95 % intervals."""

    def share(estimate: Any) -> str:
        if estimate is None:
            return "-"
        low, high = estimate.interval
        return f"{100 * estimate.value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"

    passed = [share(estimate) for estimate in scores.pass_at]
    control = scores.independent_pass_at[-1]
    entropy = scores.trajectory_entropy
    return {
        "question": case.question,
        "environment": case.environment.rpartition(":")[2],
        "agent": case.policy.algorithm,
        "case": case.case,
        **{f"pass@{k}": (passed + ["-"] * EPISODES)[k - 1] for k in range(1, EPISODES + 1)},
        "control": share(control),
        "entropy": "-" if entropy is None else f"{entropy.value:.2f}",
    }


if __name__ == "__main__":
    main()
