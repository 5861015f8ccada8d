"""Figures of runs beyond pass@k: bars by level, budgets, conditional success, heat map, two agents
task by task, and the report. The numbers are those of `score --json` and `compare --json`."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

pytest.importorskip("matplotlib", reason="matplotlib is in the [plots] extra")
pytest.importorskip("pandas", reason="pandas is in the [plots] extra")

from lamer_bench import plots
from lamer_bench.cli import main
from lamer_bench.errors import RecordError, SettingError
from lamer_bench.plots import budget, sharing, sources
from tests.plots.figures import (
    SVG,
    assert_heights,
    colour,
    element,
    ids,
    number,
    points,
    rising,
    run,
    scores,
    svg,
    table,
    texts,
    training,
)

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folders(tmp_path: Path) -> dict[tuple[str, str], Path]:
    """(agent, environment) -> its run; the agents differ by their seeds."""
    return {
        (agent, environment): run(
            tmp_path / "runs" / f"{agent}-{environment}", agent, environment, seed=seed, tasks=20
        )
        for seed, agent in enumerate(("lamer", "react"))
        for environment in ("doors-easy", "doors-hard")
    }


def draw(folders: dict[tuple[str, str], Path], kind: str, out: Path) -> list[dict[str, str]]:
    plots.plot(list(folders.values()), [kind], out)
    return table(out, kind)


def of(rows: list[dict[str, str]], key: tuple[str, str]) -> list[dict[str, str]]:
    return [row for row in rows if (row["agent"], row["env"]) == key]


def compared(a: Path, b: Path, capsys: Capture) -> dict[str, Any]:
    """pass@3 of `lamer-bench compare --json`."""
    capsys.readouterr()
    assert main(["compare", str(a), str(b), "--json"]) == 0
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)["pass_at"]["3"]
    return printed


# Bars by level -----------------------------------------------------------------------------------


def test_levels_compare_with_the_first_agent_of_each_family(tmp_path: Path) -> None:
    folders = [
        run(tmp_path / f"{agent}-{environment}", agent, environment, seed=seed, tasks=20)
        for environment, agents in (
            ("doors-easy", ("lamer", "react")),
            ("sokoban-easy", ("react",)),
        )
        for seed, agent in enumerate(agents)
    ]
    folders.append(run(tmp_path / "last", "reflexion", "sokoban-easy", seed=3, tasks=20))
    plots.plot(folders, ["levels"], tmp_path / "out")
    against = {(r["agent"], r["env"]): r["against"] for r in table(tmp_path / "out", "levels")}
    assert against == {
        ("lamer", "doors-easy"): "",
        ("react", "doors-easy"): "lamer",
        ("react", "sokoban-easy"): "",
        ("reflexion", "sokoban-easy"): "react",
    }
    assert "here lamer or react" in " ".join(texts(svg(tmp_path / "out", "levels")))


def test_levels_show_score_and_the_paired_differences_of_compare(
    folders: dict[tuple[str, str], Path], tmp_path: Path, capsys: Capture
) -> None:
    rows = draw(folders, "levels", tmp_path / "out")
    for key, folder in folders.items():
        (row,) = of(rows, key)
        printed = scores(folder, capsys)
        assert number(row["value"]) == printed["pass_at"]["3"]
        assert [number(row["low"]), number(row["high"])] == printed["pass_at_ci"]["3"]
        if key[0] == "lamer":
            assert row["difference"] == row["against"] == ""
            continue
        test = compared(folder, folders["lamer", key[1]], capsys)
        assert row["against"] == "lamer"
        assert number(row["difference"]) == test["difference"]
        assert [number(row["difference_low"]), number(row["difference_high"])] == test["ci"]
        assert number(row["p"]) == test["p"]


def test_bars_are_as_high_as_the_numbers(
    folders: dict[tuple[str, str], Path], tmp_path: Path
) -> None:
    rows = draw(folders, "levels", tmp_path / "out")
    figure = svg(tmp_path / "out", "levels")
    heights, values = [], []
    for row in rows:
        corners = bar_corners(figure, f"bar-{row['agent']}-{row['env']}")
        heights.append(max(corners) - min(corners))
        values.append(float(row["value"]))
    scale = heights[0] / values[0]
    assert heights == pytest.approx([scale * value for value in values], abs=0.05)
    shown = texts(figure)
    for text in ("pass@k (share)", "difference", "easy", "hard", "lamer", "react", "doors, test"):
        assert text in shown


def bar_corners(figure: ElementTree.Element, name: str) -> list[float]:
    """Heights of a bar's corners in the SVG."""
    path = next(element(figure, name).iter(f"{SVG}path"))
    return [float(y) for _, y in re.findall(r"[ML] (\S+) (\S+)", path.get("d") or "")]


def test_bars_of_two_agents_have_two_patterns(
    folders: dict[tuple[str, str], Path], tmp_path: Path
) -> None:
    draw(folders, "levels", tmp_path / "out")
    figure = svg(tmp_path / "out", "levels")
    patterns = {one.get("id") for one in figure.iter(f"{SVG}pattern")}
    assert patterns, "react's bars are hatched"


