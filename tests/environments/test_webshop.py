"""Rules of WebShop: pages, actions, both observations, rewards, levels, and bad input."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from environments.webshop import WebShop
from environments.webshop.goals import draw
from environments.webshop.pages import SEPARATOR, SUB_PAGES
from environments.webshop.scoring import score
from environments.webshop.shop import own_stock
from environments.webshop.visit import LONGEST_QUERY, clean_query
from lamer_bench import Task, make
from lamer_bench.env import CHARSET
from lamer_bench.errors import SettingError, TaskError, UnknownNameError

LEVELS = list(WebShop.levels)


def walked(*answers: str, **options: object) -> WebShop:
    """A shop in which the task 0 of `hard` was played so far."""
    env = WebShop("hard", **options)  # type: ignore[arg-type]
    env.reset(seed=0)
    for answer in answers:
        env.step(answer)
    return env


def texts(env: WebShop) -> list[str]:
    return env.look().split(SEPARATOR)


# Pages -------------------------------------------------------------------------------------------


def test_an_attempt_begins_at_the_search() -> None:
    env = walked()
    first, label, instruction, field = texts(env)
    assert (first, label, field) == ("WebShop", "Instruction:", "Search")
    assert "and price lower than" in instruction
    assert env.reset()[1]["valid"]
    assert "admissible" not in env.reset()[1]


def test_results_come_by_tens_and_both_ways() -> None:
    env = walked("search[desk]")
    seen = []
    for number in range(1, 6):
        shown = texts(env)
        assert f"Page {number} (Total results: 50)" in shown
        assert ("< Prev" in shown, "Next >" in shown) == (number > 1, number < 5)
        seen += [element.text for element in env.page.elements if element.role == "product"]
        env.step("click[next >]")
    assert len(set(seen)) == 50
    back = walked("search[desk]", "click[next >]", "click[< prev]")
    assert texts(back) == texts(walked("search[desk]"))


def test_every_page_leads_back_to_where_it_was_opened() -> None:
    env = walked("search[desk]", "click[next >]")
    results = env.look()
    product = next(element.text for element in env.page.elements if element.role == "product")
    env.step(f"click[{product}]")
    item = env.look()
    for name in SUB_PAGES:
        _, _, _, _, info = env.step(f"click[{name}]")
        assert info["valid"]
        assert env.page.name == name.lower()
        env.step("click[< prev]")
        assert env.look() == item
    env.step("click[< prev]")
    assert env.look() == results
    env.step("click[back to search]")
    assert texts(env)[0] == "WebShop"


def test_an_option_is_marked_changed_and_priced() -> None:
    env = walked()
    search, product, color, size, _ = env.solution()
    rich = walked(search, product, observation="text_rich")
    value = color.removeprefix("click[").removesuffix("]")
    assert f"\n[button] {value} [button_]\n" in rich.look()
    rich.step(color)
    assert f"\n[clicked button] {value} [clicked button_]\n" in rich.look()
    other = next(e.text for e in rich.page.elements if e.role == "option" and e.text != value)
    rich.step(f"click[{other}]")
    assert f"[clicked button] {value} [" not in rich.look()
    plain = walked(search, product, color, size)
    assert any(text.startswith("Chosen: color: ") for text in texts(plain))
    price = next(text for text in texts(plain) if text.startswith("Price: "))
    assert " to " not in price


def test_options_are_forgotten_when_another_product_is_opened() -> None:
    env = walked(*walked().solution()[:3])
    assert any(text.startswith("Chosen: ") for text in texts(env))
    env.step("click[< prev]")
    env.step(walked().solution()[1])
    assert not any(text.startswith("Chosen: ") for text in texts(env))


def test_both_observations_hold_the_same_texts() -> None:
    rng = random.Random(0)
    plain, rich = walked(), walked(observation="text_rich")
    for _ in range(15):
        unmarked = rich.look()
        for mark in ("[clicked button] ", " [clicked button_]", "[button] ", " [button_]"):
            unmarked = unmarked.replace(mark, "")
        assert unmarked.split("\n") == texts(plain)
        answer = rng.choice(plain.admissible() or ["search[mug]"])
        if answer == "click[buy now]":
            continue
        plain.step(answer)
        rich.step(answer)


# Buying ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_the_solution_scores_one_within_the_turns(level: str) -> None:
    env = WebShop(level)
    for index in range(30):
        env.reset(seed=index)
        solution = env.solution()
        assert len(solution) <= env.turn_limit
        for answer in solution:
            _, reward, ended, _, info = env.step(answer)
        assert ended
        assert env.won
        assert info["reward_parts"]["score"] == 1.0
        assert reward == (10.0 if level == "paper" else 1.0)


def test_a_purchase_tells_its_score_and_info_its_parts() -> None:
    env = walked(*walked().solution()[:-2])
    observation, reward, ended, truncated, info = env.step("click[buy now]")
    assert (ended, truncated, info["won"]) == (True, False, False)
    assert 0 < reward < 1
    assert observation.endswith(f"Your score (min 0.0, max 1.0) [SEP] {round(reward, 3)}")
    parts = info["reward_parts"]
    assert parts["score"] == reward
    assert {"type", "title", "query", "category", "attributes", "options", "price"} < parts.keys()
    assert parts["options"] == 0.5


def test_the_reward_can_be_all_or_nothing() -> None:
    solution = walked().solution()
    env = walked(*solution[:-2], reward="all_or_nothing")
    assert env.step("click[buy now]")[1] == 0.0
    env = walked(*solution[:-1], reward="all_or_nothing")
    assert env.step("click[buy now]")[1] == 10.0


# Levels ------------------------------------------------------------------------------------------


def goals(level: str, number: int = 60) -> list:
    rng, about = random.Random(0), WebShop.levels[level]
    stock = own_stock(about.sells, "light")
    drawn = [draw(stock, about, rng) for _ in range(4 * number)]
    return [goal for goal in drawn if goal is not None][:number]


def num_fulfilling(level: str, goal: object) -> int:
    """Look-alikes that would score 1.0 with the wanted options."""
    stock = own_stock(WebShop.levels[level].sells, "light")
    line = stock.line(stock.place(goal.position)[0])  # type: ignore[attr-defined]
    return sum(score(m, dict(goal.options), goal.wanted).total == 1.0 for m in line.models)  # type: ignore[attr-defined]


@pytest.mark.parametrize("level", ["medium", "hard", "ood"])
def test_one_look_alike_alone_fulfils_the_goal(level: str) -> None:
    for goal in goals(level):
        assert num_fulfilling(level, goal) == 1


def test_difficulty_rises_from_easy_to_hard() -> None:
    drawn = {level: goals(level) for level in LEVELS}
    assert {len(goal.wanted.attributes) for goal in drawn["easy"]} == {1}
    assert {len(goal.wanted.attributes) for goal in drawn["medium"]} == {3}
    assert {len(goal.wanted.attributes) for goal in drawn["hard"]} == {4}
    assert {len(goal.wanted.options) for goal in drawn["hard"]} == {2}

    def spare(level: str) -> float:
        stock = own_stock(WebShop.levels[level].sells, "light")
        left = [
            goal.wanted.price_limit - stock[goal.position].price_with(dict(goal.options))
            for goal in drawn[level]
        ]
        assert min(left) > 0
        return max(left)

    assert spare("hard") <= 5 < spare("ood") <= 20 < spare("easy") <= 40


def test_hard_is_too_short_to_read_all_that_differs() -> None:
    look_alikes, pages = 8, 3
    assert WebShop.levels["hard"].turn_limit < 2 * look_alikes * pages


def test_ood_asks_in_other_words_for_goods_that_no_other_level_sells() -> None:
    for goal in goals("ood"):
        for attribute in goal.wanted.attributes:
            assert attribute not in goal.instruction.lower()
    kinds = {goal.wanted.query for goal in goals("ood")}
    assert not kinds & {goal.wanted.query for level in LEVELS[:3] for goal in goals(level)}


def test_a_goal_is_the_same_content_in_whatever_words() -> None:
    env = walked()
    fingerprint = env.fingerprint()
    assert env._goal.instruction not in fingerprint
    assert str(env._goal.wanted.price_limit) not in fingerprint
    for attribute in env._goal.wanted.attributes:
        assert attribute in fingerprint


def test_the_large_shop_has_tasks_of_its_own() -> None:
    env = WebShop("hard", size="large")
    assert env.environment == "webshop-hard_large"
    env.reset(seed=0)
    for answer in env.solution():
        env.step(answer)
    assert env.won
    with pytest.raises(TaskError, match="does not belong"):
        env.load(Task("webshop-hard", "test", 0))


# Bad input ---------------------------------------------------------------------------------------

NO_ACTIONS = [
    "",
    " ",
    "search[]",
    "search[ \n\t ]",
    "search[[]]",
    "search[<>]",
    "search",
    "click[]",
    "click[buy now]",
    "click[b00000]",
    "click[search]",
    "buy now",
    "clicking[back to search]",
    "search[mug",  # the bracket is forgiven, see below
]


@pytest.mark.parametrize("answer", NO_ACTIONS[:-1])
def test_what_is_no_action_on_the_search_page_gets_a_hint(answer: str) -> None:
    env = walked()
    before = env.look()
    observation, reward, ended, _, info = env.step(answer)
    assert (reward, ended, info["valid"]) == (-0.1, False, False)
    assert observation == f"That is not an action. {env.action_hint}\n{before}"


def test_small_slips_are_forgiven() -> None:
    for answer in ("search[mug", "Search [ MUG ]", "search mug", "<action>search[Mug]</action>"):
        env = walked(answer)
        assert env.last_action == "search[mug]"
    env = walked("search[mug]", "CLICK[  next   > ]")
    assert env.last_action == "click[next >]"


def test_a_search_of_ten_thousand_characters_is_cut() -> None:
    env = walked("search[" + "blue mug " * 1_111 + "]")
    assert env.last_action is not None
    assert len(env.last_action) <= len("search[]") + LONGEST_QUERY
    assert env.page.name == "results"


def test_markup_and_brackets_are_words_to_search_for_and_nothing_else() -> None:
    for query, searched in (
        ("<script>alert(1)</script>", "script alert 1 script"),
        ("mug]; click[buy now", "mug click buy now"),
        ("'; drop table products; --", "' drop table products --"),
        ("{{ 7 * 7 }} ${HOME} %s", "7 7 $ home %s"),
        ("../../etc/passwd\x00", ".. .. etc passwd"),
        ("ＭＵＧ Crème", "mug creme"),
    ):
        env = walked(f"search[{query}]")
        assert env.last_action == f"search[{searched}]"
        assert env.page.name == "results"


def test_only_what_is_on_the_page_can_be_clicked() -> None:
    env = walked("search[mug]")
    for answer in ("click[buy now]", "click[description]", "click[< prev]", "search[mug]"):
        assert not env.step(answer)[4]["valid"]
    elsewhere = next(
        p.id for p in map(env.shop.stock.__getitem__, range(1000)) if p.id not in env.look()
    )
    assert not env.step(f"click[{elsewhere}]")[4]["valid"]


def test_a_search_without_results_says_so_and_leads_back() -> None:
    env = walked("search[xyzzy]")
    assert "Page 1 (Total results: 0)" in texts(env)
    assert env.admissible() == ["click[back to search]"]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80), st.integers(0, 4))
def test_no_answer_raises_on_any_page(answer: str, turns: int) -> None:
    env = walked(*walked().solution()[:turns])
    for text in (answer, f"search[{answer}]", f"click[{answer}]", f"<action>{answer}</action>"):
        observation = env.step(text)[0]
        assert CHARSET.issuperset(observation)
        if env._over:
            return


@given(st.text(max_size=300))
def test_a_cleaned_query_stays_as_it_is(text: str) -> None:
    query = clean_query(text)
    assert clean_query(query) == query
    assert len(query) <= LONGEST_QUERY


def test_settings_that_cannot_be_are_refused_in_one_line() -> None:
    for settings_, message in (
        ({"observation": "html"}, "observation='html' is unknown. Give one of: text, text_rich."),
        ({"reward": "double"}, "reward='double' is unknown"),
        ({"size": "huge"}, "size='huge' is unknown. Give one of: light, large."),
        ({"goals": "human"}, "needs data=FOLDER"),
        ({"data": "somewhere"}, "give data=FOLDER with level 'paper'"),
    ):
        with pytest.raises(SettingError, match=message):
            WebShop("hard", **settings_)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="Levels: easy, medium, hard, ood, paper"):
        WebShop("extreme")


def test_it_is_made_by_its_name_with_its_settings() -> None:
    env = make("webshop-easy", observation="text_rich")
    assert env.reset(seed=1)[0].startswith("WebShop\nInstruction:\n")
