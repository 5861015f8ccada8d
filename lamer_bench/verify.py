"""verify(): replay a run folder turn by turn and name the first place where it diverges.

The replay is the protocol itself: `play` is driven with the recorded answers in the place of the
agent, and the trial that comes out is compared with the stored one. Rewards, ends, observations and
scores are never taken from the folder.

What a replay shows: these answers to these tasks, under this protocol and these limits, lead to
exactly these results, and no trial of the run is missing.

What it cannot show:

* that the answers came from the agent that the manifest names, with the memory and the settings it
  declares, and not from another agent, a person, or someone who knew the hidden state;
* that the run was the only one: the best of ten seeds replays as well as the first;
* that the token counts, seconds and provenance are true;
* that a void trial was broken by infrastructure. The scores therefore carry bounds with voids
  counted as losses and as wins.

An answer or reflection that was rewritten without consequence (another reasoning before the same
action) is noticed by the trial's digest, unless the digest was rewritten too: a digest is a
checksum, no signature.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lamer_bench import suites
from lamer_bench.agent import Answer, Memory
from lamer_bench.env import MAX_ANSWER_CHARACTERS, TextEnv
from lamer_bench.errors import LamerBenchError, RecordError
from lamer_bench.options import make_with_options
from lamer_bench.protocol import Ask, TrialPlan, play
from lamer_bench.record import (
    MANIFEST_FILE,
    TRIALS_FILE,
    Episode,
    Reflection,
    RunFolder,
    Settings,
    Trial,
    TrialKind,
    Turn,
    hash_fingerprint,
    seldom_collected,
)
from lamer_bench.replay import options_text
from lamer_bench.scores import Price, Scores, num_expected_trials, score
from lamer_bench.task import SPLITS, Task

_MOST_SECONDS = 2**31
"""Of a trial; the sum of many stays a number."""
_LONGEST = 80
"""Characters of a value that a divergence quotes."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first place where a run folder is not what a replay gives."""

    what: str
    """What differs, such as ``reward``."""
    expected: str
    got: str
    kind: str | None = None
    """``trial`` or ``control``; None when the fault is not in a trial."""
    task: str | None = None
    repeat: int | None = None
    episode: int | None = None
    """Index of the episode, from 0."""
    turn: int | None = None
    """Index of the turn, from 0."""

    def __str__(self) -> str:
        """A line, in which episodes and turns count from 1, as in the viewer."""
        place = [] if self.task is None else [f"{self.task}, {self.kind}, repeat {self.repeat}"]
        place += [] if self.episode is None else [f"episode {self.episode + 1}"]
        place += [] if self.turn is None else [f"turn {self.turn + 1}"]
        where = f"{', '.join(place)}: " if place else ""
        return f"{where}{self.what}: expected {self.expected}, got {self.got}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` found."""

    run_dir: str
    divergence: Divergence | None
    """None when the whole run replays as it is stored."""
    scores: Scores | None
    """Recomputed from the replay; None with a divergence."""
    num_trials: int
    """Trials that were checked, void ones included."""
    num_turns: int
    """Turns that were replayed."""
    num_voids: int

    @property
    def is_ok(self) -> bool:
        """True without a divergence."""
        return self.divergence is None

    def __str__(self) -> str:
        counts = f"{self.num_trials} trials, {self.num_turns} turns"
        voids = f", {self.num_voids} void (not replayed)" if self.num_voids else ""
        if self.divergence is None:
            return f"{self.run_dir}: verified, {counts}{voids}"
        return f"{self.run_dir}: refused after {counts}{voids}. {self.divergence}"


class _Diverged(Exception):
    """Ends a verification at its first divergence."""

    def __init__(self, divergence: Divergence) -> None:
        super().__init__(str(divergence))
        self.divergence = divergence


