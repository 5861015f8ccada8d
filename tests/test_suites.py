"""The shipped suite is as it was frozen, and every way to drift from it is noticed."""

from __future__ import annotations

import hashlib
import json

import pytest

import tests.toys  # noqa: F401  (registers the family "doors")
from lamer_bench import suites
from lamer_bench.env import make
from lamer_bench.errors import SettingError, UnknownNameError
from lamer_bench.record import hash_fingerprint
from lamer_bench.task import SPLITS, Task
from tests.toys import Doors

SMALL = {"train": 6, "val": 3, "test": 4}


@pytest.fixture
def doors() -> suites.Suite:
    return suites.freeze("toys", environments=["doors-easy", "doors-hard"], num_tasks=SMALL)


# The shipped suite -------------------------------------------------------------------------------


def test_the_default_suite_lists_every_built_in_environment():
    suite = suites.load_suite()
    assert (suite.name, suite.version) == ("lamer", 2)
    assert sorted(suite.environments) == sorted(suites.built_in_environments())
    assert not any(environment.startswith("doors") for environment in suite.environments)


def test_the_default_suite_freezes_200_test_100_val_and_500_train_tasks():
    suite = suites.load_suite()
    for environment in suite.environments:
        numbers = {split: suite.num_tasks(environment, split) for split in SPLITS}
        assert numbers == {"train": 500, "val": 100, "test": 200}
        tasks = suite.tasks(environment, "test")
        assert (tasks[0].id, tasks[-1].index) == (f"{environment}/test/0", 199)


def test_the_default_suite_is_as_it_was_frozen_and_its_splits_share_nothing():
    outcome = suites.check()
    assert outcome.failures == ()
    assert outcome.is_ok
    assert len(outcome.rows) == 3 * len(suites.load_suite().environments)
    assert all(row.is_frozen and row.overlaps == 0 for row in outcome.rows)


def test_limits_come_from_the_suite_and_for_others_from_the_environment():
    suite = suites.load_suite()
    listed = make("minesweeper-easy")
    limits = suites.limits_of(listed)
    assert limits == suite.limits("minesweeper-easy")
    assert (limits.answer_characters, limits.turn_seconds, limits.trial_seconds) == (
        16_384,
        60,
        1800,
    )
    assert limits.turns == listed.turn_limit
    other = suites.limits_of(make("doors-easy"))
    assert other == limits.model_copy(update={"turns": 5})


def test_an_unknown_suite_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownNameError, match="Did you mean 'lamer'"):
        suites.load_suite("lammer")


def test_a_name_is_never_read_as_a_path():
    with pytest.raises(UnknownNameError):
        suites.load_suite("../data/lamer")


def test_an_environment_that_no_suite_lists_has_no_reference(doors):
    assert suites.suite_reference("doors-easy") is None
    with pytest.raises(UnknownNameError, match="Did you mean 'doors-easy'"):
        doors.entry("dors-easy")


# Digests -----------------------------------------------------------------------------------------


def test_a_split_digest_by_hand(doors):
    env = make("doors-easy")
    lines = ""
    for index in range(3):
        env.load(Task("doors-easy", "val", index))
        content = hashlib.sha256(env.fingerprint().encode()).hexdigest()
        lines += f"doors-easy/val/{index} {content}\n"
    expected = hashlib.sha256(lines.encode()).hexdigest()
    assert doors.entry("doors-easy").splits["val"].digest == expected


def test_a_reference_by_hand(doors):
    content = {
        "suite": "toys",
        "version": 1,
        "environment": "doors-easy",
        "limits": {
            "turns": 5,
            "answer_characters": 16384,
            "turn_seconds": 60.0,
            "trial_seconds": 1800.0,
        },
        "entry": json.loads(doors.model_dump_json())["environments"]["doors-easy"],
    }
    line = json.dumps(content, sort_keys=True, separators=(",", ":"))
    reference = doors.reference("doors-easy")
    assert reference.digest == hashlib.sha256(line.encode()).hexdigest()
    assert (reference.name, reference.version) == ("toys", 1)


@pytest.mark.parametrize(
    "change",
    [{"version": 2}, {"name": "other"}, {"turn_seconds": 61.0}, {"answer_characters": 1}],
)
def test_the_reference_covers_name_version_and_limits(doors, change):
    changed = doors.model_copy(update=change)
    assert changed.reference("doors-easy").digest != doors.reference("doors-easy").digest


def test_the_reference_covers_the_contents_of_its_own_environment_only(doors):
    changed = doors.model_copy(deep=True)
    changed.environments["doors-easy"].splits["test"].digest = "0" * 64
    assert changed.reference("doors-easy") != doors.reference("doors-easy")
    assert changed.reference("doors-hard") == doors.reference("doors-hard")


