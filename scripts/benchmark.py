"""Speed of the environments, alone and against other libraries, measured in one call.

Prints rates and ratios and judges nothing: on a shared machine a rate moves by a factor of two, a
ratio within one call hardly does. Every rate is the best of three, the least disturbed.

    python scripts/benchmark.py                 ours, lockstep against processes, runner's share
    python scripts/benchmark.py --with-peers    and the peers, installed from PyPI where missing
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import random
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count, cycle, product
from pathlib import Path

import gymnasium
from gymnasium.vector import AsyncVectorEnv
from rich.console import Console
from rich.table import Table

from lamer_bench.agent import Answer
from lamer_bench.env import TextEnv, make
from lamer_bench.errors import LamerBenchError
from lamer_bench.protocol import Ask, TrialPlan, play
from lamer_bench.record import Trial
from lamer_bench.runner import make_agent, run
from lamer_bench.task import Task

REPEATS = 3
PEERS = {"gym-sokoban": "0.0.6", "textarena": "0.7.4", "gem-llm": "0.1.0"}
_MODULES = {"gym-sokoban": "gym_sokoban", "textarena": "textarena", "gem-llm": "gem"}
FAMILIES = ("minesweeper", "sokoban")
# What a peer's measure is compared with: the environment and the rate of ours.
COUNTERPARTS = {
    "minesweeper steps": ("minesweeper-hard", "steps"),
    "minesweeper tasks": ("minesweeper-hard", "tasks"),
    "sokoban steps": ("sokoban-paper", "single-move steps"),
    "sokoban 6x6, 1 box tasks": ("sokoban-easy", "tasks"),
    "sokoban 6x6, 2 box tasks": ("sokoban-paper", "tasks"),
    "sokoban 6x6, 3 box tasks": ("sokoban-hard", "tasks"),
}


@dataclass(frozen=True)
class Rate:
    """One line of the report."""

    what: str
    measure: str
    per_second: float
    peer: str = ""
    ratio: float | None = None
    """Ours divided by the peer's."""


def per_second(act: Callable[[], int], seconds: float) -> float:
    """The best of several rates of a function that returns how many things it did."""
    best = 0.0
    for _ in range(REPEATS):
        done, begin = 0, time.perf_counter()
        while (spent := time.perf_counter() - begin) < seconds:
            done += act()
        best = max(best, done / spent)
    return best


# Ours ---------------------------------------------------------------------------------------------


def our_rates(environment: str, seconds: float) -> list[Rate]:
    """Steps, restarts and new tasks of one environment."""
    scripts = _scripts(environment)
    env = make(environment, split="train")
    env.reset(seed=0)
    rates = {
        "steps": per_second(partial(_play_all, scripts), seconds),
        "restarts": per_second(partial(_restart, env), seconds),
        "tasks": per_second(partial(_load_next, env, count()), seconds),
    }
    if env.family == "sokoban" and environment != "sokoban-easy":
        single = [(played, ", ".join(actions).split(", ")) for played, actions in scripts]
        rates["single-move steps"] = per_second(partial(_play_all, single), seconds)
    return [Rate(environment, measure, rate) for measure, rate in rates.items()]


def _scripts(environment: str) -> list[tuple[TextEnv, list[str]]]:
    """For 20 tasks a solution, and for each as many random actions."""
    rng = random.Random(0)
    scripts = []
    for index in range(20):
        env = make(environment, split="train")
        _, info = env.reset(seed=index)
        solution = env.solution()
        known = info.get("admissible") or ["up", "down, left", "right, right, up"]
        scripts += [(env, solution), (env, rng.choices(list(known), k=len(solution)))]
    return scripts


def _play_all(scripts: Sequence[tuple[TextEnv, list[str]]]) -> int:
    """One episode of each script, its restart included."""
    done = 0
    for env, actions in scripts:
        env.reset()
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            done += 1
            if terminated or truncated:
                break
    return done


def _restart(env: TextEnv) -> int:
    for _ in range(200):
        env.reset()
    return 200


def _load_next(env: TextEnv, indices: Iterator[int]) -> int:
    """A new task, its first observation, and its certificate."""
    env.load(Task(env.environment, "train", next(indices)))
    env.reset()
    env.solution()
    return 1


