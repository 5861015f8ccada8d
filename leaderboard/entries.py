"""What a board shows: entries, the scores of their runs, lines of the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from leaderboard.bundles import AgentCard

State = Literal["pending", "verified", "rejected", "withdrawn", "removed"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Result:
    """A verified run: the scores that the board computed."""

    environment: str
    scores: Mapping[str, Any]
    """As `lamer_bench.scores.Scores.as_json`."""
    tasks: Mapping[str, tuple[float, ...]]
    """Task id -> its pass@1..k, averaged over repeats; voids count as lost."""
    num_turns: int
    """Replayed."""

    @property
    def pass_at_k(self) -> float:
        """pass@k at the largest k, voids lost, 0..1: what entries are ranked by."""
        return float(np.mean([shares[-1] for shares in self.tasks.values()]))

    @cached_property
    def last(self) -> FloatArray:
        """[tasks], pass@k of each task in order of its index."""
        return np.array([shares[-1] for shares in self.tasks.values()])


@dataclass(frozen=True)
class Entry:
    """A submission."""

    id: int
    digest: str
    state: State
    reason: str
    """Why it was rejected, withdrawn or removed; empty otherwise."""
    submitter: str
    card: AgentCard
    memory: str
    suite: str
    """Name and version, such as ``lamer-2``."""
    submitted_at: datetime
    decided_at: datetime | None
    results: Mapping[str, Result] = field(default_factory=dict)
    """By environment id; empty unless verified."""
    sealed: Mapping[str, Result] = field(default_factory=dict)
    """By environment id: what the same submitter's agent of this name and memory reached on the
    sealed tasks, in a run that the board kept itself."""


@dataclass(frozen=True)
class SealedResult:
    """A finished run on sealed tasks."""

    drawn_from: str
    """Suite version and label of the secret."""
    submitter: str
    name: str
    memory: str
    result: Result


@dataclass(frozen=True)
class AuditLine:
    """Something that happened to a submission; never changed or deleted."""

    id: int
    at: datetime
    action: str
    """``submitted``, ``verified``, ``rejected``, ``withdrawn``, ``removed``, ``reverify``, and
    ``sealed begun`` and ``sealed`` for a run on sealed tasks."""
    digest: str
    who: str
    detail: str
