"""The WebShop explorer: what it reads, what it remembers, and what its memory is worth."""

from __future__ import annotations

import pytest

from baselines.explorer.webshop import (
    Judge,
    Known,
    Memory,
    Place,
    Seen,
    WebShopPlayer,
    Wish,
    line_of,
)
from environments.webshop import WebShop
from environments.webshop.goals import draw
from environments.webshop.shop import own_stock
from lamer_bench import Answer, Task, TrialPlan, make, play
from lamer_bench.errors import AgentError
from lamer_bench.protocol import Ask
from lamer_bench.record import Trial


def trial(
    kind: str, index: int, *, level: str = "hard", memory: str = "history", form: str = "text"
) -> tuple[Trial, list[Ask]]:
    """A trial of the explorer and what it was asked."""
    player, asked = WebShopPlayer(), []
    env = make(f"webshop-{level}", observation=form)
    task = Task(f"webshop-{level}", "val", index)
    playing = play(env, TrialPlan(task, kind=kind, memory=memory))  # type: ignore[arg-type]
    ask = next(playing)
    while True:
        asked.append(ask)
        answer = player.answer(ask.view) if ask.kind == "act" else player.reflect(ask.view)
        try:
            ask = playing.send(Answer(answer))
        except StopIteration as stop:
            return stop.value, asked


@pytest.mark.parametrize("level", [*WebShop.levels])
def test_wishes_are_read_from_every_phrasing(level: str) -> None:
    about = WebShop.levels[level]
    stock = own_stock(about.sells, "light")
    for index in range(40):
        goal = draw(stock, about, Task(f"webshop-{level}", "train", index).rng("test"))
        if goal is None:
            continue
        wish = Wish.read(goal.instruction)
        assert wish.limit == goal.wanted.price_limit
        assert wish.options == goal.wanted.options
        assert wish.num_attributes == len(goal.wanted.attributes)
        if wish.is_literal:
            told = " ".join(wish.phrases)
            assert all(attribute in told for attribute in goal.wanted.attributes)


def test_what_is_no_wish_and_no_page_is_said_so() -> None:
    for text in ("find me a mug", "a mug for 20 dollars", ""):
        with pytest.raises(AgentError, match="instruction"):
            Wish.read(text)
    with pytest.raises(AgentError, match="no page of the shop"):
        Seen.read("Mines: 3")


def test_all_its_answers_are_actions() -> None:
    for level in WebShop.levels:
        for index in range(5):
            for episode in trial("control", index, level=level)[0].episodes:
                assert all(turn.action for turn in episode.turns)


def test_it_plays_the_same_on_both_observations() -> None:
    for index in range(5):
        plain, rich = (trial("trial", index, form=form)[0] for form in ("text", "text_rich"))
        actions = [[turn.action for e in t.episodes for turn in e.turns] for t in (plain, rich)]
        assert actions[0] == actions[1]


def test_it_buys_no_product_twice() -> None:
    for index in range(20):
        bought = []
        for episode in trial("trial", index)[0].episodes:
            opened = [t.action for t in episode.turns if (t.action or "").startswith("click[b")]
            products = [action for action in opened if action and action[7:8].isdigit()]
            bought += products[-1:] if episode.end == "lost" else []
        assert len(set(bought)) == len(bought)


def test_its_reflections_hold_what_it_needs() -> None:
    """With reflections alone it plays about as well as with the whole history."""
    for index in range(10):
        for ask in trial("trial", index, memory="reflection")[1]:
            for episode in ask.view.earlier:
                assert not episode.turns
                assert ", scored " in episode.reflection
    won = sum(
        trial("trial", i, memory="reflection")[0].episodes[-1].end == "won" for i in range(40)
    )
    assert won >= 20


def test_a_look_alike_is_ruled_out_by_the_page_that_told_the_wish_of_another() -> None:
    wish = Wish.read("find me a mug with red, leak proof, and price lower than 20.00 dollars")
    title = "Orla {} Mug, Red"
    memory = Memory(
        {
            "B00001": Known(
                title.format("Nova"), 9, 9, {"features": "it is leak proof"}, score=0.8
            ),
            "B00002": Known(title.format("Vale"), 9, 9, {"features": "it is lidless"}),
            "B00003": Known(title.format("Wren"), 9, 9),
            "B00004": Known(title.format("Lark"), 21, 21),
        }
    )
    judge = Judge(wish, memory)
    assert [judge.verdict(known).is_out for known in memory.products.values()] == (
        [True, True, False, True]
    )
    assert judge.next_page(memory.of("B00003"), ("leak proof",)) == "features"
    assert len({line_of(known.title) for known in memory.products.values()}) == 1


def test_it_knows_where_its_clicks_lead() -> None:
    place = Place().after("search[mug]").after("click[b00001]").after("click[reviews]")
    assert place == ("B00001", "reviews")
    assert place.after("click[< prev]").after(None) == ("B00001", "")
    assert place.after("click[back to search]") == place.after("click[< prev]").after(
        "click[< prev]"
    )


@pytest.mark.slow
def test_memory_is_worth_fifteen_points_on_hard() -> None:
    num_tasks = 200
    first = with_memory = without = 0
    for index in range(num_tasks):
        episodes = trial("trial", index)[0].episodes
        first += episodes[0].end == "won"
        with_memory += episodes[-1].end == "won"
        without += any(e.end == "won" for e in trial("control", index)[0].episodes)
    assert first / num_tasks < 0.6
    assert (with_memory - without) / num_tasks >= 0.15
