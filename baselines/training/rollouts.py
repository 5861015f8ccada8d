"""Rollouts: hundreds of trials in lockstep, and the rows that the learner needs of them.

The same `play()` and the same agent as in an evaluation; the agent is only asked to remember which
tokens it sampled. A finished trial's place is taken by the next at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tokenizers import Tokenizer

from baselines.language_agent import Written, write
from baselines.models import SmallModel
from lamer_bench import Ask, TrialPlan, make, play
from lamer_bench.record import Trial


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
    """Of the sampled tokens under the policy that sampled them."""


@dataclass
class Rollout:
    """Trials and their rows."""

    plans: list[TrialPlan]
    trials: list[Trial]
    rows: list[Row]


def roll_out(
    model: SmallModel,
    tokenizer: Tokenizer,
    plans: Sequence[TrialPlan],
    temperature: float = 1.0,
    in_flight: int = 256,
) -> Rollout:
    """Play all ``plans``, at most ``in_flight`` at a time; rows come in the order of the
    answers."""
    finished: dict[int, Trial] = {}
    rows: list[Row] = []
    waiting = iter(enumerate(plans))
    running = {}
    asks: dict[int, Ask] = {}

    def start_next() -> None:
        for index, plan in waiting:
            running[index] = play(make(plan.task.environment), plan)
            asks[index] = next(running[index])
            return

    for _ in range(in_flight):
        start_next()
    while asks:
        for kind in ("act", "reflect"):
            asked = [(index, ask) for index, ask in asks.items() if ask.kind == kind]
            if not asked:
                continue
            views = [ask.view for _, ask in asked]
            texts = write(model, tokenizer, views, kind, temperature)
            for (index, ask), text in zip(asked, texts, strict=True):
                rows.append(_row(index, ask, text))
                try:
                    asks[index] = running[index].send(text.answer)
                except StopIteration as stop:
                    finished[index] = stop.value
                    del running[index], asks[index]
                    start_next()
    return Rollout(list(plans), [finished[index] for index in range(len(plans))], rows)


def _row(trial: int, ask: Ask, text: Written) -> Row:
    return Row(
        trial=trial,
        episode=ask.view.episode,
        turn=ask.view.turn,
        kind=ask.kind,
        observation=ask.view.observation,
        prompt=text.prompt,
        tokens=text.generation.tokens,
        log_probabilities=text.generation.log_probabilities,
    )
