"""Editing a run folder behind its back, and what verification says to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from lamer_bench.record import RunFolder, Trial
from lamer_bench.verify import Divergence, verify

Lines = list[dict[str, Any]]


def tamper(run: RunFolder, change: Callable[[Lines], object], *, redigest: bool = True) -> None:
    """Edit the stored trials; the digests are made to fit again unless said."""
    lines = [json.loads(line) for line in run.trials_path.read_text().splitlines()]
    change(lines)
    if redigest:
        for line in lines:
            line["digest"] = Trial.model_validate(line).scored_digest()
    run.trials_path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def tamper_settings(run: RunFolder, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads(run.manifest_path.read_text())
    change(manifest)
    run.manifest_path.write_text(json.dumps(manifest))


def refusal(run: RunFolder) -> Divergence:
    verdict = verify(run)
    assert not verdict.is_ok
    assert verdict.scores is None
    assert verdict.divergence is not None
    assert "\n" not in str(verdict)
    return verdict.divergence


def place(divergence: Divergence) -> tuple[Any, ...]:
    return (divergence.task, divergence.episode, divergence.turn)


def find(lines: Lines, kind: str, end: str, *, first: int = 0) -> dict[str, Any]:
    """The first trial of a kind whose last episode ended so."""
    return next(
        line
        for line in lines[first:]
        if line["kind"] == kind and line["episodes"][-1]["end"] == end
    )


def refused_at(run, change, *, redigest=True):
    """Tamper with ``change(lines) -> (line, episode, turn)``; the refusal must name that place."""
    expected = []

    def remember(lines):
        line, episode, turn = change(lines)
        expected.extend([line["task"], episode, turn, line["kind"], line["repeat"]])

    tamper(run, remember, redigest=redigest)
    divergence = refusal(run)
    assert [*place(divergence), divergence.kind, divergence.repeat] == expected
    text = str(divergence)
    assert expected[0] in text
    assert expected[1] is None or f"episode {expected[1] + 1}" in text  # as the viewer counts
    assert expected[2] is None or f"turn {expected[2] + 1}" in text
    return divergence
