"""Figures: what is read, what is grouped, and that the picture and its CSV show the numbers of
`score --json` and of metrics.jsonl."""

from __future__ import annotations

import csv
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="matplotlib is in the [plots] extra")
pytest.importorskip("pandas", reason="pandas is in the [plots] extra")

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from lamer_bench import plots
from lamer_bench.agent import View
from lamer_bench.cli import main
from lamer_bench.errors import RecordError, SettingError, UnknownNameError
from lamer_bench.plots import curves, labels, sources, style
from lamer_bench.record import Trial, Void
from tests.recorded import record_trials, settings_for, write_run
from tests.toys import Guesser

SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"


# Folders -----------------------------------------------------------------------------------------


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


# Figures -----------------------------------------------------------------------------------------


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


def test_each_figure_is_written_in_three_formats_with_its_numbers(tmp_path: Path) -> None:
    folder = training(tmp_path / "a", rising(12))
    files = plots.plot([folder], ["success", "kl"], tmp_path / "out")
    names = [
        f"{kind}.{suffix}" for kind in ("success", "kl") for suffix in ("svg", "pdf", "png", "csv")
    ]
    assert [file.name for file in files] == names
    assert (tmp_path / "out" / "kl.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "out" / "kl.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_figure_is_the_same_bytes(tmp_path: Path) -> None:
    folder = training(tmp_path / "a", rising(12))
    first = plots.plot([folder], ["entropy"], tmp_path / "one")
    second = plots.plot([folder], ["entropy"], tmp_path / "two")
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]


# Training curves ---------------------------------------------------------------------------------


def test_success_names_its_axes_attempts_and_lines_and_bands_the_seeds(tmp_path: Path) -> None:
    folders = [
        *(
            training(tmp_path / f"l{seed}", rising(12, 0.1 + seed / 20), seed=seed)
            for seed in (0, 1)
        ),
        training(tmp_path / "g", {"pass_at_1": [0.1, 0.3, 0.2]}, algorithm="gigpo"),
    ]
    plots.plot(folders, ["success"], tmp_path / "out")
    figure = svg(tmp_path / "out", "success")
    shown = texts(figure)
    for text in ("training step", "trials won (share)", "lamer, 2 seeds", "gigpo"):
        assert text in shown
    assert "pass@1: within 1 attempt" in shown
    assert "pass@2: within 2 attempts" in shown
    assert ids(figure, "band-") == {
        "band-lamer-2-seeds-pass-at-1",
        "band-lamer-2-seeds-pass-at-2",
    }
    assert ids(figure, "line-") == {
        "line-lamer-2-seeds-pass-at-1",
        "line-lamer-2-seeds-pass-at-2",
        "line-gigpo-pass-at-1",
    }
    assert colour(figure, "line-gigpo-pass-at-1") == style.LOOKS["gigpo"].colour.upper()


@pytest.mark.parametrize(
    ("kind", "axis"),
    [("entropy", "entropy (nats per token)"), ("kl", "KL divergence (nats per token)")],
)
def test_the_axes_of_single_curves_have_units(tmp_path: Path, kind: str, axis: str) -> None:
    plots.plot([training(tmp_path / "a", rising(12))], [kind], tmp_path / "out")
    shown = texts(svg(tmp_path / "out", kind))
    assert axis in shown
    assert "training step" in shown
    assert "lamer" in shown


def test_the_csv_holds_the_log_and_the_picture_holds_the_csv(tmp_path: Path) -> None:
    logs = [rising(9, 0.1), rising(9, 0.25)]
    folders = [training(tmp_path / str(seed), log, seed=seed) for seed, log in enumerate(logs)]
    plots.plot(folders, ["success"], tmp_path / "out")
    rows = [row for row in table(tmp_path / "out", "success") if row["metric"] == "pass_at_1"]
    assert [int(row["step"]) for row in rows] == list(range(1, 10))
    expected = np.mean([log["pass_at_1"] for log in logs], axis=0)
    assert [float(row["value"]) for row in rows] == pytest.approx(list(expected))
    figure = svg(tmp_path / "out", "success")
    smoothed, low, high = (
        [float(row[name]) for row in rows] for name in ("smoothed", "low", "high")
    )
    line = points(figure, "line-lamer-2-seeds-pass-at-1")
    assert_heights(points(figure, "raw-lamer-2-seeds-pass-at-1"), list(expected), line, smoothed)
    assert_band(figure, "band-lamer-2-seeds-pass-at-1", low, high, line, smoothed)


