"""Sealed tasks: drawn from a secret of the board, played through its API, recorded by the board.

The board runs the same `play` as everybody, with questions going out over HTTP and answers coming
back. Each accepted answer is in the database before it is played, so that a run goes on where it
was after a lost connection or a killed server: its trials are played again from their answers.
"""

from __future__ import annotations

import hmac
import os
import random
import shutil
import stat
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

from pydantic import Field

from lamer_bench import suites
from lamer_bench.agent import Answer
from lamer_bench.env import make
from lamer_bench.errors import SettingError
from lamer_bench.protocol import answer_stream, clean
from lamer_bench.provenance import provenance
from lamer_bench.record import Count, Manifest, Model, RunFolder, Settings, Trial, Void
from lamer_bench.runner import EnvironmentPool, Seat, plan_trials
from lamer_bench.scores import score_run
from lamer_bench.task import SEALED, Task, split_environment_id, split_of
from leaderboard.judge import result
from leaderboard.views import view_json

SALT_VARIABLE = "LAMER_BENCH_SALT"
SHORTEST_SALT = 32
"""Characters; a short one could be found by trying."""
MOST_IN_FLIGHT = 64
"""Trials of a run that wait for an answer at the same time."""


# The secret --------------------------------------------------------------------------------------


def read_salt(file: Path | None) -> str:
    """The secret from a file that only its owner can read, or else from the environment, where it
    is taken away so that no other process inherits it; empty when there is none.

    Raises:
        SettingError: others can read the file, or the secret is too short.
    """
    if file is None:
        salt = os.environ.pop(SALT_VARIABLE, "").strip()
        where = SALT_VARIABLE
    else:
        try:
            if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise SettingError(f"{file} can be read by others: chmod 600 {file}")
            salt = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(f"{file} cannot be read: {error}.") from error
        where = str(file)
    if (salt or file) and len(salt) < SHORTEST_SALT:
        raise SettingError(
            f"The secret in {where} has {len(salt)} characters; {SHORTEST_SALT} or more are "
            f"needed: (umask 077; openssl rand -hex 32 > salt)"
        )
    return salt


@dataclass(frozen=True, slots=True)
class SealedTask(Task):
    """A task whose instance follows from its id and the secret together."""

    salt: str = field(repr=False)
    public: frozenset[str] = field(repr=False)
    """Fingerprints of the suite's test tasks."""

    def rng(self, purpose: str) -> random.Random:
        """The agent's streams are those of the public id; the instance's is keyed."""
        if purpose.startswith("agent/"):
            return Task.rng(self, purpose)
        key = hmac.digest(self.salt.encode(), f"{self.id}#{purpose}".encode(), "sha256")
        return random.Random(int.from_bytes(key, "big"))

    def owns(self, fingerprint: str) -> bool:
        """By its content it could be a test task, so that nobody has trained on it; and it is none
        of those that the suite lists."""
        return split_of(fingerprint) == "test" and fingerprint not in self.public


class Seal:
    """A board's secret, and the tasks that follow from it."""

    def __init__(self, salt: str) -> None:
        self._salt = salt
        self._public: dict[str, frozenset[str]] = {}
        self._lock = threading.Lock()
        suite = suites.load_suite()
        label = hmac.digest(salt.encode(), b"label", "sha256").hex()[:8]
        self.drawn_from = f"{suite.name}-{suite.version}.{label}"
        """Names the tasks without telling them; results of two secrets never share a table."""

    def task(self, task: Task) -> SealedTask:
        """The sealed task of this id."""
        family, _ = split_environment_id(task.environment)
        with self._lock:
            if family not in self._public:
                self._public[family] = frozenset(_test_contents(family))
        return SealedTask(
            task.environment, SEALED, task.index, salt=self._salt, public=self._public[family]
        )


def _test_contents(family: str) -> Iterable[str]:
    """Fingerprints of the suite's test tasks, all levels of a family."""
    suite = suites.load_suite()
    for environment in suite.environments:
        if split_environment_id(environment)[0] == family:
            env = make(environment)
            for task in suite.tasks(environment, "test"):
                env.load(task)
                yield env.fingerprint()


# One run -----------------------------------------------------------------------------------------


class Answered(Model):
    """An answer as the agent's side sends it."""

    trial: Count
    place: Count
    """Questions of the trial that were answered before."""
    text: Annotated[str, Field(max_length=2**20)] = ""
    prompt_tokens: Count = 0
    answer_tokens: Count = 0
    void: Annotated[str, Field(max_length=500)] | None = None
    """Why the agent has no answer; the trial is void then."""


class Given(Answered):
    """An answer as the board stores it."""

    seconds: float = 0.0
    """Since the question went out, divided by the questions that went out with it."""


class BehindError(Exception):
    """Another process of the board has gone on with this run."""


@dataclass
class _Open:
    """A trial that waits for an answer."""

    seat: Seat
    place: int = 0
    episode: int = -1
    asked_at: float | None = None
    asked_with: int = 1

    def note(self) -> None:
        """A view counts episodes only where the memory allows it."""
        ask = self.seat.ask
        self.episode += ask.kind == "act" and ask.view.turn == 0


