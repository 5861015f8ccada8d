"""TextEnv: one attempt at a hidden task, text in and text out, as a `gymnasium.Env`.

An author writes seven short methods (see `TextEnv`). The instance is drawn in `generate`; `reset`
only rewinds to it. That is why "the same task again" is true by construction and a trial's episodes
all start from the identical state.
"""

from __future__ import annotations

import contextlib
import math
import re
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import gymnasium
from gymnasium.spaces import Text
from gymnasium.utils import RecordConstructorArgs

from lamer_bench import registry
from lamer_bench.errors import SettingError, TaskError, UnknownNameError
from lamer_bench.task import Split, Task, split_environment_id

MAX_ANSWER_CHARACTERS = 16_384
"""An answer is cut to this length before it is read or stored; part of every suite's limits."""

# Printable ASCII, newline and tab, and the glyphs that boards use.
CHARSET = frozenset("".join(map(chr, range(32, 127))) + "\n\t" + "√■□●○·×…–—’“”£€°")

_TAG = re.compile(r"<action>(.*?)</action>", re.DOTALL | re.IGNORECASE)
_CLOSING = re.compile(r"</action>", re.IGNORECASE)
_MAX_DRAWS = 100_000


class Outcome(NamedTuple):
    """What an action did to the world."""

    observation: str
    reward: float
    ended: bool
    won: bool


