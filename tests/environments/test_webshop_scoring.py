"""The reward against a reading of the published formula that was written here, from its
description: every number of it is computed twice."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.webshop import WebShop
from environments.webshop.goals import draw
from environments.webshop.nouns import by_rule, finder
from environments.webshop.products import Option, Product
from environments.webshop.published import published_stock
from environments.webshop.published_goals import published_goals
from environments.webshop.scoring import COLOR_WORDS, Wanted, color_of, score, token_set_ratio
from environments.webshop.shop import own_stock
from lamer_bench.errors import MissingExtraError, SettingError
from tests.webshop_data import DATA, needs_data

# The published formula, read once more ------------------------------------------------------------


def longest_common_subsequence(one: str, other: str) -> int:
    row = [0] * (len(other) + 1)
    for a in one:
        previous = row[:]
        for j, b in enumerate(other):
            row[j + 1] = previous[j] + 1 if a == b else max(previous[j + 1], row[j])
    return row[-1]


def plain_ratio(one: str, other: str) -> float:
    if not one and not other:
        return 100.0
    return 200 * longest_common_subsequence(one, other) / (len(one) + len(other))


def plain_token_set_ratio(one: str, other: str) -> int:
    """Shared words against shared and own words of each, the best of the three comparisons."""
    left = set(re.findall("[a-z0-9]+", one.lower()))
    right = set(re.findall("[a-z0-9]+", other.lower()))
    if not left or not right:
        return 0
    if left & right and (left <= right or right <= left):
        return 100
    both = " ".join(sorted(left & right))
    with_left = " ".join([*([both] if both else []), *sorted(left - right)])
    with_right = " ".join([*([both] if both else []), *sorted(right - left)])
    pairs = [(with_left, with_right)]
    if both:
        pairs += [(both, with_left), (both, with_right)]
    return round(max(plain_ratio(*pair) for pair in pairs))


def plain_reward(product: Product, chosen: Mapping[str, str], goal: Wanted) -> float:
    attributes_met = 0
    for attribute in goal.attributes:
        if any(plain_token_set_ratio(own, attribute) > 85 for own in product.attributes) or (
            attribute in product.title.lower()
            or attribute in " ".join(product.features).lower()
            or attribute in product.description.lower()
        ):
            attributes_met += 1

    def colour(value: str) -> str:
        found = [word for word in COLOR_WORDS if word in value]
        return found[0] if found else value

    options_met = 0
    for wanted in goal.options:
        for value in chosen.values():
            if plain_token_set_ratio(colour(value), colour(wanted)) > 85:
                options_met += 1
                break

    price = product.price
    for option in product.options:
        for value, surcharge in zip(option.values, option.surcharges, strict=True):
            price += surcharge if chosen.get(option.name) == value else 0
    price_met = 1 if goal.price_limit is None or round(price, 2) <= goal.price_limit else 0

    own_nouns, goal_nouns = by_rule(product.title), by_rule(goal.title)
    title = len(set(own_nouns) & set(goal_nouns)) / len(goal_nouns) if goal_nouns else 0.2
    same_categories = len({*product.path} & {*goal.path})
    kind = 1.0
    if product.query != goal.query and same_categories < 2 and title <= 0.2:
        kind = 0.5
    if title < 0.1:
        kind = 0.1
    if title == 0.0:
        kind = 0.0
    wanted = len(goal.attributes) + len(goal.options) + 1
    return kind * (attributes_met + options_met + price_met) / wanted


def any_options(product: Product, rng: random.Random) -> dict[str, str]:
    return {o.name: rng.choice(o.values) for o in product.options if rng.random() < 0.8}


def test_thousands_of_purchases_of_our_own_goods_pay_what_the_formula_says() -> None:
    rng = random.Random(1)
    rewards = []
    for level in WebShop.levels.values():
        stock = own_stock(level.sells, "light")
        for _ in range(120):
            goal = draw(stock, level, rng)
            if goal is None:
                continue
            first = stock.place(goal.position)[0]
            models = stock.line(first).models
            bought = [stock[goal.position], rng.choice(models), stock[rng.randrange(len(stock))]]
            for product in bought:
                for chosen in (dict(goal.options), any_options(product, rng)):
                    paid = score(product, chosen, goal.wanted).total
                    assert paid == plain_reward(product, chosen, goal.wanted)
                    rewards.append(paid)
    assert len(rewards) > 2_000
    assert len(set(rewards)) > 12
    assert {0.0, 1.0} <= set(rewards)


@needs_data
def test_purchases_of_the_published_goods_pay_what_the_formula_says() -> None:
    rng = random.Random(2)
    stock = published_stock(DATA)
    goals = published_goals(DATA, "synthetic").goals
    num_rewards = 0
    for goal in rng.sample(goals, 300):
        alike = [p for p in range(len(stock)) if stock[p].query == goal.wanted.query]
        for position in {goal.position, rng.choice(alike), rng.randrange(len(stock))}:
            product = stock[position]
            for chosen in (dict(goal.options), any_options(product, rng)):
                paid = score(product, chosen, goal.wanted).total
                assert paid == plain_reward(product, chosen, goal.wanted)
                num_rewards += 1
    assert num_rewards >= 1_000


# Its parts, by hand -------------------------------------------------------------------------------


@given(st.text("abc -", max_size=12), st.text("abc -", max_size=12))
def test_the_token_set_ratio_is_that_of_its_definition(one: str, other: str) -> None:
    assert token_set_ratio(one, other) == plain_token_set_ratio(one, other)


def test_the_token_set_ratio_is_that_of_the_library() -> None:
    fuzz = pytest.importorskip("rapidfuzz.fuzz", reason="rapidfuzz is in the [test] extra")
    from rapidfuzz.utils import default_process

    rng = random.Random(3)
    words = ["red", "shoe", "shoes", "x-large", "large", "non-slip", "bpa", "free", "9", "wide"]
    for _ in range(2_000):
        one = " ".join(rng.choices(words, k=rng.randint(1, 4)))
        other = " ".join(rng.choices(words, k=rng.randint(1, 4)))
        library = round(fuzz.token_set_ratio(one, other, processor=default_process))
        assert token_set_ratio(one, other) == library, (one, other)


def test_colors_have_the_quirks_of_the_original() -> None:
    assert color_of("bored teal") == "red"
    assert color_of("navy stripes") == "navy"
    assert color_of("9 wide") == "9 wide"


MUG = Product(
    id="B00001",
    title="Orla Coffee Mug, Dishwasher Safe",
    path=("Kitchen", "Drinkware", "Coffee Mug"),
    query="coffee mug",
    price=9.5,
    price_tag="$9.50",
    rating="4.0",
    options=(Option("size", ("small", "x-large"), (0.0, 3.0)),),
    features=("Keeps warm for hours.",),
    description="It is stackable.",
    reviews=(),
    listed=(),
    attributes=("dishwasher safe",),
)


def wanted(**changes: object) -> Wanted:
    asked = {
        "title": MUG.title,
        "path": MUG.path,
        "query": MUG.query,
        "attributes": ("dishwasher safe", "stackable", "lead free"),
        "options": ("x-large",),
        "price_limit": 12.0,
    }
    return Wanted(**{**asked, **changes})  # type: ignore[arg-type]


def test_a_purchase_worked_out_by_hand() -> None:
    # an attribute of the product, one that its description tells, one that it lacks; the option;
    # 9.50 + 3.00 is above the limit: (2 + 1 + 0) / (3 + 1 + 1)
    result = score(MUG, {"size": "x-large"}, wanted())
    assert result.total == pytest.approx(3 / 5)
    assert result.parts() == {
        "score": pytest.approx(0.6),
        "type": 1.0,
        "title": 1.0,
        "query": 1.0,
        "category": 1.0,
        "attributes": pytest.approx(2 / 3),
        "options": 1.0,
        "price": 0.0,
    }
    assert score(MUG, {"size": "small"}, wanted()).total == pytest.approx(3 / 5)


def test_one_x_large_satisfies_large_and_x_large() -> None:
    both = wanted(options=("large", "x-large"), attributes=("stackable",))
    assert score(MUG, {"size": "x-large"}, both).num_options == 2


def test_another_kind_of_product_pays_a_part_or_nothing() -> None:
    other = {"query": "office chair", "path": ("Furniture",), "attributes": ("stackable",)}
    half = score(MUG, {}, wanted(**other, title="Mug Chair Table Lamp Shelf", options=()))
    assert (half.type, half.total) == (0.5, 0.5)
    long = "Mug " + " ".join(f"word{letter}" for letter in "abcdefghij")
    tenth = score(MUG, {}, wanted(**other, title=long, options=()))
    assert (tenth.type, tenth.total) == (0.1, pytest.approx(0.1))
    assert score(MUG, {}, wanted(**other, title="Chair", options=())).total == 0.0


def test_any_price_will_do_without_a_limit() -> None:
    assert score(MUG, {"size": "x-large"}, wanted(price_limit=None)).is_price_met


# Nouns --------------------------------------------------------------------------------------------


def test_nouns_by_rule_are_words_with_letters_that_are_no_function_words() -> None:
    title = "The Orla 2-Pack of Women's Mugs (12 oz), with Lid!"
    assert by_rule(title) == ("orla", "pack", "women", "mugs", "oz", "lid")


def test_spacy_is_asked_for_in_one_line_where_it_is_missing() -> None:
    with pytest.raises(MissingExtraError, match=r'pip install spacy .* or use nouns="rule"'):
        finder("spacy", "no_such_model")
    with pytest.raises(SettingError, match="nouns='latin' is unknown"):
        WebShop("easy", nouns="latin")  # type: ignore[arg-type]
