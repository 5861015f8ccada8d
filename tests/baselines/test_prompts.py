"""What the small models read, letter by letter, under every memory."""

from __future__ import annotations

import pytest

from baselines.language_agent import WEIGHTS, load_tokenizer
from baselines.prompts import compact
from lamer_bench import Answer, Ask, Task, TrialPlan, make, play
from lamer_bench.agent import Memory

DOORS, VAULT = "tests.toys:Doors-easy", "tests.toys:Vault-easy"
PAUSE = "1 2 3 4 5 6"


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


def test_turns_of_an_attempt_are_told_apart() -> None:
    task = Task("doors-easy", "val", 3)
    env = make(DOORS)
    env.load(task)
    right, wrong = env.solution()[0], "nonsense"
    trial = play(make(DOORS), TrialPlan(task, num_episodes=3, memory="history"))
    ask, turn_limit = next(trial), 5
    for answer in [f"<action>{right}</action>", *[wrong] * (turn_limit - 1)]:
        assert ask.view.episode == 0
        ask = trial.send(Answer(answer))
    told = " / ".join([right, *["-"] * (turn_limit - 1)])
    assert compact(ask.view, "act").startswith(f"Actions: {told}\n")


@pytest.mark.parametrize("family", ["minesweeper", "sokoban"])
def test_the_tokenizer_of_the_shipped_weights_knows_the_history(family: str) -> None:
    tokenizer = load_tokenizer(WEIGHTS / family / "supervised")
    unknown = tokenizer.token_to_id("<unk>")
    assert unknown not in tokenizer.encode("Actions: (2,3) / - / up, left").ids
