"""Demonstrations for the supervised start: trials of scripted players of mixed strength.

A teacher marks every decision with all actions that are equally best by exact inference (a soft
target) and writes the reflections; a player of the trial's own strength decides where the trial
goes, so that good answers are shown in bad situations too. Trials run through the same `play()` as
everything else, on tasks of the train split only.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from baselines.explorer.minesweeper import MinesweeperPlayer, outlook
from baselines.prompts import CLOSING_TAGS, compact
from lamer_bench import Answer, Task, TrialPlan, View, make, play

STRENGTHS = (0.0, 0.0, 0.05, 0.15, 0.4)
"""Share of a player's turns that are a random hidden cell instead of a best one; one is drawn a
trial."""
INVALID_SHARE = 0.01
"""Share of turns answered with something that is not an action, so that the hint is known too."""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A prompt and what a teacher would write."""

    kind: Literal["act", "reflect"]
    prompt: tuple[int, ...]
    targets: tuple[int, ...]
    """``act``: all equally best action tokens. ``reflect``: the reflection's tokens in order."""
    risks: NDArray[np.float32] | None
    """``act``: probability of a mine for each cell (rows, columns)."""


@dataclass(frozen=True)
class Batch:
    """Demonstrations of one shape."""

    kind: Literal["act", "reflect"]
    tokens: NDArray[np.int64]  # (B, T) prompt, then the answer's tokens but the last
    prompt_length: int
    targets: Sequence[tuple[int, ...]]  # B of them
    risks: NDArray[np.float32] | None  # (B, rows, columns) for actions


@dataclass(frozen=True)
class Rows:
    """How many decisions and reflections one optimiser step sees."""

    act: int
    reflect: int


def demonstrate(task: Task, tokenizer: Tokenizer) -> Iterator[Demonstration]:
    """One trial of three attempts on ``task``, each decision marked by the teacher."""
    teacher = MinesweeperPlayer()
    rng = task.rng("demonstration")
    strength = rng.choice(STRENGTHS)
    plan = TrialPlan(task, memory="reflection")
    trial = play(make(task.environment), plan)
    ask = next(trial)
    while True:
        prompt = tuple(tokenizer.encode(compact(ask.view, ask.kind)).ids)
        if ask.kind == "act":
            seen = outlook(ask.view)
            best = [seen.board.name(cell) for cell in seen.best]
            targets = tuple(tokenizer.token_to_id(name) for name in best)
            risks = np.array(seen.risks(), np.float32).reshape(seen.board.rows, -1)
            answer = _played(ask.view, rng, strength, best)
        else:
            answer = teacher.reflect(ask.view)
            text = answer.removeprefix("<remark>")
            targets = tuple(tokenizer.encode(text).ids)
            risks = None
        yield Demonstration(ask.kind, prompt, targets, risks)
        try:
            ask = trial.send(Answer(answer))
        except StopIteration:
            return


def _played(view: View, rng: random.Random, strength: float, best: list[str]) -> str:
    """What the player of this trial does with the teacher's advice."""
    if rng.random() < INVALID_SHARE:
        return "(1,99)"
    if view.admissible and rng.random() < strength:
        return rng.choice(list(view.admissible))
    return rng.choice(best)


def batches(
    demonstrations: list[Demonstration], tokenizer: Tokenizer, rows: Rows, rng: random.Random
) -> list[tuple[Batch, Batch]]:
    """Shuffle demonstrations into pairs of one batch of decisions and one of reflections.

    Every batch has one shape. Reflections are rarer than decisions and are gone through again when
    they run out; remainders below a quarter of a batch are left out.
    """
    acts = _same_shape(demonstrations, "act", tokenizer, rows.act, rng)
    reflections = _same_shape(demonstrations, "reflect", tokenizer, rows.reflect, rng)
    return list(zip(acts, cycle(reflections)))


def _same_shape(
    demonstrations: list[Demonstration],
    kind: Literal["act", "reflect"],
    tokenizer: Tokenizer,
    rows: int,
    rng: random.Random,
) -> list[Batch]:
    by_shape: dict[tuple[int, int], list[Demonstration]] = defaultdict(list)
    for shown in demonstrations:
        if shown.kind == kind:
            answer_length = 1 if kind == "act" else len(shown.targets)
            by_shape[len(shown.prompt), answer_length].append(shown)
    close = tokenizer.token_to_id(CLOSING_TAGS["reflect"])
    made = []
    for (prompt_length, _), same in by_shape.items():
        rng.shuffle(same)
        for start in range(0, len(same), rows):
            part = same[start : start + rows]
            if len(part) < rows // 4:
                continue
            if kind == "act":  # the model also learns to close the tag after any best action
                tokens = [[*shown.prompt, rng.choice(shown.targets)] for shown in part]
            else:
                assert all(shown.targets[-1] == close for shown in part)
                tokens = [[*shown.prompt, *shown.targets[:-1]] for shown in part]
            targets = [shown.targets for shown in part]
            risks = np.stack([shown.risks for shown in part]) if kind == "act" else None  # type: ignore[misc]
            made.append(Batch(kind, np.array(tokens), prompt_length, targets, risks))
    rng.shuffle(made)
    return made
