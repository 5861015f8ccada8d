"""A person at the terminal, played by a script that is typed into the prompts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lamer_bench.cli import main
from lamer_bench.env import make
from lamer_bench.record import RunFolder
from lamer_bench.runner import run
from lamer_bench.task import Task

Type = Callable[[list[str]], list[str]]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Type:
    """Lines that are typed one after the other; the input ends after the last."""

    def type_(lines: list[str]) -> list[str]:
        def read(prompt: str = "") -> str:
            if not lines:
                raise EOFError
            return lines.pop(0)

        monkeypatch.setattr("builtins.input", read)
        return lines

    return type_


def solution(index: int) -> list[str]:
    world = make("minesweeper-easy")
    world.load(Task("minesweeper-easy", "test", index))
    return world.solution()


def mine(index: int) -> str:
    """A cell that ends the first attempt."""
    world = make("minesweeper-easy")
    world.load(Task("minesweeper-easy", "test", index))
    cells = [f"({row},{column})" for row in range(1, 7) for column in range(1, 7)]
    for cell in cells:
        world.reset()
        observation, _, terminated, _, info = world.step(cell)
        if terminated and not info["won"]:
            assert "mine" in observation
            return cell
    raise AssertionError


def test_a_person_wins_a_trial_after_a_note_to_themselves(
    tmp_path: Path, typed: Type, capsys: Capture
) -> None:
    left = typed([mine(0), "not there again", *solution(0)])
    settings = {"tasks": 1, "control_episodes": 0, "out": tmp_path / "run"}
    folder = run("human", "minesweeper-easy", **settings)  # type: ignore[arg-type]
    (trial,) = folder.trials()
    assert [episode.end for episode in trial.episodes] == ["lost", "won"]
    assert trial.episodes[0].reflection is not None
    assert trial.episodes[0].reflection.text == "not there again"
    assert left == []
    assert not folder.manifest().settings.is_deterministic
    shown = capsys.readouterr().err
    assert "Mines: 4" in shown
    assert "Attempt 2 of 3" in shown
    assert "Your note after attempt 1: not there again" in shown


@pytest.mark.parametrize("last", [["quit"], [" QUIT "], []])
def test_quit_ends_a_run_cleanly_and_it_can_go_on(
    tmp_path: Path, typed: Type, capsys: Capture, last: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["run", "--agent", "human", "--env", "minesweeper-easy", "--tasks", "2"]
    command += ["--control-episodes", "0", "--out", "here"]
    typed([*solution(0), *last])
    assert main(command) == 130
    assert "1 of 2 trials are kept" in capsys.readouterr().err
    assert len(list(RunFolder("here").trials())) == 1
    typed(solution(1))
    assert main(command) == 0
    assert len(list(RunFolder("here").trials())) == 2


def test_playing_shows_the_end_of_each_attempt(typed: Type, capsys: Capture) -> None:
    typed([mine(0), "a note", "nonsense", *solution(0)])
    assert main(["play", "--env", "minesweeper-easy"]) == 0
    captured = capsys.readouterr()
    assert captured.err.count("was a mine") == 1
    assert captured.out.count("Solved.") == 1
    assert "Won in 2 attempts." in captured.out
    assert "That is not an action" in captured.err
    assert captured.err.count("MineSweeper. The board") == 1


def test_quitting_play_is_no_error(typed: Type, capsys: Capture) -> None:
    typed(["quit"])
    assert main(["play", "--env", "minesweeper-easy"]) == 0
    assert "Stopped." in capsys.readouterr().out