def read(folder: Path) -> sources.Training:
    return sources.read_training(folder)


def test_a_curve_is_the_mean_over_seeds_of_the_centred_mean_over_steps(tmp_path: Path) -> None:
    one = read(training(tmp_path / "a", {"kl": [0.0, 0.0, 3.0, 0.0, 0.0]}, seed=0))
    other = read(training(tmp_path / "b", {"kl": [1.0, 1.0, 1.0, 1.0]}, seed=1))
    line = curves.curve([one, other], "kl", width=3)
    assert line is not None
    assert list(line["step"]) == [1, 2, 3, 4]  # as far as both go
    assert list(line["value"]) == [0.5, 0.5, 2.0, 0.5]
    # smoothed seeds: 0, 1, 1, 1.5 (the last mean has two values) and 1, 1, 1, 1
    assert list(line["smoothed"]) == [0.5, 1.0, 1.0, 1.25]
    assert list(line["low"]) == [0.0, 1.0, 1.0, 1.0]
    assert list(line["high"]) == [1.0, 1.0, 1.0, 1.5]
    assert set(line["seeds"]) == {2}


def test_one_seed_has_no_band(tmp_path: Path) -> None:
    line = curves.curve([read(training(tmp_path / "a", rising(8)))], "kl", width=5)
    assert line is not None
    assert line["low"].isna().all()
    assert line["high"].isna().all()


@pytest.mark.parametrize(("steps", "width"), [(1, 5), (55, 5), (200, 11), (3700, 185)])
def test_smoothing_grows_with_the_training_and_is_odd(
    tmp_path: Path, steps: int, width: int
) -> None:
    assert curves.window([read(training(tmp_path / "a", {"kl": [0.0] * steps}))]) == width


def test_seeds_make_one_line_and_other_settings_another(tmp_path: Path) -> None:
    folders = [
        training(tmp_path / "a", rising(3), seed=0),
        training(tmp_path / "b", rising(3), seed=1),
        training(tmp_path / "c", rising(3), seed=0, learning_rate=3e-5),
        training(tmp_path / "d", rising(3), algorithm="gigpo"),
    ]
    groups = curves.group([read(folder) for folder in folders])
    assert [(group.label, len(group.trainings)) for group in groups] == [
        ("lamer, learning_rate 0.0001, 2 seeds", 2),
        ("lamer, learning_rate 3e-05", 1),
        ("gigpo", 1),
    ]


def test_the_same_training_twice_is_refused(tmp_path: Path) -> None:
    folders = [training(tmp_path / name, rising(3)) for name in ("a", "b")]
    with pytest.raises(SettingError, match="same training with the same seed, 0"):
        plots.plot(folders, out=tmp_path / "out")


def test_a_training_that_does_not_say_its_settings_has_its_folders_name(tmp_path: Path) -> None:
    for name in ("old-a", "old-b"):
        (tmp_path / name).mkdir()
        write_metrics(tmp_path / name, rising(3))
    groups = curves.group([read(tmp_path / "old-a"), read(tmp_path / "old-b")])
    assert [group.label for group in groups] == ["old-a", "old-b"]


def test_the_settings_may_stand_with_the_policy(tmp_path: Path) -> None:
    folder = training(tmp_path / "a", rising(3), seed=5)
    (folder / "policy").mkdir()
    (folder / "training.json").rename(folder / "policy" / "training.json")
    assert (read(folder).algorithm, read(folder).seed) == ("lamer", 5)


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    folder = training(tmp_path / "a", rising(3))
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 4, "kl": 0.')
    assert list(read(folder).metrics.index) == [1, 2, 3]


def test_a_damaged_line_and_an_empty_log_are_named(tmp_path: Path) -> None:
    folder = training(tmp_path / "a", rising(3))
    path = folder / "metrics.jsonl"
    path.write_text("nonsense\n" + path.read_text("utf-8"), encoding="utf-8")
    with pytest.raises(RecordError, match=r"Line 1 of .*metrics\.jsonl is damaged"):
        read(folder)
    path.write_text("", encoding="utf-8")
    with pytest.raises(RecordError, match="no step yet"):
        read(folder)


