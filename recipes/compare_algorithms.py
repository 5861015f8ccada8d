"""The comparison: the supervised start, PPO, RLOO, GRPO, GiGPO and LaMer on every level.

    python recipes/compare_algorithms.py [--training runs/training] [--runs runs/comparison]

Plays the policies that recipes/train_algorithms.sh leaves under
``runs/training/<family>/<algorithm>-seed<n>/policy`` on 200 test tasks of each level: three
sequential attempts with the algorithm's own memory and three memory-wiped control episodes. Runs
that are complete are not played again. Writes docs/results/algorithms.csv (one line for each run),
docs/results/algorithms_tests.csv (LaMer against each other algorithm), the figures beside them
(seed 0) and the tables in docs/results.md. What they say of environments not played stays;
the figures are drawn of all runs in ``--runs``, if there are any of every environment.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from tables import (
    Row,
    markdown,
    read_csv,
    read_table,
    replace_between,
    update,
    update_csv,
    update_tests,
)

from baselines.language_agent import SHIPPED_TEMPERATURE, LanguageAgent
from lamer_bench import metrics, plots
from lamer_bench.agent import Memory
from lamer_bench.env import environment_ids
from lamer_bench.record import RunFolder
from lamer_bench.runner import run
from lamer_bench.scores import Scores, gains, interval_over_tasks, score_run

ROOT = Path(__file__).resolve().parent.parent
MEMORY: dict[str, Memory] = {"supervised": "reflection", "lamer": "reflection"}
"""Everything else was trained without a memory and retries without one."""
ORDER = ["supervised", "ppo", "rloo", "grpo", "gigpo", "lamer"]
FIGURES = ("pass-at-k", "diversity")
_FOLDER = re.compile(r"(?P<algorithm>[a-z]+)(?:-seed(?P<seed>\d+))?")


@dataclass(frozen=True)
class Policy:
    """One trained policy."""

    algorithm: str
    seed: int
    folder: Path

    @property
    def memory(self) -> Memory:
        """The one that it was trained with."""
        return MEMORY.get(self.algorithm, "none")


@dataclass(frozen=True)
class Played:
    """A policy on one environment."""

    environment: str
    policy: Policy
    scores: Scores
    folder: Path
    tokens: int
    """Prompt and answer tokens of the trials with memory, for each task."""


class NamedAgent(LanguageAgent):
    """A policy of the comparison under its algorithm's name."""

    def __init__(self, policy: Policy, temperature: float) -> None:
        super().__init__(policy.folder, temperature)
        self.name = policy.algorithm  # type: ignore[misc]


def main() -> None:
    parser = parser_of(__doc__, "comparison")
    parser.add_argument("--envs", nargs="+", default=None, help="environment ids; all unless said")
    options = parser.parse_args()
    everywhere = environment_ids()
    played = []
    for environment in options.envs or everywhere:
        family = environment.rpartition("-")[0]
        for policy in policies(options.training / family):
            played.append(play(policy, environment, options.runs, options.tasks))
            print(markdown([run_row(played[-1])]), flush=True)
    stop_without(played, options.training)
    tests = all_tests(played)
    print(markdown(tests))
    if options.no_docs:
        return

    is_anew = about(played)
    results, page = ROOT / "docs" / "results", ROOT / "docs" / "results.md"
    update_csv(results / "algorithms.csv", [run_row(one) for one in played], is_anew)
    update(page, "algorithms", list(mean_rows(played)), is_anew)
    tested = results / "algorithms_tests.csv"
    update_tests(tested, page, "algorithm tests", tests, is_anew, corrected)
    summary = list(leads_over_best(read_csv(tested), read_table(page, "algorithms")))
    replace_between(page, "summary", markdown(summary))
    folders = [one for name in everywhere for one in sorted((options.runs / name).glob("*-seed0"))]
    missing = sorted(set(everywhere) - {folder.parent.name for folder in folders})
    if missing:
        print(f"No figure is drawn: {options.runs} has no runs of {', '.join(missing)}.")
    else:
        draw(folders, results)


