"""Demonstrations for the supervised start: trials of a population of scripted players.

The start stands in for a pretrained model: it knows the formats and the game, plays neither
flawlessly nor always the same, and uses what it remembers only now and then. So each decision is
marked with what the *population* would do, as a soft target: most players forget what earlier
attempts have shown, some remember it, all of them slip. `Population` holds the shares; with all
remembering and nobody slipping, the start is an imitation of the best scripted play instead.

Which way a trial goes is decided by one player, whose randomness is drawn for the trial, so that
good answers are shown in bad situations too. Trials run through the same `play()` as everything
else, on tasks of the train split only. What a family's players know is in `teachers`.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from baselines.prompts import CLOSING_TAGS, compact, spoken
from baselines.training.settings import Checked
from lamer_bench import Answer, Ask, Task, TrialPlan, View, make, play
from lamer_bench.errors import SettingError

MAPS, LARGEST_BOARD = 3, 8
"""Maps of a decision, and their columns, at most; a row is read off a pause token."""
INVALID_SHARE = 0.01
"""Share of turns answered with something that is not an action, so that the hint is known too."""

T = TypeVar("T")
Choice = Mapping[str, float]
"""Token -> probability; they sum to 1. Empty where the token is not marked."""
Beginning = tuple[str, str]
"""The first two tokens of an answer."""


@dataclass(frozen=True)
class Population(Checked):
    """What the players of a population do, 0..1 each."""

    remember: float = 1.0
    """Share that uses what earlier attempts have shown."""
    slip: float = 0.0
    """Chance of a decision to be random, whoever decides."""

    def check(self) -> None:
        self.within("remember", 0.0, 1.0)
        self.within("slip", 0.0, 1.0)

    def mixed(
        self, remembering: Sequence[T], forgetting: Sequence[T], any_of: Sequence[T]
    ) -> dict[T, float]:
        """Probabilities from three sets of equally good choices."""
        mixed: dict[T, float] = {}
        for choices, share in (
            (remembering, (1 - self.slip) * self.remember),
            (forgetting, (1 - self.slip) * (1 - self.remember)),
            (any_of, self.slip),
        ):
            for choice in choices if share else ():
                mixed[choice] = mixed.get(choice, 0.0) + share / len(choices)
        return mixed


@dataclass(frozen=True, slots=True)
class Decision:
    """A turn as a teacher sees it."""

    answer: list[str]
    """The tokens that this trial's player writes, without the closing tag."""
    choices: list[Choice]
    """What the population would write at each of them, and after the last; empty where there is
    nothing to learn any more in this attempt."""
    maps: NDArray[np.float32] | None = None
    """What is true of each cell, 0..1: (maps, rows, columns); a row for each pause token, which
    are the prompt's last ones before the beginning of the answer."""


class Teacher(Protocol):
    """Knows one family."""

    @property
    def randomness(self) -> Sequence[float]:
        """Share of a player's decisions that are random instead of good; one is drawn for a
        trial."""

    @property
    def told_solution(self) -> bool:
        """True where it marks what is best in hindsight: its views hold the reference solution,
        which no prompt shows."""

    def decide(
        self, view: View, population: Population, randomness: float, rng: random.Random
    ) -> Decision | None:
        """The next turn; None where no decision is left."""

    def reflect(self, view: View) -> str:
        """The reflection after a failed attempt, with its closing tag."""


@runtime_checkable
class RetryTeacher(Teacher, Protocol):
    """Knows a family in which an answer can be what an attempt failed by."""

    def tried(self, view: View) -> set[Beginning]:
        """How the answers begin that failed attempts gave in this very situation, as far as the
        memory tells."""

    def failed_by(self, view: View, begin: Beginning, rng: random.Random) -> View | None:
        """The view as if an earlier attempt had come here, given an answer that begins so, and
        failed; None where it would not have failed."""

    def redirect(
        self, view: View, others: Mapping[Beginning, float], rng: random.Random
    ) -> Decision | None:
        """The next turn of a player that tries something else: what is right among that, or else
        one of ``others``, which are weighted; None where no decision is left."""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A prompt, what follows it in this trial, and what would be right at each token."""

    kind: Literal["act", "reflect"]
    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    targets: tuple[Mapping[int, float], ...]
    """For each token of the answer: token -> probability."""
    maps: NDArray[np.float32] | None


@dataclass(frozen=True)
class Batch:
    """Demonstrations side by side, padded at the end: N tokens of the answers of B rows, with M
    probabilities above 0."""

    tokens: NDArray[np.int64]
    """Prompt, then the answer's tokens but the last: (B, T)."""
    rows: NDArray[np.int64]
    """Whose answer each token of the answers belongs to: (N,)."""
    predictors: NDArray[np.int64]
    """The position in its row whose output is that token: (N,)."""
    targets: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]
    """Which of the N, a token of the vocabulary, its probability: (M,) each."""
    maps: NDArray[np.float32]
    """What is true of each cell, -1 where there is none: (B, maps, rows, columns)."""
    pauses: NDArray[np.int64]
    """The pause token of each row of a map: (B, rows)."""


@dataclass(frozen=True)
class Rows:
    """How many decisions and reflections one optimiser step sees."""

    act: int
    reflect: int