def test_a_metric_that_is_not_a_number_at_a_step_leaves_a_gap(tmp_path: Path) -> None:
    folder = training(tmp_path / "a", {"kl": [0.1, float("nan"), 0.3]})
    values = read(folder).metrics["kl"]
    assert list(values.isna()) == [False, True, False]


def test_every_metric_has_a_panel(tmp_path: Path) -> None:
    plots.plot([training(tmp_path / "a", rising(6))], ["metrics"], tmp_path / "out")
    figure = svg(tmp_path / "out", "metrics")
    assert {row["metric"] for row in table(tmp_path / "out", "metrics")} == set(rising(1))
    assert "gradient norm" in texts(figure)
    assert len(ids(figure, "line-")) == len(rising(1))


# Runs --------------------------------------------------------------------------------------------


def test_pass_at_k_shows_the_numbers_of_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = {
        ("lamer", "doors-easy"): run(tmp_path / "a"),
        ("explorer", "doors-easy"): run(tmp_path / "b", "explorer", seed=3),
        ("lamer", "doors-hard"): run(tmp_path / "c", environment="doors-hard", repeats=2),
    }
    plots.plot(list(folders.values()), ["pass-at-k"], tmp_path / "out")
    rows = table(tmp_path / "out", "pass-at-k")
    assert len(rows) == 3 * 2 * 3  # runs, with and without memory, k
    for (agent, environment), folder in folders.items():
        printed = scores(folder, capsys)
        own = [row for row in rows if (row["agent"], row["env"]) == (agent, environment)]
        for row in own:
            name = "pass_at" if row["memory"] == "kept" else "independent_pass_at"
            assert float(row["value"]) == printed[name][row["k"]]
            assert [float(row["low"]), float(row["high"])] == printed[f"{name}_ci"][row["k"]]
        assert [row["k"] for row in own] == ["1", "2", "3"] * 2