# Many trials at once ------------------------------------------------------------------------------


def lockstep_rates(environment: str, trials: int, processes: int, seconds: float) -> list[Rate]:
    """Trials stepped in lockstep in one process, against environments in processes."""
    actions = ["up", "right", "down", "left"]
    if environment.startswith("minesweeper"):
        actions = [f"({row},{column})" for row, column in product(range(1, 7), repeat=2)]
    envs = _started(environment, trials)
    alone = per_second(partial(_step_all, envs, cycle(actions)), seconds)
    played = per_second(partial(_Trials(environment, trials).answer, cycle(actions)), seconds)
    vector = AsyncVectorEnv([partial(_flat, environment)] * processes, shared_memory=False)
    try:
        vector.reset(seed=0)
        parallel = per_second(partial(_step_vector, vector, cycle(actions)), seconds)
    finally:
        vector.close()
    peer = f"{processes} processes (AsyncVectorEnv)"
    return [
        Rate(f"{environment}, {processes} processes", "AsyncVectorEnv steps", parallel),
        Rate(f"{environment}, {trials} in lockstep", "bare steps", alone, peer, alone / parallel),
        Rate(
            f"{environment}, {trials} in lockstep",
            "turns with protocol and record",
            played,
            peer,
            played / parallel,
        ),
    ]


def _started(environment: str, trials: int) -> list[TextEnv]:
    envs = [make(environment) for _ in range(trials)]
    for index, env in enumerate(envs):
        env.reset(seed=index)
    return envs


def _step_all(envs: list[TextEnv], actions: Iterator[str]) -> int:
    action = next(actions)
    for env in envs:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
    return len(envs)


class _Trials:
    """Trials that begin anew when they end, all given the same answer."""

    def __init__(self, environment: str, trials: int) -> None:
        self._envs = [make(environment) for _ in range(trials)]
        self._running = [self._begin(index) for index in range(trials)]

    def _begin(self, index: int) -> Generator[Ask, Answer, Trial]:
        env = self._envs[index]
        trial = play(env, TrialPlan(Task(env.environment, "test", index)))
        next(trial)
        return trial

    def answer(self, actions: Iterator[str]) -> int:
        answer = Answer(f"<action>{next(actions)}</action>")
        for index, trial in enumerate(self._running):
            try:
                trial.send(answer)
            except StopIteration:
                self._running[index] = self._begin(index)
        return len(self._running)


def _flat(environment: str) -> gymnasium.Env[str, str]:
    return make(environment)


def _step_vector(vector: AsyncVectorEnv, actions: Iterator[str]) -> int:
    for _ in range(20):
        vector.step((next(actions),) * vector.num_envs)
    return 20 * vector.num_envs


# The runner ---------------------------------------------------------------------------------------


def runner_share(agent_name: str, environment: str, tasks: int) -> dict[str, object]:
    """How much of a run's time is not spent in the agent; ``skipped`` says why there is none."""
    try:
        agent = make_agent(agent_name)
        spent = _count_time(agent)
        with tempfile.TemporaryDirectory() as folder:
            begin = time.perf_counter()
            run(agent, environment, tasks=tasks, out=Path(folder) / "run")
            total = time.perf_counter() - begin
    except LamerBenchError as error:
        return {"agent": agent_name, "skipped": str(error)}
    return {
        "agent": agent_name,
        "environment": environment,
        "tasks": tasks,
        "seconds": total,
        "seconds_in_agent": sum(spent),
        "runner_share": 1 - sum(spent) / total,
    }


def _count_time(agent: object) -> list[float]:
    """Let an agent note how long each of its answers took."""
    spent: list[float] = []
    for name in ("act", "reflect"):
        original = getattr(agent, name)

        def timed(views: object, original: Callable[[object], object] = original) -> object:
            begin = time.perf_counter()
            try:
                return original(views)
            finally:
                spent.append(time.perf_counter() - begin)

        setattr(agent, name, timed)
    return spent


# Peers --------------------------------------------------------------------------------------------


