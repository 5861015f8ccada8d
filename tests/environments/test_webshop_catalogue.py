"""The generated catalogue: its words, its near-duplicates, and where they tell what they are."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations

import pytest

from environments.webshop.catalogue import BLOCK, LINE_SIZES, PLACES, Catalogue, Line
from environments.webshop.departments import DEPARTMENTS, HELD_OUT
from environments.webshop.goods import OPTION_AXES
from environments.webshop.scoring import color_of, is_same
from environments.webshop.shop import own_stock
from lamer_bench.env import CHARSET

ALL = (*DEPARTMENTS, *HELD_OUT)
LINES = range(200)


def test_no_two_attributes_of_a_department_are_the_same_to_the_reward() -> None:
    for department in ALL:
        answers = [answer for aspect in department.aspects.values() for answer in aspect]
        for one, other in combinations(answers, 2):
            assert not is_same(one.attribute, other.attribute), (one, other)
            assert one.attribute not in other.attribute, (one, other)
            assert other.attribute not in one.attribute, (one, other)


def test_no_text_of_an_answer_names_another_attribute_of_its_department() -> None:
    for department in ALL:
        answers = [answer for aspect in department.aspects.values() for answer in aspect]
        for answer in answers:
            told = f"{answer.phrase} {answer.reason}"
            named = {other.attribute for other in answers if other.attribute in told}
            assert named <= {answer.attribute}, answer
            # so that it is found by reading the description, where only the phrase is told
            assert answer.attribute in told, answer


def test_no_two_values_of_an_option_are_the_same_to_the_reward() -> None:
    for axis in OPTION_AXES.values():
        for one, other in combinations(axis.values, 2):
            assert not is_same(color_of(one), color_of(other)), (axis.name, one, other)


def test_no_two_options_of_a_kind_share_a_value() -> None:
    for kind in (kind for department in ALL for kind in department.kinds):
        values = [value for name in kind.options for value in OPTION_AXES[name].values]
        assert len(set(values)) == len(values), kind.name
        for one, other in combinations(kind.options, 2):
            for a in OPTION_AXES[one].values:
                assert not any(is_same(color_of(a), color_of(b)) for b in OPTION_AXES[other].values)


def test_every_kind_has_its_aspects() -> None:
    for department in ALL:
        for kind in department.kinds:
            assert len(kind.aspects) >= 5
            assert len(set(kind.aspects)) == len(kind.aspects)
            assert set(kind.aspects) <= department.aspects.keys(), kind.name


def test_held_out_goods_share_no_kind_and_no_attribute_with_the_others() -> None:
    def words(departments: tuple) -> set[str]:
        kinds = {kind.name for d in departments for kind in d.kinds}
        aspects = [aspect for d in departments for aspect in d.aspects.values()]
        return kinds | {answer.attribute for aspect in aspects for answer in aspect}

    assert not words(DEPARTMENTS) & words(HELD_OUT)
    assert len(DEPARTMENTS) >= 5


def test_held_out_attributes_are_asked_for_in_other_words() -> None:
    for aspect in (aspect for d in HELD_OUT for aspect in d.aspects.values()):
        for answer in aspect:
            assert answer.asked
            assert answer.attribute not in answer.asked
            beginnings = [{word[:4] for word in text.split()} for text in answer[::3]]
            assert set.intersection(*beginnings), answer


# Lines -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stock() -> Catalogue:
    return own_stock("main", "light")


def test_look_alikes_share_title_kind_and_aspects_and_differ_in_what_one_page_tells(
    stock: Catalogue,
) -> None:
    for line in map(stock.line, LINES):
        assert len({answers for answers in line.answers}) == len(line.models)
        assert len({model.title.split(" ", 2)[2] for model in line.models}) == 1
        assert len({model.query for model in line.models}) == 1
        varying = [telling for telling in line.tellings if len(telling.answers) > 1]
        assert len({telling.place for telling in varying}) == len(varying)
        assert "title" not in {telling.place for telling in varying}


def page_of(line: Line, model: int, place: str) -> str:
    product = line.models[model]
    texts = {
        "title": (product.title,),
        "features": product.features,
        "description": (product.description,),
        "reviews": tuple(review.text for review in product.reviews),
        "attributes": product.listed,
    }
    return "\n".join(texts[place]).lower()


def test_what_varies_is_told_on_one_page_only(stock: Catalogue) -> None:
    for line in map(stock.line, LINES):
        for model in range(len(line.models)):
            for telling, answer in zip(line.tellings, line.answers[model], strict=True):
                places = [p for p in PLACES if answer.attribute in page_of(line, model, p)]
                if len(telling.answers) > 1:
                    assert places == [telling.place], (line.models[model].id, answer.attribute)


def test_lines_have_the_sizes_that_levels_draw_from(stock: Catalogue) -> None:
    sizes = Counter(len(stock.line(number).models) for number in LINES)
    assert set(sizes) == set(LINE_SIZES)
    assert sum(LINE_SIZES) == BLOCK


def test_options_change_the_price(stock: Catalogue) -> None:
    costly = [p for p in map(stock.__getitem__, range(1000)) if " to " in p.price_tag]
    assert len(costly) > 500
    for product in costly:
        most = product.price + sum(max(option.surcharges) for option in product.options)
        assert product.price_tag == f"${product.price:.2f} to ${most:.2f}"


def test_products_are_found_by_id_and_only_those(stock: Catalogue) -> None:
    ids = [stock[index].id for index in range(len(stock))]
    assert len(set(ids)) == len(stock) == 1_000
    assert [stock.find(product_id.lower()) for product_id in ids] == list(range(1_000))
    for nothing in ("", "B1", "B123456", "C00000", "B0000x", "B99999"):
        assert stock.find(nothing) is None
    with pytest.raises(IndexError):
        stock[1_000]


def test_the_light_catalogue_is_the_beginning_of_the_large_one(stock: Catalogue) -> None:
    large = own_stock("main", "large")
    assert len(large) == 100_000
    for index in random.Random(0).sample(range(1_000), 50):
        assert large[index] == stock[index]


def test_departments_and_titles_of_a_thousand_products_vary(stock: Catalogue) -> None:
    products = [stock[index] for index in range(1_000)]
    assert {product.path[0] for product in products} == {d.name for d in DEPARTMENTS}
    assert len({product.title for product in products}) > 990
    for product in products:
        shown = [product.title, product.description, *product.features, *product.listed]
        assert CHARSET.issuperset("".join(shown))