def test_pass_at_k_draws_the_numbers_with_bands_and_a_dashed_control(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(tmp_path / "a", tasks=60)
    plots.plot([folder], ["pass-at-k"], tmp_path / "out")
    printed = scores(folder, capsys)
    figure = svg(tmp_path / "out", "pass-at-k")
    shown = texts(figure)
    for text in ("attempts k", "tasks won within k (share)", "lamer", "control: memory wiped"):
        assert text in shown
    assert "doors-easy" in shown
    assert "test, 60 tasks" in shown
    ends = "lamer-doors-easy-test-60-tasks"
    assert ids(figure, "band-") == {f"band-{ends}-kept", f"band-{ends}-wiped"}
    line = points(figure, f"line-{ends}-kept")
    known = list(printed["pass_at"].values())
    for memory, name in (("kept", "pass_at"), ("wiped", "independent_pass_at")):
        values = list(printed[name].values())
        assert_heights(points(figure, f"line-{ends}-{memory}"), values, line, known)
        low, high = (list(side) for side in zip(*printed[f"{name}_ci"].values(), strict=True))
        assert_band(figure, f"band-{ends}-{memory}", low, high, line, known)
    style_of = {
        memory: next(element(figure, f"line-{ends}-{memory}").iter(f"{SVG}path")).get("style") or ""
        for memory in ("kept", "wiped")
    }
    assert "stroke-dasharray" in style_of["wiped"]
    assert "stroke-dasharray" not in style_of["kept"]


def test_a_run_without_control_has_no_dashed_line(tmp_path: Path) -> None:
    folder = run(tmp_path / "a", control_episodes=0)
    plots.plot([folder], ["pass-at-k"], tmp_path / "out")
    figure = svg(tmp_path / "out", "pass-at-k")
    assert "control: memory wiped" not in texts(figure)
    assert {row["memory"] for row in table(tmp_path / "out", "pass-at-k")} == {"kept"}
    with pytest.raises(SettingError, match="nothing to draw for 'diversity'"):
        plots.plot([folder], ["diversity"], tmp_path / "out")


def test_diversity_shows_the_numbers_of_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [run(tmp_path / "a"), run(tmp_path / "b", "random", control_episodes=4)]
    plots.plot(folders, ["diversity"], tmp_path / "out")
    rows = table(tmp_path / "out", "diversity")
    for folder, row in zip(folders, rows, strict=True):
        printed = scores(folder, capsys)
        assert number(row["trajectory_entropy"]) == printed["trajectory_entropy"]
        assert [
            number(row["trajectory_entropy_low"]),
            number(row["trajectory_entropy_high"]),
        ] == printed["trajectory_entropy_ci"]
        assert number(row["pass_at"]) == printed["pass_at"]["3"]
        assert [number(row["pass_at_low"]), number(row["pass_at_high"])] == printed["pass_at_ci"][
            "3"
        ]
        assert (int(row["m"]), int(row["k"])) == (printed["m"], 3)
        assert float(row["most_entropy"]) == pytest.approx(np.log(printed["m"]))


def test_entropies_of_different_m_never_share_a_panel(tmp_path: Path) -> None:
    folders = [run(tmp_path / "a"), run(tmp_path / "b", "random", control_episodes=4)]
    plots.plot(folders, ["diversity"], tmp_path / "out")
    shown = texts(svg(tmp_path / "out", "diversity"))
    assert "test, 12 tasks, m = 3, k = 3" in shown
    assert "test, 12 tasks, m = 4, k = 3" in shown
    assert "trajectory entropy (nats)" in shown
    assert "pass@3 (share of tasks won)" in shown
    assert any("H = -sum p ln p" in text for text in shown)


def test_runs_of_one_agent_are_told_apart_by_what_differs(tmp_path: Path) -> None:
    folders = [
        run(tmp_path / "a", seed=1),
        run(tmp_path / "b", seed=2, agent_settings={"temperature": 0.5}),
        run(tmp_path / "c", environment="doors-hard"),
        run(tmp_path / "d", "random"),
    ]
    plots.plot(folders, ["pass-at-k"], tmp_path / "out")
    shown = {row["label"] for row in table(tmp_path / "out", "pass-at-k")}
    assert shown == {
        "lamer, seed 1, temperature None",
        "lamer, seed 2, temperature 0.5",
        "lamer, seed 0, temperature None",
        "random",
    }


def test_the_same_run_twice_is_refused(tmp_path: Path) -> None:
    folders = [run(tmp_path / name) for name in ("a", "b")]
    with pytest.raises(SettingError, match="are the same run: lamer on doors-easy"):
        plots.plot(folders, out=tmp_path / "out")


def test_void_trials_and_missing_ones_and_told_agents_are_named(tmp_path: Path) -> None:
    settings = settings_for(agent="oracle", tasks=4, is_ranked=False)
    trials: list[Trial] = record_trials(settings, Guesser())
    broken = Trial.of(
        trials[0].key,
        memory="both",
        fingerprint="any",
        episodes=[],
        void=Void(type="TimeoutError", message="no answer"),
    )
    write_run(tmp_path / "a", settings, [broken, *trials[1:-1]])
    plots.plot([tmp_path / "a"], ["pass-at-k"], tmp_path / "out")
    caption = " ".join(texts(svg(tmp_path / "out", "pass-at-k")))
    assert "Void trials, left out: oracle on doors-easy 14.3%." in caption
    assert "Incomplete: oracle on doors-easy." in caption
    assert "Told hidden state, never ranked: oracle." in caption
    assert {row["void_share"] for row in table(tmp_path / "out", "pass-at-k")} == {str(1 / 7)}


def test_levels_stand_in_their_order_and_versions_apart(tmp_path: Path) -> None:
    folders = [
        run(tmp_path / "hard", environment="doors-hard"),
        run(tmp_path / "easy"),
        run(tmp_path / "new", environment_version=2),
    ]
    plots.plot(folders, ["pass-at-k"], tmp_path / "out")
    shown = texts(svg(tmp_path / "out", "pass-at-k"))
    titles = [text for text in shown if text.startswith("doors-")]
    assert titles == ["doors-easy", "doors-easy", "doors-hard"]
    assert "test, 12 tasks, v1" in shown
    assert "test, 12 tasks, v2" in shown


# Finding folders ---------------------------------------------------------------------------------


def test_a_folder_stands_for_what_it_holds_but_for_what_was_set_aside(tmp_path: Path) -> None:
    found = [run(tmp_path / "runs" / "doors-easy" / name) for name in ("a", "b", "a.old-1")]
    one = training(tmp_path / "runs" / "training", rising(3))
    assert sources.find([tmp_path / "runs"]) == ([one], found[:2])
    assert sources.find([found[2], one, one]) == ([one], [found[2]])


@pytest.mark.parametrize(("name", "fault"), [("nowhere", "does not exist"), (".", "holds none")])
def test_a_path_without_runs_and_trainings_is_an_error(
    tmp_path: Path, name: str, fault: str
) -> None:
    with pytest.raises(RecordError, match=f"{fault}.*metrics.jsonl.*manifest.json"):
        plots.plot([tmp_path / name], out=tmp_path / "out")


def test_a_kind_that_the_paths_hold_nothing_for_is_an_error_only_when_asked_for(
    tmp_path: Path,
) -> None:
    folder = training(tmp_path / "a", {"act_loss": [3.0, 2.0]}, algorithm="supervised")
    files = plots.plot([folder], out=tmp_path / "out")
    assert {file.stem for file in files} == {"metrics"}
    with pytest.raises(SettingError, match=r"'diversity', which reads runs.* 1 training.* 0 runs"):
        plots.plot([folder], ["diversity"], tmp_path / "out")
    with pytest.raises(SettingError, match="nothing to draw for 'entropy'"):
        plots.plot([folder], ["entropy"], tmp_path / "out")


def test_a_misspelt_kind_is_an_error_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'diversity'"):
        plots.plot([tmp_path], ["divercity"], tmp_path / "out")


# Labels and looks --------------------------------------------------------------------------------


def test_labels_name_what_differs_in_a_few_characters() -> None:
    settings = labels.flat(
        {"start": "/a/b/policy", "environments": ["x", "y"], "size": {"width": 8}}
    )
    keys = ["start", "environments", "size.width"]
    assert labels.label("ppo", settings, keys, "f") == (
        "ppo, start b/policy, environments x+y, size.width 8"
    )
    assert labels.label("ppo", settings, [*keys, "seed"], "folder") == "ppo (folder)"
    assert labels.label("ppo", settings, [], "folder") == "ppo"
    assert labels.shown("0123456789abcdef" * 4) == "01234567"


def test_a_listed_name_looks_the_same_in_every_company() -> None:
    names = [*style.LOOKS, "somebody", "somebody-else"]
    for company in (["somebody", "lamer", "ppo"], list(reversed(names)), ["lamer"]):
        chosen = style.looks((name, name) for name in company)
        assert chosen["lamer"] == style.LOOKS["lamer"]
        assert len({look.marker for look in chosen.values()}) == min(len(company), 13)


def test_lines_of_one_name_share_the_hue_and_no_look() -> None:
    lines = [("lamer", f"lamer {number}") for number in range(3)] + [("ppo", "ppo")]
    chosen = style.looks(lines)
    assert chosen["ppo"] == style.LOOKS["ppo"]
    assert len(set(chosen.values())) == 4
    assert chosen["lamer 1"].colour == style.shaded(style.LOOKS["lamer"].colour, -0.45)
    assert style.shaded("#000000", 0.5) == "#808080"
    assert style.shaded("#ffffff", -0.5) == "#808080"


COLOUR_VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.01182, 0.04294, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.3039],
        ]
    ),
}
"""What a person sees of linear RGB; Machado, Oliveira and Fernandes (2009), severity 1."""


