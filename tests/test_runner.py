"""Runs: the same content whatever the batch, and agents and environments that break cost no more
than their own trials."""

import errno
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from lamer_bench import suites
from lamer_bench.agent import Agent, Answer, View
from lamer_bench.asking import Asker
from lamer_bench.errors import LamerBenchError, RecordError, SettingError, UnknownNameError
from lamer_bench.record import Limits, RunFolder, Trial, content_digest
from lamer_bench.runner import Progress, default_folder, run
from tests import toys

QUICK = Limits(turns=5, answer_characters=16_384, turn_seconds=0.1, trial_seconds=5)


def play(
    agent: str | Agent, out: Path, environment: str = "doors-easy", **settings: Any
) -> RunFolder:
    return run(agent, environment, out=out, **{"tasks": 12, **settings})


def digest(folder: RunFolder) -> str:
    return content_digest(folder.trials())


def num_won(folder: RunFolder) -> int:
    trials = [trial for trial in folder.trials() if trial.kind == "trial" and trial.void is None]
    return sum(trial.episodes[-1].end == "won" for trial in trials)


def voids(folder: RunFolder) -> list[str]:
    """What made trials void, without the lines of tests/toys.py, which move."""
    told = [f"{v.type}: {v.message}" for trial in folder.trials() if (v := trial.void)]
    return [re.sub(r" \(toys\.py, line \d+\)$", "", line) for line in told]


# What a run holds ---------------------------------------------------------------------------------


def test_a_run_holds_a_trial_and_a_control_of_every_task_and_repeat(tmp_path: Path) -> None:
    folder = play(toys.Guesser(), tmp_path / "run", tasks=3, repeats=2, control_episodes=5)
    trials = list(folder.trials())
    assert len({trial.key for trial in trials}) == len(trials) == 3 * 2 * 2
    controls = [trial for trial in trials if trial.kind == "control"]
    assert all(len(trial.episodes) == 5 and trial.memory == "none" for trial in controls)


def test_a_run_without_control_holds_trials_only(tmp_path: Path) -> None:
    folder = play(toys.Guesser(), tmp_path / "run", control_episodes=0)
    assert {trial.kind for trial in folder.trials()} == {"trial"}


def test_the_manifest_says_how_the_run_can_be_made_again(tmp_path: Path) -> None:
    folder = play("random", tmp_path / "run", "minesweeper-easy", tasks=2, command_line=["x", "y"])
    manifest = folder.manifest()
    assert manifest.settings.agent == "random"
    assert manifest.settings.control_episodes == manifest.settings.episodes == 3
    assert manifest.settings.suite == suites.suite_reference("minesweeper-easy")
    assert manifest.settings.limits == suites.load_suite().limits("minesweeper-easy")
    assert {"lamer-bench", "gymnasium", "numpy"} <= manifest.provenance.packages.keys()
    assert manifest.provenance.command_line == ["x", "y"]


def test_an_agent_that_is_told_the_solution_is_never_ranked(tmp_path: Path) -> None:
    folder = play("oracle", tmp_path / "run")
    assert not folder.manifest().settings.is_ranked
    assert num_won(folder) == 12


def test_progress_counts_trials_and_wins(tmp_path: Path) -> None:
    seen: list[Progress] = []
    folder = play("oracle", tmp_path / "run", progress=seen.append, batch=4)
    assert [now.done for now in seen] == sorted(now.done for now in seen)
    assert seen[-1] == Progress(done=24, total=24, wins=12, voids=0)
    assert len(list(folder.trials())) == 24


