"""Corrections: demonstrations in trials that a policy plays itself (DAgger, arXiv 1011.0686).

Scripted players err at random, a policy where the board deceives it. What a failed attempt tells,
and how far a note about it can be trusted, is learnt only from a policy's own failures. So the
policy plays, and the teacher marks what would have been right; half of the reflections that it goes
on with are its own, half the teacher's. Where nothing is left to learn in an attempt the teacher's
player ends it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from tokenizers import Tokenizer

from baselines.adapters import weight_files
from baselines.language_agent import write
from baselines.models import SmallModel, load_tokenizer
from baselines.training.demonstrations import Demonstration, Population, Teacher, begin, mark
from lamer_bench import Answer
from lamer_bench.errors import SettingError

IN_FLIGHT = 256
"""Trials that are played side by side."""
OWN_REFLECTIONS = 0.5
"""Share of the reflections that are the policy's own."""


class Corrected:
    """A policy whose trials are marked by teachers."""

    def __init__(self, folder: str | Path, temperature: float, tokenizer: Tokenizer) -> None:
        """Raises `SettingError` for a policy that would read ``tokenizer``'s numbers as other
        words."""
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
        self.model = SmallModel.from_folder(folder)
        self.temperature = temperature
        self.tokenizer = tokenizer

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
            for place, ask in asks.items():
                _, rng, teacher = begun[place]
                shown, reply = mark(ask, teacher, population, 0.0, rng, self.tokenizer)
                if shown is not None:
                    yield shown
                if shown is None or (ask.kind == "reflect" and rng.random() >= OWN_REFLECTIONS):
                    replies[place] = Answer(reply)
            kinds: tuple[Literal["act", "reflect"], ...] = ("act", "reflect")
            for kind in kinds:
                places = [p for p, ask in asks.items() if ask.kind == kind and p not in replies]
                views = [asks[place].view for place in places]
                texts = write(self.model, self.tokenizer, views, kind, self.temperature)
                replies |= {p: text.answer for p, text in zip(places, texts, strict=True)}
            for place, reply in replies.items():
                try:
                    asks[place] = begun[place][0].send(reply)
                except StopIteration:
                    del asks[place]