def parser_of(description: str | None, runs: str) -> argparse.ArgumentParser:
    """The options of a recipe that plays trained policies; its runs are in ``runs/<runs>``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--training", type=Path, default=ROOT / "runs" / "training")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / runs)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--no-docs", action="store_true", help="play and print only")
    return parser


def about(played: Iterable[Played]) -> Callable[[Row], bool]:
    """What says whether a table's row is about an environment that was played."""
    environments = {one.environment for one in played}
    return lambda row: (row.get("environment") or f"{row['env']}-{row['level']}") in environments


def stop_without(played: Sequence[object], training: Path) -> None:
    """Leave the documents as they are where nothing was played."""
    if not played:
        raise SystemExit(
            f"There are no policies under {training}. Train them: "
            "bash recipes/train_algorithms.sh FAMILY"
        )


def policies(parent: Path) -> list[Policy]:
    """The trained policies in a family's folder, in the order of the table."""
    found = []
    for path in parent.glob("*/policy"):
        match = _FOLDER.fullmatch(path.parent.name)
        if match and match["algorithm"] in ORDER:
            adapter = path / "adapter"  # what ships; the folder itself holds it merged and rounded
            folder = adapter if adapter.exists() else path
            found.append(Policy(match["algorithm"], int(match["seed"] or 0), folder))
    return sorted(found, key=lambda policy: (ORDER.index(policy.algorithm), policy.seed))


def play(
    policy: Policy, environment: str, runs: Path, tasks: int, control_episodes: int | None = None
) -> Played:
    """Play a policy on an environment, unless that run is there already."""
    folder = run(
        NamedAgent(policy, SHIPPED_TEMPERATURE),
        environment,
        tasks=tasks,
        control_episodes=control_episodes,
        memory=policy.memory,
        out=runs / environment / f"{policy.algorithm}-seed{policy.seed}",
    )
    return read(policy, environment, folder, tasks)


def read(policy: Policy, environment: str, folder: RunFolder, tasks: int) -> Played:
    """What a run folder holds."""
    scores = score_run(folder)
    tokens = scores.cost.prompt_tokens + scores.cost.answer_tokens
    return Played(environment, policy, scores, folder.path, round(tokens / tasks))


def draw(folders: Sequence[Path], results: Path) -> None:
    """Figures of run folders, as SVG."""
    with tempfile.TemporaryDirectory() as scratch:
        for file in plots.plot(folders, FIGURES, scratch):
            if file.suffix == ".svg":
                shutil.copy(file, results / f"algorithms-{file.name}")


def run_row(played: Played) -> Row:
    """One line of algorithms.csv."""
    env, _, level = played.environment.rpartition("-")
    scores = played.scores.as_json()
    row: Row = {
        "env": env,
        "level": level,
        "agent": played.policy.algorithm,
        "seed": played.policy.seed,
        "memory": played.scores.settings.memory,
        "tasks": scores["tasks"],
    }
    for k in ("1", "2", "3"):  # the last two are empty where there was one attempt only
        row[f"pass_at_{k}"] = scores["pass_at"].get(k)
        low, high = scores["pass_at_ci"].get(k, (None, None))
        row[f"pass_at_{k}_low"], row[f"pass_at_{k}_high"] = low, high
    row |= {
        "control_pass_at_3": scores["independent_pass_at"].get("3"),
        "gain": scores["gain"],
        "gain_low": scores["gain_ci"][0],
        "gain_high": scores["gain_ci"][1],
        "trajectory_entropy": scores["trajectory_entropy"],
        "invalid_rate": scores["invalid_rate"],
        "tokens": played.tokens,
    }
    return {name: round(v, 4) if isinstance(v, float) else v for name, v in row.items()}


def groups(played: Iterable[Played]) -> dict[tuple[str, str], list[Played]]:
    """All seeds of an algorithm on an environment."""
    found: dict[tuple[str, str], list[Played]] = defaultdict(list)
    for one in played:
        found[one.environment, one.policy.algorithm].append(one)
    return found


