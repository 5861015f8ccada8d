"""Corrections: demonstrations in trials that a policy plays itself (DAgger, arXiv 1011.0686).

Scripted players err at random, a policy where the board deceives it. What a failed attempt tells,
and how far a note about it can be trusted, is learnt only from a policy's own failures. So the
policy plays, and the teacher marks what would have been right; half of the reflections that it goes
on with are its own, half the teacher's. Where nothing is left to learn in an attempt the teacher's
player ends it.

What was right is not what a retry should do that cannot see it. A policy that took a losing answer
for the best one still does when it comes back, and of three attempts two are spent on it. So with
``explore`` an answer that failed from the same situation is nothing to try again, as long as the
policy, asked without its memory, thinks enough of another one: marked is the best of the others, or
where all of those lose what else the policy would do. Failures are rare; so each decision is shown
once more, as if earlier attempts had come here and failed by answers that the policy might give.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Literal

import numpy as np
from tokenizers import Tokenizer

from baselines.adapters import weight_files
from baselines.language_agent import write
from baselines.models import Array, SmallModel, load_tokenizer, one_blas_thread
from baselines.prompts import compact
from baselines.training.demonstrations import (
    Beginning,
    Demonstration,
    Population,
    RetryTeacher,
    Teacher,
    begin,
    mark,
)
from lamer_bench import Answer, Ask, View
from lamer_bench.errors import SettingError

IN_FLIGHT = 256
"""Trials that are played side by side."""
OWN_REFLECTIONS = 0.5
"""Share of the reflections that are the policy's own."""
LEAST_SHARE = 0.005
"""Beginnings of answers that are less likely are left out."""

Shares = dict[Beginning, float]
"""Beginning of an answer -> probability."""


