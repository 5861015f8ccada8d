"""Training curves: what is read, how seeds are grouped; picture and CSV show the log's numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="matplotlib is in the [plots] extra")
pytest.importorskip("pandas", reason="pandas is in the [plots] extra")


from lamer_bench import plots
from lamer_bench.errors import RecordError, SettingError
from lamer_bench.plots import curves, sources, style
from tests.plots.figures import (
    assert_band,
    assert_heights,
    colour,
    ids,
    points,
    rising,
    svg,
    table,
    texts,
    training,
    write_metrics,
)


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
