"""How long a large results folder takes to plot, and how much memory.

    python scripts/benchmark_plots.py                  make the folder, plot it, judge
    python scripts/benchmark_plots.py --keep FOLDER    leave runs and figures there to look at

The folder holds 10 agents x 12 environments x 100 tasks, each with a memory-wiped control, as long
as real runs are: about 600,000 turns. Nobody plays; the records are drawn from a seed. What is
measured is the command `lamer-bench plot`, all figures and the report included. Exit code 1 when it
takes more than 20 s or 1 GB. Linux only.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lamer_bench.record import (
    Episode,
    Limits,
    Manifest,
    Provenance,
    Reflection,
    RunFolder,
    Settings,
    SuiteReference,
    Trial,
    Turn,
)

AGENTS = ("random", "explorer", "supervised", "lamer", "gigpo", "grpo", "rloo", "ppo")
AGENTS += ("react", "reflexion")
LEVELS = ("easy", "medium", "hard", "ood")
FAMILIES = ("minesweeper", "sokoban", "webshop")
TASKS = 100
EPISODES = 3
MOST_SECONDS = 20.0
MOST_BYTES = 1e9
PROVENANCE = Provenance(
    created="2025-01-01T00:00:00+00:00", command_line=[], python="", platform="", packages={}
)


def main() -> int:
    """Make, plot, judge; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keep", type=Path, help="folder for the runs and figures")
    keep = parser.parse_args().keep
    if keep is not None:
        return measure(keep)
    with tempfile.TemporaryDirectory() as folder:
        return measure(Path(folder))


def measure(folder: Path) -> int:
    """Plot the folder's runs, made first where they are not there, and print what it took."""
    if not (folder / "runs").exists():
        num_turns = make_runs(folder / "runs")
        print(f"{len(AGENTS)} agents, {len(FAMILIES) * len(LEVELS)} environments, {TASKS} tasks")
        print(f"{num_turns:,} turns")
    command = [sys.executable, "-m", "lamer_bench", "plot", str(folder / "runs")]
    started = time.perf_counter()
    plotting = subprocess.Popen(
        [*command, "--out", str(folder / "figures")], stdout=subprocess.DEVNULL
    )
    size = 0
    while plotting.poll() is None:
        size = max(size, resident(plotting.pid))
        time.sleep(0.1)
    seconds = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{seconds:.1f} s (at most {MOST_SECONDS:.0f}), {used.ru_utime + used.ru_stime:.1f} s CPU"
    )
    print(f"{size / 1e6:.0f} MB (at most {MOST_BYTES / 1e6:.0f}), all processes together")
    return int(bool(plotting.returncode) or seconds > MOST_SECONDS or size > MOST_BYTES)


def resident(process: int) -> int:
    """Bytes in memory of a process and all that it started; 0 for one that has ended."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        started = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except (OSError, IndexError):
        return 0
    return pages * resource.getpagesize() + sum(resident(int(one)) for one in started)


def make_runs(out: Path) -> int:
    """Write the run folders; returns their turns."""
    num_turns = 0
    for family in FAMILIES:
        for level in LEVELS:
            for agent in AGENTS:
                rng = random.Random(f"{agent} {family} {level}")
                settings = settings_of(agent, f"{family}-{level}")
                folder = RunFolder(out / settings.environment / agent)
                folder.create(Manifest(settings=settings, provenance=PROVENANCE))
                trials = list(trials_of(settings, rng))
                folder.append(trials)
                num_turns += sum(len(one.turns) for trial in trials for one in trial.episodes)
    return num_turns


def settings_of(agent: str, environment: str) -> Settings:
    """A run's settings."""
    return Settings(
        agent=agent,
        agent_settings={},
        memory="reflection",
        environment=environment,
        environment_version=1,
        split="test",
        tasks=TASKS,
        episodes=EPISODES,
        repeats=1,
        control_episodes=EPISODES,
        seed=0,
        limits=Limits(turns=30, answer_characters=16384, turn_seconds=60, trial_seconds=3600),
        suite=SuiteReference(name="drawn", version=1, digest="0" * 64),
        is_ranked=True,
        is_deterministic=True,
    )


def trials_of(settings: Settings, rng: random.Random) -> list[Trial]:
    """Each task's trial and control; chances to win, and what memory adds, are an agent's own."""
    skill, memory = rng.random() * 0.6, rng.random() * 0.3
    trials = []
    for index in range(settings.tasks):
        for kind in ("trial", "control"):
            episodes: list[Episode] = []
            for number in range(EPISODES):
                chance = skill + memory * number * (kind == "trial")
                episodes.append(episode_of(number, rng.random() < chance, kind == "trial", rng))
                if kind == "trial" and episodes[-1].end == "won":
                    break
            task = f"{settings.environment}/{settings.split}/{index}"
            key = (kind, task, 0)
            trials.append(Trial.of(key, memory="reflection", fingerprint=task, episodes=episodes))
    return trials


def episode_of(index: int, is_won: bool, is_trial: bool, rng: random.Random) -> Episode:
    """An episode of 5 to 14 turns with answers of two sentences."""
    turns = [
        Turn(
            observation=f"{rng.getrandbits(64):016x}",
            answer=f"It looks as if that one were safe. <action>({rng.randint(1, 8)},3)</action>",
            action=f"({rng.randint(1, 8)},3)",
            reward=0.1,
            prompt_tokens=rng.randint(100, 900),
            answer_tokens=rng.randint(5, 90),
        )
        for _ in range(rng.randint(5, 14))
    ]
    note = Reflection(text="The corner was wrong.", prompt_tokens=300, answer_tokens=9)
    return Episode(
        index=index,
        turns=turns,
        end="won" if is_won else "lost",
        final_observation="0" * 16,
        reflection=note if is_trial and not is_won else None,
    )


if __name__ == "__main__":
    sys.exit(main())
