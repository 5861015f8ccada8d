"""The trial: when it ends, what the agent is told in each memory mode, and where its chance comes
from."""

import re
from collections.abc import Callable, Iterable
from itertools import chain, repeat
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamer_bench.agent import Answer, Memory
from lamer_bench.env import MAX_ANSWER_CHARACTERS
from lamer_bench.protocol import Ask, TrialPlan, clean, observation_hash, play
from lamer_bench.record import Trial
from lamer_bench.task import Task
from tests.toys import Doors

TASK = Task("doors-easy", "test", 0)


def wrong_door() -> str:
    """A door of the first room that leads out."""
    world = Doors("easy")
    world.load(TASK)
    return next(door for door in ("red", "green") if door != world.right[0])


def drive(
    plan: TrialPlan, answers: Iterable[str], look: Callable[[Ask], None] = lambda ask: None
) -> tuple[Trial, list[Ask]]:
    """Play a plan with scripted answers; reflections are answered ``note <episode>``."""
    playing = play(Doors("easy"), plan)
    script = iter(answers)
    asks = []
    ask = next(playing)
    while True:
        asks.append(ask)
        look(ask)
        text = next(script) if ask.kind == "act" else f"note {ask.view.episode}"
        try:
            ask = playing.send(Answer(text, 3, 2))
        except StopIteration as stop:
            return stop.value, asks


def solution() -> list[str]:
    world = Doors("easy")
    world.load(TASK)
    return world.solution()


def test_a_trial_stops_at_its_first_win() -> None:
    trial, asks = drive(TrialPlan(TASK), [wrong_door(), *solution()])
    assert [episode.end for episode in trial.episodes] == ["lost", "won"]
    assert len(asks) == 4


def test_a_control_plays_every_episode_and_remembers_nothing() -> None:
    plan = TrialPlan(TASK, kind="control", memory="both", num_episodes=3)
    trial, asks = drive(plan, [*solution(), wrong_door(), *solution()])
    assert [episode.end for episode in trial.episodes] == ["won", "lost", "won"]
    assert trial.memory == "none"
    assert all(not ask.view.earlier and ask.view.episode == 0 for ask in asks)
    assert all(ask.kind == "act" for ask in asks)


def test_every_episode_starts_from_the_same_observation() -> None:
    trial, _ = drive(TrialPlan(TASK, num_episodes=4), repeat(wrong_door()))
    assert len({episode.turns[0].observation for episode in trial.episodes}) == 1


@pytest.mark.parametrize(
    ("memory", "has_turns", "has_notes"),
    [
        ("none", False, False),
        ("history", True, False),
        ("reflection", False, True),
        ("both", True, True),
    ],
)
def test_the_agent_is_told_what_its_memory_allows(
    memory: Memory, has_turns: bool, has_notes: bool
) -> None:
    trial, asks = drive(TrialPlan(TASK, memory=memory), repeat(wrong_door()))
    earlier = asks[-1].view.earlier
    assert len(earlier) == (0 if memory == "none" else 2)
    assert [bool(past.turns) for past in earlier] == [has_turns] * len(earlier)
    assert [bool(past.final_observation) for past in earlier] == [has_turns] * len(earlier)
    notes = [past.reflection for past in earlier]
    assert notes == (["note 0", "note 1"] if has_notes else [""] * len(earlier))
    stored = [episode.reflection is not None for episode in trial.episodes]
    assert stored == [has_notes, has_notes, False]


def test_there_is_no_reflection_after_the_last_episode_or_a_win() -> None:
    script = chain([wrong_door()], solution())
    _, asks = drive(TrialPlan(TASK, memory="both"), script)
    assert [ask.kind for ask in asks] == ["act", "reflect", "act", "act", "act"]
    _, asks = drive(TrialPlan(TASK, memory="both", num_episodes=1), [wrong_door()])
    assert [ask.kind for ask in asks] == ["act"]


