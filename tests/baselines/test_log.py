"""The training log: what it keeps, what it shows, and that a terminal comes back whole."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from baselines.training.live import SPARKS, Course, drawing, spark_line
from baselines.training.log import METRICS_FILE, TRAINING_FILE, TrainingLog, session
from lamer_bench.cli import main
from lamer_bench.errors import MissingExtraError

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


@dataclass(frozen=True)
class ToySettings:
    seed: int = 7
    environments: tuple[str, ...] = ("doors-easy",)


def metrics(step: int) -> dict[str, float]:
    """Success that rises by a hundredth a step."""
    return {"pass_at_1": step / 100, "pass_at_2": step / 50, "entropy": 1.5, "kl": 0.25 / step}


def write_steps(log: TrainingLog, steps: Iterable[int]) -> None:
    for step in steps:
        log.write(step, metrics(step))


def stored(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / METRICS_FILE).read_text("utf-8").splitlines()]


def terminal(width: int = 100, height: int = 40) -> Console:
    return Console(
        file=StringIO(),
        force_terminal=True,
        width=width,
        height=height,
        _environ={"TERM": "xterm-256color"},  # whatever terminal the tests run on, or none
    )


def screen(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def drawn(course: Course, width: int, height: int) -> str:
    console = Console(file=StringIO(), width=width, height=height)
    console.print(drawing(course, width, height))
    return screen(console)


# The file ----------------------------------------------------------------------------------------


def test_each_step_is_one_json_line(tmp_path: Path) -> None:
    write_steps(TrainingLog(tmp_path, total=3), [1, 2, 3])
    assert stored(tmp_path) == [{"step": step, **metrics(step)} for step in (1, 2, 3)]


def test_a_resumed_training_drops_what_lies_beyond_its_checkpoint(tmp_path: Path) -> None:
    write_steps(TrainingLog(tmp_path, total=5), [1, 2, 3])
    with (tmp_path / METRICS_FILE).open("a", encoding="utf-8") as file:
        file.write('{"step": 4, "pass_at')  # cut off by kill -9
    write_steps(TrainingLog(tmp_path, total=5, resumed_at=2), [3, 4, 5])
    assert stored(tmp_path) == [{"step": step, **metrics(step)} for step in (1, 2, 3, 4, 5)]


def test_a_fresh_start_in_an_old_folder_keeps_nothing(tmp_path: Path) -> None:
    write_steps(TrainingLog(tmp_path, total=2), [1, 2])
    TrainingLog(tmp_path, total=2)
    assert stored(tmp_path) == []


def test_a_session_stores_the_settings_before_the_first_step(tmp_path: Path) -> None:
    with session("toy", ToySettings()):
        TrainingLog(tmp_path / "inside", total=1)
    TrainingLog(tmp_path / "outside", total=1)
    stored_settings = json.loads((tmp_path / "inside" / TRAINING_FILE).read_text("utf-8"))
    assert stored_settings == {
        "algorithm": "toy",
        "settings": {"seed": 7, "environments": ["doors-easy"]},
    }
    assert not (tmp_path / "outside" / TRAINING_FILE).exists()


# Plain lines -------------------------------------------------------------------------------------


def test_without_a_terminal_there_are_plain_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_steps(TrainingLog(tmp_path, total=2, seconds_between=0.0), [1, 2])
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("step 1/2  pass@1 0.01  pass@2 0.02  entropy 1.5  KL 0.25  ")
    assert second.startswith("step 2/2  pass@1 0.011  pass@2 0.022  ")
    assert second.endswith("  0.0 min left")
    assert "\x1b" not in first + second


def test_lines_are_seconds_apart_and_the_last_step_has_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_steps(TrainingLog(tmp_path, total=50, seconds_between=1000.0), range(1, 51))
    assert [line.split("  ")[0] for line in capsys.readouterr().err.splitlines()] == ["step 50/50"]


# The live table ----------------------------------------------------------------------------------


def test_a_terminal_shows_success_at_each_attempt_entropy_kl_speed_and_time_left(
    tmp_path: Path,
) -> None:
    console = terminal()
    log = TrainingLog(tmp_path / "my-training", total=4, console=console)
    assert "waiting for a step" in screen(console)
    log.write(1, {**metrics(1), "tokens_per_second": 3100.0})
    shown = screen(console)
    for word in ("my-training", "step 1/4", "3,100 tokens/s"):
        assert word in shown
    assert re.search(r"\d:\d\d:\d\d left", shown)
    for word in ("pass@1", "pass@2", "entropy", "nats/token", "KL", "smoothed", "last step"):
        assert word in shown
    log.close()


def test_values_are_smoothed_with_nine_parts_of_the_past() -> None:
    course = Course("toy", total=3)
    course.add(1, {"pass_at_1": 1.0})
    course.add(2, {"pass_at_1": 0.0})
    course.add(3, {"pass_at_1": 0.0})
    assert course.history["pass_at_1"] == pytest.approx([1.0, 0.9, 0.81])
    assert course.last == {"pass_at_1": 0.0}


def test_a_resumed_training_shows_the_same_course_as_an_undisturbed_one(tmp_path: Path) -> None:
    consoles = terminal(), terminal()
    write_steps(TrainingLog(tmp_path / "a" / "toy", total=6, console=consoles[0]), range(1, 7))
    write_steps(TrainingLog(tmp_path / "b" / "toy", total=6), [1, 2, 3])
    resumed = TrainingLog(tmp_path / "b" / "toy", total=6, resumed_at=3, console=consoles[1])
    write_steps(resumed, [4, 5, 6])
    last_drawing = [screen(console).rpartition("step 6/6")[2] for console in consoles]
    assert "pass@1" in last_drawing[0]
    assert last_drawing[0] == last_drawing[1]


def test_the_terminal_gets_its_cursor_back_after_the_last_step(tmp_path: Path) -> None:
    console = terminal()
    log = TrainingLog(tmp_path, total=2, console=console)
    log.write(1, metrics(1))
    assert screen(console).count(HIDE_CURSOR) == 1
    assert SHOW_CURSOR not in screen(console)
    log.write(2, metrics(2))
    assert screen(console).count(SHOW_CURSOR) == 1


def test_the_terminal_gets_its_cursor_back_after_an_error(tmp_path: Path) -> None:
    console = terminal()
    kept = []

    def interrupted() -> None:
        with session("toy", ToySettings()):
            kept.append(TrainingLog(tmp_path, total=2, console=console))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert screen(console).count(SHOW_CURSOR) == 1


def test_the_terminal_gets_its_cursor_back_when_a_log_is_forgotten(tmp_path: Path) -> None:
    console = terminal()
    TrainingLog(tmp_path, total=2, console=console)
    assert screen(console).count(SHOW_CURSOR) == 1


def test_success_entropy_and_kl_stand_first_whatever_the_loop_names_first() -> None:
    course = Course("toy", total=2)
    course.add(1, {"loss": 0.5, "kl": 0.1, "pass_at_1": 0.2, "entropy": 1.0})
    lines = drawn(course, 100, 40).splitlines()
    names = [line.split()[0] for line in lines if line.strip()][-4:]
    assert names == ["pass@1", "entropy", "KL", "loss"]


@pytest.mark.parametrize(("width", "height"), [(100, 40), (100, 10), (60, 24), (72, 8)])
def test_the_table_fits_the_terminal(width: int, height: int) -> None:
    course = Course("toy", total=100, seconds_left=3600.0)
    for step in range(1, 100):
        course.add(step, {f"metric_{number}": step / 7 for number in range(20)})
    lines = drawn(course, width, height).splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert any(SPARKS[-1] in line for line in lines) == (width >= 72)


def test_a_spark_line_shows_the_mean_of_each_part_on_eight_levels() -> None:
    assert spark_line([0, 1, 2, 3, 4, 5, 6, 7]) == SPARKS
    assert spark_line([0, 2, 7, 7], width=2) == "▁█"
    assert spark_line([3.0, 3.0]) == "▁▁"
    assert spark_line([0.0, math.nan, 1.0]) == "▁ █"
    assert spark_line([math.nan]) == " "
    assert spark_line([]) == ""
    assert len(spark_line(range(1000), width=32)) == 32


# TensorBoard -------------------------------------------------------------------------------------


def events(out: Path) -> list[dict[str, float]]:
    """What TensorBoard reads, in the form of the JSONL; its values are float32."""
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    accumulator = reading.EventAccumulator(str(out / "tensorboard"))
    accumulator.Reload()
    entries: dict[int, dict[str, float]] = {}
    for name in accumulator.Tags()["scalars"]:
        for event in accumulator.Scalars(name):
            entries.setdefault(event.step, {"step": event.step})[name] = event.value
    return list(entries.values())


def test_event_files_equal_the_jsonl_also_after_a_resume(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is in the [train] extra")
    pytest.importorskip("tensorboard", reason="tensorboard is in the [tensorboard] extra")
    with session("toy", ToySettings(), tensorboard=True):
        write_steps(TrainingLog(tmp_path, total=6), [1, 2, 3, 4])
    with session("toy", ToySettings()):  # for a while without
        write_steps(TrainingLog(tmp_path, total=6, resumed_at=2), [3, 4, 5])
    with session("toy", ToySettings(), tensorboard=True):
        write_steps(TrainingLog(tmp_path, total=6, resumed_at=4), [5, 6])
    assert events(tmp_path) == [pytest.approx(entry) for entry in stored(tmp_path)]
    assert len(events(tmp_path)) == 6


def test_event_files_are_written_only_where_asked(tmp_path: Path) -> None:
    with session("toy", ToySettings()):
        write_steps(TrainingLog(tmp_path, total=1), [1])
    assert not (tmp_path / "tensorboard").exists()


def test_missing_tensorboard_is_one_line_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with (
        pytest.raises(MissingExtraError, match=r"pip install \"lamer-bench\[tensorboard\]\""),
        session("toy", ToySettings(), tensorboard=True),
    ):
        pytest.fail("the training has begun")
    pytest.importorskip("torch", reason="torch is in the [train] extra")
    out = tmp_path / "training"
    assert main(["train", "supervised", "--out", str(out), "--steps", "1", "--tensorboard"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "TensorBoard is not installed" in error
    assert not out.exists()
