"""The agent's side of sealed tasks: views come from the board, answers go there. Nothing is stored
on this machine; the same command goes on with a run that was interrupted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lamer_bench import suites
from lamer_bench.agent import Answer, View
from lamer_bench.asking import Asker, Question
from lamer_bench.errors import SettingError
from lamer_bench.protocol import clean
from lamer_bench.record import Void
from lamer_bench.runner import Progress, choose_memory, make_agent, prepare_agent
from lamer_bench.task import Task
from leaderboard.client import BoardError, board_address, persistent, post_json, token_for
from leaderboard.views import view_of

_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 60.0, 60.0, 60.0, 60.0)
"""Seconds between attempts to reach the board again."""


def play(
    agent: str,
    environment: str,
    url: str,
    *,
    name: str | None = None,
    memory: str | None = None,
    seed: int = 0,
    agent_options: Mapping[str, Any] | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    notice: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Play a board's sealed tasks of an environment, or go on with that.

    Returns:
        What the board says at the end: ``{"run", "drawn_from", "name", "scores"}``.

    Raises:
        SettingError: the agent cannot play them.
        BoardError: the board refuses, or stays away.
    """
    token = token_for(url)
    limits = suites.load_suite().limits(environment)
    player = make_agent(agent, agent_options)
    if player.told_solution or player.is_interactive:
        what = "is told hidden state" if player.told_solution else "has a memory of its own"
        raise SettingError(f"The agent {agent!r} {what}; it cannot play sealed tasks.")
    own_name = vars(player).get("name") or agent
    opening = {
        "environment": environment,
        "name": name or own_name,
        "agent": own_name,
        "agent_settings": prepare_agent(player, agent, environment),
        "memory": choose_memory(player, memory, agent),
        "seed": seed,
        "is_deterministic": player.deterministic,
    }
    base = f"{board_address(url)}/api/v1/sealed/runs"

    def ask(address: str, document: Mapping[str, Any]) -> dict[str, Any]:
        return persistent(lambda: post_json(address, document, token), _PAUSES, notice)

    state = ask(base, opening)
    asker = Asker(player, limits)
    pads: dict[int, dict[str, Any]] = {}
    try:
        while state["scores"] is None:
            progress(Progress(**state["progress"]))
            if not state["questions"]:
                raise BoardError(f"{board_address(url)} asks nothing and tells no scores.")
            answers = _answers(state["questions"], asker, pads)
            state = ask(f"{base}/{state['run']}/answers", {"answers": answers})
    finally:
        asker.close()
    return {
        "run": state["run"],
        "drawn_from": state["drawn_from"],
        "name": opening["name"],
        "scores": state["scores"],
    }


def _answers(
    questions: list[dict[str, Any]], asker: Asker, pads: dict[int, dict[str, Any]]
) -> list[dict[str, Any]]:
    answers = []
    kinds: tuple[Question, Question] = ("act", "reflect")
    for kind in kinds:
        asked = [question for question in questions if question["kind"] == kind]
        if asked:
            replies = asker.ask(kind, [_view(question, pads) for question in asked])
            answers += [_answer(*pair) for pair in zip(asked, replies, strict=True)]
    return answers


def _view(question: Mapping[str, Any], pads: dict[int, dict[str, Any]]) -> View:
    trial, view = question["trial"], question["view"]
    if trial not in pads or (question["kind"] == "act" and view["turn"] == 0):
        pads[trial] = {}  # a fresh scratch pad for each attempt
    task = Task.parse(question["task"])
    return view_of(view, pads[trial], lambda: task.rng(question["stream"]))


def _answer(question: Mapping[str, Any], reply: Answer | Void) -> dict[str, Any]:
    place = {"trial": question["trial"], "place": question["place"]}
    if isinstance(reply, Void):
        return {**place, "void": f"{reply.type}: {reply.message}"[:500]}
    return {
        **place,
        "text": clean(reply.text),
        "prompt_tokens": reply.prompt_tokens,
        "answer_tokens": reply.answer_tokens,
    }