class TextEnv(gymnasium.Env[str, str]):
    """Base class of all environments.

    A subclass sets `family`, `levels` (name -> anything that describes the level) and writes

    * ``generate(rng)``: draw one candidate instance into ``self``; return False to reject it,
    * ``fingerprint()``: its content as text, canonical under symmetries (decides the split),
    * ``solution()``: answers that win it within the turn limit (its certificate),
    * ``rules()``: what a player is told once, constant for an environment,
    * ``start()``: rewind to the initial state, return the first observation,
    * ``parse(answer)``: the canonical action that a text names, or None,
    * ``act(action)``: carry a canonical action out, return an `Outcome`,
    * ``look()``: the present observation (asked for when an answer was not an action),

    and may write ``admissible()`` (the canonical actions possible now, where they are few) and
    ``symbols()`` (what the characters of its boards mean, for the viewer).
    """

    # typed as Gymnasium types it; its wrappers warn when no rate is named, though text has none
    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012

    family: ClassVar[str]
    levels: ClassVar[Mapping[str, Any]]
    version: ClassVar[int] = 1
    """Raised whenever the same task id would give another instance or another reaction."""
    invalid_reward: ClassVar[float] = -1.0
    """Reward of an answer that is not an action."""
    action_hint: ClassVar[str]
    """How an action looks, shown after an answer that was none."""
    packages: ClassVar[Sequence[str]] = ()
    """Distributions that it is built on; the manifest of a run stores their versions."""
    plays: ClassVar[str] = ""
    """For another door to a family's tasks, that family: task n of a level is its task n. Such a
    class is in no suite and in no list of environments."""

    turn_limit: int
    """Turns in an episode of this level; set by the subclass in ``__init__``."""

    def __init__(
        self, level: str = "easy", *, split: Split = "test", render_mode: str | None = None
    ) -> None:
        if level not in self.levels:
            known = ", ".join(self.levels)
            raise UnknownNameError(f"{self.family} has no level {level!r}. Levels: {known}.")
        self.level = level
        self.split: Split = split
        self.render_mode = render_mode
        self.environment = f"{self.family}-{level}"
        self.observation_space = Text(max_length=1_000_000, min_length=0, charset=CHARSET)
        self.action_space = Text(max_length=MAX_ANSWER_CHARACTERS, min_length=0, charset=CHARSET)
        self.task: Task | None = None
        self.turn = 0
        self.won = False
        self.last_action: str | None = None
        """The canonical action of the last step; None when its answer was not one."""
        self._over = True
        self._observation = ""

    # What an author writes -----------------------------------------------------------------------

    @abstractmethod
    def generate(self, rng: Any) -> bool:
        """Draw one candidate instance from ``rng`` (a `random.Random`); False rejects it."""

    @abstractmethod
    def fingerprint(self) -> str:
        """The instance as text, the same for all its mirrored, rotated or renumbered copies."""

    @abstractmethod
    def solution(self) -> list[str]:
        """Canonical actions that win from the initial state within `turn_limit` turns."""

    @abstractmethod
    def rules(self) -> str:
        """The page a player reads once; the same for every task of the environment."""

    @abstractmethod
    def start(self) -> str:
        """Rewind to the initial state and return the first observation."""

    @abstractmethod
    def parse(self, answer: str) -> str | None:
        """The canonical action that ``answer`` names in the present state, or None."""

    @abstractmethod
    def act(self, action: str) -> Outcome:
        """Carry out a canonical action."""

    @abstractmethod
    def look(self) -> str:
        """The present observation."""

    def admissible(self) -> list[str] | None:
        """Canonical actions that are possible now, or None where they are too many to list."""
        return None

    def prepare(self) -> None:
        """Called once before a run: raise a `LamerBenchError` where something is missing."""

    def serve(self, announce: Callable[[str], None]) -> None:
        """Let a person play the present task in their own browser, until interrupted; ``announce``
        is told the address."""
        raise SettingError(f"{self.family} has no pages for a browser; play it without --web.")

    def symbols(self) -> Mapping[str, str]:
        """Character of a board -> what it means, in one word: ``wall``, ``hidden``. Only the viewer
        reads it, which draws boards with it; an agent learns it from the rules."""
        return {}

    # What everybody calls ------------------------------------------------------------------------

    def load(self, task: Task) -> None:
        """Draw the instance of ``task``: the first candidate whose content belongs to its split."""
        if task.environment != self.environment:
            raise TaskError(f"Task {task} does not belong to environment {self.environment}.")
        rng = self._drawn_as(task).rng("instance")
        self.task = None  # what is drawn from here on is no task's instance until it is kept
        for _ in range(_MAX_DRAWS):
            if self.generate(rng) and task.owns(self.fingerprint()):
                break
        else:
            raise TaskError(f"No instance of {task} within {_MAX_DRAWS} draws.")
        self.task = task
        self._over = True

    def _drawn_as(self, task: Task) -> Task:
        """The task whose instance it is: of the family that this is a door to, or itself."""
        if not self.plays:
            return task
        environment = f"{self.plays}{task.environment.removeprefix(self.family)}"
        return Task(environment, task.split, task.index)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Start an episode; returns (observation, info).

        ``seed=n`` picks task n of the split, ``options={"task": id}`` any task by its id; neither
        restarts the present task from its identical initial state (task 0 when there is none yet).
        """
        if options is not None and options.keys() - {"task"}:
            raise SettingError(f"reset() knows the option 'task', not {sorted(options)}.")
        if options and options.get("task") is not None:
            self.load(Task.parse(str(options["task"])))
        elif seed is not None:
            super().reset(seed=seed)
            self.load(Task(self.environment, self.split, seed))
        elif self.task is None:
            self.load(Task(self.environment, self.split, 0))
        self.turn = 0
        self.won = self._over = False
        self._observation = observation = self.start()
        return observation, self._info(True)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Read an answer and act on it; never raises for anything an answer may hold.

        Returns (observation, reward, terminated, truncated, info). An answer that is not an action
        costs a turn, changes nothing and is answered with a hint. ``info``: ``won``, ``valid``, and
        ``admissible`` where the set is small.
        """
        if self._over:
            raise SettingError("The episode is over; call reset() before the next step().")
        self.turn += 1
        self.last_action = canonical = self.read(action)
        if canonical is None:
            observation = f"That is not an action. {self.action_hint}\n{self.look()}"
            reward, ended = self.invalid_reward, False
        else:
            observation, reward, ended, self.won = self.act(canonical)
            if not math.isfinite(reward):
                raise ValueError(f"the reward of {canonical!r} is {reward}, which is no number")
        truncated = not ended and self.turn >= self.turn_limit
        self._over = ended or truncated
        self._observation = observation
        return observation, reward, ended, truncated, self._info(canonical is not None)

    def read(self, answer: str) -> str | None:
        """The canonical action in an answer: the last ``<action>...</action>`` or the whole."""
        if len(answer) > MAX_ANSWER_CHARACTERS:
            answer = answer[:MAX_ANSWER_CHARACTERS]
        if "<" in answer:
            ends = [closing.end() for closing in _CLOSING.finditer(answer)]
            # not beyond the last closing tag: looking for one there takes quadratic time
            tagged = _TAG.findall(answer, 0, ends[-1]) if ends else []
            if tagged:
                answer = tagged[-1]
        return self.parse(answer)

    def _info(self, valid: bool) -> dict[str, Any]:
        admissible = self.admissible()
        if admissible is None:
            return {"won": self.won, "valid": valid}
        return {"won": self.won, "valid": valid, "admissible": admissible}

    def render(self) -> str | None:
        """The present observation when ``render_mode="ansi"``."""
        return self._observation if self.render_mode == "ansi" else None


