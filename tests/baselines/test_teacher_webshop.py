"""WebShop's teacher: what it marks as best pays in full, its reflections are true."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from math import floor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is in the [train] extra")

from baselines.explorer.webshop import BEHIND, without_regrets
from baselines.language_agent import MAX_ANSWER_TOKENS, LanguageAgent
from baselines.prompts import spoken
from baselines.training.demonstrations import Demonstration, Population, demonstrate
from baselines.training.lamer import LamerSettings, train_lamer
from baselines.training.model import ModelSize, build_tokenizer
from baselines.training.supervised import SupervisedSettings, family_of, train_supervised
from baselines.training.teachers import TEACHERS
from baselines.training.teachers.webshop import best_moves, moves, plausible, wanted_product
from baselines.webshop_prompt import (
    LONGEST_NOTE,
    LONGEST_PROMPT,
    Fact,
    Sheet,
    content,
    latest,
    sheet_of,
)
from environments.webshop import WebShop
from lamer_bench import Answer, Task, TrialPlan, View, make, play
from lamer_bench.errors import SettingError
from lamer_bench.record import Trial

TEACHER = TEACHERS["webshop"]
TOKENIZER = build_tokenizer("webshop")
LEVELS = [*WebShop.levels]
Chooser = Callable[[View, Sheet], str]


def played(level: str, index: int, choose: Chooser, num_episodes: int = 3) -> tuple[Trial, Any]:
    """A trial with a player, whose moves are by short names, and its environment."""
    env = make(f"webshop-{level}")
    task = Task(env.environment, "train", index)
    plan = TrialPlan(task, num_episodes=num_episodes, memory="reflection", tell_solution=True)
    trial = play(env, plan)
    ask = next(trial)
    while True:
        view = ask.view
        sheet = sheet_of(view)
        sheet.prompt(ask.kind)
        if ask.kind == "act":
            text = f" {sheet.written(choose(view, sheet))} </action>"
        else:
            text = TEACHER.reflect(view)
        try:
            ask = trial.send(Answer(spoken(view, ask.kind, text)))
        except StopIteration as stop:
            return stop.value, env


def shown(level: str, population: Population, trials: int = 10) -> list[Demonstration]:
    return [
        demonstration
        for number in range(trials)
        for demonstration in demonstrate(f"webshop-{level}", number, TEACHER, population, TOKENIZER)
    ]


@pytest.mark.parametrize("level", LEVELS)
def test_who_follows_the_marks_wins_the_first_attempt(level: str) -> None:
    for index in range(15):
        trial, _ = played(level, index, lambda _, sheet: best_moves(sheet)[0], num_episodes=1)
        assert trial.episodes[0].end == "won"


@pytest.mark.parametrize("level", LEVELS)
def test_a_mark_keeps_the_perfect_purchase_within_reach_in_any_situation(level: str) -> None:
    """After a few random moves the marks are followed. They lead to the wanted product, or to one
    whose pages tell all that is wanted, too, where nothing is marked."""
    counted: Counter[str] = Counter()

    def choose(view: View, sheet: Sheet) -> str:
        rng = random.Random(f"{view.episode} {view.turn} {view.observation}")
        best = best_moves(sheet)
        wanders = view.turn < rng_of_trial.randrange(2, 9)
        if not wanders and best:
            move = best[0]
            assert move != "buy" or sheet.place.product == wanted_product(view)
            marked.append(view)
            counted[move if move in (*BEHIND, "buy", "prev") else "other"] += 1
            return move
        if marked and marked[-1].episode == view.episode and not wanders:
            verdict = sheet.judge.verdict(sheet.memory.of(sheet.place.product))
            assert sheet.page.name in ("item", "behind")
            assert not verdict.missing
            counted["looks as good"] += 1
        marked.clear()
        return rng.choice(moves(sheet))

    for index in range(20):
        marked: list[View] = []
        rng_of_trial = random.Random(index)
        trial, _ = played(level, index, choose)
        for episode in trial.episodes:
            counted[episode.end] += 1
    assert counted["won"] > 10
    assert counted["buy"] > 5


@pytest.mark.parametrize("level", LEVELS)
def test_reflections_are_true(level: str) -> None:
    """Each fact is compared with the products of the shop, and each purchase with what it paid."""
    checked: Counter[str] = Counter()
    rng = random.Random(level)

    def choose(view: View, sheet: Sheet) -> str:
        if view.turn == 0 and view.earlier:
            for fact in sheet.recalled:
                check(sheet, fact)
        return rng.choice(plausible(sheet) if rng.random() < 0.7 else moves(sheet))

    def check(sheet: Sheet, fact: Fact) -> None:
        stock = WebShop(level).shop.stock
        position = stock.find(fact.product)
        assert position is not None
        product = stock[position]
        wanted = dict.fromkeys(sheet.wish.options)
        values = {value: o for o in product.options for value in o.values if value in wanted}
        checked[fact.field] += 1
        if fact.field in BEHIND:
            texts = {
                "description": product.description,
                "features": " ".join(product.features),
                "reviews": " ".join(review.text for review in product.reviews),
                "attributes": " ".join(product.listed),
            }
            told = content(without_regrets(texts[fact.field].lower()))
            heard = {word[:5] for word in told}
            assert {word[:5] for word in fact.words} <= heard
            everything = {word[:5] for part in sheet.parts.values() for word in content(part)}
            assert heard & everything == {word[:5] for word in fact.words}
        elif fact.field == "lacks":
            lacking = [value for value in wanted if value not in values]
            assert list(fact.words) == content(" ".join(lacking))
        elif fact.field == "plus":
            extra = sum(o.surcharges[o.values.index(value)] for value, o in values.items())
            assert int("".join(digit[1:] for digit in fact.words)) == floor(round(extra, 2))

    scores: dict[tuple[str, str], float] = {}
    for index in range(12):
        trial, env = played(level, index, choose)
        for episode in trial.episodes[:-1]:
            env.reset(options={"task": trial.task})
            info: dict[str, Any] = {}
            bought = ""
            for turn in episode.turns:
                clicked = (turn.action or "")[6:-1].upper()
                bought = clicked if clicked[:1] == "B" and clicked[1:].isdigit() else bought
                *_, info = env.step(turn.action or "")
            if "reward_parts" in info and episode.reflection:
                score = info["reward_parts"]["score"]
                scores[trial.task, bought] = score
                noted = [part for part in episode.reflection.text.split(";") if bought in part]
                assert f"scored #{floor(10 * round(score, 3))}" in " ".join(noted)
    assert scores or level == "easy"
    assert checked.total() > 3


def test_the_next_attempt_opens_no_product_that_is_ruled_out() -> None:
    reopened = 0
    for index in range(10):

        def choose(view: View, sheet: Sheet) -> str:
            nonlocal reopened
            move = random.Random(view.turn).choice(plausible(sheet))
            bought = {fact.product for fact in sheet.recalled if fact.field == "scored"}
            reopened += move in bought
            return move

        played("medium", index, choose)
    assert reopened == 0


def test_who_forgets_opens_them_again() -> None:
    """The population's share of the forgetful goes to what looked good without the notes."""
    remembering = Population(remember=1.0)
    forgetting = Population(remember=0.0)
    differ = 0
    for index in range(12):

        def choose(view: View, sheet: Sheet) -> str:
            nonlocal differ
            best = best_moves(sheet)
            if view.earlier and sheet.page.name == "results" and best:
                by_memory = TEACHER.decide(view, remembering, 0.0, random.Random(0))
                without = TEACHER.decide(view, forgetting, 0.0, random.Random(0))
                assert by_memory is not None
                assert without is not None
                assert by_memory.choices[0] == {sheet.written(best[0]): 1.0}
                alone = Sheet(replace(view, earlier=(), state={}))
                assert {*without.choices[0]} == {sheet.written(m) for m in plausible(alone)}
                differ += without.choices[0] != by_memory.choices[0]
            return random.Random(view.turn).choice(plausible(sheet))

        played("medium", index, choose)
    assert differ > 3