def test_a_reflection_sees_what_the_last_action_led_to() -> None:
    _, asks = drive(TrialPlan(TASK, memory="reflection"), repeat(wrong_door()))
    assert "leads out" in asks[1].view.observation
    assert asks[1].view.turn == 1
    assert asks[1].view.turns[0].action == wrong_door()


def test_an_answer_that_is_no_action_costs_a_turn_and_changes_nothing() -> None:
    trial, asks = drive(TrialPlan(TASK, num_episodes=1), ["what?", "", *solution()])
    turns = trial.episodes[0].turns
    assert [turn.action for turn in turns[:2]] == [None, None]
    assert trial.episodes[0].end == "won"
    assert "not an action" in asks[1].view.observation


def test_an_episode_ends_at_its_turn_limit() -> None:
    trial, _ = drive(TrialPlan(TASK, num_episodes=1), repeat("nonsense"))
    assert trial.episodes[0].end == "turn_limit"
    assert len(trial.episodes[0].turns) == Doors.levels["easy"].turn_limit


def test_the_record_holds_hashes_tokens_and_raw_answers() -> None:
    trial, asks = drive(TrialPlan(TASK), [f"I think <action>{wrong_door()}</action>", *solution()])
    first = trial.episodes[0].turns[0]
    assert first.observation == observation_hash(asks[0].view.observation)
    assert first.answer.startswith("I think")
    assert first.action == wrong_door()
    assert (first.prompt_tokens, first.answer_tokens) == (3, 2)
    assert trial.digest == trial.scored_digest()


@settings(deadline=None)
@given(st.lists(st.sampled_from(["<action>", "</Action>", "red", "green", " ", "<"]), max_size=9))
def test_the_last_whole_action_is_read_or_else_the_whole_answer(parts: list[str]) -> None:
    world = Doors("easy")
    text = "".join(parts)
    tagged = re.findall(r"<action>(.*?)</action>", text, re.IGNORECASE)
    assert world.read(text) == world.parse(tagged[-1] if tagged else text)


def test_an_answer_of_opening_tags_is_read_in_linear_time() -> None:
    world = Doors("easy")
    started = perf_counter()
    for _ in range(100):
        assert world.read("<action>red</action>" + "<action>" * 2_000) == "red"
    assert perf_counter() - started < 2  # 15 s where each opening tag looks for its end


def test_only_a_told_agent_sees_the_solution() -> None:
    _, asks = drive(TrialPlan(TASK), repeat(wrong_door()))
    assert all(ask.view.solution is None for ask in asks)
    _, asks = drive(TrialPlan(TASK, tell_solution=True), repeat(wrong_door()))
    assert asks[0].view.solution == solution()


def test_each_answer_has_a_stream_of_its_own() -> None:
    def draws(**changes: object) -> list[float]:
        plan = TrialPlan(TASK, **changes)  # type: ignore[arg-type]
        numbers: list[float] = []
        drive(plan, repeat(wrong_door()), lambda ask: numbers.append(ask.view.rng.random()))
        return numbers

    assert draws() == draws()
    drawn = draws() + draws(seed=1) + draws(repeat=1) + draws(kind="control")
    assert len(set(drawn)) == len(drawn) == 12


def test_a_view_gives_the_same_stream_each_time_it_is_asked() -> None:
    _, asks = drive(TrialPlan(TASK), repeat(wrong_door()))
    assert asks[0].view.rng.random() == asks[0].view.rng.random()


def test_the_scratch_pad_is_fresh_for_each_attempt() -> None:
    seen: list[int] = []

    def look(ask: Ask) -> None:
        seen.append(len(ask.view.state))
        ask.view.state[str(len(seen))] = True

    drive(TrialPlan(TASK), repeat("nonsense"), look)
    assert seen == [0, 1, 2, 3, 4] * 3


def test_answers_are_cut_and_made_storable() -> None:
    assert len(clean("x" * 1_000_000)) == MAX_ANSWER_CHARACTERS
    assert clean("a\ud800b") == "a?b"
    assert clean("→") == "→"
