"""Rollouts: hundreds of trials in lockstep, and the rows that the learner needs of them.

The same `play()` and the same agent as in an evaluation; the agent is only asked to remember which
tokens it sampled. A finished trial's place is taken by the next at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from baselines.language_agent import Written
from lamer_bench import Ask, TrialPlan, View, make, play
from lamer_bench.record import Trial

REFLECTIONS_AT_ONCE = 64
"""So many need not wait for more."""


class Writer(Protocol):
    """Who answers in a rollout: a policy with its weights as they are."""

    def write(
        self, views: Sequence[View], kind: Literal["act", "reflect"], temperature: float
    ) -> list[Written]:
        """One answer for each view, in order, each sampled from the view's own stream."""


@dataclass(slots=True)
class Row:
    """One answer: its tokens, and where in which trial it stands."""

    trial: int
    """Index of the trial within the rollout."""
    episode: int
    turn: int
    """Turn within the episode; for a reflection the number of turns before it."""
    kind: Literal["act", "reflect"]
    observation: str
    prompt: list[int]
    tokens: list[int]
    log_probabilities: list[float]
    """Of the sampled tokens under the policy that sampled them; empty where the writer cannot say,
    and the loop then computes them before it updates."""
    value: float = 0.0
    """What a value head expects of it; filled in by the loop for algorithms that have one."""
    reference_log_probabilities: list[float] = field(default_factory=list)
    """Of its tokens under the policy that training began with; filled in by the loop where a
    setting asks for it."""


@dataclass
class Rollout:
    """Trials and their rows."""

    plans: list[TrialPlan]
    trials: list[Trial]
    rows: list[Row]


def roll_out(
    writer: Writer,
    plans: Sequence[TrialPlan],
    temperature: float = 1.0,
    in_flight: int = 256,
    references: Mapping[str, str] | None = None,
) -> Rollout:
    """Play all ``plans``, at most ``in_flight`` at a time; rows come in the order of the answers.

    ``references``: where the class of an environment id is, for those outside the catalogue
    (``{"doors-easy": "my.module:Doors-easy"}``).
    """
    references = references or {}
    finished: dict[int, Trial] = {}
    rows: list[Row] = []
    waiting = iter(enumerate(plans))
    running = {}
    asks: dict[int, Ask] = {}

    def start_next() -> None:
        for index, plan in waiting:
            environment = plan.task.environment
            running[index] = play(make(references.get(environment, environment)), plan)
            asks[index] = next(running[index])
            return

    for _ in range(in_flight):
        start_next()
    while asks:
        kind = _next_kind(asks)
        asked = [(index, ask) for index, ask in asks.items() if ask.kind == kind]
        texts = writer.write([ask.view for _, ask in asked], kind, temperature)
        for (index, ask), text in zip(asked, texts, strict=True):
            rows.append(_row(index, ask, text))
            try:
                asks[index] = running[index].send(text.answer)
            except StopIteration as stop:
                finished[index] = stop.value
                del running[index], asks[index]
                start_next()
    return Rollout(list(plans), [finished[index] for index in range(len(plans))], rows)


def _next_kind(asks: Mapping[int, Ask]) -> Literal["act", "reflect"]:
    """Reflections wait for each other: one takes many steps of sampling, which cost about the same
    for few rows as for many."""
    num_reflect = sum(ask.kind == "reflect" for ask in asks.values())
    return "reflect" if num_reflect >= min(len(asks), REFLECTIONS_AT_ONCE) else "act"


def _row(trial: int, ask: Ask, text: Written) -> Row:
    return Row(
        trial=trial,
        episode=ask.episode,
        turn=ask.view.turn,
        kind=ask.kind,
        observation=ask.view.observation,
        prompt=text.prompt,
        tokens=text.generation.tokens,
        log_probabilities=text.generation.log_probabilities,
    )