# Budgets -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["tokens", "steps"])
def test_a_budget_curve_ends_at_pass_at_k(
    folders: dict[tuple[str, str], Path], tmp_path: Path, capsys: Capture, unit: str
) -> None:
    rows = draw(folders, unit, tmp_path / "out")
    figure = svg(tmp_path / "out", unit)
    for key, folder in folders.items():
        own = of(rows, key)
        printed = scores(folder, capsys)
        assert number(own[-1]["value"]) == printed["pass_at"]["3"]
        assert [number(own[-1]["low"]), number(own[-1]["high"])] == printed["pass_at_ci"]["3"]
        values = [float(row["value"]) for row in own]
        assert values == sorted(values)
        assert int(own[0][unit]) == 0
        corners = points(figure, f"line-{key[0]}-{key[1]}-test-20-tasks")
        if key[1] == "doors-easy":  # on the other the toy player wins nothing: no scale
            assert_heights(corners[::2], values, corners[::2], values)
    assert budget.AXES[unit] in texts(figure)  # type: ignore[index]
    assert len(ids(figure, "band-")) == len(folders)


def test_a_budget_counts_all_attempts_up_to_the_win_by_hand(tmp_path: Path) -> None:
    read = sources.read_run(run(tmp_path / "a", tasks=12))
    curve = budget.curve(read, "steps", "lamer")
    for row in curve.itertuples():
        won = [one.won and one.steps <= row.steps for one in read.spent]
        assert row.value == sum(won) / 12
    assert max(one.tokens for one in read.spent) > 11  # 10 read and 1 written in each turn


def test_tasks_with_several_trials_weigh_alike(tmp_path: Path, capsys: Capture) -> None:
    folder = run(tmp_path / "a", repeats=2)
    curve = budget.curve(sources.read_run(folder), "tokens", "lamer")
    assert curve["value"].iloc[-1] == pytest.approx(scores(folder, capsys)["pass_at"]["3"])
    assert curve["low"].isna().all()


def test_runs_without_tokens_have_no_curve_over_them(tmp_path: Path) -> None:
    folder = run(tmp_path / "a")
    path = folder / "trials.jsonl"
    text = re.sub(r'"(prompt|answer)_tokens":\d+', r'"\1_tokens":0', path.read_text("utf-8"))
    path.write_text(text, "utf-8")
    with pytest.raises(SettingError, match="nothing to draw for 'tokens'"):
        plots.plot([folder], ["tokens"], tmp_path / "out")


# Conditional success, heat map, dots -------------------------------------------------------------


def test_conditional_success_is_that_of_score(
    folders: dict[tuple[str, str], Path], tmp_path: Path, capsys: Capture
) -> None:
    rows = draw(folders, "conditional", tmp_path / "out")
    figure = svg(tmp_path / "out", "conditional")
    for key, folder in folders.items():
        own = of(rows, key)
        printed = scores(folder, capsys)
        for row in own:
            j = row["episode"]
            assert number(row["value"]) == printed["conditional_success"][j]
            assert [number(row["low"]), number(row["high"])] == printed["conditional_success_ci"][j]
            assert int(row["at_risk"]) == printed["at_risk"][j]
        line = points(figure, f"line-{key[0]}-{key[1]}-test-20-tasks")
        values = [float(row["value"]) for row in own]
        if key[1] == "doors-easy":  # on the other the toy player wins nothing: no scale
            assert_heights(line, values, line, values)
    assert "episode j" in texts(figure)
    assert len(ids(figure, "bars-")) == len(folders)


def test_a_heat_map_has_a_cell_for_each_run_and_says_its_number(
    folders: dict[tuple[str, str], Path], tmp_path: Path, capsys: Capture
) -> None:
    del folders["react", "doors-hard"]
    rows = draw(folders, "heat-map", tmp_path / "out")
    figure = svg(tmp_path / "out", "heat-map")
    shown = texts(figure)
    for key, folder in folders.items():
        (row,) = of(rows, key)
        value = scores(folder, capsys)["pass_at"]["3"]
        assert number(row["value"]) == value
        assert f"{value:.2f}" in shown
    assert len(ids(figure, "cell-")) == 4  # one of them empty
    assert {"agent", "environment", "lamer", "react"} <= set(shown)


@pytest.mark.parametrize("kind", ["heat-map", "levels"])
def test_runs_of_different_k_or_options_never_share_a_panel(tmp_path: Path, kind: str) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"episodes": 2},
        {"environment_options": {"doors": "4"}},
    ]
    folders = [
        run(tmp_path / str(n), agent, **one)
        for n, (agent, one) in enumerate(zip(("lamer", "react", "random"), changes, strict=True))
    ]
    plots.plot(folders, [kind], tmp_path / "out")
    rows = table(tmp_path / "out", kind)
    assert [int(row["k"]) for row in rows] == [3, 2, 3]
    assert len({row["panel" if kind == "heat-map" else "position"] for row in rows}) == 3


