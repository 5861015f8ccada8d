"""Run folders: what they refuse, and that nothing is lost when a disk is full or a process is
killed."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from lamer_bench.errors import RecordError
from lamer_bench.record import (
    Episode,
    Limits,
    Manifest,
    Provenance,
    RunFolder,
    Settings,
    Trial,
    Turn,
    Void,
    content_digest,
    json_schemas,
)


def trial(index: int = 0, *, answer: str = "red", void: Void | None = None) -> Trial:
    turns = [Turn(observation="0" * 16, answer=answer, action="red", reward=1.0)]
    episodes = [Episode(index=0, turns=turns, end="won", final_observation="1" * 16)]
    key = ("trial", f"doors-easy/test/{index}", 0)
    return Trial.of(key, memory="none", fingerprint="doors", episodes=episodes, void=void)


def manifest() -> Manifest:
    settings = Settings(
        agent="guesser",
        agent_settings={"depth": 3},
        memory="none",
        environment="doors-easy",
        environment_version=1,
        split="test",
        tasks=2,
        episodes=3,
        repeats=1,
        control_episodes=0,
        seed=0,
        limits=Limits(turns=5, answer_characters=100, turn_seconds=1, trial_seconds=10),
        suite=None,
        is_ranked=True,
        is_deterministic=True,
    )
    provenance = Provenance(created="", command_line=[], python="", platform="", packages={})
    return Manifest(settings=settings, provenance=provenance)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.create(manifest())
    return folder


def test_what_is_written_is_what_is_read(folder: RunFolder) -> None:
    trials = [trial(0), trial(1, answer='"\n\t\\ \u2028 é ✓')]
    folder.append(trials[:1])
    folder.append(trials[1:])
    assert list(folder.trials()) == trials
    assert folder.manifest() == manifest()


def test_a_run_folder_without_trials_has_none(folder: RunFolder) -> None:
    assert list(folder.trials()) == []
    assert folder.drop_torn_line() == 0


@pytest.mark.parametrize("end", [1, 20, -1])
def test_a_torn_last_line_is_dropped_and_the_rest_is_kept(folder: RunFolder, end: int) -> None:
    folder.append([trial(0)])
    whole = folder.trials_path.read_bytes()
    folder.append([trial(1)])
    torn = folder.trials_path.read_bytes()[len(whole) :][:end]
    folder.trials_path.write_bytes(whole + torn)
    with pytest.raises(RecordError, match="line 2: truncated"):
        list(folder.trials())
    assert folder.drop_torn_line() == len(torn)
    assert folder.trials_path.read_bytes() == whole
    assert folder.drop_torn_line() == 0


def test_a_torn_line_longer_than_a_block_is_dropped(folder: RunFolder) -> None:
    folder.append([trial(0)])
    whole = folder.trials_path.read_bytes()
    folder.trials_path.write_bytes(whole + b"x" * 200_000)
    assert folder.drop_torn_line() == 200_000
    folder.trials_path.write_bytes(b"y" * 70_000)
    assert folder.drop_torn_line() == 70_000


@pytest.mark.parametrize(
    "line", [b"not json\n", b"{}\n", b"\xff\xfe\n", b"\n", b'{"unknown": 1}\n', b"[1]\n"]
)
def test_a_damaged_line_is_named(folder: RunFolder, line: bytes) -> None:
    folder.append([trial(0)])
    with folder.trials_path.open("ab") as file:
        file.write(line)
    with pytest.raises(RecordError, match="line 2, is damaged") as caught:
        list(folder.trials())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"", "damaged"),
        (b"{", "damaged"),
        (b"\xff", "Cannot read"),
        (b"[]", "schema version None"),
        (b'{"schema_version": 999}', "schema version 999; this program reads 1"),
        (b'{"schema_version": 1}', "settings: Field required"),
    ],
)
def test_a_damaged_manifest_is_one_clear_line(folder: RunFolder, text: bytes, fault: str) -> None:
    folder.manifest_path.write_bytes(text)
    with pytest.raises(RecordError, match=fault) as caught:
        folder.manifest()
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_manifest_is_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="is not a run folder"):
        RunFolder(tmp_path).manifest()


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValidationError):
        Trial.model_validate(trial().model_dump() | {"score": 1.0})


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here already")
    with pytest.raises(RecordError, match="Cannot write the run folder"):
        RunFolder(tmp_path / "file" / "run").create(manifest())


def test_a_failed_write_leaves_whole_lines_only(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.append([trial(0)])
    before = folder.trials_path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(RecordError, match="No space left on device"):
            folder.append([trial(1)])
    assert folder.trials_path.read_bytes() == before
    folder.append([trial(1)])
    assert [stored.task for stored in folder.trials()] == ["doors-easy/test/0", "doors-easy/test/1"]


_FILLS_THE_DISK = """
import resource, sys
from lamer_bench.errors import RecordError
from lamer_bench.record import RunFolder
from tests.test_record import trial

resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))
folder = RunFolder(sys.argv[1])
try:
    for index in range(100):
        folder.append([trial(2 * index), trial(2 * index + 1)])
except RecordError as error:
    print(error)
"""


def test_a_full_disk_keeps_everything_that_was_whole(folder: RunFolder) -> None:
    pytest.importorskip("resource")
    command = [sys.executable, "-c", _FILLS_THE_DISK, str(folder.path)]
    home = Path(__file__).parent.parent
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=home)
    assert "File too large" in done.stdout
    stored = list(folder.trials())
    assert len(stored) >= 2
    assert len(stored) % 2 == 0


def test_the_digest_covers_what_is_scored_and_nothing_else() -> None:
    first = trial()
    slower = first.model_copy(update={"seconds": 9.0})
    assert slower.scored_digest() == first.scored_digest()
    assert trial(answer="blue").scored_digest() != first.scored_digest()
    broken = trial(void=Void(type="OSError", message="one"))
    assert broken.scored_digest() != first.scored_digest()
    other = trial(answer="blue", void=Void(type="ValueError", message="two"))
    assert other.scored_digest() == broken.scored_digest()


def test_the_content_digest_ignores_the_order_of_trials_and_notices_a_missing_one() -> None:
    trials = [trial(index) for index in range(3)]
    assert content_digest(trials) == content_digest(reversed(trials))
    assert content_digest(trials) != content_digest(trials[:2])
    assert content_digest(trials) != content_digest([*trials, trials[0]])


def test_the_schemas_refuse_unknown_fields() -> None:
    schemas = json_schemas()
    assert set(schemas) == {"manifest.json", "trials.jsonl"}
    assert all(schema["additionalProperties"] is False for schema in schemas.values())
