"""Stand-ins for what a test does not want to be real: an agent that answers from a queue."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import ClassVar

from lamer_bench.agent import Agent, Answer, View


class ScriptedAgent(Agent):
    """Answers from a queue, one reply for each view in the order it is asked, and keeps the views.

    An exhausted queue answers with ``otherwise``; an exception in it is raised.
    """

    name: ClassVar[str] = "scripted"

    def __init__(
        self,
        replies: Iterable[str | Answer | Exception] = (),
        reflections: Iterable[str] = (),
        otherwise: str = "",
    ) -> None:
        self.replies = deque(replies)
        self.reflections = deque(reflections)
        self.otherwise = otherwise
        self.asked: list[View] = []
        """Every view it was asked to act on, in order."""

    def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
        self.asked += views
        return [self._next() for _ in views]

    def reflect(self, views: Sequence[View]) -> Sequence[Answer | str]:
        return [self.reflections.popleft() if self.reflections else "" for _ in views]

    def _next(self) -> Answer | str:
        reply = self.replies.popleft() if self.replies else self.otherwise
        if isinstance(reply, Exception):
            raise reply
        return reply