def test_the_agent_is_asked_in_batches_that_are_refilled(tmp_path: Path) -> None:
    sizes: list[int] = []

    class Counting(toys.Guesser):
        def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
            sizes.append(len(views))
            return super().act(views)

    play(Counting(), tmp_path / "run", tasks=20, memory="history", batch=8)
    assert max(sizes) == 8
    assert sizes[: len(sizes) // 2] == [8] * (len(sizes) // 2)


def test_limits_are_those_of_the_suite_and_its_number_of_tasks_is_kept(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="200 test tasks of minesweeper-easy, not 201"):
        play("random", tmp_path / "run", "minesweeper-easy", tasks=201)
    assert not (tmp_path / "run").exists()


# The same content ---------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", ["none", "history", "both"])
def test_the_batch_size_does_not_change_the_content(tmp_path: Path, memory: str) -> None:
    digests = {
        digest(play(toys.Guesser(), tmp_path / str(batch), memory=memory, batch=batch))
        for batch in (1, 5, 256)
    }
    assert len(digests) == 1


@pytest.mark.parametrize("agent", ["random", "explorer"])
def test_shipped_agents_do_not_depend_on_their_batch(tmp_path: Path, agent: str) -> None:
    first, second = (
        play(agent, tmp_path / str(batch), "minesweeper-hard", tasks=6, batch=batch)
        for batch in (1, 256)
    )
    assert digest(first) == digest(second)


def test_another_seed_gives_another_content(tmp_path: Path) -> None:
    first, second = (play(toys.Guesser(), tmp_path / str(seed), seed=seed) for seed in (0, 1))
    assert digest(first) != digest(second)


_KILLED = """
import sys
from lamer_bench.runner import run
from tests.toys import SlowGuesser

run(SlowGuesser(), "doors-easy", tasks=200, batch=4, out=sys.argv[1])
"""


def test_kill_9_and_the_same_command_give_the_content_of_an_undisturbed_run(tmp_path: Path) -> None:
    undisturbed = play(toys.SlowGuesser(), tmp_path / "undisturbed", tasks=200)
    folder = RunFolder(tmp_path / "killed")
    words = [sys.executable, "-c", _KILLED, str(folder.path)]
    process = subprocess.Popen(words, cwd=Path(__file__).parent.parent)
    while not (folder.trials_path.exists() and folder.trials_path.stat().st_size > 5_000):
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(random.Random(os.getpid()).uniform(0, 0.3))
    process.send_signal(signal.SIGKILL)
    process.wait()
    with folder.trials_path.open("ab") as file:
        file.write(b'{"kind":"trial","task":"doors-ea')
    notices: list[str] = []
    folder = play(toys.SlowGuesser(), folder.path, tasks=200, notice=notices.append)
    assert "dropped a torn last line of 32 bytes" in notices[0]
    stored = int(notices[1].split(": ")[1].split()[0])
    assert 0 < stored < 400
    assert digest(folder) == digest(undisturbed)
    assert len(list(folder.trials())) == 400


def test_a_finished_run_is_not_played_again(tmp_path: Path) -> None:
    play(toys.Guesser(), tmp_path / "run")
    before = (tmp_path / "run" / "trials.jsonl").read_bytes()
    notices: list[str] = []
    play(toys.Guesser(), tmp_path / "run", notice=notices.append)
    assert (tmp_path / "run" / "trials.jsonl").read_bytes() == before
    assert notices == [f"{tmp_path / 'run'}: 24 of 24 trials are there already."]


def test_only_what_is_missing_is_played(tmp_path: Path) -> None:
    whole = digest(play(toys.Guesser(), tmp_path / "run"))
    path = tmp_path / "run" / "trials.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[::3]))
    folder = play(toys.Guesser(), tmp_path / "run")
    assert path.read_bytes().startswith(b"".join(lines[::3]))
    assert digest(folder) == whole


def test_an_interrupted_run_keeps_what_is_finished_and_goes_on(tmp_path: Path) -> None:
    whole = digest(play(toys.Guesser(), tmp_path / "whole", tasks=40))

    def interrupt(now: Progress) -> None:
        if now.done > 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play(toys.Guesser(), tmp_path / "run", tasks=40, batch=4, progress=interrupt)
    kept = len(list(RunFolder(tmp_path / "run").trials()))
    assert 10 < kept < 80
    assert digest(play(toys.Guesser(), tmp_path / "run", tasks=40)) == whole


# Other settings, and folders that are not as they should be ---------------------------------------


def test_other_settings_are_refused_and_named(tmp_path: Path) -> None:
    play(toys.Guesser(), tmp_path / "run")
    with pytest.raises(RecordError) as caught:
        play(toys.Guesser(), tmp_path / "run", episodes=2, seed=7)
    assert "episodes is 3 there and 2 here" in str(caught.value)
    assert "seed is 0 there and 7 here" in str(caught.value)
    assert "agent is" not in str(caught.value)


def test_fresh_sets_the_old_run_aside(tmp_path: Path) -> None:
    old = digest(play(toys.Guesser(), tmp_path / "run"))
    for number in (1, 2):
        folder = play(toys.Guesser(), tmp_path / "run", seed=number, fresh=True)
        assert digest(folder) != old
    assert digest(RunFolder(tmp_path / "run.old-1")) == old
    assert RunFolder(tmp_path / "run.old-2").manifest().settings.seed == 1


def test_a_stranger_among_the_trials_is_refused(tmp_path: Path) -> None:
    folder = play(toys.Guesser(), tmp_path / "run")
    trials = list(folder.trials())
    folder.append([trials[0]])
    with pytest.raises(RecordError, match="twice"):
        play(toys.Guesser(), tmp_path / "run")
    stranger = trials[0].model_copy(update={"task": "doors-easy/test/999"})
    folder.trials_path.unlink()
    folder.append([stranger])
    with pytest.raises(RecordError, match="no part of its run"):
        play(toys.Guesser(), tmp_path / "run")


def test_a_damaged_line_is_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    folder = play(toys.Guesser(), tmp_path / "run")
    content = folder.trials_path.read_bytes().replace(b'"repeat":0', b'"repeat":x', 1)
    folder.trials_path.write_bytes(content)
    with pytest.raises(RecordError, match=r"line 1, is damaged.*--fresh"):
        play(toys.Guesser(), tmp_path / "run")
    assert folder.trials_path.read_bytes() == content


def test_trials_without_a_manifest_are_refused(tmp_path: Path) -> None:
    folder = play(toys.Guesser(), tmp_path / "run")
    folder.manifest_path.unlink()
    with pytest.raises(RecordError, match="no manifest"):
        play(toys.Guesser(), tmp_path / "run")


def test_a_path_below_a_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="Cannot write the run folder"):
        play(toys.Guesser(), tmp_path / "file" / "run")