def cielab(colour: str, seen: np.ndarray) -> np.ndarray:
    """[3], L, a and b (D65) of a colour as it is seen."""
    channels = np.array(to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.072175],
            [0.0193339, 0.119192, 0.9503041],
        ]
    )
    xyz = to_xyz @ np.clip(seen @ linear, 0, 1) / [0.95047, 1.0, 1.08883]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", COLOUR_VISION)
def test_the_colours_stay_apart_for_every_colour_vision(vision: str) -> None:
    seen = {name: cielab(look.colour, COLOUR_VISION[vision]) for name, look in style.LOOKS.items()}
    close = [
        (one, other)
        for one, other in itertools.combinations(seen, 2)
        if np.linalg.norm(seen[one] - seen[other]) < 15
    ]
    assert close == []


def test_no_two_listed_names_share_a_marker_and_none_is_too_pale() -> None:
    assert len({look.marker for look in style.LOOKS.values()}) == len(style.LOOKS)
    lightness = {name: cielab(look.colour, np.eye(3))[0] for name, look in style.LOOKS.items()}
    assert [name for name, light in lightness.items() if light > 75] == []


def long_named_trainings(folder: Path) -> list[sources.Training]:
    long = {"start": "policies/a-rather-long-name-of-a-policy-folder"}
    return [
        read(training(folder / "a", rising(40), **long, gamma_traj=0.9)),
        read(training(folder / "b", rising(40), **long, gamma_traj=0.6)),
        read(training(folder / "c", rising(9), **long, gamma_traj=0.3, seed=1)),
        read(training(folder / "d", rising(9), algorithm="gigpo")),
    ]


