"""What the small models read, letter by letter, under every memory."""

from __future__ import annotations

import pytest

from baselines.language_agent import WEIGHTS, load_tokenizer
from baselines.prompts import compact
from lamer_bench import Answer, Ask, Task, TrialPlan, make, play
from lamer_bench.agent import Memory

VAULT = "tests.toys:Vault-easy"
PAUSE = "1 2 3 4 5 6"


def asked(environment: str, memory: Memory, answers: list[str]) -> list[Ask]:
    """The questions of a trial that is answered so."""
    trial = play(
        make(environment), TrialPlan(Task(environment, "val", 3), num_episodes=3, memory=memory)
    )
    asks = [next(trial)]
    for answer in answers:
        asks.append(trial.send(Answer(answer)))
    return asks


def board(ask: Ask) -> str:
    return ask.view.observation


def vault(memory: Memory) -> list[Ask]:
    """Three one-turn attempts: the plan, something that is no action, and the last question."""
    plan, nonsense = "<action>plan</action>", "nonsense"
    reflects = memory in ("reflection", "both")
    noted, again = ["<remark>first</remark>"] * reflects, ["<remark>second</remark>"] * reflects
    trial = play(
        make(VAULT),
        TrialPlan(Task("vault-easy", "val", 0), num_episodes=3, memory=memory),
    )
    asks = [next(trial)]
    for answer in [plan, *noted, nonsense, *again]:
        asks.append(trial.send(Answer(answer)))
    return asks


def test_without_a_memory_there_is_the_observation_only() -> None:
    first, second, third = vault("none")
    for ask in (first, second, third):
        assert compact(ask.view, "act") == f"{board(ask)}\n{PAUSE} <action>"


def test_the_last_reflection_supersedes_the_ones_before_it() -> None:
    *_, before_last, last = vault("reflection")
    assert before_last.kind == "reflect"
    assert compact(before_last.view, "reflect") == (
        f"<remark>first</remark>\n{board(before_last)}\n<remark>"
    )
    assert compact(last.view, "act") == f"<remark>second</remark>\n{board(last)}\n{PAUSE} <action>"


def test_the_history_holds_every_attempts_actions_and_where_they_led() -> None:
    first, second, third = vault("history")
    env = make(VAULT)
    env.load(Task("vault-easy", "val", 0))
    [target] = env.solution()
    one = f"Actions: plan\nThe target is {target}."
    assert compact(first.view, "act") == f"{board(first)}\n{PAUSE} <action>"
    assert compact(second.view, "act") == f"{one}\n{board(second)}\n{PAUSE} <action>"
    text = compact(third.view, "act")
    assert text.startswith(f"{one}\nActions: -\n")  # the second answer was no action
    assert text.endswith(f"\n{board(third)}\n{PAUSE} <action>")
    assert "remark" not in text


def test_both_are_the_history_and_then_the_last_reflection() -> None:
    *_, before_last, last = vault("both")
    text = compact(last.view, "act")
    assert text.startswith("Actions: plan\nThe target is ")
    assert text.count("Actions:") == 2
    assert text.endswith(f"\n<remark>second</remark>\n{board(last)}\n{PAUSE} <action>")
    assert "first" not in text
    looking_back = compact(before_last.view, "reflect")
    assert looking_back.startswith("Actions: plan\nThe target is ")
    assert looking_back.endswith(f"\n<remark>first</remark>\n{board(before_last)}\n<remark>")


@pytest.mark.parametrize("memory", ["history", "both"])
def test_turns_of_an_attempt_are_told_apart(memory: Memory) -> None:
    reflection = ["<remark>noted</remark>"] if memory == "both" else []
    moves = ["up, left", "nonsense", "down"]
    answers = [f"<action>{move}</action>" for move in moves]
    asks = asked("sokoban-medium", memory, answers)
    turn_limit = asks[0].view.turn_limit
    rest = ["<action>up</action>"] * (turn_limit - len(moves))
    second = asked(
        "sokoban-medium", memory, [f"<action>{m}</action>" for m in moves] + rest + reflection
    )
    text = compact(second[-1].view, "act")
    told = " / ".join(["up, left", "-", "down", *["up"] * (turn_limit - len(moves))])
    assert text.startswith(f"Actions: {told}\n")


def test_the_tokenizer_of_the_shipped_weights_knows_the_history() -> None:
    tokenizer = load_tokenizer(next(WEIGHTS.glob("*/supervised")))
    unknown = tokenizer.token_to_id("<unk>")
    assert unknown not in tokenizer.encode("Actions: (2,3) / - / up, left").ids
