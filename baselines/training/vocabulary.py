"""Whether a small policy can read an environment: its vocabulary is that of its families, and all
other words are one and the same ``<unk>`` to it."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer

from baselines.prompts import compact
from lamer_bench import Task, TrialPlan, make, play
from lamer_bench.errors import SettingError

MOST_UNKNOWN = 0.2
"""Share of a prompt's tokens. A first prompt of a family that the policy was trained on has none, a
new glyph adds a few hundredths, and another family's has a third or more."""


def check_vocabulary(tokenizer: Tokenizer, environments: Iterable[str]) -> None:
    """Raise `SettingError` where the first prompt of an environment is of words that the tokenizer
    does not know."""
    for name in environments:
        env = make(name)
        trial = play(env, TrialPlan(Task(env.environment, "train", 0)))
        tokens = tokenizer.encode(compact(next(trial).view, "act")).ids
        env.close()
        unknown = tokenizer.token_to_id("<unk>")
        share = sum(token == unknown for token in tokens) / len(tokens)
        if share > MOST_UNKNOWN:
            raise SettingError(
                f"The start does not know {share:.0%} of the words of {name}: it was made for "
                "another family. Give a --start of this family, or --environments of its own."
            )
