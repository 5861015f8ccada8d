"""Prompting agents: a model behind an endpoint that is instructed and never trained.

`zero-shot`, `react` and `reflexion` lay their prompts out alike and differ in three things: the
instruction, whether the thoughts of earlier turns stay in the context, and the memory between
attempts. Each question is one prompt of its own, a system and a user message, that holds all that
the view holds; what stays the same from turn to turn comes first, so that a server can reuse what
it has read. The prompts hold no worked examples, so that no environment has an advantage.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

from baselines.endpoint import Endpoint, Message, Request
from baselines.endpoint_settings import EndpointSettings
from baselines.prompts import KEPT_CHARACTERS, KEPT_INVALID_CHARACTERS, remark, visible
from lamer_bench.agent import Agent, Answer, Memory, PastEpisode, PastTurn, View
from lamer_bench.errors import AgentError

ANSWER_AT_ONCE = """\
Answer with your next action and nothing else: <action>...</action>. {hint}"""

THINK_THEN_ACT = """\
Think first: in a few sentences say what the observations tell you, what you still have to find \
out, and what to do next. Then end your answer with exactly one action: <action>...</action>. \
{hint}"""
"""Reasoning and acting in turns, the thoughts staying in the context (ReAct, arXiv 2210.03629)."""

LOOK_BACK = """\
You have not solved the task, and you will start it again from the same state. Write a note to \
yourself for the next attempt, of 150 words at most. Do not retell the game. Say which decision \
made the attempt fail, what you know of this task now, and which actions you will take instead. \
Answer with <remark>your note</remark>."""
"""Verbal feedback from oneself after a failure (Reflexion, arXiv 2303.11366)."""

KEPT_REFLECTIONS = 3
"""The last so many stay in the prompt, as in the Reflexion paper."""

_ACTION = re.compile(r"<action>", re.IGNORECASE)


class PromptingAgent(Agent):
    """Base of the agents that prompt a model; their options are those of `EndpointSettings`."""

    deterministic: ClassVar[bool] = False
    packages: ClassVar[Sequence[str]] = ("httpx2",)
    instruction: ClassVar[str]
    """What it is asked at each turn; ``{hint}`` stands for how an action looks."""
    keeps_thoughts: ClassVar[bool]
    """True when the context holds what it thought at earlier turns, besides what it did."""

    def __init__(self, **options: Any) -> None:
        self.options = EndpointSettings.read(options)
        self._endpoint: Endpoint | None = None

    def prepare(self, environment: str) -> None:
        self._endpoint = Endpoint(self.options)

    def settings(self) -> dict[str, Any]:
        return self._connected().settings()

    def act(self, views: Sequence[View]) -> Sequence[Answer | AgentError]:
        return self._ask(views, "act")

    def reflect(self, views: Sequence[View]) -> Sequence[Answer | AgentError]:
        return self._ask(views, "reflect")

    def messages(self, view: View, kind: Literal["act", "reflect"]) -> list[Message]:
        """The prompt for a view."""
        return [
            {"role": "system", "content": f"You play a game in text. Its rules:\n\n{view.rules}"},
            {"role": "user", "content": "\n\n".join(self._parts(view, kind))},
        ]

    def _ask(
        self, views: Sequence[View], kind: Literal["act", "reflect"]
    ) -> list[Answer | AgentError]:
        requests = [Request(self.messages(view, kind), view.rng.getrandbits(31)) for view in views]
        return self._connected().answers(requests)

    def _connected(self) -> Endpoint:
        if self._endpoint is None:
            self._endpoint = Endpoint(self.options)
        return self._endpoint

    def _parts(self, view: View, kind: Literal["act", "reflect"]) -> Iterator[str]:
        """The user message: earlier attempts, this one, what is seen now, what is asked."""
        forgotten = len(view.earlier) - KEPT_REFLECTIONS
        for number, past in enumerate(view.earlier):
            yield from self._attempt(number, past, keeps_reflection=number >= forgotten)
        if view.memory != "none":
            yield f"Attempt {view.episode + 1} of {view.num_episodes} at this task."
        for number, turn in enumerate(view.turns):
            yield self._turn(number, turn)
        if kind == "reflect":
            yield f"The attempt ended here, not solved:\n{view.observation}"
            yield LOOK_BACK
            return
        yield f"Turn {view.turn + 1} of {view.turn_limit}, now:\n{view.observation}"
        if view.admissible:
            yield f"Possible now: {'; '.join(view.admissible)}"
        yield self.instruction.format(hint=view.action_hint)

    def _attempt(self, number: int, past: PastEpisode, *, keeps_reflection: bool) -> Iterator[str]:
        yield f"Attempt {number + 1} at this task, which was not solved."
        for turn_number, turn in enumerate(past.turns):
            yield self._turn(turn_number, turn)
        if past.final_observation:
            yield f"The attempt ended here:\n{past.final_observation}"
        if past.reflection and keeps_reflection:
            yield f"Your note after it: {remark(past.reflection)}"

    def _turn(self, number: int, turn: PastTurn) -> str:
        return f"Turn {number + 1}:\n{turn.observation}\nYour answer: {self._said(turn)}"

    def _said(self, turn: PastTurn) -> str:
        if turn.action is None:
            return f"{visible(turn.answer)[:KEPT_INVALID_CHARACTERS]} (not an action)"
        action = f"<action>{turn.action}</action>"
        if not self.keeps_thoughts:
            return action
        thought = _ACTION.split(visible(turn.answer), maxsplit=1)[0].strip()[:KEPT_CHARACTERS]
        return f"{thought}\n{action}" if thought else action


class ZeroShotAgent(PromptingAgent):
    """A prompted model that answers with an action at once."""

    name: ClassVar[str] = "zero-shot"
    memories: ClassVar[Sequence[Memory]] = ("none", "history")
    instruction: ClassVar[str] = ANSWER_AT_ONCE
    keeps_thoughts: ClassVar[bool] = False


class ReactAgent(PromptingAgent):
    """A prompted model that thinks before it acts and keeps its thoughts (arXiv 2210.03629)."""

    name: ClassVar[str] = "react"
    memories: ClassVar[Sequence[Memory]] = ("none", "history")
    instruction: ClassVar[str] = THINK_THEN_ACT
    keeps_thoughts: ClassVar[bool] = True


class ReflexionAgent(ReactAgent):
    """`react` that writes itself a reflection after a failed attempt (arXiv 2303.11366)."""

    name: ClassVar[str] = "reflexion"
    memories: ClassVar[Sequence[Memory]] = ("reflection", "both")
