"""The command line: what it prints, its exit codes, and that every error is one clear line."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lamer_bench import Answer, View
from lamer_bench.cli import main, output
from lamer_bench.record import RunFolder
from lamer_bench.runner import Progress
from tests import toys

Capture = pytest.CaptureFixture[str]

RUN = ["run", "--agent", "tests.toys:Guesser", "--env", "tests.toys:Doors-easy", "--tasks", "5"]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def json_of(arguments: list[str], capsys: Capture) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_run_prints_a_table_and_the_next_commands(capsys: Capture) -> None:
    assert main(RUN) == 0
    out = capsys.readouterr().out
    for word in (
        "pass@1",
        "pass@3",
        "control pass@3",
        "gain at k=3",
        "trajectory entropy",
        "invalid rate",
        "void trials",
        "tokens",
        "time",
        "detectable difference",
        "content digest",
        "lamer-bench verify runs/tests.toys.Doors-easy/tests.toys.Guesser-n5",
    ):
        assert word in out, word
    assert max(map(len, out.splitlines())) <= 120


def test_a_command_without_arguments_shows_its_help_line_by_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["tokens"]) == 2
    said = capsys.readouterr().err
    assert "tokens [OPTIONS] COMMAND" in "".join(said.splitlines()[:2])
    assert len(said.splitlines()) > 5


def test_json_stands_alone_even_where_an_agent_prints(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = toys.Guesser.act

    def act(self: toys.Guesser, views: Sequence[View]) -> Sequence[Answer | str]:
        print("hello from the agent")
        return answered(self, views)

    monkeypatch.setattr(toys.Guesser, "act", act)
    assert main([*RUN, "--json"]) == 0
    out, error = capsys.readouterr()
    assert json.loads(out)["tasks"] == 5
    assert "hello from the agent" in error


def test_run_json_is_one_object_with_the_promised_keys(capsys: Capture) -> None:
    document = json_of(RUN, capsys)
    promised = """agent env split tasks episodes pass_at pass_at_ci independent_pass_at gain
        trajectory_entropy distinct_share invalid_rate void_share content_digest run_dir"""
    assert set(promised.split()) <= document.keys()
    assert document["pass_at"].keys() == {"1", "2", "3"}
    assert len(document["pass_at_ci"]["1"]) == 2
    assert document["tasks"] == 5
    assert document["env"] == "tests.toys:Doors-easy"


def test_score_json_is_what_run_json_printed(capsys: Capture) -> None:
    document = json_of([*RUN, "--out", "here"], capsys)
    assert json_of(["score", "here"], capsys) == document
    assert main(["score", "here"]) == 0
    assert "pass@3" in capsys.readouterr().out


def test_every_setting_reaches_the_manifest(capsys: Capture) -> None:
    more = "--split val --episodes 2 --repeats 2 --control-episodes 4 --memory both --seed 9"
    json_of([*RUN, *more.split(), "--batch", "3", "--out", "here"], capsys)
    settings = RunFolder("here").manifest().settings
    assert (settings.split, settings.episodes, settings.repeats) == ("val", 2, 2)
    assert (settings.control_episodes, settings.memory, settings.seed) == (4, "both", 9)


def test_the_same_command_goes_on_and_other_settings_are_refused(capsys: Capture) -> None:
    first = json_of([*RUN, "--out", "here"], capsys)
    path = Path("here/trials.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4]) + b'{"kind"')
    again = json_of([*RUN, "--out", "here"], capsys)
    assert again["content_digest"] == first["content_digest"]
    assert again["pass_at_ci"] == first["pass_at_ci"]
    assert main([*RUN, "--out", "here", "--seed", "1"]) == 2
    error = capsys.readouterr().err
    assert "seed is 0 there and 1 here" in error
    assert error.count("\n") == 1
    assert main([*RUN, "--out", "here", "--seed", "1", "--fresh"]) == 0
    assert Path("here.old-1").is_dir()


def test_verify_accepts_an_honest_run_and_refuses_an_edited_one(capsys: Capture) -> None:
    honest = ["run", "--agent", "random", "--env", "minesweeper-easy", "--tasks", "4"]
    json_of([*honest, "--out", "here"], capsys)
    assert main(["verify", "here"]) == 0
    assert "verified, 8 trials" in capsys.readouterr().out
    assert json_of(["verify", "here"], capsys)["is_ok"] is True
    path = Path("here/trials.jsonl")
    path.write_bytes(path.read_bytes().replace(b'"reward":0.5', b'"reward":9.5', 1))
    assert main(["verify", "here"]) == 1
    assert "reward: expected 0.5, got 9.5" in capsys.readouterr().out
    assert main(["verify", "here", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["divergence"]["what"] == "reward"


def test_verify_imports_an_environment_only_when_allowed(capsys: Capture) -> None:
    json_of([*RUN, "--out", "here"], capsys)
    assert main(["verify", "here"]) == 1
    assert "imports are not allowed" in capsys.readouterr().out
    assert main(["verify", "here", "--allow-imports"]) == 0


def test_compare_shows_both_agents(capsys: Capture) -> None:
    json_of([*RUN, "--out", "guesser"], capsys)
    oracle = [*RUN[:2], "oracle", *RUN[3:]]
    json_of([*oracle, "--out", "oracle"], capsys)
    document = json_of(["compare", "oracle", "guesser"], capsys)
    assert document["pass_at"]["1"]["difference"] > 0
    assert main(["compare", "oracle", "guesser"]) == 0
    assert "oracle against tests.toys:Guesser" in capsys.readouterr().out


def test_runs_of_different_environments_are_not_compared(capsys: Capture) -> None:
    json_of([*RUN, "--out", "easy"], capsys)
    hard = [word.replace("Doors-easy", "Doors-hard") for word in RUN]
    json_of([*hard, "--out", "hard"], capsys)
    assert main(["compare", "easy", "hard"]) == 2
    assert "different environments" in capsys.readouterr().err


def test_list_describes_levels_and_agents(capsys: Capture) -> None:
    document = json_of(["list"], capsys)
    ids = {row["id"]: row["description"] for row in document["environments"]}
    assert "10 mines" in ids["minesweeper-hard"]
    agents = {row["name"]: row for row in document["agents"]}
    assert agents["oracle"]["is_ranked"] is False
    assert agents["random"]["memories"][0] == "none"
    assert main(["list"]) == 0
    assert "minesweeper-hard" in capsys.readouterr().out


def test_play_shows_an_agent_turn_by_turn(capsys: Capture) -> None:
    arguments = ["play", "--agent", "oracle", "--env", "minesweeper-easy", "--task", "3"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "minesweeper-easy/test/3" in out
    assert "> <action>(" in out
    assert out.rstrip().endswith("Won in 1 attempt.")


def test_play_takes_a_task_id(capsys: Capture) -> None:
    arguments = ["play", "--agent", "random", "--env", "minesweeper-hard", "--memory", "both"]
    assert main([*arguments, "--task", "minesweeper-hard/train/7"]) == 0
    out = capsys.readouterr().out
    assert "minesweeper-hard/train/7" in out
    assert "--- attempt 3 ---" in out


def test_play_counts_attempts_without_a_memory_too(capsys: Capture) -> None:
    arguments = ["play", "--agent", "random", "--env", "minesweeper-hard", "--memory", "none"]
    assert main(arguments) == 0
    assert "--- attempt 3 ---" in capsys.readouterr().out


def test_check_names_the_promises_that_are_kept(capsys: Capture) -> None:
    assert json_of(["check", "tests.toys:Doors-easy"], capsys)["is_ok"] is True
    assert main(["check", "tests.toys:Guesser"]) == 0
    assert "keeps all" in capsys.readouterr().out


def test_check_refuses_what_breaks_a_promise(capsys: Capture) -> None:
    assert main(["check", "tests.toys:AlwaysRaises"]) == 1
    assert "The promise: " in capsys.readouterr().out
    assert main(["check", "tests.toys:BrokenDoors-easy", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["is_ok"] is False
    assert document["fault"].startswith("tests.toys:BrokenDoors-easy: ")


def test_check_plays_an_agent_where_it_is_told_to(capsys: Capture) -> None:
    assert main(["check", "explorer", "--env", "sokoban-easy"]) == 0
    assert "explorer keeps all" in capsys.readouterr().out
    assert main(["check", "explorer", "--env", "tests.toys:Doors-easy"]) == 2
    assert "cannot play 'doors'" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["sokoban", "sokoban-easy", "tests.toys:Doors"])
def test_check_of_an_environment_takes_no_other(target: str, capsys: Capture) -> None:
    assert main(["check", target, "--env", "minesweeper-easy"]) == 2
    assert f"{target} is an environment" in capsys.readouterr().err


def test_splits_freeze_writes_a_suite(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lamer_bench import suites

    monkeypatch.setattr(suites, "built_in_environments", lambda: ["minesweeper-easy"])
    freeze = ["splits", "freeze", "--suite", "tiny", "--out", "tiny.json"]
    assert [json_of(freeze, capsys)["version"] for _ in range(2)] == [1, 2]
    frozen = suites.read_suite(tmp_path / "tiny.json")
    shipped = suites.load_suite()
    assert frozen.entry("minesweeper-easy") == shipped.entry("minesweeper-easy")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("run --agent randm --env minesweeper-hard", "Did you mean 'random'?"),
        ("run --agent random --env minesweper-hard", "Did you mean 'minesweeper-hard'?"),
        ("run --agent random --env minesweeper", "Its levels: minesweeper-easy, minesweeper-m"),
        ("run --agent random --env minesweeper-hard --split tst", "Did you mean 'test'?"),
        ("run --agent random --env minesweeper-hard --memory x", "No memory mode is called 'x'"),
        ("run --agent random --env minesweeper-hard --tasks 0", "tasks must be at least 1"),
        ("run --agent random --env minesweeper-hard --tasks x", "valid integer"),
        ("run --agent random", "Missing option '--env'"),
        ("run --agent random --env minesweeper-hard --taks 3", "No such option"),
        ("run --agent tests.toys:Absent --env minesweeper-hard", "tests.toys"),
        ("run --agent broken_plugin:Agent --env minesweeper-hard", "ZeroDivisionError"),
        ("run --agent random --env broken_plugin:Env-easy", "ZeroDivisionError"),
        ("run --agent random --env minesweeper-hard --out file/run", "Not a directory"),
        ("play --agent randm --env minesweeper-hard", "Did you mean 'random'?"),
        ("play --agent random --env minesweeper-hard --task x", "not a task id"),
        ("play --agent random --env minesweeper-hard --task minesweeper-easy/test/0", "belong"),
        ("play --agent tests.toys:AlwaysRaises --env minesweeper-hard", "endpoint down"),
        ("score nowhere", "is not a run folder"),
        ("verify nowhere", "is not a run folder"),
        ("compare nowhere nowhere", "is not a run folder"),
        ("splits check --suite lamr", "Did you mean 'lamer'?"),
        ("scor", "scor"),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: Capture, arguments: str, message: str
) -> None:
    (tmp_path / "broken_plugin.py").write_text("1 / 0\n")
    (tmp_path / "file").write_text("")
    assert main(arguments.split()) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("lamer-bench: ")
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err


def test_a_damaged_run_folder_is_one_line(capsys: Capture) -> None:
    json_of([*RUN, "--out", "here"], capsys)
    Path("here/trials.jsonl").write_text("nonsense\n")
    for command in (["score", "here"], ["compare", "here", "here"], [*RUN, "--out", "here"]):
        assert main(command) == 2
        error = capsys.readouterr().err
        assert "line 1, is damaged" in error
        assert error.count("\n") == 1


def test_void_trials_are_shown_with_their_reason(capsys: Capture) -> None:
    arguments = [*RUN[:2], "tests.toys:AlwaysRaises", *RUN[3:]]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "of 10" in out
    assert "void 10 times: ConnectionError: endpoint down" in out
    assert "voids lost 0.000, won 1.000" in out
    document = json_of(arguments, capsys)
    assert document["void_share"] == 1.0
    assert document["pass_at"]["1"] is None


def test_progress_without_a_terminal_is_a_line_every_five_seconds(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(output, "monotonic", lambda: clock[0])
    with output.shown_progress() as show:
        for second in range(13):
            clock[0] = float(second)
            show(Progress(done=10 + second, total=50, wins=second, voids=0))
    assert capsys.readouterr().err.splitlines() == [
        "15/50 trials, 5 won, about 35.0 s left",
        "20/50 trials, 10 won, about 30.0 s left",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.85, "850 ms"), (12.34, "12.3 s"), (245.0, "4 min 5 s"), (7380.0, "2 h 3 min")],
)
def test_durations_are_written_in_units(seconds: float, text: str) -> None:
    assert output.duration(seconds) == text


# In a process of its own --------------------------------------------------------------------------


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "lamer_bench", *arguments]
    everything = {**os.environ, **environment}
    return subprocess.run(words, capture_output=True, text=True, env=everything, check=False)


def test_the_content_does_not_depend_on_the_hash_seed(tmp_path: Path) -> None:
    arguments = (
        "run",
        "--agent",
        "explorer",
        "--env",
        "minesweeper-hard",
        "--tasks",
        "4",
        "--json",
    )
    first = command(*arguments, "--out", "a", PYTHONHASHSEED="1")
    second = command(*arguments, "--out", "b", "--batch", "3", PYTHONHASHSEED="2")
    digests = {json.loads(done.stdout)["content_digest"] for done in (first, second)}
    assert len(digests) == 1


def test_a_run_that_is_interrupted_says_how_to_go_on(tmp_path: Path) -> None:
    repository = str(Path(__file__).parent.parent)
    words = [sys.executable, "-m", "lamer_bench", "run", "--agent", "tests.toys:SlowGuesser"]
    words += ["--env", "tests.toys:Doors-easy", "--batch", "1", "--out", "here"]
    everything = {**os.environ, "PYTHONPATH": repository}
    process = subprocess.Popen(
        words,
        stderr=subprocess.PIPE,
        text=True,
        env=everything,
        # a test run in the background of a script inherits an ignored Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    path = Path("here/trials.jsonl")
    while not (path.exists() and path.stat().st_size > 2_000):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Stopped; " in error
    assert "of 200 trials are kept. Go on with: lamer-bench run" in error
    assert "Traceback" not in error
    assert list(RunFolder("here").trials())


def test_help_names_every_command() -> None:
    done = command("--help")
    assert done.returncode == 0
    names = ("list", "play", "run", "train", "score", "compare", "verify", "check", "splits")
    assert all(f"\n  {name} " in done.stdout for name in names)
