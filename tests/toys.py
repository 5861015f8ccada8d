"""A toy environment, and players that misbehave in every way a run must survive.

They are reached by reference (``tests.toys:Doors-easy``, ``tests.toys:Raises``), as anybody's own
classes would be, or by name after ``import tests.toys`` (``doors-easy``).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from lamer_bench.agent import Agent, Answer, Memory, View
from lamer_bench.env import Outcome, TextEnv
from lamer_bench.registry import ENVIRONMENTS
from lamer_bench.task import Split

_COLOURS = ("red", "green", "blue", "white", "black")


@dataclass(frozen=True)
class Level:
    """Rooms in a row, doors in each, and the turn limit."""

    description: str
    rooms: int
    doors: int
    turn_limit: int


class Doors(TextEnv):
    """Walk through the right door of each room.

    ## Action
    A colour, such as ``red``.

    ## Observation
    Which room you stand in, and its doors.

    ## Reward
    +1 for a right door, 10 for the last one, 0 for a wrong one, -1 for an answer that is no action.

    ## Ends
    Won behind the last room's right door, lost behind the first wrong one, out of turns at the
    limit.

    ## Levels
    `easy` has 3 rooms of 3 doors, `hard` 5 rooms of 5.

    ## Splits
    By the sequence of right doors.
    """

    family: ClassVar[str] = "doors"
    levels: ClassVar[dict[str, Level]] = {
        "easy": Level("3 rooms of 3 doors", 3, 3, 5),
        "hard": Level("5 rooms of 5 doors", 5, 5, 6),
    }
    action_hint: ClassVar[str] = "Name a door like this: <action>red</action>."

    def __init__(
        self, level: str = "easy", *, split: Split = "test", render_mode: str | None = None
    ) -> None:
        super().__init__(level, split=split, render_mode=render_mode)
        self.house = self.levels[level]
        self.turn_limit = self.house.turn_limit
        self.room = 0
        self.right: list[str] = []

    def generate(self, rng: Random) -> bool:
        self.right = rng.choices(_COLOURS[: self.house.doors], k=self.house.rooms)
        return True

    def fingerprint(self) -> str:
        return f"doors {self.house.doors} {' '.join(self.right)}"

    def solution(self) -> list[str]:
        return list(self.right)

    def rules(self) -> str:
        return (
            f"A house of {self.house.rooms} rooms in a row; one door of each leads on, the others "
            f"lead out. You have {self.turn_limit} turns. {self.action_hint}"
        )

    def start(self) -> str:
        self.room = 0
        return self.look()

    def parse(self, answer: str) -> str | None:
        word = answer.strip().lower()
        return word if word in _COLOURS[: self.house.doors] else None

    def act(self, action: str) -> Outcome:
        if action != self.right[self.room]:
            return Outcome(
                f"The {action} door of room {self.room + 1} leads out.", 0.0, True, False
            )
        self.room += 1
        if self.room == self.house.rooms:
            return Outcome("You are through.", 10.0, True, True)
        return Outcome(self.look(), 1.0, False, False)

    def look(self) -> str:
        doors = ", ".join(_COLOURS[: self.house.doors])
        return f"Room {self.room + 1} of {self.house.rooms}. Doors: {doors}."

    def admissible(self) -> list[str]:
        return list(_COLOURS[: self.house.doors])


ENVIRONMENTS.register("doors", "tests.toys:Doors")


@dataclass(frozen=True)
class VaultLevel:
    """How many doors there are."""

    description: str
    doors: int


class Vault(TextEnv):
    """Exploring in the first episode pays in the second, and nowhere else.

    One door of many hides a treasure, and every episode lasts one turn. A guess earns less than the
    safe on average; the plan earns nothing, but says where the treasure is. So the best single
    episode takes the safe, and the best trial reads the plan first.

    ## Action
    A door such as ``(1,3)``, ``safe`` or ``plan``.

    ## Observation
    The choice; afterwards the target for ``plan``, otherwise only that it is over.

    ## Reward
    10 for the right door, 2 for the safe, 0 for a wrong door and the plan, -1 for an answer that is
    no action.

    ## Ends
    After one turn: won behind the right door, lost otherwise.

    ## Levels
    `easy` has 8 doors.

    ## Splits
    By the right door and the vault's number, which nobody sees: every split has all doors.
    """

    family: ClassVar[str] = "vault"
    levels: ClassVar[dict[str, VaultLevel]] = {"easy": VaultLevel("8 doors", 8)}
    action_hint: ClassVar[str] = "Answer like this: <action>safe</action>."

    def __init__(
        self, level: str = "easy", *, split: Split = "test", render_mode: str | None = None
    ) -> None:
        super().__init__(level, split=split, render_mode=render_mode)
        self.doors = [f"(1,{number + 1})" for number in range(self.levels[level].doors)]
        self.turn_limit = 1
        self.right = ""
        self.number = 0

    def generate(self, rng: Random) -> bool:
        self.right = rng.choice(self.doors)
        self.number = rng.randrange(1000)
        return True

    def fingerprint(self) -> str:
        return f"vault {self.number}, door {self.right}"

    def solution(self) -> list[str]:
        return [self.right]

    def rules(self) -> str:
        return f"One of {len(self.doors)} doors hides a treasure. {self.action_hint}"

    def start(self) -> str:
        return self.look()

    def parse(self, answer: str) -> str | None:
        word = answer.strip().lower()
        return word if word in self.admissible() else None

    def act(self, action: str) -> Outcome:
        if action == self.right:
            return Outcome("Solved.", 10.0, True, True)
        if action == "plan":
            return Outcome(f"The target is {self.right}.", 0.0, True, False)
        return Outcome("The attempt is over.", 2.0 if action == "safe" else 0.0, True, False)

    def look(self) -> str:
        return "Name one or safe or plan"

    def admissible(self) -> list[str]:
        return [*self.doors, "safe", "plan"]


class BrokenDoors(Doors):
    """Raises behind the second right door of every task with an even index."""

    family: ClassVar[str] = "broken"

    def act(self, action: str) -> Outcome:
        outcome = super().act(action)
        if self.room == 2 and self.task is not None and self.task.index % 2 == 0:
            raise RuntimeError("the floor gave way")
        return outcome


class UnbuildableDoors(Doors):
    """Cannot even be constructed."""

    family: ClassVar[str] = "unbuildable"

    def __init__(self, level: str = "easy", **_: object) -> None:
        raise RuntimeError("no wood")


class Guesser(Agent):
    """Draws a door from the view's stream; never tries the same losing door first twice in a
    trial."""

    name: ClassVar[str] = "guesser"
    memories: ClassVar[Sequence[Memory]] = ("history", "reflection", "both", "none")

    def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
        return [Answer(self.answer(view), 10, 1) for view in views]

    def answer(self, view: View) -> str:
        """A door of the present room."""
        failed = {past.turns[0].action for past in view.earlier if len(past.turns) == 1}
        doors = [door for door in view.admissible or () if view.turn or door not in failed]
        return view.rng.choice(doors)

    def reflect(self, views: Sequence[View]) -> Sequence[Answer | str]:
        return [f"attempt {view.episode}: {view.observation}" for view in views]


class SlowGuesser(Guesser):
    """Takes five milliseconds for each batch, so that a run can be killed in its middle."""

    def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
        time.sleep(0.005)
        return super().act(views)


class Raises(Guesser):
    """Raises when a view whose stream starts low is among those it is asked about."""

    def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
        for view in views:
            if view.make_rng().random() < 0.1:
                raise ValueError(f"bad luck in turn {view.turn}")
        return super().act(views)


class AlwaysRaises(Agent):
    """Raises whatever it is asked."""

    def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
        raise ConnectionError("endpoint down\nsecond line \ud800")


class Hangs(Guesser):
    """Never answers about a view whose stream starts low."""

    def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
        if any(view.make_rng().random() < 0.03 for view in views):
            time.sleep(1_000)
        return super().act(views)


class AlwaysHangs(Agent):
    """Never answers."""

    def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
        time.sleep(1_000)
        return []


class Answers(Agent):
    """Answers every view with the same, whatever that is; ``answers`` may be no list at all."""

    def __init__(self, answer: object = "", answers: object = None) -> None:
        self.answer = answer
        self.answers = answers

    def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
        if self.answers is not None:
            return self.answers  # type: ignore[return-value]
        return [self.answer for _ in views]  # type: ignore[misc]


class NoMemory(Guesser):
    """Can play with its memory wiped only."""

    memories: ClassVar[Sequence[Memory]] = ("none",)


class CannotStart(Agent):
    """Raises in its constructor."""

    def __init__(self) -> None:
        raise OSError("no weights")


class CannotPrepare(Agent):
    """Raises when it is told what it will play."""

    def prepare(self, environment: str) -> None:
        raise KeyError("weights")


class NotAnAgent:
    """Lacks everything."""
