"""Trainings and runs to draw, and what an SVG and its CSV show."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="matplotlib is in the [plots] extra")
pytest.importorskip("pandas", reason="pandas is in the [plots] extra")


from lamer_bench.agent import View
from lamer_bench.cli import main
from tests.recorded import record_trials, settings_for, write_run
from tests.toys import Guesser

SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"


def training(
    folder: Path,
    metrics: dict[str, list[float]],
    *,
    algorithm: str = "lamer",
    seed: int = 0,
    **settings: Any,
) -> Path:
    """A training's folder: the k-th value of each metric stands at step k."""
    folder.mkdir(parents=True)
    about = {"algorithm": algorithm, "settings": {"seed": seed, "learning_rate": 1e-4, **settings}}
    (folder / "training.json").write_text(json.dumps(about), encoding="utf-8")
    write_metrics(folder, metrics)
    return folder


def write_metrics(folder: Path, metrics: dict[str, list[float]]) -> None:
    rows = zip(*metrics.values(), strict=True)
    lines = [
        json.dumps({"step": step, **dict(zip(metrics, row, strict=True))})
        for step, row in enumerate(rows, start=1)
    ]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def rising(steps: int, start: float = 0.1) -> dict[str, list[float]]:
    """Metrics of a LaMer training that rises in curves, none of them straight."""
    shares = [start + 0.4 * (step / steps) ** 2 for step in range(steps)]
    return {
        "pass_at_1": shares,
        "pass_at_2": [share + 0.1 for share in shares],
        "entropy": [2.0 - share for share in shares],
        "kl": [0.01 * share for share in shares],
        "gradient_norm": [1.0 + share for share in shares],
    }


class Learner(Guesser):
    """Walks the doors that were right before, then one that was not tried there."""

    def answer(self, view: View) -> str:
        way = [turn.action for turn in view.turns]
        there = [
            [turn.action for turn in attempt.turns[view.turn :]]
            for attempt in view.earlier
            if [turn.action for turn in attempt.turns[: view.turn]] == way
        ]
        right = [doors[0] for doors in there if len(doors) > 1]
        wrong = [doors[0] for doors in there if len(doors) == 1]
        left = [door for door in view.admissible or () if door not in wrong]
        return str(right[-1]) if right else view.rng.choice(left)


def run(
    folder: Path, agent: str = "lamer", environment: str = "doors-easy", **changes: Any
) -> Path:
    """A run folder of the learner, under any agent's name."""
    settings = settings_for(environment, agent=agent, tasks=changes.pop("tasks", 12), **changes)
    write_run(folder, settings, record_trials(settings, Learner()))
    return folder


def scores(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What `lamer-bench score --json` prints."""
    assert main(["score", str(folder), "--json"]) == 0
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return printed


def table(out: Path, kind: str) -> list[dict[str, str]]:
    with (out / f"{kind}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def number(text: str) -> float | None:
    return float(text) if text else None


def svg(out: Path, kind: str) -> ElementTree.Element:
    return ElementTree.parse(out / f"{kind}.svg").getroot()


def texts(figure: ElementTree.Element) -> list[str]:
    return ["".join(element.itertext()) for element in figure.iter(f"{SVG}text")]


def element(figure: ElementTree.Element, name: str) -> ElementTree.Element:
    return next(one for one in figure.iter(f"{SVG}g") if one.get("id") == name)


def ids(figure: ElementTree.Element, beginning: str) -> set[str]:
    names = {one.get("id", "") for one in figure.iter(f"{SVG}g")}
    return {name for name in names if name.startswith(beginning)}


def points(figure: ElementTree.Element, name: str) -> np.ndarray:
    """[N, 2], the vertices of a line or a band in the SVG's units."""
    drawn = element(figure, name)
    path = next(one for one in drawn.iter(f"{SVG}path") if one.get("d"))
    pairs = re.findall(r"[ML] (\S+) (\S+)", path.get("d") or "")
    moved = [
        (float(use.get("x", 0)), float(use.get("y", 0)))
        for use in drawn.iter(f"{SVG}use")
        if use.get(LINK) == f"#{path.get('id')}"
    ]
    return np.array(pairs, dtype=float) + (moved[0] if moved else (0.0, 0.0))


def colour(figure: ElementTree.Element, name: str) -> str:
    path = next(one for one in element(figure, name).iter(f"{SVG}path"))
    return re.findall(r"stroke: (#\w+)", path.get("style") or "")[0].upper()


def assert_heights(
    shown: np.ndarray, values: list[float], line: np.ndarray, known: list[float]
) -> None:
    """The points ``shown`` lie at ``values`` on the scale where ``line`` lies at ``known``."""
    slope, offset = np.polyfit(known, line[:, 1], 1)
    np.testing.assert_allclose(shown[:, 1], slope * np.array(values) + offset, atol=0.05)


def assert_band(
    figure: ElementTree.Element,
    name: str,
    low: list[float],
    high: list[float],
    line: np.ndarray,
    known: list[float],
) -> None:
    """The band reaches from ``low`` to ``high``, on the scale where ``line`` lies at ``known``."""
    corners = points(figure, name)
    places = np.round(corners[:, 0], 1)
    sides = [corners[places == place] for place in np.unique(places)]
    bottom = np.array([side[side[:, 1].argmax()] for side in sides])  # y grows downwards
    top = np.array([side[side[:, 1].argmin()] for side in sides])
    assert_heights(bottom, low, line, known)
    assert_heights(top, high, line, known)
