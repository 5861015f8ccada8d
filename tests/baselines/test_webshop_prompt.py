"""WebShop as the small models read and write it: short, true to the pages, and put back in full."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from baselines.explorer.webshop import BEHIND, Judge, Known, WebShopPlayer
from baselines.prompts import compact, spoken
from baselines.webshop_prompt import (
    LONGEST_NOTE,
    LONGEST_PROMPT,
    NUM_PRODUCTS,
    Sheet,
    content,
    latest,
    sheet_of,
    tokens,
)
from environments.webshop import WebShop
from lamer_bench import Answer, Task, TrialPlan, View, make, play
from lamer_bench.agent import PastEpisode
from lamer_bench.protocol import Ask

KNOWN = {*tokens(), "<action>", "<remark>"}


def asks(
    level: str, index: int, *, memory: str = "reflection", randomness: float = 0.3
) -> Iterator[Ask]:
    """The questions of a trial of the explorer that errs now and then and notes what it learnt."""
    env = make(f"webshop-{level}")
    rng = random.Random(index)
    plan = TrialPlan(Task(env.environment, "train", index), memory=memory)  # type: ignore[arg-type]
    trial = play(env, plan)
    ask = next(trial)
    while True:
        yield ask
        view = ask.view
        if ask.kind == "reflect":
            sheet = sheet_of(view)
            sheet.prompt("reflect")
            answer = spoken(view, "reflect", " ".join([*latest(sheet), "</remark>"]))
        elif view.admissible and rng.random() < randomness:
            answer = rng.choice(view.admissible)
        else:
            answer = WebShopPlayer().answer(view)
        try:
            ask = trial.send(Answer(answer))
        except StopIteration:
            return


def test_a_prompt_says_what_is_wanted_what_was_read_and_where_one_is() -> None:
    env = make("webshop-medium")
    trial = play(env, TrialPlan(Task("webshop-medium", "train", 0), memory="reflection"))
    ask = next(trial)
    assert "ready assembled, adjustable height, local timber in width: 36 in" in (
        ask.view.observation
    )
    wanted = "p1 w1 w2 p2 w3 w4 p3 w5 w6 p4 w7 w8 ; p5 w9"
    pause = "1 2 3 4 5 6 <action>"
    assert compact(ask.view, "act") == f"{wanted}\nsearch\nleft 20\n{pause}"
    for action in ("search[wenonanex dune coffee table]", "click[b03368]", "click[attributes]"):
        ask = trial.send(Answer(action))
    # it lists local timber (w7 w8) and, as its title does, adjustable height (w5 w6)
    read = "A attributes w7 w8 w5 w6"
    assert compact(ask.view, "act") == f"{wanted}\n{read}\nattributes\nleft 17\n{pause}"
    for action in ("click[< prev]", "click[36 in]"):
        ask = trial.send(Answer(action))
    # 195.99 of 200 dollars, 25 of them for the width
    item = "item A w1 w2 w5 w6 offers p5 chosen p5 price 19"
    assert compact(ask.view, "act") == f"{wanted}\n{read} plus #2 #5\n{item}\nleft 15\n{pause}"


def test_results_stand_by_lines_with_what_their_titles_tell() -> None:
    env = make("webshop-medium")
    trial = play(env, TrialPlan(Task("webshop-medium", "train", 0), memory="reflection"))
    next(trial)
    ask = trial.send(Answer("search[wenonanex dune coffee table]"))
    results = compact(ask.view, "act").splitlines()[1]
    assert results.startswith(
        "results next ; w1 w2 w5 w6 : A 17 20 B 17 20 C 19 20 D 16 20 ; w1 w2 :"
    )
    assert results.count(":") == 3
    assert results.split()[-3] == "J"


@pytest.mark.parametrize("level", [*WebShop.levels])
def test_prompts_are_short_and_made_of_known_tokens(level: str) -> None:
    longest = 0
    for index in range(12):
        for ask in asks(level, index):
            words = compact(ask.view, ask.kind).replace("\n", " \n ").split(" ")
            assert set(words) <= KNOWN
            longest = max(longest, len(words))
    assert 40 < longest <= LONGEST_PROMPT


def test_a_long_note_keeps_the_latest_facts() -> None:
    facts = [f"B{number:05} description - features - scored #5 ;" for number in range(30)]
    for ask in asks("hard", 1):
        view = replace(ask.view, earlier=[PastEpisode(reflection=" ".join(facts))], state={})
        sheet = Sheet(view)
        assert len(sheet.prompt("act")[1].split()) <= LONGEST_NOTE
        assert len(sheet.named()) <= NUM_PRODUCTS
        written = latest(Sheet(view))
        assert len(written) <= LONGEST_NOTE
        assert written[-2:] == ["scored", "#5"] or len(sheet.learnt) > 0


@pytest.mark.parametrize("level", [*WebShop.levels])
def test_what_every_button_and_letter_says_is_an_action_of_the_page(level: str) -> None:
    checked = 0
    for ask in asks(level, 3):
        view = ask.view
        if ask.kind == "reflect" or not view.admissible:
            continue
        sheet = sheet_of(view)
        sheet.prompt("act")
        page = sheet.page.name
        moves = {"results": sheet.named(), "item": [*BEHIND, "buy", "prev", *sheet.offered()]}
        for move in moves.get(page, ["prev"]):
            if page == "results" and move not in view.observation:
                continue  # named by a note, and not on this page
            text = spoken(view, "act", f" {sheet.written(move)} </action>")
            action = text.removeprefix("<action>").removesuffix("</action>").strip()
            assert action in view.admissible
            checked += 1
    assert checked > 10


def test_a_search_says_all_that_is_wanted_or_the_parts_that_are_named() -> None:
    ask = next(asks("medium", 0))
    everything = "coffee table ready assembled adjustable height local timber 36 in"
    assert spoken(ask.view, "act", "search </action>") == f"<action>search[{everything}] </action>"
    assert spoken(ask.view, "act", " search p1 p3 </action>") == (
        "<action>search[coffee table adjustable height] </action>"
    )


@pytest.mark.parametrize("text", ["", "w1", "A", "Z Z", "p9 </action>", "search w1 <unk>", "item"])
def test_what_names_nothing_is_left_to_the_shop_to_refuse(text: str) -> None:
    for ask in asks("easy", 2):
        assert spoken(ask.view, "act", text).startswith("<action>")
        assert spoken(ask.view, "reflect", text).startswith("<remark>")


@pytest.mark.parametrize("level", ["medium", "hard", "ood"])
def test_a_reflection_is_understood_in_the_next_attempt(level: str) -> None:
    understood = 0
    for index in range(6):
        noted: list = []
        for ask in asks(level, index):
            sheet = Sheet(ask.view)
            if ask.view.turn == 0 and ask.view.earlier:
                assert len(sheet.recalled) >= 0.8 * len(noted)  # the oldest may not have fitted
                assert set(sheet.recalled) <= set(noted)
                understood += len(noted)
            if ask.kind == "reflect":
                noted = [*sheet.recalled, *sheet.learnt]
    assert understood > 20


def test_a_reflection_reads_like_anybodys() -> None:
    texts = [
        ask.view.earlier[-1].reflection
        for index in range(4)
        for ask in asks("medium", index)
        if ask.view.earlier and ask.view.turn == 0
    ]
    assert texts
    for text in texts:
        assert text.startswith("<remark>")
        words = text.split()
        assert not {f"w{number}" for number in range(1, 40)} & set(words)
    words = " ".join(texts).split()
    assert any(len(word) == 6 and word[0] == "B" and word[1:].isdigit() for word in words)


@pytest.mark.parametrize(
    "reflection",
    [
        "I should have read the reviews of B03368 first, it was too dear.",
        "B03368 scored #x plus plus #; description",
        "scored #5 lacks B1 <remark> </remark> ; ; ;",
        "B03368 plus " + "#9 " * 50,
        "\N{SNOWMAN} $20 [SEP]",
    ],
)
def test_any_reflection_can_be_read(reflection: str) -> None:
    for ask in asks("medium", 0):
        view = replace(ask.view, earlier=[PastEpisode(reflection=reflection)], state={})
        words = compact(view, ask.kind).replace("\n", " \n ").split(" ")
        assert set(words) <= KNOWN


def test_whole_episodes_are_remembered_where_the_memory_holds_them() -> None:
    *_, last = asks("hard", 5, memory="history")
    assert last.view.earlier
    assert not last.view.earlier[-1].reflection
    first = replace(last.view, turns=(), earlier=last.view.earlier, state={})
    sheet = Sheet(first)
    assert {fact.field for fact in sheet.learnt} & {"scored", *BEHIND}
    assert " ".join(sheet.note(sheet.learnt)) in compact(first, "act")


def test_an_instruction_of_another_form_is_one_part() -> None:
    ask = next(asks("easy", 0))
    seen = "WebShop [SEP] Instruction: [SEP] anything nice for my dog please [SEP] Search"
    view = replace(ask.view, observation=seen, state={})
    assert compact(view, "act").startswith("p1 w1 w2 w3 w4\nsearch\n")


@pytest.mark.parametrize("seen", ["", "\x00\x07", "Instruction:", "[SEP]", " [SEP] ", "Buy Now"])
def test_what_is_no_page_can_be_asked_about(seen: str) -> None:
    ask = next(asks("easy", 0))
    view = replace(ask.view, observation=seen, state={})
    assert set(compact(view, "act").replace("\n", " \n ").split(" ")) <= KNOWN
    assert spoken(view, "act", "search </action>").startswith("<action>")


def test_a_prompt_holds_nothing_hidden() -> None:
    for ask in asks("hard", 4):
        told = replace(ask.view, solution=["search[x]", "click[b00000]"], state={})
        assert compact(told, ask.kind) == compact(ask.view, ask.kind)


def test_both_observations_give_the_same_prompt() -> None:
    prompts = []
    for form in ("text", "text_rich"):
        env = make("webshop-hard", observation=form)
        trial = play(env, TrialPlan(Task("webshop-hard", "train", 2), memory="reflection"))
        ask, shown = next(trial), []
        for action in (*env.solution()[:2], "click[reviews]", "click[< prev]", "nonsense"):
            ask = trial.send(Answer(action))
            shown.append(compact(ask.view, "act"))
        prompts.append(shown)
    assert prompts[0] == prompts[1]


def test_an_attribute_with_an_empty_word_is_heard_without_it() -> None:
    assert content("It is Plug and Play, on every system.") == ["plug", "play", "every", "system"]
    heard = 0
    for index in range(200):
        ask = next(asks("hard", index))
        if "plug and play" not in ask.view.observation:
            continue
        known = Known(title="Barako Dune Computer Mouse, Plug And Play", lowest=1.0, highest=2.0)
        sheet = Sheet(ask.view)
        sheet.memory.products["B00000"] = known
        sheet.note(sheet._facts())
        judge = Judge(sheet.wish, sheet.memory)
        assert "plug play" in sheet.wish.phrases
        assert "plug play" not in judge.verdict(known).missing
        heard += 1
    assert heard


def test_a_view_is_read_once_for_each_turn() -> None:
    view: View = next(asks("easy", 0)).view
    assert sheet_of(view) is sheet_of(view)
    assert sheet_of(replace(view, turn=1)) is not sheet_of(replace(view, turn=0))