class SealedRun:
    """A run that is being played: its trials, rebuilt from the stored answers."""

    def __init__(
        self, settings: Settings, seal: Seal, stored: Iterable[Given], answer_seconds: float
    ) -> None:
        self.settings = settings
        self._answer_seconds = answer_seconds
        self._pool = EnvironmentPool(settings.environment)
        self._plans = [replace(plan, task=seal.task(plan.task)) for plan in plan_trials(settings)]
        self._open: dict[int, _Open] = {}
        self._trials: dict[int, Trial] = {}
        for given in stored:
            if given.trial not in self._open:
                self._begin(given.trial)
            self.play([given])
        self._waiting = deque(
            index
            for index in range(len(self._plans))
            if index not in self._open and index not in self._trials
        )

    def close(self) -> None:
        """Give the environments back."""
        self._pool.close()

    @property
    def is_over(self) -> bool:
        """Whether every trial has ended."""
        return len(self._trials) == len(self._plans)

    def questions(self) -> list[dict[str, Any]]:
        """All that wait for an answer; what an agent may know, and nothing else."""
        while self._waiting and len(self._open) < MOST_IN_FLIGHT:
            self._begin(self._waiting.popleft())
        asked = []
        for index, one in self._open.items():
            if one.asked_at is None:
                one.asked_at, one.asked_with = monotonic(), len(self._open)
            plan, ask = self._plans[index], one.seat.ask
            asked.append(
                {
                    "trial": index,
                    "place": one.place,
                    "kind": ask.kind,
                    "task": plan.task.id,
                    "stream": answer_stream(plan, one.episode, ask.view.turn),
                    "view": view_json(ask.view),
                }
            )
        return asked

    def awaited(self, answers: Sequence[Answered]) -> dict[tuple[int, int], Given]:
        """Those answers that are waited for; repeated ones are left out.

        Raises:
            BehindError: an answer comes to a question that has not come up here.
        """
        found: dict[tuple[int, int], Given] = {}
        for answer in answers:
            if answer.trial in self._waiting:  # asked by another process, or before a restart
                self._waiting.remove(answer.trial)
                self._begin(answer.trial)
            one = self._open.get(answer.trial)
            if one is not None and answer.place > one.place:
                raise BehindError
            if one is not None and answer.place == one.place:
                found.setdefault((answer.trial, answer.place), self._given(answer, one))
        return found

    def _given(self, answer: Answered, one: _Open) -> Given:
        seconds = 0.0 if one.asked_at is None else monotonic() - one.asked_at
        void = answer.void
        if seconds > self._answer_seconds:
            void = f"TimeoutError: no answer within {self._answer_seconds:g} s"
        return Given(
            **answer.model_dump(exclude={"void", "text"}),
            text=clean(answer.text),
            void=void,
            seconds=round(seconds / one.asked_with, 6),
        )

    def play(self, answers: Iterable[Given]) -> None:
        """Play answers that are stored."""
        for given in answers:
            one = self._open[given.trial]
            one.seat.seconds += given.seconds
            one.seat.take(_reply(given), self.settings.limits.trial_seconds)
            one.place += 1
            one.asked_at = None
            self._end_or_note(given.trial, one)

    def _begin(self, index: int) -> None:
        one = _Open(Seat(self._plans[index], self._pool.take()))
        self._open[index] = one
        self._end_or_note(index, one)

    def _end_or_note(self, index: int, one: _Open) -> None:
        if one.seat.trial is None:
            one.note()
            return
        self._trials[index] = one.seat.finish(self._pool)
        del self._open[index]

    def progress(self) -> dict[str, int]:
        """Counts of trials, as `lamer_bench.runner.Progress`."""
        trials = self._trials.values()
        return {
            "done": len(self._trials),
            "total": len(self._plans),
            "wins": sum(
                trial.kind == "trial" and bool(trial.episodes) and trial.episodes[-1].end == "won"
                for trial in trials
            ),
            "voids": sum(trial.void is not None for trial in trials),
        }

    def record(self, path: Path) -> dict[str, Any]:
        """Write the run folder and compute its scores from it, as `judge.result` keeps them."""
        shutil.rmtree(path, ignore_errors=True)  # of a board that was killed on the way
        folder = RunFolder(path)
        told = provenance(["a leaderboard"], list(self._pool.env.packages))
        folder.create(Manifest(settings=self.settings, provenance=told))
        trials = [self._trials[index] for index in range(len(self._plans))]
        folder.append(trials)
        turns = sum(len(episode.turns) for trial in trials for episode in trial.episodes)
        return result(score_run(folder), turns)


def _reply(given: Given) -> Answer | Void:
    if given.void is None:
        return Answer(given.text, given.prompt_tokens, given.answer_tokens)
    kind, _, message = given.void.partition(": ")
    return Void(type=kind, message=message)