def demonstrate(
    environment: str,
    number: int,
    teacher: Teacher,
    population: Population,
    tokenizer: Tokenizer,
) -> Iterator[Demonstration]:
    """One trial of three attempts on train task ``number``, each answer marked by the teacher, who
    plays it, too."""
    trial, rng = begin(environment, number, teacher)
    randomness = rng.choice(teacher.randomness)
    ask = next(trial)
    while True:
        shown, reply = mark(ask, teacher, population, randomness, rng, tokenizer)
        if shown is not None:
            yield shown
        if ask.kind == "act" and shown is not None and rng.random() < INVALID_SHARE:
            reply = "(1,99)"
        try:
            ask = trial.send(Answer(reply))
        except StopIteration:
            return


def begin(
    environment: str, number: int, teacher: Teacher
) -> tuple[Generator[Ask, Answer, Any], random.Random]:
    """A trial of three attempts on train task ``number``, and the stream of whoever shows it."""
    env = make(environment)
    task = Task(env.environment, "train", number)
    plan = TrialPlan(task, memory="reflection", tell_solution=teacher.told_solution)
    return play(env, plan), task.rng("demonstration")


def mark(
    ask: Ask,
    teacher: Teacher,
    population: Population,
    randomness: float,
    rng: random.Random,
    tokenizer: Tokenizer,
    others: Mapping[Beginning, float] | None = None,
) -> tuple[Demonstration | None, str]:
    """What would be right here, or with ``others`` what else to try, if there is anything to learn,
    and what the teacher's player replies."""
    view = ask.view
    prompt = tuple(tokenizer.encode(compact(view, ask.kind)).ids)
    if ask.kind == "reflect":
        text = teacher.reflect(view)
        answer = tuple(tokenizer.encode(text).ids)
        certain: tuple[Mapping[int, float], ...] = tuple({token: 1.0} for token in answer)
        return Demonstration("reflect", prompt, answer, certain, None), spoken(
            view, "reflect", text
        )
    if others and isinstance(teacher, RetryTeacher):
        decision = teacher.redirect(view, others, rng)
    else:
        decision = teacher.decide(view, population, randomness, rng)
    if decision is None:
        return None, view.admissible[0] if view.admissible else "up"
    written = [*decision.answer, CLOSING_TAGS["act"]]
    reply = spoken(view, "act", " " + " ".join(written))
    if not decision.choices:
        return None, reply
    answer = tuple(_known(tokenizer, token) for token in written)
    targets = tuple(
        {_known(tokenizer, token): share for token, share in choice.items()}
        for choice in decision.choices
    )
    return Demonstration("act", prompt, answer, targets, decision.maps), reply


def _known(tokenizer: Tokenizer, token: str) -> int:
    number = tokenizer.token_to_id(token)
    if number is None:
        raise SettingError(
            f"The teacher answers with {token!r}, which is not in the start's vocabulary. Give a "
            "--start that was trained on this family, or none."
        )
    return int(number)


def batches(
    demonstrations: list[Demonstration], pad: int, rows: Rows, rng: random.Random
) -> list[tuple[Batch, Batch]]:
    """Shuffle demonstrations into pairs of one batch of decisions and one of reflections.

    Rows of about the same length share a batch. Reflections are rarer than decisions and are gone
    through again when they run out; remainders are left out.
    """
    acts = _by_length(demonstrations, "act", rows.act, pad, rng)
    reflections = _by_length(demonstrations, "reflect", rows.reflect, pad, rng)
    return list(zip(acts, cycle(reflections)))


def _by_length(
    demonstrations: list[Demonstration],
    kind: Literal["act", "reflect"],
    size: int,
    pad: int,
    rng: random.Random,
) -> list[Batch]:
    ordered = [shown for shown in demonstrations if shown.kind == kind]
    rng.shuffle(ordered)
    ordered.sort(key=lambda shown: len(shown.prompt) + len(shown.answer))
    made = [
        _batch(ordered[start : start + size], pad)
        for start in range(0, len(ordered) - size + 1, size)
    ]
    rng.shuffle(made)
    return made


def _batch(rows: Sequence[Demonstration], pad: int) -> Batch:
    texts = [[*row.prompt, *row.answer[:-1]] for row in rows]
    tokens = np.full((len(rows), max(map(len, texts))), pad, dtype=np.int64)
    most = max((row.maps.shape[1] for row in rows if row.maps is not None), default=1)
    maps = np.full((len(rows), MAPS, most, LARGEST_BOARD), -1.0, dtype=np.float32)
    pauses = np.zeros((len(rows), most), dtype=np.int64)
    for number, (row, text) in enumerate(zip(rows, texts, strict=True)):
        tokens[number, : len(text)] = text
        if row.maps is not None:
            kinds, lines, columns = row.maps.shape
            maps[number, :kinds, :lines, :columns] = row.maps
            last = len(row.prompt) - 1  # behind the pause tokens
            pauses[number, :lines] = range(last - lines, last)
    places = [
        (number, len(row.prompt) - 1 + offset, target)
        for number, row in enumerate(rows)
        for offset, target in enumerate(row.targets)
    ]
    marked = [
        (index, token, share)
        for index, (_, _, target) in enumerate(places)
        for token, share in target.items()
    ]
    of, words, shares = zip(*marked, strict=True)
    return Batch(
        tokens,
        np.array([row for row, _, _ in places]),
        np.array([predictor for _, predictor, _ in places]),
        (np.array(of), np.array(words), np.array(shares, np.float32)),
        maps,
        pauses,
    )
