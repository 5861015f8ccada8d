"""The questions that a comparison leaves open, each answered by runs of its own.

    python recipes/ask_questions.py [--training runs/training] [--runs runs/questions]

(a) Is the first attempt an exploration, or would a random one do? (b) What should the memory hold?
(c) Do the single-episode algorithms gain from reflections that they were not trained with? (d) What
is one long episode worth that has the turns of all attempts? (e) How much should later attempts pay
earlier ones? (f) Must reflections be trained? And: what do policies do on levels above those that
they were reinforced on, with other numbers of mines, trained at another rate, and sampled as they
were in training?

Plays the policies that recipes/train_algorithms.sh leaves under ``<training>/<family>/`` and, with
"variants", under ``<training>/<family>/variants/`` on 200 test tasks each; what was not trained is
left out. Complete runs are not played again. Writes docs/results/questions.csv,
docs/results/leads.csv (LaMer against GiGPO task by task, where both played) and their tables in
docs/results.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from compare_algorithms import (
    MEMORY,
    ROOT,
    NamedAgent,
    Played,
    Policy,
    markdown,
    policies,
    read,
    replace_between,
    run_row,
    with_interval,
    write_csv,
)
from question_levels import EPISODES

from baselines.language_agent import SHIPPED_TEMPERATURE
from baselines.random_first import RandomFirst
from lamer_bench import metrics
from lamer_bench.agent import Agent
from lamer_bench.runner import run

LEVELS = {"minesweeper": "hard", "sokoban": "hard"}
"""Where a family's questions are asked: the level with the most room for a second attempt."""
BEST = ("supervised", "gigpo", "lamer")
"""The start, the best single-episode algorithm and LaMer, which are asked everything."""
VARIANTS = {"gamma_traj": "e", "frozen": "f", "rate": "rate"}
"""How a variant's name begins -> the question that it answers."""
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
    played: list[tuple[Case, Played]] = []
    for family in options.families:
        for case in cases(family, options.training / family):
            played.append((case, play(case, options.runs, options.tasks)))
            print(markdown([row(*played[-1])]), flush=True)
    rows, lead_rows = [row(*one) for one in played], list(leads(played))
    raw = [{"question": case.question, "case": case.case, **run_row(one)} for case, one in played]
    print(markdown(lead_rows))
    if not options.no_docs:
        write_csv(ROOT / "docs" / "results" / "leads.csv", lead_rows)
        replace_between(ROOT / "docs" / "results.md", "leads", markdown(lead_rows))
        write_csv(ROOT / "docs" / "results" / "questions.csv", raw)
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
        if memory == "none":
            yield Case("c", environment, policy, "with reflections", "reflection")
        if family == "sokoban":
            long = f"question_levels:LongSokoban-{LEVELS[family]}"
            yield Case("d", long, policy, "one long episode", "none", episodes=1)
        if algorithm not in BEST:
            continue
        yield Case("temperature", environment, policy, "temperature 1.0", memory, temperature=1.0)
        for mines in (7, 8, 9) if family == "minesweeper" else ():
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
            question = next(q for prefix, q in VARIANTS.items() if variant.startswith(prefix))
            yield Case(question, environment, policy, variant.replace("_", " "), memory)


def play(case: Case, runs: Path, tasks: int) -> Played:
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
    return read(case.policy, case.environment.rpartition(":")[2], folder, tasks)


def leads(played: Sequence[tuple[Case, Played]]) -> Iterator[dict[str, Any]]:
    """LaMer's pass@3, with reflections, minus GiGPO's, without a memory, on the same tasks of the
    levels that neither was reinforced on; and the same of the entropies."""
    by_agent = {
        (case.environment, case.policy.algorithm): (case, one.scores)
        for case, one in played
        if case.question in ("mines", "above")
    }
    for (environment, algorithm), (case, lamer) in by_agent.items():
        if algorithm != "lamer" or (environment, "gigpo") not in by_agent:
            continue
        gigpo = by_agent[environment, "gigpo"][1]
        pairs = list(zip(lamer.tasks, gigpo.tasks, strict=True))
        gap = np.array([one.pass_at[-1] - other.pass_at[-1] for one, other in pairs])
        entropy = [one.trajectory_entropy - other.trajectory_entropy for one, other in pairs]
        wins, losses = int((gap > 0).sum()), int((gap < 0).sum())
        yield {
            "question": case.question,
            "environment": environment.rpartition(":")[2],
            "GiGPO pass@3": f"{100 * np.mean([task.pass_at[-1] for task in gigpo.tasks]):.1f}",
            "LaMer minus GiGPO": with_interval(gap, 100),
            "p": f"{metrics.sign_test_p(wins, losses):.2g}",
            "entropy": with_interval(np.array(entropy), 1),
        }


def row(case: Case, played: Played) -> dict[str, Any]:
    """One line of the table; shares in percent, 95 % intervals."""

    def share(estimate: Any) -> str:
        if estimate is None:
            return "-"
        low, high = estimate.interval
        return f"{100 * estimate.value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"

    scores = played.scores
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