@pytest.mark.parametrize("level", LEVELS)
def test_demonstrations_are_sound_and_short(level: str) -> None:
    unknown = TOKENIZER.token_to_id("<unk>")
    assert MAX_ANSWER_TOKENS["reflect"] > LONGEST_NOTE
    demonstrations = shown(level, Population(remember=0.5, slip=0.1))
    assert "act" in {one.kind for one in demonstrations}
    assert "reflect" in {one.kind for one in demonstrations} or level == "easy"
    for one in demonstrations:
        assert unknown not in (*one.prompt, *one.answer)
        assert len(one.prompt) + len(one.answer) <= LONGEST_PROMPT
        assert len(one.answer) <= (2 if one.kind == "act" else LONGEST_NOTE + 1)
        assert len(one.targets) == len(one.answer)
        for token, target in zip(one.answer, one.targets, strict=True):
            assert target[token] > 0
            assert sum(target.values()) == pytest.approx(1.0)
        if one.maps is not None:
            assert one.maps.shape == (2, 3, 8)
    again = shown(level, Population(remember=0.5, slip=0.1))
    assert [one.answer for one in again] == [one.answer for one in demonstrations]


def test_a_reflection_copies_the_last_one_and_adds_what_was_learnt() -> None:
    added = 0

    def choose(view: View, sheet: Sheet) -> str:
        nonlocal added
        if view.earlier:
            before = Sheet(view)
            before.prompt("reflect")
            noted = " ".join(before._reflected())
            assert " ".join(latest(before)).startswith(noted)
            added += len(before.learnt)
        return random.Random(view.turn).choice(plausible(sheet))

    for index in range(6):
        played("hard", index, choose)
    assert added > 10


