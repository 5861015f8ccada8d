"""What the small models read, letter by letter, under every memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from baselines.explorer.sokoban import Rules, cell_name, pushes_made
from baselines.language_agent import WEIGHTS, load_tokenizer
from baselines.prompts import compact
from lamer_bench import Answer, Ask, Task, TrialPlan, make, play
from lamer_bench.agent import Memory, PastEpisode

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


def sokoban(memory: Memory) -> tuple[list[Ask], tuple[int, str]]:
    """The questions of a failed attempt at a room of `medium`, which begins as the solution does,
    and the first one of the second attempt; and the first push."""
    task = Task("sokoban-medium", "val", 3)
    env = make("sokoban-medium")
    env.load(task)
    answers = [f"<action>{action}</action>" for action in env.solution()[:-1]]
    trial = play(env, TrialPlan(task, num_episodes=2, memory=memory))
    asks = [next(trial)]
    for turn in range(asks[0].view.turn_limit):
        asks.append(trial.send(Answer(answers[turn] if turn < len(answers) else "nonsense")))
    rules = Rules.read(asks[0].view.rules)
    pushes = pushes_made(rules, asks[len(answers)].view.turns)
    if asks[-1].kind == "reflect":
        *_, pushed, lead_in = compact(asks[-1].view, "reflect").splitlines()
        told = " ".join(f"{cell_name(rules, box)} {way}" for box, way in pushes)
        assert (pushed, lead_in) == (f"pushed {told}", "<remark>")
        asks.append(trial.send(Answer(f"<remark>{told}</remark>")))
    return asks, pushes[0]


@pytest.mark.parametrize("memory", ["none", "history", "reflection", "both"])
def test_a_sokoban_prompt_shows_what_was_tried_from_here(memory: Memory) -> None:
    asks, (box, way) = sokoban(memory)
    first, second = asks[0], asks[-1]
    name = cell_name(Rules.read(first.view.rules), box)
    shown = "\n".join(line[2:-2] for line in board(first).splitlines()[1:-1])
    assert compact(first.view, "act") == f"{shown}\n3 moves\n{PAUSE} push"
    tried = "" if memory == "none" else f"failed {name} {way}\n"
    assert compact(second.view, "act") == f"{shown}\n{tried}3 moves\n{PAUSE} push"


def test_a_sokoban_prompt_leaves_out_the_outer_wall_alone() -> None:
    view = sokoban("none")[0][0].view
    room = "# # # # # #\n# # # # # #\n# P X O _ #\n# _ _ X O #\n# _ _ _ _ #\n# # # # # #"
    walled = replace(view, observation=f"{room}\nThat is not an action.")
    lines = compact(walled, "act").splitlines()
    assert lines[:5] == ["# # # #", "P X O _", "_ _ X O", "_ _ _ _", "That is not an action."]
    roomless = replace(view, observation="no room at all")
    assert compact(roomless, "act").startswith("no room at all\n3 moves\n")


def test_a_sokoban_prompt_has_the_same_symbols_for_all_rooms() -> None:
    task = Task("sokoban-ood", "val", 0)
    ask = next(play(make("sokoban-ood"), TrialPlan(task)))
    room = compact(ask.view, "act").splitlines()[:5]
    assert set(" ".join(room).split()) <= set("#_OXP√S")
    assert [line.split().count("X") for line in room] == [
        line.split().count("$") for line in board(ask).splitlines()[1:-1]
    ]


def test_a_made_up_sokoban_reflection_changes_nothing() -> None:
    view = sokoban("none")[0][0].view
    for text in ("", "push (3,3", "(3,3) sideways", "(999,0) up", "(9,9) up (1,1) left", "failed"):
        told = replace(view, memory="reflection", earlier=[PastEpisode(reflection=text)])
        assert compact(told, "act") == compact(view, "act")


@pytest.mark.parametrize("family", ["minesweeper", "sokoban"])
def test_the_tokenizer_of_the_shipped_weights_knows_the_history(family: str) -> None:
    tokenizer = load_tokenizer(WEIGHTS / family / "supervised")
    unknown = tokenizer.token_to_id("<unk>")
    assert unknown not in tokenizer.encode("Actions: (2,3) / - / up, left").ids
