"""Every way to tamper with a run folder is refused, at the right place; an honest run passes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamer_bench.env import make
from lamer_bench.errors import RecordError
from lamer_bench.protocol import TrialPlan
from lamer_bench.record import RunFolder, Settings, Trial, Void
from lamer_bench.scores import score_run
from lamer_bench.task import Task
from lamer_bench.verify import Divergence, verify
from tests.recorded import record_trial, record_trials, settings_for, write_run
from tests.toys import Doors, Guesser

Lines = list[dict[str, Any]]


@pytest.fixture
def settings() -> Settings:
    return settings_for(tasks=4, repeats=2)


@pytest.fixture
def trials(settings: Settings) -> list[Trial]:
    return record_trials(settings, Guesser())


@pytest.fixture
def run(tmp_path: Path, settings: Settings, trials: list[Trial]) -> RunFolder:
    return write_run(tmp_path / "run", settings, trials)


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


# Honest runs -------------------------------------------------------------------------------------


def test_an_untouched_run_passes_with_its_scores_recomputed(run, trials):
    verdict = verify(run)
    assert verdict.is_ok
    assert verdict.divergence is None
    assert verdict.num_trials == len(trials) == 16
    turns = sum(len(episode.turns) for trial in trials for episode in trial.episodes)
    assert verdict.num_turns == turns
    assert verdict.scores.as_json() == score_run(run).as_json()
    assert str(verdict).endswith(f"verified, 16 trials, {turns} turns")


@pytest.mark.parametrize("memory", ["none", "history", "reflection", "both"])
@pytest.mark.parametrize("control_episodes", [0, 1, 5])
def test_every_kind_of_run_passes(tmp_path, memory, control_episodes):
    settings = settings_for(memory=memory, control_episodes=control_episodes, split="val")
    run = write_run(tmp_path / "run", settings, record_trials(settings, Guesser()))
    assert verify(run).is_ok


def test_the_order_of_the_trials_and_their_seconds_do_not_matter(run):
    tamper(run, lambda lines: lines.reverse())
    tamper(run, lambda lines: lines[0].update(seconds=99.0), redigest=False)
    assert verify(run).is_ok


def test_void_trials_are_counted_and_not_replayed(tmp_path, settings, trials):
    broken = Void(type="TimeoutError", message="no answer")
    env = make("doors-easy")
    env.load(Task.parse(trials[0].task))
    for index, fingerprint in ((0, env.fingerprint()), (1, "")):
        key, memory = trials[index].key, trials[index].memory
        trials[index] = Trial.of(
            key, memory=memory, fingerprint=fingerprint, episodes=[], void=broken
        )
    verdict = verify(write_run(tmp_path / "run", settings, trials))
    assert verdict.is_ok
    assert verdict.num_voids == 2
    assert verdict.scores.void_share == pytest.approx(2 / 16)
    assert "2 void" in str(verdict)


def test_no_run_folder_at_all_is_an_error(tmp_path):
    with pytest.raises(RecordError, match="is not a run folder"):
        verify(tmp_path / "nothing")


# Tampering within a trial ------------------------------------------------------------------------


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
    assert expected[1] is None or f"episode {expected[1]}" in text
    assert expected[2] is None or f"turn {expected[2]}" in text
    return divergence


def edit_reward(lines):
    line = find(lines, "trial", "lost")
    line["episodes"][1]["turns"][-1]["reward"] = 10.0
    return line, 1, len(line["episodes"][1]["turns"]) - 1


def edit_reward_to_nan(lines):
    line = find(lines, "control", "lost")
    line["episodes"][2]["turns"][0]["reward"] = float("nan")
    return line, 2, 0


def edit_answer(lines):
    line = find(lines, "trial", "lost")
    line["episodes"][0]["turns"][0]["answer"] = "mauve"
    return line, 0, 0


def edit_action(lines):
    line = find(lines, "control", "lost")
    line["episodes"][1]["turns"][0]["action"] = None
    return line, 1, 0


def lengthen_answer(lines):
    line = find(lines, "trial", "lost")
    line["episodes"][0]["turns"][0]["answer"] += " " * 20_000
    return line, 0, 0


def edit_observation(lines):
    line = find(lines, "trial", "lost")
    line["episodes"][2]["turns"][0]["observation"] = "0" * 16
    return line, 2, 0


def edit_final_observation(lines):
    line = find(lines, "trial", "lost")
    line["episodes"][1]["final_observation"] = "0" * 16
    return line, 1, None


def claim_a_win(lines):
    line = find(lines, "trial", "lost")
    line["episodes"][-1]["end"] = "won"
    return line, 2, None


def claim_running_out_of_turns(lines):
    line = find(lines, "control", "lost")
    line["episodes"][0]["end"] = "turn_limit"
    return line, 0, None


def swap_episodes(lines):
    line = next(
        line
        for line in lines
        if line["kind"] == "control" and line["episodes"][0] | {"index": 1} != line["episodes"][1]
    )
    line["episodes"][:2] = line["episodes"][1::-1]
    return line, 0, None


def duplicate_an_episode(lines):
    line = find(lines, "trial", "won")
    line["episodes"].insert(0, line["episodes"][0])
    return line, 1, None


def add_an_episode(lines):
    line = find(lines, "trial", "lost")
    line["episodes"].append(line["episodes"][-1] | {"index": 3})
    line["episodes"][2]["reflection"] = None
    return line, 3, None


def drop_the_last_episode(lines):
    line = find(lines, "trial", "lost")
    del line["episodes"][-1]
    return line, 2, None


def drop_a_lost_control_episode(lines):
    line = find(lines, "control", "lost")
    del line["episodes"][2]
    return line, 2, None


def drop_the_first_episode(lines):
    line = find(lines, "trial", "lost")
    del line["episodes"][0]
    return line, 0, None


def play_on_after_the_end(lines):
    line = find(lines, "trial", "lost")
    turns = line["episodes"][0]["turns"]
    turns.append(turns[-1])
    return line, 0, len(turns) - 1


def play_on_after_a_win(lines):
    line = find(lines, "trial", "won")
    line["episodes"].append(line["episodes"][-1] | {"index": len(line["episodes"])})
    return line, len(line["episodes"]) - 1, None


def stop_early(lines):
    line = next(
        line
        for line in lines
        if line["kind"] == "control" and len(line["episodes"][0]["turns"]) > 1
    )
    line["episodes"][0]["turns"].pop()
    return line, 0, len(line["episodes"][0]["turns"])


def remove_all_turns(lines):
    line = find(lines, "control", "lost")
    line["episodes"][0]["turns"] = []
    return line, 0, 0


def edit_fingerprint(lines):
    line = find(lines, "trial", "won")
    line["fingerprint"] = "0" * 64
    return line, None, None


def claim_other_memory(lines):
    line = find(lines, "trial", "lost")
    line["memory"] = "history"
    return line, None, None


def claim_memory_in_the_control(lines):
    line = find(lines, "control", "lost")
    line["memory"] = "both"
    return line, None, None


def drop_a_reflection(lines):
    line = find(lines, "trial", "lost")
    line["episodes"][1]["reflection"] = None
    return line, 1, None


def reflect_after_the_last_episode(lines):
    line = find(lines, "trial", "lost")
    line["episodes"][2]["reflection"] = line["episodes"][1]["reflection"]
    return line, 2, None


def reflect_after_a_win(lines):
    line = find(lines, "trial", "won")
    line["episodes"][-1]["reflection"] = {"text": "easy"}
    return line, len(line["episodes"]) - 1, None


def reflect_in_the_control(lines):
    line = find(lines, "control", "lost")
    line["episodes"][0]["reflection"] = {"text": "I remember"}
    return line, 0, None


def lengthen_a_reflection(lines):
    line = find(lines, "trial", "lost")
    line["episodes"][0]["reflection"]["text"] = "x" * 20_000
    return line, 0, None


def repeat_out_of_range(lines):
    line = find(lines, "trial", "lost")
    line["repeat"] = 2
    return line, None, None


def index_out_of_range(lines):
    line = find(lines, "trial", "lost")
    line["task"] = "doors-easy/test/4"
    return line, None, None


def task_of_another_split(lines):
    line = find(lines, "trial", "lost")
    line["task"] = "doors-easy/train/0"
    return line, None, None


def task_of_another_environment(lines):
    line = find(lines, "trial", "lost")
    line["task"] = "doors-hard/test/0"
    return line, None, None


def task_with_another_spelling(lines):
    line = find(lines, "trial", "lost")
    line["task"] = line["task"].replace("test/", "test/0")
    return line, None, None


def no_task_at_all(lines):
    line = find(lines, "trial", "lost")
    line["task"] = "everything"
    return line, None, None


def duplicate_a_trial(lines):
    lines.append(find(lines, "trial", "won"))
    return lines[-1], None, None


def replace_a_loss_by_a_win_on_another_task(lines):
    lost, won = find(lines, "trial", "lost"), find(lines, "trial", "won")
    lost["episodes"] = won["episodes"]
    lost["fingerprint"] = won["fingerprint"]
    return lost, None, None


def drop_a_lost_trial(lines):
    line = find(lines, "trial", "lost")
    lines.remove(line)
    return line, None, None


def drop_a_control(lines):
    line = find(lines, "control", "lost")
    lines.remove(line)
    return line, None, None


def drop_everything(lines):
    line = lines[0]
    lines.clear()
    return line, None, None


def void_with_episodes(lines):
    line = find(lines, "trial", "lost")
    line["void"] = {"type": "TimeoutError", "message": ""}
    return line, None, None


def void_of_another_instance(lines):
    line = find(lines, "trial", "lost")
    line.update(void={"type": "TimeoutError", "message": ""}, episodes=[], fingerprint="0" * 64)
    return line, None, None


def void_of_another_memory(lines):
    line = find(lines, "trial", "lost")
    line.update(void={"type": "TimeoutError", "message": ""}, episodes=[], memory="none")
    return line, None, None


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (edit_reward, "reward"),
        (edit_reward_to_nan, "reward"),
        (edit_answer, "action"),
        (edit_action, "action"),
        (lengthen_answer, "answer"),
        (edit_observation, "observation"),
        (edit_final_observation, "final observation"),
        (claim_a_win, "end"),
        (claim_running_out_of_turns, "end"),
        (swap_episodes, "episode index"),
        (duplicate_an_episode, "episode index"),
        (add_an_episode, "number of episodes"),
        (drop_the_last_episode, "number of episodes"),
        (drop_a_lost_control_episode, "number of episodes"),
        (drop_the_first_episode, "episode index"),
        (play_on_after_the_end, "number of turns"),
        (play_on_after_a_win, "number of episodes"),
        (stop_early, "number of turns"),
        (remove_all_turns, "number of turns"),
        (edit_fingerprint, "fingerprint"),
        (claim_other_memory, "memory"),
        (claim_memory_in_the_control, "memory"),
        (drop_a_reflection, "reflection"),
        (reflect_after_the_last_episode, "reflection"),
        (reflect_after_a_win, "reflection"),
        (reflect_in_the_control, "reflection"),
        (lengthen_a_reflection, "reflection"),
        (repeat_out_of_range, "repeat"),
        (index_out_of_range, "task"),
        (task_of_another_split, "task"),
        (task_of_another_environment, "task"),
        (task_with_another_spelling, "task"),
        (no_task_at_all, "task"),
        (duplicate_a_trial, "trial"),
        (replace_a_loss_by_a_win_on_another_task, "fingerprint"),
        (drop_a_lost_trial, "trial"),
        (drop_a_control, "trial"),
        (drop_everything, "trial"),
        (void_with_episodes, "void trial"),
        (void_of_another_instance, "fingerprint"),
        (void_of_another_memory, "memory"),
    ],
)
def test_a_tampered_trial_is_refused_where_it_was_tampered_with(run, change, what):
    assert refused_at(run, change).what == what


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0])
def test_seconds_that_are_no_number_are_refused(run, seconds):
    tamper(run, lambda lines: lines[2].update(seconds=seconds))
    assert refusal(run).what == "seconds"


def test_an_answer_rewritten_without_consequence_is_noticed_by_the_digest(run):
    def change(lines):
        line = find(lines, "trial", "lost")
        turn = line["episodes"][0]["turns"][0]
        turn["answer"] = f"I thought hard. <action>{turn['answer']}</action>"
        return line, None, None

    assert "digest" in refused_at(run, change, redigest=False).what


def test_a_rewritten_reflection_is_noticed_by_the_digest(run):
    def change(lines):
        line = find(lines, "trial", "lost")
        line["episodes"][0]["reflection"]["text"] = "It was the blue one."
        return line, None, None

    assert "digest" in refused_at(run, change, redigest=False).what


def test_a_wrong_digest_is_refused(run):
    def change(lines):
        lines[3]["digest"] = "0" * 64
        return lines[3], None, None

    assert "digest" in refused_at(run, change, redigest=False).what


def test_the_first_of_two_divergences_is_named(run):
    def change(lines):
        line = find(lines, "trial", "lost")
        line["episodes"][1]["end"] = "won"
        line["episodes"][0]["turns"][0]["reward"] = 5.0
        return line, 0, 0

    refused_at(run, change)


def test_another_answer_with_its_own_action_is_refused_at_the_latest_where_it_leads(run):
    """The answer and the action fit each other, so that only the reaction gives it away."""

    def change(lines):
        line = find(lines, "trial", "lost")
        turn = line["episodes"][0]["turns"][0]
        turn["answer"] = turn["action"] = "blue" if turn["action"] != "blue" else "red"

    tamper(run, change)
    divergence = refusal(run)
    assert divergence.episode == 0
    assert divergence.what in ("reward", "observation", "final observation", "number of turns")


# The set of trials and the file ------------------------------------------------------------------


def test_a_missing_control_kind_is_refused(run):
    def change(lines):
        gone = next(line for line in lines if line["kind"] == "control")
        lines[:] = [line for line in lines if line["kind"] != "control"]
        return gone, None, None

    assert "8 missing" in refused_at(run, change).got


def test_a_control_in_a_run_without_is_refused(run):
    tamper_settings(run, lambda manifest: manifest["settings"].update(control_episodes=0))
    divergence = refusal(run)
    assert (divergence.what, divergence.kind) == ("kind", "control")


def test_a_torn_last_line_is_refused(run):
    content = run.trials_path.read_bytes()
    run.trials_path.write_bytes(content[:-20])
    divergence = refusal(run)
    assert divergence.what == "trials.jsonl"
    assert "line 16: truncated" in divergence.got


@pytest.mark.parametrize("line", ["", "{}", "[]", "null", "not json", '{"kind": "trial"}'])
def test_a_damaged_line_is_refused(run, line):
    with run.trials_path.open("a") as file:
        file.write(f"{line}\n")
    divergence = refusal(run)
    assert divergence.what == "trials.jsonl"
    assert "line 17" in divergence.got


def test_a_missing_trials_file_is_refused(run):
    run.trials_path.unlink()
    assert refusal(run).what == "trial"


# The manifest ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"environment_version": 2}, "environment version"),
        ({"environment": "dors-easy"}, "environment"),
        ({"environment": "os:system-easy"}, "environment"),
        ({"environment": "doors"}, "environment"),
        ({"suite": {"name": "lamer", "version": 1, "digest": "0" * 64}}, "suite"),
        ({"suite": {"name": "other", "version": 1, "digest": "0" * 64}}, "suite"),
        ({"suite": {"name": "../x", "version": 1, "digest": "0" * 64}}, "suite"),
        ({"memory": "history"}, "memory"),
        ({"episodes": 2}, "reflection"),
        ({"episodes": 4}, "reflection"),
        ({"control_episodes": 10**12}, "number of episodes"),
        ({"tasks": 5}, "trial"),
        ({"tasks": 10**12}, "trial"),
        ({"tasks": 3}, "task"),
        ({"repeats": 1}, "repeat"),
        ({"repeats": 10**12}, "trial"),
        ({"split": "train"}, "task"),
        ({"surprise": 1}, "manifest.json"),
    ],
)
def test_changed_settings_are_refused(run, change, what):
    tamper_settings(run, lambda manifest: manifest["settings"].update(change))
    started = time.monotonic()
    assert refusal(run).what == what
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(("name", "value"), [("turns", 50), ("answer_characters", 99_999)])
def test_changed_limits_are_refused(run, name, value):
    tamper_settings(run, lambda manifest: manifest["settings"]["limits"].update({name: value}))
    divergence = refusal(run)
    assert (divergence.what, divergence.got) == (f"limit {name}", str(value))


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_schema_version_is_refused(run, version):
    tamper_settings(run, lambda manifest: manifest.update(schema_version=version))
    assert "schema version" in refusal(run).got


def test_a_damaged_manifest_is_refused(run):
    run.manifest_path.write_text("{")
    assert refusal(run).what == "manifest.json"


def test_an_environment_by_reference_is_replayed_only_when_allowed(tmp_path):
    settings = settings_for(tasks=1)
    trials = record_trials(settings, Guesser())
    by_reference = settings.model_copy(update={"environment": "tests.toys:Doors-easy"})
    run = write_run(tmp_path / "run", by_reference, trials)
    assert refusal(run).what == "environment"
    assert verify(run, allow_imports=True).is_ok


class SoundDoors(Doors):
    """`BrokenDoors` before it broke."""

    family = "broken"


class Solver(Guesser):
    """Plays the solution that it is told."""

    def answer(self, view):
        return view.solution[view.turn]


def test_an_environment_that_raises_is_a_divergence(tmp_path):
    task = Task("broken-easy", "test", 0)
    plan = TrialPlan(task, memory="both", tell_solution=True)
    trial = record_trial(SoundDoors(), plan, Solver())
    settings = settings_for("tests.toys:BrokenDoors-easy", tasks=1, control_episodes=0)
    verdict = verify(write_run(tmp_path / "run", settings, [trial]), allow_imports=True)
    assert verdict.divergence.got == "RuntimeError: the floor gave way"
    assert verdict.divergence.task == task.id


# Suites ------------------------------------------------------------------------------------------


@pytest.fixture
def listed_run(tmp_path) -> RunFolder:
    settings = settings_for("minesweeper-easy", tasks=3, memory="history")
    return write_run(tmp_path / "listed", settings, record_trials(settings, Clicker()))


class Clicker(Guesser):
    """Opens cells at random, a few of them off the board."""

    def answer(self, view):
        return f"({view.rng.randint(0, 6)},{view.rng.randint(0, 6)})"


def test_a_run_of_the_suite_passes(listed_run):
    assert listed_run.manifest().settings.suite.name == "lamer"
    assert verify(listed_run).is_ok


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"suite": None}, "suite"),
        ({"tasks": 201}, "tasks"),
        ({"tasks": 10**12}, "tasks"),
    ],
)
def test_leaving_the_suite_is_refused(listed_run, change, what):
    tamper_settings(listed_run, lambda manifest: manifest["settings"].update(change))
    assert refusal(listed_run).what == what


def test_another_suite_version_is_refused(listed_run):
    tamper_settings(listed_run, lambda manifest: manifest["settings"]["suite"].update(version=2))
    assert refusal(listed_run).what == "suite"


@pytest.mark.parametrize("name", ["turn_seconds", "trial_seconds"])
def test_the_times_of_a_suite_are_fixed(listed_run, name):
    tamper_settings(listed_run, lambda manifest: manifest["settings"]["limits"].update({name: 1e9}))
    assert refusal(listed_run).what == f"limit {name}"


def test_a_stranger_s_text_is_quoted_short_and_printable(run):
    def change(lines):
        line = find(lines, "trial", "lost")
        line["task"] = "\x1b[31m" + "x\n" * 10_000

    tamper(run, change)
    text = str(refusal(run))
    assert len(text) < 500
    assert text.isprintable()
