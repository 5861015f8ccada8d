"""Replay: the texts behind a record's hashes, brought back by stepping the environment once more.

`verify` proves a whole folder; this file only reads a trial back for a person or an export. What
the replay shows is compared with the record's hashes, so that a text which the agent did not see is
never shown as one that it saw.
"""

from __future__ import annotations

from collections.abc import Iterator

from lamer_bench.env import TextEnv
from lamer_bench.errors import RecordError
from lamer_bench.options import make_with_options
from lamer_bench.protocol import observation_hash
from lamer_bench.record import Episode, Settings, Trial
from lamer_bench.task import Task

Texts = list[list[str | None]]
"""For each episode what the agent saw at each turn and, last, what its last action led to; None
from the first text on whose hash is not the record's."""


def open_world(settings: Settings, *, allow_imports: bool = False) -> TextEnv:
    """The environment that a run was made on.

    Args:
        settings: of the run.
        allow_imports: also import an environment that is given as ``module:Class-level``, and take
            its options, which may name files. Leave this off for folders that somebody else has
            sent.

    Raises:
        RecordError: an import is not allowed, or the installed version is another one.
        UnknownNameError: no such environment is installed.
    """
    name = settings.environment
    if ":" in name and not allow_imports:
        raise RecordError(
            f"{name} would be imported and run, which needs --allow-imports. "
            "Use it for your own runs only."
        )
    if settings.environment_options and not allow_imports:
        raise RecordError(
            f"{name} has options ({options_text(settings)}), which needs --allow-imports. "
            "Use it for your own runs only."
        )
    env = make_with_options(name, settings.environment_options)
    if env.version != settings.environment_version:
        raise RecordError(
            f"The run was made on version {settings.environment_version} of {name}; "
            f"version {env.version} is installed, whose tasks may be others."
        )
    return env


def options_text(settings: Settings) -> str:
    """``data=shop, observation=text_rich``."""
    return ", ".join(f"{name}={value}" for name, value in settings.environment_options.items())


def read_back(env: TextEnv, trial: Trial) -> Texts:
    """The observations of a trial, in its episodes' order; never raises for what a record holds."""
    try:
        task = Task.parse(trial.task)
        if env.task != task:  # a trial's control is on the same task, and drawing one takes time
            env.load(task)
    except Exception:
        return [[None] * (len(episode.turns) + 1) for episode in trial.episodes]
    return [_complete(_seen(env, episode), episode) for episode in trial.episodes]


def _seen(env: TextEnv, episode: Episode) -> Iterator[str]:
    """The texts up to the first that is not the recorded one."""
    try:
        observation, _ = env.reset()
        for turn in episode.turns:
            if observation_hash(observation) != turn.observation:
                return
            yield observation
            observation = env.step(turn.answer)[0]
    except Exception:
        return
    if observation_hash(observation) == episode.final_observation:
        yield observation


def _complete(texts: Iterator[str], episode: Episode) -> list[str | None]:
    found: list[str | None] = list(texts)
    return found + [None] * (len(episode.turns) + 1 - len(found))