def test_two_processes_cannot_write_one_folder(tmp_path: Path) -> None:
    def start_again(now: Progress) -> None:
        if now.done == 0:
            with pytest.raises(RecordError, match="Another process is writing"):
                play(toys.Guesser(), tmp_path / "run")
            with pytest.raises(RecordError, match="Another process is writing"):
                play(toys.Guesser(), tmp_path / "run", fresh=True)

    assert len(list(play(toys.Guesser(), tmp_path / "run", progress=start_again).trials())) == 24


def test_a_disk_that_fills_up_stops_the_run_and_keeps_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = digest(play(toys.Guesser(), tmp_path / "whole"))
    fsync, calls = os.fsync, []

    def fills_up(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fills_up)
        with pytest.raises(RecordError, match=r"No space left.*goes on from it"):
            play(toys.Guesser(), tmp_path / "run", batch=2)
    assert 0 < len(list(RunFolder(tmp_path / "run").trials())) < 24
    assert digest(play(toys.Guesser(), tmp_path / "run")) == whole


# Agents that break --------------------------------------------------------------------------------


def test_an_agent_that_raises_on_some_views_loses_those_trials_only(tmp_path: Path) -> None:
    folder = play(toys.Raises(), tmp_path / "run", tasks=30)
    broken = voids(folder)
    assert 0 < len(broken) < 60
    assert all(reason.startswith("ValueError: bad luck in turn") for reason in broken)
    alone = play(toys.Raises(), tmp_path / "alone", tasks=30, batch=1)
    assert digest(alone) == digest(folder)


def test_an_agent_that_always_raises_gives_void_trials_and_a_whole_run(tmp_path: Path) -> None:
    folder = play(toys.AlwaysRaises(), tmp_path / "run")
    assert voids(folder) == ["ConnectionError: endpoint down second line ?"] * 24
    assert all(not trial.episodes for trial in folder.trials())


def test_an_agent_that_hangs_on_some_views_loses_those_trials_only(tmp_path: Path) -> None:
    folder = play(toys.Hangs(), tmp_path / "run", limits=QUICK, batch=8)
    assert 0 < len(voids(folder)) < 24
    assert all(reason.startswith("TimeoutError: no answer to 1") for reason in voids(folder))


def test_an_agent_that_always_hangs_does_not_stop_the_run(tmp_path: Path) -> None:
    folder = play(toys.AlwaysHangs(), tmp_path / "run", limits=QUICK)
    reasons = Counter(reason.partition(" question")[0] for reason in voids(folder))
    assert reasons == {
        "TimeoutError: no answer to 1": 3,
        "TimeoutError: not asked: the agent hangs": 21,
    }


