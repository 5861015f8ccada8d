"""The oracle: told the reference solution, it wins every task. It proves the tasks and is never
ranked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from lamer_bench.agent import Agent, Answer, Memory, View
from lamer_bench.errors import AgentError


class OracleAgent(Agent):
    """Plays the reference solution turn by turn."""

    name: ClassVar[str] = "oracle"
    memories: ClassVar[Sequence[Memory]] = ("none", "history", "reflection", "both")
    told_solution: ClassVar[bool] = True

    def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
        return [f"<action>{_next(view)}</action>" for view in views]


def _next(view: View) -> str:
    if view.solution is None:
        raise AgentError("The oracle was not told the solution.")
    if view.turn >= len(view.solution):
        raise AgentError(f"The solution of {len(view.solution)} turns has not won.")
    return view.solution[view.turn]