def verify(
    run: RunFolder | str | Path, *, allow_imports: bool = False, price: Price | None = None
) -> Verdict:
    """Replay a run folder and recompute its scores.

    Args:
        run: a run folder, or its path.
        allow_imports: also accept an environment that the manifest gives as ``module:Class-level``.
            It is imported and run, so leave this off for folders that somebody else has sent. The
            same for options of an environment, which may name files.
        price: for the cost in the recomputed scores.

    Returns:
        A verdict; a fault of any kind in the folder's content is its `Divergence`.

    Raises:
        RecordError: there is no run folder at that path.
    """
    folder = run if isinstance(run, RunFolder) else RunFolder(run)
    if not folder.exists():
        folder.manifest()  # raises
    checker = _Checker(folder, allow_imports)
    divergence = scores = None
    try:
        with seldom_collected():
            replayed = checker.replay_all()
            scores = score(
                replayed, checker.settings, run_dir=folder.path, price=price, trust_digests=True
            )
    except _Diverged as stop:
        divergence = stop.divergence
    return Verdict(
        run_dir=str(folder.path),
        divergence=divergence,
        scores=scores,
        num_trials=checker.num_trials,
        num_turns=checker.num_turns,
        num_voids=checker.num_voids,
    )


class _Checker:
    """One verification: what is expected, and what was seen so far."""

    settings: Settings

    def __init__(self, folder: RunFolder, allow_imports: bool) -> None:
        self._folder = folder
        self._allow_imports = allow_imports
        self.num_trials = self.num_turns = self.num_voids = 0

    def replay_all(self) -> list[Trial]:
        """Every trial of the run as the replay gives it; void trials as they are stored.

        They are taken task by task, so that a task is drawn once for all its trials.
        """
        self.settings = settings = self._read_settings()
        env = self._build(settings)
        _check_settings(settings, env)
        replayed: dict[tuple[str, str, int], Trial] = {}
        plans = [(_plan_of(one, settings, env.environment), one) for one in self._stored()]
        plans.sort(key=lambda pair: (-pair[0].task.index, pair[0].key), reverse=True)
        while plans:  # a trial's record is let go when its replay is kept
            plan, stored = plans.pop()
            if stored.key in replayed:
                raise _Diverged(_in_trial(stored, "trial", "each one once", "this one again"))
            replayed[stored.key] = self._check_trial(env, plan, stored)
        _check_coverage(settings, env.environment, replayed)
        _check_contents(settings, env, replayed)
        return list(replayed.values())

    def _read_settings(self) -> Settings:
        try:
            return self._folder.manifest().settings
        except RecordError as error:
            raise _Diverged(Divergence(MANIFEST_FILE, "a readable manifest", str(error))) from error

    def _build(self, settings: Settings) -> TextEnv:
        name = settings.environment
        if ":" in name and not self._allow_imports:
            expected = "the name of an installed environment (imports are not allowed here)"
            raise _Diverged(Divergence("environment", expected, _short(name)))
        if settings.environment_options and not self._allow_imports:
            expected = "an environment without options (see --allow-imports)"
            raise _Diverged(Divergence("environment", expected, _short(options_text(settings))))
        try:
            return make_with_options(name, settings.environment_options)
        except LamerBenchError as error:
            raise _Diverged(Divergence("environment", "a known one", str(error))) from error

    def _stored(self) -> Iterator[Trial]:
        try:
            yield from self._folder.trials()
        except RecordError as error:
            raise _Diverged(Divergence(TRIALS_FILE, "whole lines", str(error))) from error

    def _check_trial(self, env: TextEnv, plan: TrialPlan, stored: Trial) -> Trial:
        if not 0 <= stored.seconds < _MOST_SECONDS:
            expected = f"a number from 0 to {_MOST_SECONDS}"
            raise _Diverged(_in_trial(stored, "seconds", expected, str(stored.seconds)))
        if stored.void is not None:
            _check_void(env, plan, stored)
            self.num_voids += 1
            checked = stored
        else:
            checked = _replay(env, plan, stored)
            self.num_turns += sum(len(episode.turns) for episode in checked.episodes)
            checked.seconds = stored.seconds
        digest = checked.digest if stored.void is None else checked.scored_digest()
        if stored.digest != digest:
            raise _Diverged(_in_trial(stored, "digest", digest, stored.digest))
        self.num_trials += 1
        return checked


