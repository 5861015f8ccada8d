"""The contracts hold for the whole catalogue, and each of them bites a class that breaks it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Sequence
from itertools import count
from typing import Any, ClassVar

import numpy as np
import pytest

from lamer_bench import registry
from lamer_bench.agent import Answer, Memory, View
from lamer_bench.checks import (
    AGENT_CHECKS,
    ENVIRONMENT_CHECKS,
    check,
    check_agent,
    check_environment,
    digest,
)
from lamer_bench.env import Outcome, environment_ids
from lamer_bench.errors import ContractError, LamerBenchError, SettingError, UnknownNameError
from lamer_bench.task import Split, Task
from tests import fakes, toys

CATALOGUE = [*environment_ids(), "tests.toys:Doors-easy"]
NEED_A_SERVER = {"zero-shot", "react", "reflexion"}
"""Checked where there is one, in tests/baselines/test_prompting.py."""
NEED_A_MODEL = {"local"}
"""Checked with a tiny one, in tests/baselines/test_local_model.py."""
AGENTS = [name for name in registry.AGENTS if name not in {"human", *NEED_A_SERVER, *NEED_A_MODEL}]


@pytest.mark.parametrize("name", CATALOGUE)
def test_an_environment_of_the_catalogue_keeps_the_contract(name: str) -> None:
    assert len(check_environment(name)) == len(ENVIRONMENT_CHECKS)


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_fresh_process_shows_the_same(name: str) -> None:
    code = f"from lamer_bench.checks import digest; print(digest({name!r}, 4))"
    if name.startswith("doors"):
        code = f"import tests.toys; {code}"
    fresh = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("0", "4711")
    }
    assert fresh == {digest(name, 4)}


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_of_the_catalogue_keeps_the_contract(name: str) -> None:
    assert len(check_agent(name)) == len(AGENT_CHECKS)


def test_check_takes_whatever_has_a_contract() -> None:
    assert len(check("tests.toys:Guesser")) == len(AGENT_CHECKS)
    assert len(check("random")) == len(AGENT_CHECKS)
    assert len(check("tests.toys:Doors-hard")) == len(ENVIRONMENT_CHECKS)
    assert len(check("tests.toys:Doors")) == len(check("doors")) == len(ENVIRONMENT_CHECKS)


def test_check_suggests_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'random'"):
        check("randm")
    with pytest.raises(UnknownNameError, match="Did you mean 'minesweeper-hard'"):
        check("minesweeper-hrd")


# Environments that break it ----------------------------------------------------------------------


class Undocumented(toys.Doors):
    """Says nothing."""


class NotSolved(toys.Doors):
    __doc__ = toys.Doors.__doc__

    def solution(self) -> list[str]:
        return super().solution()[:-1]


class NeverTheSame(toys.Doors):
    __doc__ = toys.Doors.__doc__
    starts: ClassVar[Any] = count()

    def start(self) -> str:
        self.num_starts = next(self.starts)
        return super().start()

    def look(self) -> str:
        return f"{super().look()} It is {self.num_starts} o'clock."


class KeepsTheLastTask(toys.Doors):
    __doc__ = toys.Doors.__doc__
    previous: str = "none"

    def load(self, task: Task) -> None:
        if self.task not in (None, task):
            self.previous = "another"
        super().load(task)

    def look(self) -> str:
        return f"{super().look()} Before: {self.previous}"


class ReadsGlobalState(toys.Doors):
    __doc__ = toys.Doors.__doc__

    def act(self, action: str) -> Outcome:
        random.random()
        return super().act(action)


class ReadsNumpysState(toys.Doors):
    __doc__ = toys.Doors.__doc__

    def act(self, action: str) -> Outcome:
        np.random.rand()  # noqa: NPY002
        return super().act(action)


class ForgetsTheSplit(toys.Doors):
    __doc__ = toys.Doors.__doc__

    def load(self, task: Task) -> None:
        self.generate(task.rng("instance"))
        self.task = task


class MovingFingerprint(toys.Doors):
    __doc__ = toys.Doors.__doc__
    num_asked: int = 0

    def start(self) -> str:
        self.num_asked += 1
        return super().start()

    def fingerprint(self) -> str:
        return f"{super().fingerprint()}{self.num_asked // 1000 if self.turn < 2 else 'x'}"


class RaisesOnMarkup(toys.Doors):
    __doc__ = toys.Doors.__doc__

    def parse(self, answer: str) -> str | None:
        if "&" in answer:
            raise ValueError("not well-formed")
        return super().parse(answer)


class SilenceIsRed(toys.Doors):
    __doc__ = toys.Doors.__doc__

    def parse(self, answer: str) -> str | None:
        return super().parse(answer.strip() or "red")


class ParsingMoves(toys.Doors):
    __doc__ = toys.Doors.__doc__

    def parse(self, answer: str) -> str | None:
        action = super().parse(answer)
        self.room += action is None and self.room < 2 and self.turn > 0
        return action


class Shouts(toys.Doors):
    __doc__ = toys.Doors.__doc__

    def parse(self, answer: str) -> str | None:
        action = super().parse(answer)
        return action and action.upper()

    def act(self, action: str) -> Outcome:
        return super().act(action.lower())

    def solution(self) -> list[str]:
        return [word.lower() for word in super().solution()]


class CutsEarly(toys.Doors):
    __doc__ = toys.Doors.__doc__

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        observation, reward, ended, _, info = super().step(action)
        self._over = ended or self.turn > 3
        return observation, reward, ended, self._over and not ended, info


class Colourful(toys.Doors):
    __doc__ = toys.Doors.__doc__

    def look(self) -> str:
        return f"\x1b[1m{super().look()}"


class NoNumber(toys.Doors):
    __doc__ = toys.Doors.__doc__

    def act(self, action: str) -> Outcome:
        return super().act(action)._replace(reward=float("nan"))


class TellsInInfo(toys.Doors):
    __doc__ = toys.Doors.__doc__

    def _info(self, valid: bool) -> dict[str, Any]:
        return {**super()._info(valid), "room": self.room}


class LiveList(toys.Doors):
    __doc__ = toys.Doors.__doc__

    def start(self) -> str:
        self.doors = super().admissible()
        return super().start()

    def parse(self, answer: str) -> str | None:
        action = super().parse(answer)
        return action if action in self.doors else None

    def admissible(self) -> list[str]:
        return self.doors


class OwnRules(toys.Doors):
    __doc__ = toys.Doors.__doc__

    def rules(self) -> str:
        return f"{super().rules()} Best of luck with {len(str(self.right))}."


class TellsTheSolution(toys.Doors):
    __doc__ = toys.Doors.__doc__

    def look(self) -> str:
        return f"{super().look()} Psst: {', '.join(self.right)}."


class TellsByOrder(toys.Doors):
    __doc__ = toys.Doors.__doc__

    def admissible(self) -> list[str]:
        right = self.right[min(self.room, 2)]
        return sorted(super().admissible(), key=lambda door: door != right)


class RendersNothing(toys.Doors):
    __doc__ = toys.Doors.__doc__

    def __init__(
        self, level: str = "easy", *, split: Split = "test", render_mode: str | None = None
    ) -> None:
        super().__init__(level, split=split)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Undocumented, "lacks Action, Observation"),
        (NotSolved, "does not win"),
        (NeverTheSame, "after a restart differs at turn 0: observation"),
        (KeepsTheLastTask, "after another task differs"),
        (ReadsGlobalState, "used Python's global random state"),
        (ReadsNumpysState, "used NumPy's global random state"),
        (ForgetsTheSplit, "has the content of a"),
        (MovingFingerprint, "changes in play"),
        (RaisesOnMarkup, "raised ValueError: not well-formed"),
        (SilenceIsRed, "an empty answer is an action"),
        (ParsingMoves, "changed the world"),
        (Shouts, "reads otherwise"),
        (CutsEarly, "after 4 empty answers; the limit is 5"),
        (Colourful, "not in CHARSET"),
        (NoNumber, "is nan, which is no number"),
        (TellsInInfo, r"info of .* also holds \['room'\]"),
        (LiveList, "which it reads otherwise"),
        (OwnRules, "are its own"),
        (TellsTheSolution, "shows '"),
        (TellsByOrder, "show the same and offer other actions"),
        (RendersNothing, "render.. after reset"),
    ],
)
def test_a_broken_promise_of_an_environment_is_named(
    broken: type[toys.Doors], message: str
) -> None:
    with pytest.raises(ContractError, match=message) as caught:
        check_environment(f"tests.test_contract:{broken.__name__}-easy")
    assert "\n" not in str(caught.value)


# Agents that break it ----------------------------------------------------------------------------


class Mutates(toys.Guesser):
    def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
        answers = super().act(views)
        for view in views:
            view.observation = "seen"
        return answers


class Counts(toys.Guesser):
    counter: ClassVar[Any] = count()

    def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
        return [f"thought {next(self.counter)}" for _ in views]


class LooksAround(toys.Guesser):
    def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
        return [f"one of {len(views)}" for _ in views]


class LooksAtTheFirst(toys.Guesser):
    def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
        return [f"first saw {views[0].rng.random()}" for _ in views]


class TossesCoins(toys.Guesser):
    def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
        random.random()
        return super().act(views)


class Elephant(toys.Guesser):
    memories: ClassVar[Sequence[Memory]] = ("everything",)  # type: ignore[assignment]


class Literate(toys.Guesser):
    def answer(self, view: View) -> str:
        if not view.observation.startswith("Room"):
            raise KeyError("no room")
        return super().answer(view)


class Numbers(toys.Guesser):
    def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
        return [7 for _ in views]  # type: ignore[misc]


class Lazy(toys.Guesser):
    def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
        return super().act(views[1:])


class Secretive(toys.Guesser):
    def settings(self) -> dict[str, Any]:
        return {"key": object()}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Mutates, "changed the view's observation"),
        (Counts, "answered the same views otherwise"),
        (LooksAround, "otherwise when it is asked alone"),
        (LooksAtTheFirst, "depends on the batch's order"),
        (TossesCoins, "the agent used Python's global random state"),
        (Elephant, r"memories holds \['everything'\]"),
        (Literate, "raised KeyError: 'no room'"),
        (Numbers, "answered with int"),
        (Lazy, "returned 3 answers to 4 views"),
        (Secretive, "raised TypeError"),
    ],
)
def test_a_broken_promise_of_an_agent_is_named(broken: type[toys.Guesser], message: str) -> None:
    with pytest.raises(ContractError, match=message) as caught:
        check_agent(f"tests.test_contract:{broken.__name__}", "doors-easy")
    assert "\n" not in str(caught.value)


def test_an_agent_that_can_play_nothing_here_is_not_checked() -> None:
    with pytest.raises(SettingError, match="cannot play 'doors'"):
        check_agent("explorer", "doors-easy")


def test_a_person_is_not_checked() -> None:
    with pytest.raises(LamerBenchError, match="a person cannot be checked"):
        check_agent("human")


def test_a_scripted_agent_answers_in_order_and_keeps_what_it_was_asked() -> None:
    agent = fakes.ScriptedAgent(["one", ValueError("two")], otherwise="later")
    view = check_agent  # any object will do: a scripted agent does not look
    assert agent.act([view]) == ["one"]  # type: ignore[list-item]
    with pytest.raises(ValueError, match="two"):
        agent.act([view])  # type: ignore[list-item]
    assert agent.act([view, view]) == ["later", "later"]  # type: ignore[list-item]
    assert len(agent.asked) == 4
