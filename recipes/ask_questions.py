"""The questions that a comparison leaves open, each answered by runs of its own.

    python recipes/ask_questions.py [--training runs/training] [--runs runs/questions]

(a) Is the first attempt an exploration, or would a random one do? (b) What should the memory hold?
(c) Do the single-episode algorithms gain from reflections that they were not trained with? (d) What
is one long episode worth that has the turns of all attempts? (e) How much should later attempts pay
earlier ones? (f) Must reflections be trained? And: what do policies do on levels above those that
they were reinforced on, where they practised `hard`, too, trained with another estimator, at
another rate or for longer, and sampled as they were in training? What is LaMer's lead on Sokoban
where solutions are longer, from a start that has not learnt to try something else where it failed,
with that one made deeper, from one that has met many sizes, there with five times as many rooms,
and from that one taught more about retries in large rooms?

Plays the policies that recipes/train_algorithms.sh leaves under ``<training>/<family>/`` and, with
"variants", under ``<training>/<family>/variants/``, and those of the family's second sets, on 200
test tasks each ("more rooms": 1,000). Complete runs are not played again. Writes
docs/results/questions.csv, docs/results/leads.csv (LaMer against the others task by task) and their
tables in docs/results.md; what they say of questions that were not asked of a family stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import question_levels
from compare_algorithms import (
    ROOT,
    NamedAgent,
    Played,
    Policy,
    all_tests,
    by_task,
    corrected,
    parser_of,
    policies,
    read,
    run_row,
    stop_without,
    with_interval,
)
from question_levels import EPISODES
from tables import Row, markdown, update, update_csv, update_tests

from baselines.language_agent import SHIPPED_TEMPERATURE
from baselines.random_first import RandomFirst
from lamer_bench.agent import Agent
from lamer_bench.runner import run

LEVELS = {"minesweeper": "hard", "sokoban": "hard"}
"""Where a family's questions are asked."""
BEST = ("supervised", "gigpo", "lamer")
"""The policies that are asked everything."""
VARIANTS = {
    "gamma_traj": "e",
    "frozen": "f",
    "estimator": "estimator",
    "rate": "rate",
    "slower": "slower",
    "steps": "steps",
    "longer": "longer",
}
"""How a variant's name begins -> the question that it answers."""
OTHER_LEVELS = {"easier": "above", "harder": "practised"}
"""A variant that was reinforced on other levels than its family's set -> the question that it
answers, on `hard` and `ood`."""
FAR = "question_levels:FarSokoban-24"
"""Sokoban where single-episode training wins about half of the rooms."""
MORE, MANY = "question_levels:MoreSokoban-ood", 1_000
"""The suite's 200 test tasks of `ood`, and 800 more."""
TESTED = (
    "above",
    "practised",
    "steps",
    "far",
    "larger",
    "plain",
    "sizes",
    "more rooms",
    "slower",
    "longer",
    "retries",
    "two starts",
    "above, many sizes",
)
"""Questions that compare LaMer with the other algorithms task by task."""
GIVEN = ("supervised", "ppo")
"""Whose rate question "slower" leaves as it is."""
BORROWED = {
    "two starts": [
        ("sizes", "sokoban-ood", ("grpo", "lamer")),
        ("retries", "sokoban-ood", ("grpo", "lamer")),
    ],
    "slower": [("more rooms", "MoreSokoban-ood", GIVEN)],
    "longer": [("slower", name, GIVEN) for name in ("sokoban-hard", "FarSokoban-24")],
}
"""A question that compares runs of others, too -> of which, where, and of which algorithms."""


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
    tasks: int | None = None
    """As many as the command says, unless given."""

    @property
    def name(self) -> str:
        """The environment's, as tables say it: without the module that it lies in."""
        return self.environment.rpartition(":")[2]


def main() -> None:
    parser = parser_of(__doc__, "questions")
    parser.add_argument("--families", nargs="+", default=list(LEVELS), choices=list(LEVELS))
    parser.add_argument("--questions", nargs="+", help="these only")
    options = parser.parse_args()
    played: list[tuple[Case, Played]] = []
    for family in options.families:
        for case in cases(family, options.training / family):
            if not needs(case, options.questions):
                continue
            played.append((case, play(case, options.runs, case.tasks or options.tasks)))
            print(markdown(list(rows(played[-1:]))), flush=True)
    stop_without(played, options.training)
    leads = [
        {"question": question} | test
        for question in TESTED
        if not options.questions or question in options.questions
        for test in all_tests(runs_of(question, played))
    ]
    if options.questions:  # what they borrow stays as it is
        played = [(case, one) for case, one in played if case.question in options.questions]
    table = list(rows(played))
    raw = [{"question": case.question, "case": case.case, **run_row(one)} for case, one in played]
    print(markdown(leads))
    if options.no_docs:
        return

    asked = {(case.question, family_of(one.environment)) for case, one in played}
    asked |= {(row["question"], family_of(row["environment"])) for row in leads}

    def is_anew(row: Row) -> bool:
        return (row["question"], family_of(row.get("environment") or row["env"])) in asked

    results, page = ROOT / "docs" / "results", ROOT / "docs" / "results.md"
    update_csv(results / "questions.csv", raw, is_anew)
    update(page, "questions", table, is_anew)
    update_tests(results / "leads.csv", page, "leads", leads, is_anew, corrected_by_question)


def needs(case: Case, questions: Sequence[str] | None) -> bool:
    """Whether one of the questions, or any, needs a run, its own or one that it borrows."""
    return not questions or any(
        case.question == question or is_borrowed(question, case) for question in questions
    )


