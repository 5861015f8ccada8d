"""Agent: what answers. It is asked in batches and is told everything each time it is asked.

There is no hook for the beginning of a trial: a `View` holds all that the declared memory allows,
so that an agent needs no state of its own between two questions, a trial's outcome cannot depend on
its neighbours in the batch, and wiping the memory is done by the protocol instead of by the agent's
good will.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple, get_args

from lamer_bench.errors import AgentError

Memory = Literal["none", "history", "reflection", "both"]
MEMORIES: tuple[Memory, ...] = get_args(Memory)


class Answer(NamedTuple):
    """An agent's text and what it cost."""

    text: str
    prompt_tokens: int = 0
    answer_tokens: int = 0


class PastTurn(NamedTuple):
    """An observation and the answer that was given to it."""

    observation: str
    answer: str
    """The agent's raw text."""
    action: str | None
    """The canonical action that the environment read in it, None when it was not an action."""


@dataclass(slots=True)
class PastEpisode:
    """An earlier, failed attempt as far as the memory mode lets the agent see it."""

    turns: Sequence[PastTurn] = ()
    """Empty unless the memory is ``history`` or ``both``."""
    final_observation: str = ""
    """What the last action led to; empty unless the memory is ``history`` or ``both``."""
    reflection: str = ""
    """Empty unless the memory is ``reflection`` or ``both``."""


@dataclass(slots=True)
class View:
    """All that an agent may know when it is asked. Nothing in it was hidden from a player."""

    environment: str
    """Environment id, ``minesweeper-hard``."""
    rules: str
    """The environment's page of rules, constant for an environment."""
    action_hint: str
    """How an action looks."""
    memory: Memory
    num_episodes: int
    turn_limit: int
    episode: int
    """Index of this attempt, from 0."""
    turn: int
    """Turns already taken in this attempt."""
    observation: str
    """The present observation; when asked to reflect, the one that the last action led to."""
    admissible: Sequence[str] | None
    """Canonical actions that are possible now, where the set is small."""
    turns: Sequence[PastTurn]
    """This attempt so far."""
    earlier: Sequence[PastEpisode]
    """Earlier attempts, oldest first; always empty when the memory is ``none``."""
    state: dict[str, Any]
    """A scratch pad for caches; a fresh one for each attempt."""
    solution: Sequence[str] | None = None
    """The reference solution, for agents with ``told_solution`` only."""
    make_rng: Callable[[], random.Random] = field(default=random.Random, repr=False)

    @property
    def rng(self) -> random.Random:
        """This answer's stream, the same in every process: task, seed, repeat, episode, turn."""
        return self.make_rng()

    @property
    def family(self) -> str:
        """``minesweeper`` of ``minesweeper-hard``."""
        return self.environment.rpartition("-")[0]


class Agent:
    """Base class of all agents: override `act`, and `reflect` where the agent writes to itself.

    Class attributes declare what the run stores and the protocol obeys.
    """

    name: ClassVar[str] = ""
    memories: ClassVar[Sequence[Memory]] = MEMORIES
    """Memory modes that the agent can use; the first is its default."""
    told_solution: ClassVar[bool] = False
    """True for players that see hidden state: they are never ranked."""
    deterministic: ClassVar[bool] = True
    """False where the same view can give another answer (a remote endpoint, a GPU, a person)."""
    is_interactive: ClassVar[bool] = False
    """True for a person at this terminal: asked in the main thread and without a time limit."""
    packages: ClassVar[Sequence[str]] = ()
    """Distributions that it plays with; the manifest stores their versions."""

    def prepare(self, environment: str) -> None:
        """Called once before a run on ``environment``: load what is needed.

        Raise `AgentError` where the agent cannot play it; the run then does not start.
        """

    def act(self, views: Sequence[View]) -> Sequence[Answer | str | AgentError]:
        """One answer for each view, in order. Answers may hold reasoning; the action stands in
        ``<action>...</action>`` or is the whole text. An `AgentError` in the place of an answer
        makes that one trial void."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it acts")

    def reflect(self, views: Sequence[View]) -> Sequence[Answer | str | AgentError]:
        """One reflection for each view, in order, after an attempt that failed."""
        return ["" for _ in views]

    def settings(self) -> dict[str, Any]:
        """What a reader needs in order to run the same agent again; stored in the manifest."""
        return {}