def test_dots_are_the_tasks_of_two_agents(
    folders: dict[tuple[str, str], Path], tmp_path: Path
) -> None:
    rows = draw(folders, "dots", tmp_path / "out")
    assert len(rows) == 40
    figure = svg(tmp_path / "out", "dots")
    for environment in ("doors-easy", "doors-hard"):
        first, second = (
            {task.task: task.pass_at.mean() for task in sources.read_run(one).full.tasks}
            for one in (folders["lamer", environment], folders["react", environment])
        )
        own = [row for row in rows if row["env"] == environment]
        for row in own:
            assert float(row["value_a"]) == first[row["task"]]
            assert float(row["value_b"]) == second[row["task"]]
        counts = {
            which: len(list(group.iter(f"{SVG}use"))) if group is not None else 0
            for which in ("a", "b", "equal")
            for group in [named(figure, f"dots-{which}-{environment}-test-20-tasks")]
        }
        assert counts["a"] == sum(float(row["value_a"]) > float(row["value_b"]) for row in own)
        assert sum(counts.values()) == 20


def named(figure: ElementTree.Element, name: str) -> ElementTree.Element | None:
    return next((one for one in figure.iter(f"{SVG}g") if one.get("id") == name), None)


def test_dots_need_exactly_two_agents(tmp_path: Path) -> None:
    folders = [run(tmp_path / agent, agent) for agent in ("lamer", "react", "random")]
    with pytest.raises(SettingError, match="nothing to draw for 'dots'"):
        plots.plot(folders, ["dots"], tmp_path / "out")


# The report --------------------------------------------------------------------------------------


def test_the_report_holds_every_figure_and_the_scores_in_one_file(
    folders: dict[tuple[str, str], Path], tmp_path: Path, capsys: Capture
) -> None:
    training(tmp_path / "runs" / "training", rising(6))
    assert main(["plot", str(tmp_path / "runs"), "--out", str(tmp_path / "out"), "--json"]) == 0
    files = [Path(file) for file in json.loads(capsys.readouterr().out)["files"]]
    assert files[-1] == tmp_path / "out" / "report.html"
    page = files[-1].read_text("utf-8")
    pictures = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    drawn = [file for file in files if file.suffix == ".svg"]
    assert [base64.b64decode(one) for one in pictures] == [file.read_bytes() for file in drawn]
    assert {file.stem for file in drawn} == set(plots.KINDS)
    value = scores(folders["lamer", "doors-easy"], capsys)["pass_at"]["3"]
    low, high = scores(folders["lamer", "doors-easy"], capsys)["pass_at_ci"]["3"]
    assert f"<td>{value:.3f} [{low:.3f}, {high:.3f}]</td>" in page
    assert "default-src 'none'" in page
    assert "http" not in re.sub(r'http-equiv|base64,[^"]+', "", page)
    assert "<script" not in page


def test_the_report_is_written_only_without_a_kind(tmp_path: Path, capsys: Capture) -> None:
    folder = run(tmp_path / "a")
    out = tmp_path / "out"
    assert main(["plot", str(folder), "--kind", "levels", "--out", str(out)]) == 0
    assert not (out / "report.html").exists()


def test_names_in_the_report_are_escaped(tmp_path: Path) -> None:
    folder = run(tmp_path / "a", "<img src=x onerror=alert(1)>")
    plots.plot([folder], ["heat-map"], tmp_path / "out", with_report=True)
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


# Many runs ---------------------------------------------------------------------------------------


def test_an_agent_looks_the_same_in_figures_that_leave_others_out(tmp_path: Path) -> None:
    """Names that are not listed take the next free look, so company must not change it."""
    names = ["a", "c"]  # both want the same look
    folders = [
        run(tmp_path / name, name, seed=seed, control_episodes=3 if name == "c" else 0)
        for seed, name in enumerate(names)
    ]
    plots.plot(folders, ["steps", "diversity"], tmp_path / "out")
    (point,) = ids(svg(tmp_path / "out", "diversity"), "point-c-")
    (line,) = ids(svg(tmp_path / "out", "steps"), "line-c-")
    assert colour(svg(tmp_path / "out", "diversity"), point) == colour(
        svg(tmp_path / "out", "steps"), line
    )


def test_large_runs_are_shared_between_processes_and_draw_the_same(
    folders: dict[tuple[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = plots.plot(list(folders.values()), out=tmp_path / "one", processes=2)
    assert sharing.processes_for(folders.values(), most=2) == 1
    monkeypatch.setattr(sharing, "BYTES_WORTH_A_PROCESS", 1)
    assert sharing.processes_for(folders.values(), most=2) == 2
    shared = plots.plot(list(folders.values()), out=tmp_path / "two", processes=2)
    assert [file.name for file in shared] == [file.name for file in alone]
    assert [file.read_bytes() for file in shared] == [file.read_bytes() for file in alone]


def test_an_error_of_another_process_is_the_same_error(
    folders: dict[tuple[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "BYTES_WORTH_A_PROCESS", 1)
    path = folders["react", "doors-easy"] / "trials.jsonl"
    path.write_text(path.read_text("utf-8") + "nonsense\n", "utf-8")
    with pytest.raises(RecordError, match="line 41, is damaged"):
        plots.plot(list(folders.values()), out=tmp_path / "out", processes=2)