# The manifest ------------------------------------------------------------------------------------


def _check_settings(settings: Settings, env: TextEnv) -> None:
    """Version, limits and suite must be those of this program."""
    if settings.environment_version != env.version:
        raise _Diverged(_differs("environment version", env.version, settings.environment_version))
    _check_suite(settings, env)
    for name, expected in _expected_limits(settings, env).items():
        got = getattr(settings.limits, name)
        if got != expected:
            raise _Diverged(_differs(f"limit {name}", expected, got))


def _expected_limits(settings: Settings, env: TextEnv) -> dict[str, float]:
    """The suite's; without a suite the times are free, because a replay takes its own."""
    frozen = {} if settings.suite is None else suites.limits_of(env).model_dump()
    return frozen | {"turns": env.turn_limit, "answer_characters": MAX_ANSWER_CHARACTERS}


def _check_suite(settings: Settings, env: TextEnv) -> None:
    if settings.split not in SPLITS:
        raise _Diverged(_differs("split", " or ".join(SPLITS), settings.split))
    name = suites.DEFAULT_SUITE if settings.suite is None else settings.suite.name
    if name not in suites.suite_names():
        raise _Diverged(Divergence("suite", " or ".join(suites.suite_names()), _short(name)))
    suite = suites.load_suite(name)
    is_listed = env.environment in suite and not settings.environment_options
    expected = suite.reference(env.environment) if is_listed else None
    if settings.suite != expected:
        raise _Diverged(_differs("suite", expected, settings.suite))
    if not is_listed:
        return
    num_tasks = suite.num_tasks(env.environment, settings.split)
    if settings.tasks > num_tasks:
        got = f"{settings.tasks} tasks"
        raise _Diverged(Divergence("tasks", f"at most {num_tasks} tasks of the suite", got))


# The set of trials -------------------------------------------------------------------------------


def _plan_of(trial: Trial, settings: Settings, environment: str) -> TrialPlan:
    """What a stored trial should have played; raises when it is no part of the run."""
    try:
        task = Task.parse(trial.task)
    except LamerBenchError:
        raise _Diverged(_in_trial(trial, "task", "a task id", _short(trial.task))) from None
    faults = [
        (task.environment != environment, "task", f"a task of {environment}", trial.task),
        (task.split != settings.split, "task", f"a task of split {settings.split}", trial.task),
        (task.index >= settings.tasks, "task", f"index 0 to {settings.tasks - 1}", trial.task),
        (task.id != trial.task, "task", task.id, trial.task),
        (trial.repeat >= settings.repeats, "repeat", f"0 to {settings.repeats - 1}", "this one"),
    ]
    for is_fault, what, expected, got in faults:
        if is_fault:
            raise _Diverged(_in_trial(trial, what, expected, _short(got)))
    if trial.kind == "trial":
        return _plan(task, "trial", trial.repeat, settings)
    if not settings.control_episodes:
        raise _Diverged(_in_trial(trial, "kind", "a run without control trials", "one"))
    return _plan(task, "control", trial.repeat, settings)


def _plan(task: Task, kind: TrialKind, repeat: int, settings: Settings) -> TrialPlan:
    return TrialPlan(
        task=task,
        kind=kind,
        repeat=repeat,
        num_episodes=settings.episodes if kind == "trial" else settings.control_episodes,
        memory=settings.memory,
        seed=settings.seed,
    )


