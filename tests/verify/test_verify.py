"""An honest run passes; a run folder whose trials, manifest or suite do not fit is refused."""

from __future__ import annotations

import time

import pytest

from lamer_bench.env import make
from lamer_bench.errors import RecordError
from lamer_bench.protocol import TrialPlan
from lamer_bench.record import RunFolder, Trial, Void
from lamer_bench.scores import score_run
from lamer_bench.task import Task
from lamer_bench.verify import verify
from tests.recorded import record_trial, record_trials, settings_for, write_run
from tests.toys import Doors, Guesser
from tests.verify.tampering import find, refusal, refused_at, tamper, tamper_settings

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
    tamper_settings(listed_run, lambda manifest: manifest["settings"]["suite"].update(version=999))
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