def by_task(seeds: Sequence[Played], measure: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A measure for each task, averaged over the seeds."""
    columns = []
    for one in seeds:
        tasks = one.scores.tasks
        if measure.startswith("pass@"):
            columns.append([task.pass_at[int(measure[5:]) - 1] for task in tasks])
        elif measure == "control":
            columns.append([task.independent[-1] for task in tasks])
        elif measure == "gain":
            columns.append(list(gains(tasks, one.scores.settings.episodes)))
        else:
            columns.append([task.trajectory_entropy for task in tasks])
    return np.mean(columns, axis=0)


def mean_rows(played: Iterable[Played]) -> Iterator[Row]:
    """The table of docs/results.md: means over seeds, intervals over tasks, shares in percent."""
    for (environment, algorithm), seeds in groups(played).items():
        yield {
            "environment": environment,
            "agent": algorithm,
            "seeds": len(seeds),
            **{
                name: with_interval(by_task(seeds, name), 100)
                for name in ("pass@1", "pass@2", "pass@3", "control", "gain")
            },
            "entropy": f"{by_task(seeds, 'entropy').mean():.2f}",
            "tokens": round(np.mean([one.tokens for one in seeds])),
        }


def all_tests(played: Iterable[Played]) -> list[Row]:
    """LaMer's pass@3 and entropy against every other algorithm's, and its pass@3 against their
    memory-wiped control; paired over tasks, Holm over all tests on pass@3."""
    found = groups(played)
    tests = []
    for (environment, algorithm), other in found.items():
        lamer = found.get((environment, "lamer"))
        if algorithm == "lamer" or lamer is None:
            continue
        won = by_task(lamer, "pass@3")
        other_won, other_control = (by_task(other, name) for name in ("pass@3", "control"))
        gap = won - other_won
        entropy = by_task(lamer, "entropy") - by_task(other, "entropy")
        row: Row = {
            "environment": environment,
            "lamer minus": algorithm,
            "its pass@3": f"{100 * other_won.mean():.1f}",
            "pass@3": with_interval(gap, 100),
            "its control": f"{100 * other_control.mean():.1f}",
            "over its control": with_interval(won - other_control, 100),
            "better": int((gap > 0).sum()),
            "worse": int((gap < 0).sum()),
            "p": "",
            "p (Holm)": "",
            "entropy": with_interval(entropy, 1),
        }
        tests.append(row)
    return corrected(tests)


def corrected(tests: Sequence[Row]) -> list[Row]:
    """With sign tests of the tasks that are better and worse, and Holm's correction over all."""
    p_values = [metrics.sign_test_p(int(row["better"]), int(row["worse"])) for row in tests]
    return [
        row | {"p": f"{p:.2g}", "p (Holm)": f"{adjusted:.2g}"}
        for row, p, adjusted in zip(tests, p_values, metrics.holm(p_values), strict=True)
    ]


def leads_over_best(tests: Iterable[Row], means: Iterable[Row]) -> Iterator[Row]:
    """On every environment LaMer's pass@3, and its lead over the single-episode algorithm whose
    memory-wiped control wins most; of the rows of `all_tests` and `mean_rows`."""
    table = {(row["environment"], row["agent"]): row for row in means}
    lamer = {name: row["pass@3"] for (name, agent), row in table.items() if agent == "lamer"}
    best: dict[str, Row] = {}
    for row in sorted(tests, key=lambda row: float(row["its control"])):
        if row["lamer minus"] != "supervised":
            best[row["environment"]] = row
    for environment in [name for name in lamer if name in best]:
        row = best[environment]
        yield {
            "environment": environment,
            "LaMer's pass@3": lamer[environment],
            "best single-episode algorithm": row["lamer minus"],
            "its seeds": table[environment, row["lamer minus"]]["seeds"],
            "its control": row["its control"],
            "LaMer's lead": row["over its control"],
            "LaMer's entropy minus its": row["entropy"],
        }


def with_interval(values: np.ndarray[Any, np.dtype[np.float64]], scale: float) -> str:
    """``mean [low, high]``."""
    digits = 1 if scale == 100 else 2
    low, high = interval_over_tasks(values) or (float("nan"),) * 2
    return (
        f"{scale * values.mean():.{digits}f} [{scale * low:.{digits}f}, {scale * high:.{digits}f}]"
    )


if __name__ == "__main__":
    main()