def _check_coverage(
    settings: Settings, environment: str, replayed: dict[tuple[str, str, int], Trial]
) -> None:
    """Every trial of the run must be there: leaving out a lost one would raise the score."""
    num_expected = num_expected_trials(settings)
    if len(replayed) == num_expected:
        return
    kind, task, repeat = next(key for key in _keys(settings, environment) if key not in replayed)
    expected = f"all {num_expected} trials of the run"
    got = f"none here ({num_expected - len(replayed)} missing)"
    raise _Diverged(Divergence("trial", expected, got, kind, task, repeat))


def _keys(settings: Settings, environment: str) -> Iterator[tuple[str, str, int]]:
    """What names the trials of a complete run, one by one: a manifest may promise a billion."""
    kinds = ("trial", "control") if settings.control_episodes else ("trial",)
    for index in range(settings.tasks):
        task = Task(environment, settings.split, index).id
        for repeat in range(settings.repeats):
            for kind in kinds:
                yield kind, task, repeat


def _check_contents(
    settings: Settings, env: TextEnv, replayed: dict[tuple[str, str, int], Trial]
) -> None:
    """A run on a whole split of a suite must have met the contents that were frozen."""
    if settings.suite is None:
        return
    frozen = suites.load_suite(settings.suite.name).entry(env.environment).splits[settings.split]
    if settings.tasks != frozen.tasks:
        return
    tasks = [Task(env.environment, settings.split, index).id for index in range(settings.tasks)]
    contents = {trial.task: trial.fingerprint for trial in replayed.values() if not trial.void}
    if len(contents) < len(tasks):
        return
    digest = suites.split_digest((task, contents[task]) for task in tasks)
    if digest != frozen.digest:
        raise _Diverged(_differs("contents of the suite's tasks", frozen.digest, digest))


# One trial ---------------------------------------------------------------------------------------


def _check_void(env: TextEnv, plan: TrialPlan, stored: Trial) -> None:
    """A void trial is not replayed; it must be well-formed."""
    memory: Memory = "none" if plan.kind == "control" else plan.memory
    if stored.memory != memory:
        raise _Diverged(_in_trial(stored, "memory", memory, stored.memory))
    if stored.episodes:
        got = f"{len(stored.episodes)} episodes"
        raise _Diverged(_in_trial(stored, "void trial", "no episodes", got))
    if stored.fingerprint == hash_fingerprint(""):
        return  # the environment broke before it had an instance
    try:
        env.load(plan.task)
        fingerprint = hash_fingerprint(env.fingerprint())
    except Exception as error:
        raise _Diverged(_raised(stored, error)) from error
    if stored.fingerprint != fingerprint:
        raise _Diverged(_in_trial(stored, "fingerprint", fingerprint, stored.fingerprint))


def _replay(env: TextEnv, plan: TrialPlan, stored: Trial) -> Trial:
    """The trial that the recorded answers lead to; raises where the stored one differs first.

    At most one episode more than recorded is replayed: a manifest may promise a million.
    """
    num_episodes = min(plan.num_episodes, len(stored.episodes) + 1)
    playing = play(env, replace(plan, num_episodes=num_episodes))
    script = _Script(stored)
    try:
        ask = next(playing)
        while True:
            ask = playing.send(script.answer(ask))
    except StopIteration as stop:
        replayed: Trial = stop.value
    except Exception as error:
        raise _Diverged(_raised(stored, error)) from error
    _compare(stored, replayed)
    return replayed


class _Script:
    """Answers each question with what is recorded at its place.

    A place without a record (the recorded trial ended too early) gets an empty answer, so that the
    replay always comes to its end and `_compare` finds the place.
    """

    def __init__(self, stored: Trial) -> None:
        self._episodes = stored.episodes

    def answer(self, ask: Ask) -> Answer:
        if ask.episode >= len(self._episodes):
            return Answer("")
        episode = self._episodes[ask.episode]
        if ask.kind == "reflect":
            return _reflection(episode)
        if ask.view.turn >= len(episode.turns):
            return Answer("")
        turn = episode.turns[ask.view.turn]
        return Answer(turn.answer, turn.prompt_tokens, turn.answer_tokens)