def peer_results(with_peers: bool, seconds: float) -> dict[str, dict[str, object]]:
    """The peers' rates, from this Python or from a temporary one that they are installed into."""
    missing = [name for name, module in _MODULES.items() if not importlib.util.find_spec(module)]
    if not missing:
        return _measure_peers(sys.executable, seconds)
    if not with_peers:
        reason = "not installed; --with-peers installs it into a temporary environment"
        present = _measure_peers(sys.executable, seconds) if len(missing) < len(PEERS) else {}
        return {**present, **{name: {"skipped": reason} for name in missing}}
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        failed: dict[str, dict[str, object]] = {}
        for name, version in PEERS.items():
            command = [python, "-m", "pip", "install", "--quiet", f"{name}=={version}"]
            finished = subprocess.run(command, capture_output=True, text=True, check=False)
            if finished.returncode:
                last_line = finished.stderr.strip().rpartition("\n")[2]
                failed[name] = {"skipped": f"does not install: {last_line}"}
        return {**_measure_peers(python, seconds), **failed}


def _measure_peers(python: str, seconds: float) -> dict[str, dict[str, object]]:
    script = Path(__file__).with_name("benchmark_peers.py")
    command = [python, "-W", "ignore", str(script), str(seconds)]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    results: dict[str, dict[str, object]] = json.loads(finished.stdout)
    return results


def compare(ours: list[Rate], peers: dict[str, dict[str, object]]) -> list[Rate]:
    """Each peer's rate with ours beside it."""
    known = {(rate.what, rate.measure): rate.per_second for rate in ours}
    lines = []
    for peer, result in peers.items():
        rates = result.get("rates", {})
        assert isinstance(rates, dict)
        for measure, rate in rates.items():
            environment, name = COUNTERPARTS[measure]
            mine = known[environment, name]
            label = f"{peer} {result['version']}: {rate:,.0f}"
            lines.append(Rate(f"{environment}: {measure}", name, mine, label, mine / rate))
    return lines


# The report ---------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--with-peers", action="store_true", help="install missing peers")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one measurement")
    parser.add_argument("--trials", type=int, default=256, help="trials in lockstep")
    parser.add_argument(
        "--processes",
        type=int,
        default=16,
        help="worker processes to compare with (256 would measure the scheduler and the memory)",
    )
    parser.add_argument("--agent", default="lamer", help="agent for the runner's own share")
    parser.add_argument("--agent-tasks", type=int, default=64, help="tasks of that run")
    options = parser.parse_args()

    ours = [
        rate
        for family in FAMILIES
        for level in type(make(f"{family}-easy")).levels
        for rate in our_rates(f"{family}-{level}", options.seconds)
    ]
    lockstep = [
        rate
        for family in FAMILIES
        for rate in lockstep_rates(
            f"{family}-easy", options.trials, options.processes, options.seconds
        )
    ]
    peers = peer_results(options.with_peers, options.seconds)
    compared = compare(ours, peers)
    share = runner_share(options.agent, "minesweeper-easy", options.agent_tasks)

    if options.json:
        report = {
            "python": platform.python_version(),
            "ours": [asdict(rate) for rate in ours],
            "lockstep": [asdict(rate) for rate in lockstep],
            "peers": [asdict(rate) for rate in compared],
            "peers_skipped": {n: r["skipped"] for n, r in peers.items() if "skipped" in r},
            "runner": share,
        }
        print(json.dumps(report, indent=2))
        return
    console = Console()
    console.width = max(console.width, 120)  # also where the output is no terminal
    console.print(_table("Ours, one process", ours))
    console.print(_table("Lockstep against processes", lockstep))
    console.print(_table("Against peers, measured in this call", compared))
    for name, result in peers.items():
        if "skipped" in result:
            console.print(f"{name}: skipped, {result['skipped']}", markup=False)
    console.print(f"The runner's own share: {share}", markup=False)


def _table(title: str, rates: list[Rate]) -> Table:
    table = Table(title=title)
    for heading in ("what", "measure", "per second", "peer", "ratio"):
        table.add_column(heading, justify="right" if heading in ("per second", "ratio") else "left")
    for rate in rates:
        ratio = "" if rate.ratio is None else f"{rate.ratio:,.1f}"
        table.add_row(rate.what, rate.measure, f"{rate.per_second:,.0f}", rate.peer, ratio)
    return table


if __name__ == "__main__":
    main()
