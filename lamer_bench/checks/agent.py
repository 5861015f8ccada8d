"""The contract of agents: one under test, the rounds it plays, and the checks of its promises."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property

from lamer_bench.agent import MEMORIES, Answer, Memory, View
from lamer_bench.asking import Question, read_answers
from lamer_bench.checks.promises import guarded_randomness, require, shown_fields
from lamer_bench.env import environment_ids, make
from lamer_bench.errors import AgentError, ContractError, SettingError
from lamer_bench.protocol import TrialPlan, play
from lamer_bench.record import Void
from lamer_bench.runner import make_agent
from lamer_bench.task import Task

_MAX_ROUNDS = 12


@dataclass(frozen=True)
class _Round:
    """One batch of questions as it was before and after the agent answered it."""

    kind: Question
    before: list[View]
    after: list[View]
    answers: list[Answer]


class AgentUnderTest:
    """An agent under test, and the rounds that it plays in each of its memory modes."""

    def __init__(self, name: str, environment: str | None, num_tasks: int) -> None:
        self.name = name
        self.agent = make_agent(name)
        self.num_tasks = num_tasks
        self._environment = environment

    @cached_property
    def environment(self) -> str:
        """The environment to play on, prepared."""
        refusals: list[AgentError] = []
        for name in [self._environment] if self._environment else environment_ids():
            try:
                self.agent.prepare(make(name).environment)
            except AgentError as error:
                refusals.append(error)
            else:
                return name
        raise SettingError(f"The agent {self.name!r} cannot be checked: {refusals[0]}")

    def ask(self, kind: Question, views: Sequence[View]) -> list[Answer]:
        """The answers; an odd one breaks the contract."""
        replies = read_answers(getattr(self.agent, kind)(views), len(views))
        for reply in replies:
            if isinstance(reply, Void):
                raise ContractError(f"{kind}() {reply.message}.")
        return [reply for reply in replies if not isinstance(reply, Void)]

    def rounds(self, memory: Memory) -> list[_Round]:
        """Two episodes of the first tasks, all of them in lockstep; at most the first rounds."""
        plans = (
            TrialPlan(
                Task(make(self.environment).environment, "val", index),
                num_episodes=2,
                memory=memory,
                tell_solution=self.agent.told_solution,
            )
            for index in range(self.num_tasks)
        )
        running = {}
        for plan in plans:
            playing = play(make(self.environment), plan)
            running[playing] = next(playing)
        rounds: list[_Round] = []
        while running and len(rounds) < _MAX_ROUNDS:
            kind = next(iter(running.values())).kind
            batch = [playing for playing, ask in running.items() if ask.kind == kind]
            views = [running[playing].view for playing in batch]
            before = [_snapshot(view) for view in views]
            answers = self.ask(kind, views)
            rounds.append(_Round(kind, before, [_snapshot(view) for view in views], answers))
            for playing, answer in zip(batch, answers, strict=True):
                try:
                    running[playing] = playing.send(answer)
                except StopIteration:
                    del running[playing]
        return rounds

    @cached_property
    def all_rounds(self) -> list[_Round]:
        """The rounds of all memory modes."""
        return [one for memory in self.agent.memories for one in self.rounds(memory)]


def _declares_itself(player: AgentUnderTest) -> None:
    """It declares memory modes that exist, what it is told, and settings that can be stored."""
    agent = player.agent
    modes = list(agent.memories)
    require(bool(modes), "memories is empty.")
    foreign = sorted(set(modes) - set(MEMORIES))
    require(not foreign, f"memories holds {foreign}; there are {', '.join(MEMORIES)}.")
    require(len(set(modes)) == len(modes), "memories names a mode twice.")
    for flag in ("told_solution", "deterministic", "is_interactive"):
        require(isinstance(getattr(agent, flag), bool), f"{flag} is not True or False.")
    require(not agent.is_interactive, "a person cannot be checked.")
    require(bool(player.environment), "it accepts no environment.")
    json.dumps(agent.settings())


def _answers_every_view(player: AgentUnderTest) -> None:
    """It answers every view with text, in every memory mode it declares."""
    require(bool(player.all_rounds), "it was never asked.")


def _leaves_views_alone(player: AgentUnderTest) -> None:
    """It changes nothing in a view but its scratch pad ``state``."""
    for one in player.all_rounds:
        for before, after in zip(one.before, one.after, strict=True):
            for name in shown_fields(before):
                same = getattr(before, name) == getattr(after, name)
                require(same, f"{one.kind}() changed the view's {name}.")


def _answers_the_same_again(player: AgentUnderTest) -> None:
    """Unless it says that it is not deterministic, it answers the same view with the same text."""
    if not player.agent.deterministic:
        return
    for one in player.all_rounds:
        again = player.ask(one.kind, [_snapshot(view) for view in one.before])
        require(again == one.answers, f"{one.kind}() answered the same views otherwise.")


def _answers_alone_as_in_a_batch(player: AgentUnderTest) -> None:
    """Unless it says that it is not deterministic, an answer does not depend on the batch: neither
    on who else is in it, nor on the order."""
    if not player.agent.deterministic:
        return
    for one in player.all_rounds:
        backward = player.ask(one.kind, [_snapshot(view) for view in reversed(one.before)])
        require(backward[::-1] == one.answers, f"{one.kind}() depends on the batch's order.")
        for view, answer in zip(one.before, one.answers, strict=True):
            alone = player.ask(one.kind, [_snapshot(view)])
            require(alone == [answer], f"{one.kind}() answers otherwise when it is asked alone.")


def _survives_unknown_text(player: AgentUnderTest) -> None:
    """It answers an observation that begins with the hint; one that it cannot read at all it
    answers with whatever text, or refuses with `AgentError`."""
    view = player.all_rounds[0].before[0]
    hint = f"That is not an action. {view.action_hint}\n{view.observation}"
    kinds: tuple[Question, ...] = ("act", "reflect")
    for kind in kinds:
        player.ask(kind, [replace(_snapshot(view), observation=hint, state={})])
        for unknown in ("", "?", "\u4e2d\u6587 \x1b[31m <action>", view.observation[1:]):
            with suppress(AgentError):
                player.ask(kind, [replace(_snapshot(view), observation=unknown, state={})])


def _uses_no_global_randomness(player: AgentUnderTest) -> None:
    """Unless it says that it is not deterministic, it neither reads nor writes global random
    state: chance comes from the view's own stream."""
    if not player.agent.deterministic:
        return
    for seed in (1, 2):
        with guarded_randomness(seed, "the agent"):
            for one in player.all_rounds[:4]:
                answers = player.ask(one.kind, [_snapshot(view) for view in one.before])
                require(answers == one.answers, "another global seed brings other answers.")


AGENT_CHECKS: tuple[Callable[[AgentUnderTest], None], ...] = (
    _declares_itself,
    _answers_every_view,
    _leaves_views_alone,
    _answers_the_same_again,
    _answers_alone_as_in_a_batch,
    _survives_unknown_text,
    _uses_no_global_randomness,
)


def _snapshot(view: View) -> View:
    """A view as it is now: its scratch pad and its list of turns go on changing."""
    return replace(view, turns=tuple(view.turns), state=copy.deepcopy(view.state))
