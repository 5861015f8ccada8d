"""The human agent: a person at the terminal answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.console import Console

from lamer_bench.agent import Agent, Answer, Memory, View

_QUIT = frozenset({"quit", "exit"})


class HumanAgent(Agent):
    """A person at this terminal; ``quit`` stops.

    It shows what any agent gets and reads a line. It prints to the error stream, so that results on
    the standard output stay alone. The end of the input stops, too.
    """

    name: ClassVar[str] = "human"
    memories: ClassVar[Sequence[Memory]] = ("both", "history", "reflection", "none")
    deterministic: ClassVar[bool] = False
    is_interactive: ClassVar[bool] = True

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)

    def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
        return [self._act(view) for view in views]

    def reflect(self, views: Sequence[View]) -> Sequence[Answer | str]:
        return [self._reflect(view) for view in views]

    def _act(self, view: View) -> str:
        if view.turn == 0:
            self._introduce(view)
        self._console.print(f"\n{view.observation}")
        return self._read(f"turn {view.turn + 1} of {view.turn_limit}, your action (or quit)> ")

    def _introduce(self, view: View) -> None:
        if view.episode == 0:
            self._console.print(f"\n{view.rules}", style="dim")
        self._console.rule(f"Attempt {view.episode + 1} of {view.num_episodes}")
        if view.memory == "history" and view.earlier:
            self._console.print(f"{view.earlier[-1].final_observation}\nNot solved. Once more:")
        for number, past in enumerate(view.earlier, start=1):
            if past.reflection:
                self._console.print(f"Your note after attempt {number}: {past.reflection}")

    def _reflect(self, view: View) -> str:
        self._console.print(f"\n{view.observation}")
        return self._read("Not solved. A note to yourself for the next attempt> ")

    def _read(self, prompt: str) -> str:
        """One line of input; raises `KeyboardInterrupt` when the person wants to stop."""
        self._console.print(prompt, end="", style="bold")
        try:
            text = input()
        except EOFError:
            raise KeyboardInterrupt from None
        if text.strip().lower() in _QUIT:
            raise KeyboardInterrupt
        return text
