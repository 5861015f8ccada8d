"""pass@k, its control and diversity: picture and CSV show the numbers of `score --json`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="matplotlib is in the [plots] extra")
pytest.importorskip("pandas", reason="pandas is in the [plots] extra")


from lamer_bench import plots
from lamer_bench.errors import SettingError
from lamer_bench.record import Trial, Void
from tests.plots.figures import (
    SVG,
    assert_band,
    assert_heights,
    element,
    ids,
    number,
    points,
    run,
    scores,
    svg,
    table,
    texts,
)
from tests.recorded import record_trials, settings_for, write_run
from tests.toys import Guesser


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