class MultiEpisode(gymnasium.Wrapper[str, str, str, str], RecordConstructorArgs):
    """A whole trial as one Gymnasium episode: up to k attempts at the same task.

    The wrapped environment must be a `TextEnv` (wrappers in between are fine). When an attempt
    fails and another is left, ``step`` returns the failed attempt's last observation, a line that
    says so, and the first observation of the next; ``info["episode"]`` counts attempts from 0. The
    trial terminates at the first win or after attempt k.
    """

    def __init__(self, env: gymnasium.Env[str, str], episodes: int = 3) -> None:
        if not isinstance(env.unwrapped, TextEnv):
            raise SettingError("MultiEpisode wraps text environments of lamer-bench only.")
        if episodes < 1:
            raise SettingError(f"A trial has at least 1 episode, not {episodes}.")
        RecordConstructorArgs.__init__(self, episodes=episodes)
        gymnasium.Wrapper.__init__(self, env)
        self.num_episodes = episodes
        self._episode = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        self._episode = 0
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, {**info, "episode": 0}

    def step(self, action: str) -> tuple[str, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        over = terminated or truncated
        if over and not info["won"] and self._episode + 1 < self.num_episodes:
            self._episode += 1
            fresh, fresh_info = self.env.reset()
            note = f"Not solved. Attempt {self._episode + 1} of {self.num_episodes}, the same task:"
            observation = f"{observation}\n\n{note}\n{fresh}"
            info = {**fresh_info, "valid": info["valid"]}
            over = False
        return observation, reward, over, False, {**info, "episode": self._episode}


def make(environment: str, **settings: Any) -> TextEnv:
    """Build an environment by its id, such as ``minesweeper-hard``; raises `UnknownNameError`."""
    return environment_class(environment)(_level(environment), **settings)


def environment_class(environment: str) -> type[TextEnv]:
    """The class behind an environment id or a ``module:Class-level`` reference."""
    if environment in list(registry.ENVIRONMENTS):
        ids = ", ".join(name for name in environment_ids() if name.startswith(f"{environment}-"))
        raise UnknownNameError(f"{environment!r} names no level. Its levels: {ids}.")
    family, level = split_environment_id(environment)
    if family not in registry.ENVIRONMENTS:
        registry.ENVIRONMENTS.check(environment, environment_ids())
    loaded = registry.ENVIRONMENTS.load(family)
    if not (isinstance(loaded, type) and issubclass(loaded, TextEnv)):
        raise UnknownNameError(f"{family!r} is not an environment: it does not inherit TextEnv.")
    if level not in loaded.levels:
        registry.ENVIRONMENTS.check(environment, [f"{family}-{name}" for name in loaded.levels])
    return loaded


def environment_ids() -> list[str]:
    """All environment ids, family by family in the catalogue's order, levels from easy to paper.

    A plug-in that cannot be loaded has none; other doors to the same tasks (`TextEnv.plays`) are
    left out.
    """
    ids: list[str] = []
    for family in registry.ENVIRONMENTS:
        with contextlib.suppress(UnknownNameError):
            cls = registry.ENVIRONMENTS.load(family)
            ids += [f"{family}-{level}" for level in cls.levels if not cls.plays]
    return ids


def _level(environment: str) -> str:
    return split_environment_id(environment)[1]


def register_with_gymnasium(families: Iterable[str]) -> None:
    """Register ``lamer/<family>-<level>-v<version>`` for every level of every family.

    A plug-in that cannot be loaded is left out with a warning: it must not break the others.
    """
    for family in families:
        try:
            cls = registry.ENVIRONMENTS.load(family)
        except UnknownNameError as error:
            warnings.warn(str(error), stacklevel=2)
            continue
        for level in cls.levels:
            gymnasium.register(
                id=f"lamer/{family}-{level}-v{cls.version}",
                entry_point="lamer_bench.env:make",
                kwargs={"environment": f"{family}-{level}"},
            )
