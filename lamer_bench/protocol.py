"""play(): one trial as a generator that yields what must be answered and returns the record.

It is a generator so that there is one body of protocol code for every driver: the runner steps
hundreds of trials in lockstep and answers them in batches, a trainer does the same, a person
answers one at a time. It does no I/O, reads no clock, and knows nothing of models.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal

from lamer_bench.agent import Answer, Memory, PastEpisode, PastTurn, View
from lamer_bench.env import MAX_ANSWER_CHARACTERS, TextEnv
from lamer_bench.record import Episode, Reflection, Trial, TrialKind, Turn
from lamer_bench.task import Task


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """What is to be played: everything that a trial's outcome depends on besides the agent."""

    task: Task
    kind: TrialKind = "trial"
    """``trial``: stop at the first win. ``control``: memory wiped, every episode is played."""
    repeat: int = 0
    num_episodes: int = 3
    memory: Memory = "history"
    seed: int = 0
    tell_solution: bool = False

    @property
    def key(self) -> tuple[str, str, int]:
        """What names a trial within a run: (kind, task id, repeat)."""
        return (self.kind, self.task.id, self.repeat)


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to the agent: the next action, or a reflection on a failed attempt."""

    kind: Literal["act", "reflect"]
    view: View
    episode: int
    """Which attempt it is, from 0; the view says so only where the memory spans attempts."""


def play(env: TextEnv, plan: TrialPlan) -> Generator[Ask, Answer, Trial]:
    """Play ``plan`` on ``env``; yields `Ask`, is sent `Answer`, returns the `Trial`.

    A trial stops at its first win. Between a failed attempt and the next the agent may reflect
    once, when its memory holds reflections; there is no reflection after the last attempt or after
    a win.
    """
    table = _Table(env, plan)
    episodes: list[Episode] = []
    for index in range(plan.num_episodes):
        episode = yield from table.attempt(index)
        episodes.append(episode)
        if episode.end == "won" and plan.kind == "trial":
            break
    return Trial.of(plan.key, memory=table.memory, fingerprint=env.fingerprint(), episodes=episodes)


class _Table:
    """What the attempts of one trial share: the loaded task, and what may be remembered of it."""

    def __init__(self, env: TextEnv, plan: TrialPlan) -> None:
        if env.task != plan.task:  # drawing one takes time
            env.load(plan.task)
        self.env = env
        self.plan = plan
        self.memory: Memory = "none" if plan.kind == "control" else plan.memory
        self._rules = env.rules()
        self._solution = env.solution() if plan.tell_solution else None
        self._earlier: tuple[PastEpisode, ...] = ()

    def attempt(self, index: int) -> Generator[Ask, Answer, Episode]:
        """Play one attempt and let the agent reflect on it where the protocol says so."""
        env = self.env
        observation, info = env.reset()
        turns: list[Turn] = []
        past: list[PastTurn] = []
        state: dict[str, Any] = {}
        over = False
        while not over:
            answer = yield Ask("act", self._view(index, past, observation, info, state), index)
            text = clean(answer.text)
            seen = observation
            observation, reward, terminated, truncated, info = env.step(text)
            over = terminated or truncated
            turns.append(
                Turn(
                    observation=observation_hash(seen),
                    answer=text,
                    action=env.last_action,
                    reward=float(reward),
                    prompt_tokens=answer.prompt_tokens,
                    answer_tokens=answer.answer_tokens,
                )
            )
            past.append(PastTurn(seen, text, env.last_action))

        end: Literal["won", "lost", "turn_limit"]
        end = "won" if info["won"] else "lost" if terminated else "turn_limit"
        reflection = None
        if end != "won" and self._reflects_after(index):
            answer = yield Ask("reflect", self._view(index, past, observation, info, state), index)
            reflection = Reflection(
                text=clean(answer.text),
                prompt_tokens=answer.prompt_tokens,
                answer_tokens=answer.answer_tokens,
            )
        self._remember(past, observation, reflection)
        return Episode(
            index=index,
            turns=turns,
            end=end,
            final_observation=observation_hash(observation),
            reflection=reflection,
        )

    def _reflects_after(self, index: int) -> bool:
        is_last = index + 1 == self.plan.num_episodes
        return not is_last and self.memory in ("reflection", "both")

    def _remember(
        self, past: list[PastTurn], final_observation: str, reflection: Reflection | None
    ) -> None:
        if self.memory == "none":
            return
        keeps_history = self.memory in ("history", "both")
        episode = PastEpisode(
            turns=past if keeps_history else (),
            final_observation=final_observation if keeps_history else "",
            reflection=reflection.text if reflection else "",
        )
        self._earlier = (*self._earlier, episode)

    def _view(
        self,
        index: int,
        past: list[PastTurn],
        observation: str,
        info: dict[str, Any],
        state: dict[str, Any],
    ) -> View:
        plan = self.plan
        turn = len(past)
        return View(
            environment=self.env.environment,
            rules=self._rules,
            action_hint=self.env.action_hint,
            memory=self.memory,
            num_episodes=plan.num_episodes,
            turn_limit=self.env.turn_limit,
            episode=index if self.memory != "none" else 0,
            turn=turn,
            observation=observation,
            admissible=info.get("admissible"),
            turns=past,
            earlier=self._earlier,
            state=state,
            solution=self._solution,
            make_rng=lambda: plan.task.rng(answer_stream(plan, index, turn)),
        )


def answer_stream(plan: TrialPlan, episode: int, turn: int) -> str:
    """Purpose of the stream that an answer is drawn from, for `Task.rng`."""
    return f"agent/{plan.seed}/{plan.kind}/{plan.repeat}/{episode}/{turn}"


def clean(text: str) -> str:
    """An answer as it is read and stored: at most `MAX_ANSWER_CHARACTERS`, storable as UTF-8."""
    text = text[:MAX_ANSWER_CHARACTERS]
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def observation_hash(observation: str) -> str:
    """First 16 hexadecimal digits of the observation's SHA-256."""
    return hashlib.sha256(observation.encode()).hexdigest()[:16]