def test_a_slow_agent_is_asked_in_smaller_batches_instead_of_being_given_up(tmp_path: Path) -> None:
    sizes = []

    class Slow(toys.Guesser):
        def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
            sizes.append(len(views))
            if len(views) > 4:
                time.sleep(15)
            return super().act(views)

    limits = Limits(turns=5, answer_characters=99, turn_seconds=1, trial_seconds=2)
    folder = play(Slow(), tmp_path / "run", limits=limits, tasks=12, episodes=1, control_episodes=0)
    assert not [reason for reason in voids(folder) if "question" in reason]
    assert sizes[0] == 12
    assert set(sizes[-3:]) <= {1, 2, 3, 4}


def test_a_batch_has_the_time_of_its_questions_up_to_that_of_a_trial() -> None:
    limits = Limits(turns=5, answer_characters=99, turn_seconds=60, trial_seconds=1_800)
    asker = Asker(toys.Guesser(), limits)
    assert [asker._seconds(number) for number in (1, 2, 100)] == [60, 120, 1_800]


def test_memories_that_are_one_text_are_named(tmp_path: Path) -> None:
    class Careless(toys.Guesser):
        memories = "none"  # type: ignore[assignment]

    with pytest.raises(SettingError, match=r"write memories = \('none',\)"):
        play(Careless(), tmp_path / "run")


def test_a_trial_that_takes_too_long_in_all_becomes_void(tmp_path: Path) -> None:
    class Dozes(toys.Answers):
        def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
            time.sleep(0.02)
            return super().act(views)

    limits = Limits(turns=5, answer_characters=99, turn_seconds=1, trial_seconds=0.05)
    folder = play(Dozes(), tmp_path / "run", limits=limits, tasks=1, batch=1)
    assert set(voids(folder)) == {"TimeoutError: the trial took more than 0.05 s"}

    class Person(Dozes):
        is_interactive: ClassVar[bool] = True

    assert not voids(play(Person(), tmp_path / "slowly", limits=limits, tasks=1))


@pytest.mark.parametrize(
    ("answer", "stored"),
    [
        ("x" * 1_000_000, "x" * 16_384),
        ("\x00\x1b[31mred\x07\u202e", "\x00\x1b[31mred\x07\u202e"),
        ("\ud800 red", "? red"),
        ("", ""),
        ("<action>", "<action>"),
    ],
)
def test_text_that_is_no_action_costs_a_turn_and_is_stored(
    tmp_path: Path, answer: str, stored: str
) -> None:
    folder = play(toys.Answers(answer), tmp_path / "run", tasks=2)
    assert not voids(folder)
    for trial in folder.trials():
        turns = [turn for episode in trial.episodes for turn in episode.turns]
        assert {(turn.answer, turn.action) for turn in turns} == {(stored, None)}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "answered with NoneType; an answer is text"),
        (7, "answered with int; an answer is text"),
        (b"red", "answered with bytes; an answer is text"),
        (Answer(None), "answered with NoneType; an answer is text"),  # type: ignore[arg-type]
        (Answer("red", -1), "counted -1 tokens; a count is from 0 to 2147483647"),
        (Answer("red", 0, 10**12), "counted 1000000000000 tokens; a count is from 0 to 2147483647"),
    ],
)
def test_an_answer_that_is_no_text_is_a_void_trial(
    tmp_path: Path, answer: object, reason: str
) -> None:
    folder = play(toys.Answers(answer), tmp_path / "run", tasks=2)
    assert voids(folder) == [f"AgentError: {reason}"] * 4


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ("red", "returned str"),
        (None, "answered with"),
        (["red"] * 3, "returned 3 answers to 1 views"),
        (iter(()), "returned 0 answers to 1 views"),
        (5, "returned int"),
    ],
)
def test_a_result_that_is_not_one_answer_for_each_view_is_a_void_trial(
    tmp_path: Path, answers: object, reason: str
) -> None:
    folder = play(toys.Answers(None, answers), tmp_path / "run", tasks=2)
    assert len(voids(folder)) == 4
    assert all(reason in line for line in voids(folder))


def test_a_void_trial_names_the_line_of_the_agent_that_raised(tmp_path: Path) -> None:
    class Reads(toys.Guesser):
        def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
            return [json.loads("no JSON")]  # raises inside the standard library

    folder = play(Reads(), tmp_path / "run", tasks=1)
    (line,) = set(voids(folder))
    number = Reads.act.__code__.co_firstlineno + 1
    assert line.startswith("JSONDecodeError: Expecting value")
    assert line.endswith(f" (test_runner.py, line {number})")