def _reflection(episode: Episode) -> Answer:
    written = episode.reflection
    if written is None:
        return Answer("")
    return Answer(written.text, written.prompt_tokens, written.answer_tokens)


def _compare(stored: Trial, replayed: Trial) -> None:
    for name in ("memory", "fingerprint"):
        expected, got = getattr(replayed, name), getattr(stored, name)
        if got != expected:
            raise _Diverged(_in_trial(stored, name, expected, got))
    pairs = zip(replayed.episodes, stored.episodes, strict=False)
    for index, (right, found) in enumerate(pairs):
        _compare_episode(stored, index, right, found)
    num_expected, num_got = len(replayed.episodes), len(stored.episodes)
    if num_got > num_expected:
        end = f"the end of the trial after {num_expected} episodes"
        got = f"{num_got} episodes"
        raise _Diverged(_in_trial(stored, "number of episodes", end, got, num_expected))
    if num_got < num_expected:
        got = f"the end of the trial after {num_got} episodes"
        raise _Diverged(_in_trial(stored, "number of episodes", "another episode", got, num_got))


def _compare_episode(stored: Trial, index: int, expected: Episode, got: Episode) -> None:
    if got.index != index:
        raise _Diverged(_in_trial(stored, "episode index", str(index), str(got.index), index))
    for number, (right, turn) in enumerate(zip(expected.turns, got.turns, strict=False)):
        _compare_turn(stored, index, number, right, turn)
    num_expected, num_got = len(expected.turns), len(got.turns)
    if num_got > num_expected:
        end = f"the end ({expected.end}) after {num_expected} turns"
        count = f"{num_got} turns"
        raise _Diverged(_in_trial(stored, "number of turns", end, count, index, num_expected))
    if num_got < num_expected:
        end = f"the end ({got.end}) after {num_got} turns"
        raise _Diverged(_in_trial(stored, "number of turns", "another turn", end, index, num_got))
    for name in ("end", "final_observation"):
        right, found = getattr(expected, name), getattr(got, name)
        if found != right:
            raise _Diverged(_in_trial(stored, name.replace("_", " "), right, _short(found), index))
    _compare_reflection(stored, index, expected.reflection, got.reflection)


def _compare_turn(stored: Trial, episode: int, number: int, expected: Turn, got: Turn) -> None:
    if expected.__dict__ == got.__dict__:  # the usual case, twenty times as fast
        return
    for name in Turn.model_fields:
        right, found = getattr(expected, name), getattr(got, name)
        if found != right:
            quoted = _short(repr(right)), _short(repr(found))
            raise _Diverged(_in_trial(stored, name.replace("_", " "), *quoted, episode, number))


def _compare_reflection(
    stored: Trial, episode: int, expected: Reflection | None, got: Reflection | None
) -> None:
    if got == expected:
        return
    if expected is None or got is None:
        right, found = (_presence(one) for one in (expected, got))
    else:
        right, found = (_short(repr(one)) for one in (expected, got))
    raise _Diverged(_in_trial(stored, "reflection", right, found, episode))


def _presence(reflection: Reflection | None) -> str:
    return "none" if reflection is None else "one"


# Divergences -------------------------------------------------------------------------------------


def _differs(what: str, expected: object, got: object) -> Divergence:
    return Divergence(what, _short(str(expected)), _short(str(got)))


def _raised(trial: Trial, error: Exception) -> Divergence:
    got = f"{type(error).__name__}: {error}"
    return _in_trial(trial, "replay", "no exception", _short(got))


def _in_trial(
    trial: Trial,
    what: str,
    expected: str,
    got: str,
    episode: int | None = None,
    turn: int | None = None,
) -> Divergence:
    task = _short(trial.task)
    return Divergence(what, expected, got, trial.kind, task, trial.repeat, episode, turn)


def _short(text: str) -> str:
    """One printable line of bounded length: the text may come from a stranger's file."""
    line = "".join(character if character.isprintable() else "?" for character in text)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
