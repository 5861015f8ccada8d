"""Random first: a wrapper that plays a trial's first attempt at random and then hands over.

What the wrapped agent gains from exploring by itself is the difference between its own run and this
one; what it gains from a second chance alone is left. Its memory shows it the random attempt, and
it reflects on it, as if it had played it.

With its memory wiped no attempt is the first, so the memory-wiped control of a run is the wrapped
agent's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from baselines.random_agent import RandomAgent
from lamer_bench.agent import Agent, Answer, Memory, View
from lamer_bench.errors import AgentError, SettingError
from lamer_bench.runner import make_agent


class RandomFirst(Agent):
    """Plays the first attempt at random; another agent plays the rest and sees what happened."""

    name: ClassVar[str] = "random-first"
    memories: ClassVar[Sequence[Memory]] = ("history", "reflection", "both")

    def __init__(self, agent: str | Agent = "explorer", **options: Any) -> None:
        """``agent`` takes over after the first attempt; ``options`` are its own."""
        if isinstance(agent, Agent):
            if options:
                raise SettingError("Options are for an agent that is given by its name.")
            self.wrapped, self.wrapped_name = agent, agent.name or type(agent).__name__
        else:
            self.wrapped, self.wrapped_name = make_agent(agent, options), agent
        self._random = RandomAgent()
        self._declare_as_wrapped()

    def prepare(self, environment: str) -> None:
        self.wrapped.prepare(environment)

    def settings(self) -> dict[str, Any]:
        return {"agent": self.wrapped_name, "agent_settings": self.wrapped.settings()}

    def act(self, views: Sequence[View]) -> Sequence[Answer | str | AgentError]:
        answers: dict[int, Answer | str | AgentError] = {}
        for player, is_first in ((self._random, True), (self.wrapped, False)):
            places = [
                place for place, view in enumerate(views) if is_first_of_trial(view) == is_first
            ]
            if places:
                answers |= zip(places, player.act([views[place] for place in places]), strict=True)
        return [answers[place] for place in range(len(views))]

    def reflect(self, views: Sequence[View]) -> Sequence[Answer | str | AgentError]:
        return self.wrapped.reflect(views)

    def _declare_as_wrapped(self) -> None:
        """Declare what the wrapped agent declares, but for the memory mode ``none``."""
        wrapped: Any = self.wrapped
        declared: Any = self
        declared.name = f"{self.name}:{self.wrapped_name}"
        declared.memories = [memory for memory in wrapped.memories if memory != "none"]
        declared.told_solution = wrapped.told_solution
        declared.deterministic = wrapped.deterministic
        declared.is_interactive = wrapped.is_interactive
        declared.packages = wrapped.packages
        if not declared.memories:
            raise SettingError(
                f"The agent {self.wrapped_name!r} has no memory to see a first attempt with."
            )


def is_first_of_trial(view: View) -> bool:
    """True in a trial's first attempt; never with a wiped memory, which knows no order."""
    return view.memory != "none" and view.episode == 0