def long_named_runs(folder: Path) -> list[sources.Run]:
    name = "an-agent-of-a-name-longer-than-the-legend-is-wide"
    folders = [
        run(folder / "a"),
        run(folder / "b", name),
        run(folder / "c", environment="doors-hard"),
    ]
    return [sources.read_run(one) for one in folders]


@pytest.mark.parametrize("kind", plots.KINDS)
def test_no_text_is_cut_off_or_lies_on_another(tmp_path: Path, kind: str) -> None:
    kind_of = plots.KINDS[kind]
    make = long_named_trainings if kind_of.reads == "trainings" else long_named_runs
    with style.applied():
        drawing = kind_of.load()(make(tmp_path))
        assert drawing is not None
        figure = drawing.figure
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    renderer = canvas.get_renderer()
    single = [text for legend in figure.legends for text in legend.get_texts()]
    single += [axes.title for axes in figure.axes if axes.get_title()]
    single += [text for text in figure.texts if text.get_text()]
    boxes = {text.get_text(): text.get_window_extent(renderer) for text in single}
    boxes |= {
        f"{axis.axis_name} of panel {index}": box  # with its tick labels
        for index, axes in enumerate(figure.axes)
        for axis in (axes.xaxis, axes.yaxis)
        if (box := axis.get_tightbbox(renderer)) is not None  # an inner one has no numbers
    }
    assert len(boxes) >= 3 + len(figure.axes)
    widths = [axes.get_window_extent(renderer).width / figure.dpi for axes in figure.axes]
    assert min(widths) > 2.2, "inches; the legend leaves the panels no room"
    inside = figure.bbox.padded(1)
    assert [name for name, box in boxes.items() if not inside.containsx(box.x0)] == []
    assert [name for name, box in boxes.items() if not inside.containsx(box.x1)] == []
    assert [name for name, box in boxes.items() if not inside.containsy(box.y0)] == []
    assert [name for name, box in boxes.items() if not inside.containsy(box.y1)] == []
    overlapping = [
        (one, other)
        for one, other in itertools.combinations(boxes, 2)
        if boxes[one].overlaps(boxes[other]) and one[1:] != other[1:]  # but for a panel's own axes
    ]
    assert overlapping == []
    assert isinstance(drawing.table, pd.DataFrame)
    assert not drawing.table.empty


# The command -------------------------------------------------------------------------------------


def test_the_command_draws_all_that_the_paths_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training(tmp_path / "in" / "a", rising(6))
    run(tmp_path / "in" / "b")
    out = tmp_path / "out"
    assert main(["plot", str(tmp_path / "in"), "--out", str(out), "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert {Path(file).stem for file in files} == set(plots.KINDS) - {"dots"} | {"report"}
    assert sorted(map(Path, files)) == sorted(out.iterdir())
    assert main(["plot", str(tmp_path / "in"), "--kind", "kl", "--out", str(out)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        str(out / f"kl.{suffix}") for suffix in ("svg", "pdf", "png", "csv")
    ]


@pytest.mark.parametrize("words", [["--kind"], ["--kind", "list"]])
def test_kind_alone_lists_the_kinds(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", *words]) == 0
    shown = capsys.readouterr().out
    for name, kind in plots.KINDS.items():
        assert re.search(rf"^ {name} +folders of {kind.reads} ", shown, re.MULTILINE)


def test_no_path_is_an_error_of_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot"]) == 2
    assert "give at least one folder" in capsys.readouterr().err


def without_matplotlib(*words: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; sys.modules['matplotlib'] = None; "
        "from lamer_bench.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_without_matplotlib_there_is_one_clear_line(tmp_path: Path) -> None:
    done = without_matplotlib("plot", str(training(tmp_path / "a", rising(3))))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert 'pip install "lamer-bench[plots]"' in done.stderr


def test_the_kinds_are_listed_without_matplotlib() -> None:
    done = without_matplotlib("plot", "--kind")
    assert done.returncode == 0
    assert "pass-at-k" in done.stdout


def test_importing_the_command_line_loads_neither_matplotlib_nor_pandas() -> None:
    code = (
        "import sys, lamer_bench.cli, lamer_bench.plots; "
        "print([name for name in ('matplotlib', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