def test_an_agent_that_exits_is_a_void_trial_and_no_exit(tmp_path: Path) -> None:
    class Exits(toys.Guesser):
        def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
            sys.exit(3)

    folder = play(Exits(), tmp_path / "run", tasks=1)
    assert voids(folder) == ["AgentError: raised SystemExit: 3"] * 2


def test_a_run_leaves_no_thread_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    play(toys.Guesser(), tmp_path / "run", tasks=1)
    deadline = time.monotonic() + 5
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not set(threading.enumerate()) - before


# Environments that break --------------------------------------------------------------------------


def test_an_environment_that_raises_gives_void_trials(tmp_path: Path) -> None:
    folder = play("oracle", tmp_path / "run", "tests.toys:BrokenDoors-easy")
    assert voids(folder) == ["RuntimeError: the floor gave way"] * 12
    broken = {int(trial.task.split("/")[-1]) % 2 for trial in folder.trials() if trial.void}
    assert broken == {0}
    alone = play("oracle", tmp_path / "alone", "tests.toys:BrokenDoors-easy", batch=1)
    assert digest(alone) == digest(folder)


# Settings that cannot be --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda out: play("randm", out), UnknownNameError, "Did you mean 'random'"),
        (lambda out: play("random", out, "dors-easy"), UnknownNameError, "Did you mean 'doors-"),
        (lambda out: play("random", out, "doors-easi"), UnknownNameError, "Did you mean 'doors-e"),
        (lambda out: play("random", out, split="tset"), UnknownNameError, "Did you mean 'test'"),
        (lambda out: play("random", out, memory="bot"), UnknownNameError, "Did you mean 'both'"),
        (lambda out: play("random", out, tasks=0), SettingError, "tasks must be at least 1"),
        (lambda out: play("random", out, episodes=0), SettingError, "episodes must be at least"),
        (lambda out: play("random", out, batch=0), SettingError, "A batch has at least 1"),
        (
            lambda out: play("random", out, control_episodes=-1),
            SettingError,
            "control_episodes must be at least 0",
        ),
        (lambda out: play(toys.NoMemory(), out, memory="both"), SettingError, "It can use: none"),
        (lambda out: play("tests.toys:CannotStart", out), SettingError, "OSError: no weights"),
        (lambda out: play(toys.CannotPrepare(), out), SettingError, "KeyError: 'weights'"),
        (lambda out: play("tests.toys:NotAnAgent", out), UnknownNameError, "does not inherit"),
        (lambda out: play("tests.toys:Absent", out), UnknownNameError, "cannot be loaded"),
        (
            lambda out: play("random", out, "tests.toys:UnbuildableDoors-easy"),
            SettingError,
            "RuntimeError: no wood",
        ),
        (lambda out: play("explorer", out), LamerBenchError, "cannot play 'doors'"),
    ],
)
def test_an_impossible_setting_is_one_clear_line_and_leaves_nothing_behind(
    tmp_path: Path, call: Callable[[Path], RunFolder], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        call(tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_the_default_folder_names_what_is_not_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = run("tests.toys:Guesser", "doors-easy", tasks=2, seed=3, memory="both")
    assert folder.path == Path("runs/doors-easy/tests.toys.Guesser-both-n2-s3")
    settings = folder.manifest().settings
    usual = settings.model_copy(update={"tasks": 100, "seed": 0, "agent": "lamer"})
    assert default_folder(usual, "both") == Path("runs/doors-easy/lamer")


def test_seconds_are_shared_out_over_the_trials_in_flight(tmp_path: Path) -> None:
    started = time.monotonic()
    folder = play(toys.SlowGuesser(), tmp_path / "run")
    wall = time.monotonic() - started
    seconds = [trial.seconds for trial in folder.trials()]
    assert 0 < sum(seconds) <= wall


def test_a_moved_run_folder_goes_on(tmp_path: Path) -> None:
    whole = digest(play(toys.Guesser(), tmp_path / "here"))
    shutil.move(tmp_path / "here", tmp_path / "there")
    stored: list[Trial] = list(RunFolder(tmp_path / "there").trials())
    (tmp_path / "there" / "trials.jsonl").unlink()
    RunFolder(tmp_path / "there").append(stored[:7])
    assert digest(play(toys.Guesser(), tmp_path / "there")) == whole
