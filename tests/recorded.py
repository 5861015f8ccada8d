"""Run folders for tests: `play` driven by an agent, one question at a time, and the trials
stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tests.toys  # noqa: F401  (registers the family "doors")
from lamer_bench.agent import Agent, Answer
from lamer_bench.env import TextEnv, make
from lamer_bench.protocol import TrialPlan, play
from lamer_bench.record import Manifest, Provenance, RunFolder, Settings, Trial
from lamer_bench.suites import limits_of, suite_reference
from lamer_bench.task import Task

PROVENANCE = Provenance(
    created="2025-01-01T00:00:00+00:00",
    command_line=["lamer-bench", "run"],
    python="3.12",
    platform="test",
    packages={},
)


def settings_for(environment: str = "doors-easy", **changes: Any) -> Settings:
    """Settings of a small run; ``changes`` replace single fields."""
    env = make(environment)
    content = {
        "agent": "guesser",
        "agent_settings": {},
        "memory": "both",
        "environment": environment,
        "environment_version": env.version,
        "split": "test",
        "tasks": 4,
        "episodes": 3,
        "repeats": 1,
        "control_episodes": 3,
        "seed": 0,
        "limits": limits_of(env),
        "suite": suite_reference(environment),
        "is_ranked": True,
        "is_deterministic": True,
    }
    return Settings(**{**content, **changes})


def record_trial(env: TextEnv, plan: TrialPlan, agent: Agent) -> Trial:
    """Play one trial with an agent that is asked one question at a time."""
    playing = play(env, plan)
    try:
        ask = next(playing)
        while True:
            reply = getattr(agent, ask.kind)([ask.view])[0]
            ask = playing.send(reply if isinstance(reply, Answer) else Answer(reply))
    except StopIteration as stop:
        trial: Trial = stop.value
        return trial


def record_trials(settings: Settings, agent: Agent) -> list[Trial]:
    """All trials of a run, each trial followed by its control."""
    env = make(settings.environment)
    trials = []
    for index in range(settings.tasks):
        task = Task(env.environment, settings.split, index)
        for repeat in range(settings.repeats):
            for kind, num_episodes in (
                ("trial", settings.episodes),
                ("control", settings.control_episodes),
            ):
                plan = TrialPlan(task, kind, repeat, num_episodes, settings.memory, settings.seed)
                if num_episodes:
                    trials.append(record_trial(env, plan, agent))
    return trials


def write_run(path: Path, settings: Settings, trials: list[Trial]) -> RunFolder:
    """A run folder with these trials."""
    folder = RunFolder(path)
    folder.create(Manifest(settings=settings, provenance=PROVENANCE))
    folder.append(trials)
    return folder