class Corrected:
    """A policy whose trials are marked by teachers."""

    def __init__(
        self, folder: str | Path, temperature: float, tokenizer: Tokenizer, explore: float = 1.0
    ) -> None:
        """``explore``: how likely another answer must be, as a share of the likeliest one that
        failed, to be marked in its place; with 1 only the teacher marks.

        Raises `SettingError` for a policy that would read ``tokenizer``'s numbers as other words.
        """
        if not all(file.exists() for file in weight_files(folder)):
            raise SettingError(
                f"There is no policy in {folder} to play the trials. Give --player a policy's "
                "folder, such as OUT/policy of a training."
            )
        words, known = load_tokenizer(folder).get_vocab(), tokenizer.get_vocab()
        if words != known:
            raise SettingError(
                f"The player in {folder} has another vocabulary ({len(words)} tokens) than this "
                f"training ({len(known)} tokens). Give the player as --start, too, or a --player "
                "of the training's vocabulary."
            )
        self.model = SmallModel.from_folder(folder, np.float32)
        self.temperature = temperature
        self.tokenizer = tokenizer
        self.explore = explore

    def demonstrate(
        self, trials: Sequence[tuple[str, int, Teacher]], population: Population
    ) -> Iterator[Demonstration]:
        """Trials on (environment, train task, teacher), some side by side."""
        for first in range(0, len(trials), IN_FLIGHT):
            yield from self._side_by_side(trials[first : first + IN_FLIGHT], population)

    def _side_by_side(
        self, trials: Sequence[tuple[str, int, Teacher]], population: Population
    ) -> Iterator[Demonstration]:
        begun = [(*begin(*trial), trial[2]) for trial in trials]
        asks = {place: next(trial) for place, (trial, _, _) in enumerate(begun)}
        while asks:
            replies: dict[int, Answer] = {}
            likely = self._likely({place: (ask, begun[place][2]) for place, ask in asks.items()})
            for place, ask in asks.items():
                _, rng, teacher = begun[place]
                others = self._others(ask, teacher, likely.get(place))
                shown, reply = mark(ask, teacher, population, 0.0, rng, self.tokenizer, others)
                if shown is not None:
                    yield shown
                    if place in likely:
                        yield from self._imagined(ask, teacher, likely[place], rng)
                goes_on = shown is None or bool(others)
                if goes_on or (ask.kind == "reflect" and rng.random() >= OWN_REFLECTIONS):
                    replies[place] = Answer(reply)
            kinds: tuple[Literal["act", "reflect"], ...] = ("act", "reflect")
            for kind in kinds:
                places = [p for p, ask in asks.items() if ask.kind == kind and p not in replies]
                views = [asks[place].view for place in places]
                texts = write(self.model, self.tokenizer, views, kind, self.temperature)
                replies |= {p: text.answer for p, text in zip(places, texts, strict=True)}
            for place, answer in replies.items():
                try:
                    asks[place] = begun[place][0].send(answer)
                except StopIteration:
                    del asks[place]

    def _likely(self, asks: Mapping[int, tuple[Ask, Teacher]]) -> dict[int, Shares]:
        """For each place where something can be explored: how the policy would begin to answer
        without its memory."""
        places = [
            place
            for place, (ask, teacher) in asks.items()
            if self.explore < 1.0 and ask.kind == "act" and isinstance(teacher, RetryTeacher)
        ]
        wiped = [compact(replace(asks[place][0].view, earlier=()), "act") for place in places]
        prompts = [encoding.ids for encoding in self.tokenizer.encode_batch(wiped)]
        with one_blas_thread():
            likely = beginnings(self.model, self.tokenizer, prompts)
        return dict(zip(places, likely, strict=True))

    def _others(self, ask: Ask, teacher: Teacher, likely: Shares | None) -> Shares:
        """The likely answers that have not failed from this situation, if any has and if the policy
        thinks enough of one of them."""
        if likely is None or not isinstance(teacher, RetryTeacher):
            return {}
        tried = teacher.tried(ask.view)
        others = {begin: share for begin, share in likely.items() if begin not in tried}
        most = max((likely.get(begin, 0.0) for begin in tried), default=0.0)
        is_worth_it = bool(tried) and max(others.values(), default=0.0) >= self.explore * most
        return others if is_worth_it else {}

    def _imagined(
        self, ask: Ask, teacher: Teacher, likely: Shares, rng: Random
    ) -> Iterator[Demonstration]:
        """The same decision after one failure or two that the policy might have had here."""
        if not likely or not isinstance(teacher, RetryTeacher):
            return
        view: View | None = ask.view
        for failed in rng.choices(list(likely), list(likely.values()), k=rng.randint(1, 2)):
            view = view and teacher.failed_by(view, failed, rng)
        if view is None:
            return
        again = replace(ask, view=view)
        if others := self._others(again, teacher, likely):
            shown, _ = mark(again, teacher, Population(), 0.0, rng, self.tokenizer, others)
            if shown is not None:
                yield shown


def beginnings(
    model: SmallModel, tokenizer: Tokenizer, prompts: Sequence[Sequence[int]]
) -> list[Shares]:
    """How a model would begin to answer each prompt: the likeliest pairs of first tokens with their
    probabilities at temperature 1."""
    shares: list[Shares] = [{} for _ in prompts]
    by_length: dict[int, list[int]] = defaultdict(list)
    for row, prompt in enumerate(prompts):
        by_length[len(prompt)].append(row)
    for rows in by_length.values():
        cache: list[tuple[Array, Array]] = []
        first = _probabilities(model.logits(np.array([prompts[row] for row in rows]), cache))
        places, tokens = np.nonzero(first >= LEAST_SHARE)
        repeated = [(keys[places], values[places]) for keys, values in cache]
        second = _probabilities(model.logits(tokens[:, None], repeated))
        second *= first[places, tokens, None]
        for pair, token in zip(*np.nonzero(second >= LEAST_SHARE), strict=True):
            begin = (tokenizer.id_to_token(tokens[pair]), tokenizer.id_to_token(token))
            shares[rows[places[pair]]][begin] = float(second[pair, token])
    return shares


def _probabilities(logits: Array) -> Array:
    """Softmax over the last axis: (B, V) -> (B, V)."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: Array = weights / weights.sum(axis=-1, keepdims=True)
    return shares