def is_borrowed(question: str, case: Case) -> bool:
    """Whether a question compares a run of another."""
    return any(
        (case.question, case.name) == (part, name) and case.policy.algorithm in algorithms
        for part, name, algorithms in BORROWED.get(question, [])
    )


def runs_of(question: str, played: Sequence[tuple[Case, Played]]) -> list[Played]:
    """The runs that answer a question: its own and those that it borrows."""
    own = [one for case, one in played if case.question == question]
    return own + [one for case, one in played if is_borrowed(question, case)]


def corrected_by_question(tests: Sequence[Row]) -> list[Row]:
    """The tests in the order of `TESTED`, corrected within each question."""
    return [
        row
        for question in TESTED
        for row in corrected([row for row in tests if row["question"] == question])
    ]


def family_of(environment: str) -> str:
    """Whose question an environment of the tables belongs to: ``sokoban`` of ``sokoban-hard`` and
    of ``FarSokoban-24``."""
    name = environment.partition("-")[0]
    level = getattr(question_levels, name, None)
    family: str = level.family if level else name
    return family.partition("_")[0]


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
        if policy.memory == "none":
            yield Case("c", environment, policy, "with reflections", "reflection")
        if family == "sokoban":
            long = f"question_levels:LongSokoban-{LEVELS[family]}"
            yield Case("d", long, policy, "one long episode", "none", episodes=1)
        if algorithm in BEST:
            hot = "temperature 1.0"
            yield Case("temperature", environment, policy, hot, policy.memory, temperature=1.0)
    if family == "sokoban":
        for policy in policies(folder):
            yield Case("far", FAR, policy, "far", policy.memory)
            if policy.algorithm in GIVEN:
                for level in (environment, FAR):
                    yield Case("slower", level, policy, "same rate", policy.memory)
    for policy in policies(folder.parent / f"{family}-large"):
        for level in (environment, FAR):
            yield Case("larger", level, policy, "12 layers", policy.memory)
    sizes, plain = folder.parent / f"{family}-sizes", folder.parent / f"{family}-plain"
    for policy in policies(sizes):
        for level in (LEVELS[family], "ood"):
            yield Case("sizes", f"{family}-{level}", policy, "many sizes", policy.memory)
        yield Case("more rooms", MORE, policy, "1,000 rooms", policy.memory, tasks=MANY)
    for policy in policies(folder.parent / f"{family}-retries"):
        yield Case("retries", f"{family}-ood", policy, "retries", policy.memory)
    for policy in policies(plain):
        yield Case("plain", environment, policy, "plain start", policy.memory)
    yield from varied(family, folder)
    yield from varied(family, sizes, ", many sizes")
    yield from varied(family, plain, ", plain start")


def varied(family: str, folder: Path, start: str = "") -> Iterator[Case]:
    """The runs of a set's variants; ``start`` says from which start, if another."""
    environment = f"{family}-{LEVELS[family]}"
    for path in sorted((folder / "variants").glob("*/policy")):
        name, _, seed = path.parent.name.partition("-seed")
        algorithm, _, variant = name.partition("-")
        policy = Policy(algorithm, int(seed or 0), path / "adapter")
        if variant in OTHER_LEVELS:
            for level in ("hard", "ood"):
                question, case = f"{OTHER_LEVELS[variant]}{start}", f"trained on {variant}{start}"
                yield Case(question, f"{family}-{level}", policy, case, policy.memory)
        else:
            question = next(q for prefix, q in VARIANTS.items() if variant.startswith(prefix))
            case = variant.replace("_", " ") + start
            if question == "slower" and start:
                yield Case(question, MORE, policy, case, policy.memory, tasks=MANY)
                continue
            for level in (environment, FAR) if question in ("slower", "longer") else (environment,):
                yield Case(question, level, policy, case, policy.memory)


def play(case: Case, runs: Path, tasks: int) -> Played:
    """Play a case, unless that run is there already."""
    agent: Agent = NamedAgent(case.policy, case.temperature)
    if case.is_random_first:
        agent = RandomFirst(agent)
    name = f"{case.policy.algorithm} {case.case}".replace(" ", "_")
    if case.policy.seed:
        name += f"-seed{case.policy.seed}"
    folder = run(
        agent,
        case.environment,
        tasks=tasks,
        episodes=case.episodes,
        memory=case.memory,
        out=runs / case.name / name,
    )
    return read(case.policy, case.name, folder, tasks)


def rows(played: Iterable[tuple[Case, Played]]) -> Iterator[Row]:
    """The table of docs/results.md: means over seeds, intervals over tasks, shares in percent."""
    same: dict[Case, list[Played]] = defaultdict(list)
    for case, one in played:
        same[replace(case, policy=Policy(case.policy.algorithm, 0, Path()))].append(one)
    for case, seeds in same.items():
        yield {
            "question": case.question,
            "environment": case.name,
            "agent": case.policy.algorithm,
            "case": case.case,
            "seeds": len(seeds),
            **{
                f"pass@{k}": share(seeds, f"pass@{k}") if k <= case.episodes else "-"
                for k in range(1, EPISODES + 1)
            },
            "control": share(seeds, "control"),
            "entropy": f"{by_task(seeds, 'entropy').mean():.2f}" if case.episodes > 1 else "-",
        }


def share(seeds: Sequence[Played], measure: str) -> str:
    """In percent, with its interval."""
    return with_interval(by_task(seeds, measure), 100)


if __name__ == "__main__":
    main()