def test_freezing_twice_gives_the_same(doors):
    again = suites.freeze("toys", environments=["doors-easy", "doors-hard"], num_tasks=SMALL)
    assert again == doors


def test_a_suite_survives_its_file(doors, tmp_path):
    path = suites.write_suite(doors, tmp_path / "toys.json")
    assert suites.read_suite(path) == doors
    assert [entry.name for entry in tmp_path.iterdir()] == ["toys.json"]


def test_the_next_version_follows_the_newest_that_is_stored(doors, tmp_path):
    shipped = suites.load_suite().version
    stored = suites.write_suite(doors.model_copy(update={"version": 7}), tmp_path / "toys.json")
    assert suites.next_version("toys") == 1
    assert suites.next_version("toys", stored) == 8
    assert suites.next_version("lamer") == suites.next_version("lamer", tmp_path / "new.json")
    assert suites.next_version("lamer") == shipped + 1
    again = suites.freeze(environments=["doors-easy"], num_tasks=SMALL)
    assert (doors.version, again.version) == (1, shipped + 1)


@pytest.mark.parametrize("text", ["", "{}", '{"name": "x", "surprise": 1}'])
def test_a_file_that_is_no_suite_is_refused(tmp_path, text):
    (tmp_path / "broken.json").write_text(text)
    with pytest.raises(SettingError, match="is not a suite"):
        suites.read_suite(tmp_path / "broken.json")


def test_progress_names_every_split():
    seen: list[str] = []
    suite = suites.freeze(
        "toys", environments=["doors-easy"], num_tasks=SMALL, progress=seen.append
    )
    assert seen == [f"doors-easy/{split}" for split in SPLITS]
    suites.check(suite, progress=seen.append)
    assert seen[3:] == seen[:3]


# Checks that fail --------------------------------------------------------------------------------


def test_a_check_counts_duplicates(doors):
    rows = {(row.environment, row.split): row for row in suites.check(doors).rows}
    row = rows["doors-easy", "train"]
    env = make("doors-easy")
    contents = set()
    for index in range(6):
        env.load(Task("doors-easy", "train", index))
        contents.add(env.fingerprint())
    assert (row.tasks, row.distinct, row.duplicates) == (6, len(contents), 6 - len(contents))


def test_a_changed_digest_is_a_failure(doors):
    doors.environments["doors-hard"].splits["val"].digest = hash_fingerprint("other")
    outcome = suites.check(doors)
    assert not outcome.is_ok
    assert outcome.failures == (
        "doors-hard/val: the tasks are not those that were frozen (another digest).",
    )


def test_a_changed_generator_is_a_failure(doors, monkeypatch):
    monkeypatch.setattr(Doors, "solution", lambda self: [])
    assert suites.check(doors).is_ok
    generate = Doors.generate
    monkeypatch.setattr(
        Doors, "generate", lambda self, rng: rng.random() > 0.5 and generate(self, rng)
    )
    assert len(suites.check(doors).failures) == 6


def test_a_changed_version_or_turn_limit_is_a_failure(doors):
    doors.environments["doors-easy"].environment_version = 3
    doors.environments["doors-hard"].turn_limit = 99
    first, second = suites.check(doors).failures
    assert first == "doors-easy has version 1; the suite froze version 3."
    assert second == "doors-hard has a limit of 6 turns; the suite froze 99."


def test_instances_in_two_splits_are_a_failure(doors, monkeypatch):
    """An environment that ignores the split draws the same few houses for all of them."""

    def load(self, task):
        self.task = task
        self.right = ["red"] * (task.index + 1)

    monkeypatch.setattr(Doors, "load", load)
    outcome = suites.check(suites.freeze("toys", environments=["doors-easy"], num_tasks=SMALL))
    assert [row.overlaps for row in outcome.rows] == [4, 3, 4]
    overlaps = [line for line in outcome.failures if "in another split too" in line]
    strangers = [line for line in outcome.failures if "belongs to another split" in line]
    assert len(overlaps) == 3
    assert strangers


def test_instances_shared_by_two_levels_across_splits_are_a_failure(doors, monkeypatch):
    """Levels that can draw the same content must agree on its split."""

    def load(self, task):
        self.task = task
        offset = {"train": 0, "val": 10, "test": 20}[task.split]
        shift = 20 if self.level == "hard" and task.split == "train" else 0
        self.right = ["red"] * (task.index + 1 + offset + shift)

    monkeypatch.setattr(Doors, "load", load)
    monkeypatch.setattr(Doors, "fingerprint", lambda self: f"doors {len(self.right)}")
    both = suites.freeze("toys", environments=["doors-easy", "doors-hard"], num_tasks=SMALL)
    overlaps = {(row.environment, row.split): row.overlaps for row in suites.check(both).rows}
    assert overlaps["doors-hard", "train"] == 4
    assert overlaps["doors-easy", "test"] == 4
    assert overlaps["doors-easy", "train"] == 0