SETTINGS = SupervisedSettings(
    environments={"webshop-easy": 1, "webshop-medium": 1},
    population=Population(remember=0.5, slip=0.05),
    steps=2,
    batch_size=8,
    reflections=2,
    chunk_trials=24,
    size=ModelSize(width=32, layers=1, heads=2, mlp_width=64),
)


def test_a_model_is_trained_reinforced_and_plays(tmp_path: Path) -> None:
    start = train_supervised(SETTINGS, tmp_path / "start")
    reinforcement = LamerSettings(
        start=str(start),
        environments=("webshop-easy",),
        steps=1,
        tasks=1,
        episodes_per_task=6,
        minibatches=1,
        lora_rank=2,
    )
    agent = LanguageAgent(train_lamer(reinforcement, tmp_path / "lamer"))
    agent.prepare("webshop-ood")
    trial = play(make("webshop-ood"), TrialPlan(Task("webshop-ood", "val", 0), memory="reflection"))
    ask = next(trial)
    for _ in range(40):
        answer = (agent.act if ask.kind == "act" else agent.reflect)([ask.view])[0]
        assert answer.text.startswith("<action>" if ask.kind == "act" else "<remark>")
        ask = trial.send(answer)


def test_one_vocabulary_for_a_training(tmp_path: Path) -> None:
    assert family_of("environments.practice:SokobanPractice-*") == "sokoban"
    mixed = replace(SETTINGS, environments={"webshop-easy": 1, "sokoban-easy": 1})
    with pytest.raises(SettingError, match="a vocabulary of its own: train it without sokoban"):
        train_supervised(mixed, tmp_path)
    boards = build_tokenizer("sokoban").get_vocab()
    assert boards == build_tokenizer("minesweeper").get_vocab() == build_tokenizer().get_vocab()
    assert boards != TOKENIZER.get_vocab()
