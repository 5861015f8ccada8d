"""Task: the name of one hidden instance, and all the randomness that belongs to it.

A task id such as ``minesweeper-hard/test/17`` is the whole seed of its instance. Streams are keyed
by a hash of the id and a purpose instead of ``seed + index``, so that neighbours share nothing.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import Literal, cast, get_args

from lamer_bench.errors import TaskError, UnknownNameError

Split = Literal["train", "val", "test", "sealed"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
"""Splits that anybody can draw."""
SEALED: Split = "sealed"
"""Drawn from a secret that a leaderboard keeps, and played through its API only."""

# Of 256 values of a fingerprint's first hash byte: below 128 train, below 192 val, the rest test.
_TRAIN_BELOW, _VAL_BELOW = 128, 192


@dataclass(frozen=True, slots=True)
class Task:
    """One hidden instance of an environment, rebuilt exactly from its id."""

    environment: str
    """Environment id, ``family-level``, such as ``minesweeper-hard``."""
    split: Split
    """``train``, ``val``, ``test`` or ``sealed``; membership is decided by content, see `owns`."""
    index: int
    """Position in the split, 0 and up."""

    def __post_init__(self) -> None:
        if self.split not in get_args(Split):
            raise UnknownNameError(
                f"No split is called {self.split!r}. Splits: {', '.join(SPLITS)}."
            )
        if self.index < 0:
            raise TaskError(f"Task index {self.index} is negative; indices start at 0.")

    @classmethod
    def parse(cls, task_id: str) -> Task:
        """Read ``environment/split/index``; raises `TaskError` on anything else."""
        parts = task_id.split("/") if isinstance(task_id, str) else []
        if len(parts) != 3 or not parts[0] or not (parts[2].isascii() and parts[2].isdigit()):
            raise TaskError(
                f"{task_id!r} is not a task id. A task id looks like 'minesweeper-hard/test/17'."
            )
        return cls(parts[0], cast(Split, parts[1]), int(parts[2]))

    @property
    def id(self) -> str:
        """The id, ``environment/split/index``."""
        return f"{self.environment}/{self.split}/{self.index}"

    def __str__(self) -> str:
        return self.id

    def rng(self, purpose: str) -> random.Random:
        """A stream of its own for each purpose, the same in every process and on every machine."""
        return random.Random(self._digest(purpose))

    def owns(self, fingerprint: str) -> bool:
        """Whether an instance of this content may be this task's.

        Raises:
            TaskError: the task is sealed; its id does not say what it is.
        """
        if self.split == SEALED:
            raise TaskError(
                f"{self} is sealed: only the leaderboard that holds its secret can draw it. "
                "Play such tasks with: lamer-bench run --sealed URL"
            )
        return split_of(fingerprint) == self.split

    def _digest(self, purpose: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{self.id}#{purpose}".encode()).digest(), "big")


def split_of(fingerprint: str) -> Split:
    """The split that owns an instance: a function of its content only.

    A fingerprint is canonical under the environment's symmetries, so a mirrored or renumbered copy
    of a test instance is a test instance too and can never be drawn for training.
    Shares: train 1/2, val 1/4, test 1/4 of all fingerprints.
    """
    byte = hashlib.sha256(fingerprint.encode()).digest()[0]
    if byte < _TRAIN_BELOW:
        return "train"
    return "val" if byte < _VAL_BELOW else "test"


def split_environment_id(environment: str) -> tuple[str, str]:
    """``minesweeper-hard`` -> (``minesweeper``, ``hard``); `UnknownNameError` without a level."""
    family, dash, level = environment.rpartition("-")
    if not dash or not family or not level:
        raise UnknownNameError(
            f"{environment!r} names no level. An environment id looks like 'minesweeper-hard'."
        )
    return family, level
