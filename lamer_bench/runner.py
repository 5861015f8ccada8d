"""run(): one agent on one environment, hundreds of trials in lockstep, into a run folder.

Trials advance in rounds: each trial in flight waits for one answer, the agent is asked about all of
them at once, and the place of a finished trial goes to the next. A trial depends on its plan and
the agent only, so a run that was killed and resumed, or that used another batch size, holds the
same scored content.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from lamer_bench import registry, suites
from lamer_bench.agent import MEMORIES, Agent, Answer, Memory
from lamer_bench.asking import Asker, Question, as_void
from lamer_bench.env import TextEnv
from lamer_bench.errors import LamerBenchError, RecordError, SettingError, UnknownNameError
from lamer_bench.options import make_with_options, read_options
from lamer_bench.protocol import Ask, TrialPlan, play
from lamer_bench.provenance import provenance
from lamer_bench.record import Limits, Manifest, RunFolder, Settings, Trial, Void
from lamer_bench.task import SEALED, SPLITS, Split, Task

Key = tuple[str, str, int]


class Progress(NamedTuple):
    """How far a run is; counts trials, those of earlier starts included."""

    done: int
    total: int
    wins: int
    """Won trials; memory-wiped controls do not count."""
    voids: int


def run(
    agent: str | Agent,
    environment: str,
    *,
    agent_options: Mapping[str, Any] | None = None,
    environment_options: Mapping[str, Any] | None = None,
    split: str = "test",
    tasks: int = 100,
    episodes: int = 3,
    repeats: int = 1,
    control_episodes: int | None = None,
    memory: str | None = None,
    seed: int = 0,
    limits: Limits | None = None,
    out: str | Path | None = None,
    fresh: bool = False,
    batch: int = 256,
    command_line: Sequence[str] = (),
    progress: Callable[[Progress], None] = lambda _: None,
    notice: Callable[[str], None] = lambda _: None,
) -> RunFolder:
    """Play every task ``repeats`` times with memory, and as often as a memory-wiped control.

    ``out`` with an unfinished run of the same settings is continued; with other settings it is
    refused, or set aside where ``fresh`` is given. ``agent_options`` are for an agent that is given
    by its name; with ``environment_options`` the run belongs to no suite. ``progress`` is called
    after each round, ``notice`` with a line for a person. Raises a `LamerBenchError` with one clear
    line; whatever was finished by then is kept.
    """
    if batch < 1:
        raise SettingError(f"A batch has at least 1 trial, not {batch}.")
    if agent_options and not isinstance(agent, str):
        raise SettingError("agent_options are for an agent that is given by its name.")
    name = agent if isinstance(agent, str) else agent.name or type(agent).__name__
    player = make_agent(agent, agent_options) if isinstance(agent, str) else agent
    name = vars(player).get("name") or name  # an agent made of others names them
    pool = EnvironmentPool(environment, environment_options)
    agent_settings = prepare_agent(player, name, pool.env.environment)
    settings = Settings(
        agent=name,
        agent_settings=agent_settings,
        memory=choose_memory(player, memory, name),
        environment=environment,
        environment_version=pool.env.version,
        environment_options=dict(environment_options or {}),
        split=check_split(split),
        tasks=_check_tasks(pool.env.environment, check_split(split), tasks),
        episodes=at_least_one("episodes", episodes),
        repeats=at_least_one("repeats", repeats),
        control_episodes=_check_control(control_episodes, episodes, player),
        seed=seed,
        limits=limits or suites.limits_of(pool.env),
        suite=None if environment_options else suites.suite_reference(pool.env.environment),
        is_ranked=not player.told_solution,
        is_deterministic=player.deterministic,
    )
    plans = plan_trials(settings, pool.env.environment, tell_solution=player.told_solution)
    libraries = [*pool.env.packages, *player.packages]
    manifest = Manifest(settings=settings, provenance=provenance(command_line, libraries))
    folder = RunFolder(out or default_folder(settings, player.memories[0]))
    if fresh:
        set_aside(folder, notice)
    prepare_folder(folder, manifest)
    with _locked(folder.path):
        if dropped := folder.drop_torn_line():
            notice(f"{folder.trials_path}: dropped a torn last line of {dropped} bytes.")
        writer = Writer(folder, plans, progress, notice)
        asker = Asker(player, settings.limits)
        size, most_seconds = batch, settings.limits.trial_seconds
        if player.is_interactive:
            size, most_seconds = 1, math.inf
        try:
            drive(writer.missing, pool, asker, most_seconds, size, writer)
        finally:
            asker.close()
            writer.flush()
            pool.close()
    return folder


def plan_trials(
    settings: Settings, environment: str | None = None, *, tell_solution: bool = False
) -> list[TrialPlan]:
    """All trials of a run, task by task: each repeat with memory, then as a memory-wiped
    control."""
    plans = []
    for index in range(settings.tasks):
        task = Task(environment or settings.environment, settings.split, index)
        for repeat in range(settings.repeats):
            common: dict[str, Any] = {
                "task": task,
                "repeat": repeat,
                "memory": settings.memory,
                "seed": settings.seed,
                "tell_solution": tell_solution,
            }
            plans.append(TrialPlan(kind="trial", num_episodes=settings.episodes, **common))
            if settings.control_episodes:
                control = settings.control_episodes
                plans.append(TrialPlan(kind="control", num_episodes=control, **common))
    return plans


def drive(
    plans: Iterable[TrialPlan],
    pool: EnvironmentPool,
    asker: Asker,
    most_seconds: float,
    batch: int,
    writer: Writer,
) -> None:
    """Play all plans, at most ``batch`` of them at a time; each finished trial goes to
    ``writer``."""
    waiting = iter(plans)
    seats: list[Seat] = []
    while True:
        seats += _fill(batch - len(seats), waiting, pool, writer)
        if not seats:
            return
        started = perf_counter()
        for seat, reply in _ask(seats, asker, writer.flush):
            seat.take(reply, most_seconds)
        seconds = (perf_counter() - started) / len(seats)
        for seat in seats:
            seat.seconds += seconds
            if seat.trial is not None:
                writer.add(seat.finish(pool))
        seats = [seat for seat in seats if seat.trial is None]
        writer.report()


class Seat:
    """A trial in flight: its generator, and the question it waits to have answered."""

    __slots__ = ("_env", "_plan", "_playing", "ask", "seconds", "trial")

    def __init__(self, plan: TrialPlan, env: TextEnv) -> None:
        self._plan = plan
        self._env: TextEnv | None = env
        self._playing: Generator[Ask, Answer, Trial] = play(env, plan)
        self.seconds = 0.0
        self.trial: Trial | None = None
        self.ask: Ask
        self._advance(None)

    def take(self, reply: Answer | Void, most_seconds: float) -> None:
        """Go on with an answer, or end with why there is none: a void, or too many seconds gone."""
        if isinstance(reply, Void):
            self._end(reply)
        elif self.seconds > most_seconds:
            message = f"the trial took more than {most_seconds:g} s"
            self._end(as_void(TimeoutError(message)))
        else:
            self._advance(reply)

    def finish(self, pool: EnvironmentPool) -> Trial:
        """The finished trial; its environment goes back to the pool."""
        assert self.trial is not None
        self.trial.seconds = round(self.seconds, 6)
        if self._env is not None:
            pool.free.append(self._env)
        return self.trial

    def _advance(self, answer: Answer | None) -> None:
        try:
            self.ask = self._playing.send(answer)  # type: ignore[arg-type]
        except StopIteration as stop:
            self.trial = stop.value
        except Exception as error:
            self._end(as_void(error))
            self._env = None  # it raised: do not use it again

    def _end(self, void: Void) -> None:
        self._playing.close()
        plan = self._plan
        self.trial = Trial.of(
            plan.key,
            memory="none" if plan.kind == "control" else plan.memory,
            fingerprint=self._fingerprint(),
            episodes=[],
            void=void,
        )

    def _fingerprint(self) -> str:
        """Empty when the environment broke before it had an instance."""
        env = self._env
        if env is None or env.task != self._plan.task:
            return ""
        try:
            return env.fingerprint()
        except Exception:
            return ""


def _fill(
    num_places: int, waiting: Iterator[TrialPlan], pool: EnvironmentPool, writer: Writer
) -> list[Seat]:
    """Start the next trials until all places are taken; one that fails at once is finished at
    once."""
    seats: list[Seat] = []
    while len(seats) < num_places and (plan := next(waiting, None)) is not None:
        seat = Seat(plan, pool.take())
        if seat.trial is None:
            seats.append(seat)
        else:
            writer.add(seat.finish(pool))
    return seats


def _ask(
    seats: Sequence[Seat], asker: Asker, meanwhile: Callable[[], None]
) -> list[tuple[Seat, Answer | Void]]:
    """Each seat with its reply; actions and reflections are asked for in a batch of their own."""
    replied: list[tuple[Seat, Answer | Void]] = []
    questions: tuple[Question, Question] = ("act", "reflect")
    for question in questions:
        asked = [seat for seat in seats if seat.ask.kind == question]
        if asked:
            replies = asker.ask(question, [seat.ask.view for seat in asked], meanwhile)
            replied += zip(asked, replies, strict=True)
    return replied


class EnvironmentPool:
    """Environments of one id, built when needed and used again."""

    def __init__(self, environment: str, options: Mapping[str, Any] | None = None) -> None:
        self._environment = environment
        self._options = dict(options or {})
        self.free: list[TextEnv] = []
        self._built: list[TextEnv] = []
        self.env = self._build()
        """Any one of them, for what they have in common."""
        self.env.prepare()
        self.free.append(self.env)

    def take(self) -> TextEnv:
        """A free environment."""
        return self.free.pop() if self.free else self._build()

    def close(self) -> None:
        """Close every environment that was built."""
        for env in self._built:
            env.close()

    def _build(self) -> TextEnv:
        try:
            env = make_with_options(self._environment, self._options)
        except LamerBenchError:
            raise
        except Exception as error:
            raise SettingError(
                f"The environment {self._environment!r} cannot be built: "
                f"{type(error).__name__}: {error}"
            ) from error
        self._built.append(env)
        return env


class Writer:
    """Keeps finished trials until the next flush, and counts."""

    def __init__(
        self,
        folder: RunFolder,
        plans: Sequence[TrialPlan],
        progress: Callable[[Progress], None],
        notice: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._progress = progress
        self._pending: list[Trial] = []
        self._total = len(plans)
        self._done = self._wins = self._voids = 0
        stored = _stored_keys(folder, {plan.key for plan in plans}, self._count)
        self.missing = [plan for plan in plans if plan.key not in stored]
        if stored:
            notice(f"{folder.path}: {len(stored)} of {len(plans)} trials are there already.")
        self.report()

    def add(self, trial: Trial) -> None:
        """Keep a finished trial for the next flush."""
        self._pending.append(trial)
        self._count(trial)

    def flush(self) -> None:
        """Write what is kept; it is on the disk afterwards."""
        if self._pending:
            trials, self._pending = self._pending, []
            self._folder.append(trials)

    def report(self) -> None:
        """Tell the progress."""
        self._progress(Progress(self._done, self._total, self._wins, self._voids))

    def _count(self, trial: Trial) -> None:
        self._done += 1
        self._voids += trial.void is not None
        if trial.kind == "trial" and trial.episodes:
            self._wins += trial.episodes[-1].end == "won"


def make_agent(name: str, options: Mapping[str, Any] | None = None) -> Agent:
    """Build an agent by its name or ``module:Class``, with its options; raises a `LamerBenchError`
    with one clear line."""
    cls = registry.AGENTS.load(name)
    if not (isinstance(cls, type) and issubclass(cls, Agent)):
        raise UnknownNameError(f"{name!r} is not an agent: it does not inherit lamer_bench.Agent.")
    try:
        return cls(**read_options(cls, options or {}))
    except LamerBenchError:
        raise
    except Exception as error:
        raise SettingError(
            f"The agent {name!r} cannot be built: {type(error).__name__}: {error}"
        ) from error


def prepare_agent(agent: Agent, name: str, environment: str) -> dict[str, Any]:
    """Let the agent load what it needs; returns its settings."""
    try:
        agent.prepare(environment)
        settings = agent.settings()
        json.dumps(settings)
    except LamerBenchError:
        raise
    except Exception as error:
        raise SettingError(
            f"The agent {name!r} cannot prepare for {environment}: {type(error).__name__}: {error}"
        ) from error
    return settings


def choose_memory(agent: Agent, memory: str | None, name: str) -> Memory:
    """The asked memory mode if the agent can use it; its default when none is asked for."""
    if isinstance(agent.memories, str):
        raise SettingError(
            f"Agent {name!r} has the text {agent.memories!r} for memories; "
            f"write memories = ({agent.memories!r},)."
        )
    if memory is None:
        return agent.memories[0]
    if memory not in MEMORIES:
        raise UnknownNameError(registry.unknown("memory mode", memory, MEMORIES))
    if memory not in agent.memories:
        modes = ", ".join(agent.memories)
        raise SettingError(f"Agent {name!r} cannot use memory {memory!r}. It can use: {modes}.")
    return memory


def check_split(split: str) -> Split:
    """``split`` if there is one of that name; raises `UnknownNameError`."""
    if split == SEALED:
        raise SettingError("Sealed tasks are played through a leaderboard: run --sealed URL.")
    if split not in SPLITS:
        raise UnknownNameError(registry.unknown("split", split, SPLITS))
    return split


def _check_tasks(environment: str, split: Split, tasks: int) -> int:
    """``tasks``, if the suite has so many."""
    suite = suites.load_suite()
    if environment in suite and tasks > (most := suite.num_tasks(environment, split)):
        raise SettingError(
            f"Suite {suite.name!r} has {most} {split} tasks of {environment}, not {tasks}."
        )
    return at_least_one("tasks", tasks)


def _check_control(control_episodes: int | None, episodes: int, agent: Agent) -> int:
    """As many as the trial has unless said; none for a person, whose memory cannot be wiped."""
    if control_episodes is None:
        return 0 if agent.is_interactive else episodes
    if control_episodes < 0:
        raise SettingError(f"control_episodes must be at least 0, not {control_episodes}.")
    return control_episodes


def at_least_one(name: str, value: int) -> int:
    """``value``, or a `SettingError` when it is below 1."""
    if value < 1:
        raise SettingError(f"{name} must be at least 1, not {value}.")
    return value


def default_folder(settings: Settings, default_memory: Memory) -> Path:
    """``runs/<environment>/<agent>`` and a suffix for every setting that is not the default."""
    suffixes = [
        (settings.memory, default_memory, ""),
        (settings.split, "test", ""),
        (settings.tasks, 100, "n"),
        (settings.episodes, 3, "k"),
        (settings.repeats, 1, "r"),
        (settings.control_episodes, settings.episodes, "c"),
        (settings.seed, 0, "s"),
    ]
    parts = [f"{letter}{value}" for value, default, letter in suffixes if value != default]
    parts += [f"{name}-{value}" for name, value in settings.environment_options.items()]
    return Path(
        "runs", _file_name(settings.environment), _file_name("-".join([settings.agent, *parts]))
    )


def _file_name(text: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "." for c in text)


def set_aside(folder: RunFolder, notice: Callable[[str], None]) -> None:
    """Rename an existing run folder to ``<name>.old-1``, ``.old-2``, ...; nothing is ever
    deleted."""
    if not (folder.exists() or folder.trials_path.exists()):
        return
    path = folder.path.resolve()
    numbers = range(1, 1_000_000)
    old = next(p for n in numbers if not (p := path.with_name(f"{path.name}.old-{n}")).exists())
    with _locked(path):
        try:
            path.rename(old)
        except OSError as error:
            raise RecordError(f"Cannot rename {path} to {old}: {error.strerror}.") from error
    notice(f"The earlier run is kept in {old}.")


def prepare_folder(folder: RunFolder, manifest: Manifest) -> None:
    """Start a run folder, or make sure that an existing one holds a run of the same settings."""
    if not folder.exists():
        if folder.trials_path.exists():
            raise RecordError(
                f"{folder.path} holds trials and no manifest; its settings are not known. "
                "Choose another --out, or --fresh to set it aside."
            )
        folder.create(manifest)
        return
    differences = _differences(folder.manifest().settings, manifest.settings)
    if differences:
        raise RecordError(
            f"{folder.path} holds a run with other settings: {'; '.join(differences)}. "
            "Choose another --out, or --fresh to set it aside."
        )


def _differences(stored: Settings, asked: Settings) -> list[str]:
    old, new = _flat(stored.model_dump(mode="json")), _flat(asked.model_dump(mode="json"))
    return [
        f"{name} is {old.get(name)!r} there and {new.get(name)!r} here"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _stored_keys(folder: RunFolder, planned: set[Key], count: Callable[[Trial], None]) -> set[Key]:
    """Keys of the trials that a folder holds already; they must belong to the run."""
    keys: set[Key] = set()
    way_out = "Choose another --out, or --fresh to set it aside."
    try:
        for trial in folder.trials():
            if trial.key not in planned or trial.key in keys:
                fault = "twice" if trial.key in keys else "that is no part of its run"
                name = " ".join(map(str, trial.key))
                raise RecordError(f"{folder.path} holds trial {name!r} {fault}.")
            keys.add(trial.key)
            count(trial)
    except RecordError as error:
        raise RecordError(f"{error} {way_out}") from error
    return keys


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep a second process from writing the same run folder; the lock dies with the process."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise RecordError(
            f"Another process is writing {path}. Wait for it, or choose another --out."
        ) from None
    except OSError:  # a file system without locks
        pass
    try:
        yield
    finally:
        os.close(descriptor)
