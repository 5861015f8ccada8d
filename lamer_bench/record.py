"""Records: Turn, Episode, Trial, Manifest, and the run folder that holds them.

Observations are stored as hashes: an environment is deterministic, so a replay of the actions
brings the texts back (the viewer does this), and a hash is enough to prove that it is the same
text.
"""

from __future__ import annotations

import gc
import hashlib
import io
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from lamer_bench.agent import Memory
from lamer_bench.errors import RecordError
from lamer_bench.task import Split

SCHEMA_VERSION = 1
TrialKind = Literal["trial", "control"]
End = Literal["won", "lost", "turn_limit"]
MOST_COUNTED = 2**31 - 1
"""What anybody may claim to have counted: sums and means of many stay numbers."""
Count = Annotated[int, Field(ge=0, le=MOST_COUNTED)]

MANIFEST_FILE = "manifest.json"
TRIALS_FILE = "trials.jsonl"
_JSON: TypeAdapter[Any] = TypeAdapter(Any)
SET_ASIDE = re.compile(r"\.old-\d+$")
"""How the name of a folder ends that a fresh run took the place of."""


def slug(text: str) -> str:
    """Text as a file name."""
    return re.sub(r"[^\w.]+", "-", text).strip("-")


class Model(BaseModel):
    """Base of all records: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Turn(Model):
    """One observation and the agent's answer to it."""

    observation: str
    """First 16 hexadecimal digits of the SHA-256 of what the agent saw."""
    answer: str
    """The agent's raw text, cut to the suite's limit."""
    action: str | None
    """The canonical action, None when the answer was not one."""
    reward: float
    prompt_tokens: Count = 0
    answer_tokens: Count = 0


class Reflection(Model):
    """The text that an agent wrote for itself after a failed attempt."""

    text: str
    prompt_tokens: Count = 0
    answer_tokens: Count = 0


class Episode(Model):
    """One attempt."""

    index: int = Field(ge=0)
    turns: list[Turn]
    end: End
    final_observation: str
    """Hash of what the last action led to."""
    reflection: Reflection | None = None


class Void(Model):
    """Why infrastructure broke a trial; neither won nor lost."""

    type: str
    message: str


class Trial(Model):
    """Up to k attempts at one task. ``digest`` covers all but ``seconds`` and the void's text."""

    kind: TrialKind
    task: str
    repeat: int = Field(ge=0)
    memory: Memory
    fingerprint: str
    """SHA-256 of the instance's canonical content, so that a changed generator is noticed."""
    episodes: list[Episode]
    void: Void | None = None
    seconds: float = 0.0
    """Its share of the time that its rounds took: a round's time is divided by the trials in
    flight. Not scored."""
    digest: str = ""

    @classmethod
    def of(
        cls,
        key: tuple[str, str, int],
        *,
        memory: Memory,
        fingerprint: str,
        episodes: list[Episode],
        void: Void | None = None,
    ) -> Trial:
        """A finished trial with its digest; ``fingerprint`` is the environment's plain text."""
        kind, task, repeat = key
        trial = cls(
            kind=kind,  # type: ignore[arg-type]
            task=task,
            repeat=repeat,
            memory=memory,
            fingerprint=hash_fingerprint(fingerprint),
            episodes=episodes,
            void=void,
        )
        trial.digest = trial.scored_digest()
        return trial

    @property
    def key(self) -> tuple[str, str, int]:
        """What names a trial within a run: (kind, task id, repeat)."""
        return (self.kind, self.task, self.repeat)

    def scored_digest(self) -> str:
        """SHA-256 of the scored content: the same on every machine and at any speed."""
        content = self.model_dump(exclude={"seconds", "digest", "void"})
        content["void"] = self.void is not None
        if self.void is not None:
            content["episodes"] = []  # how far a broken trial got depends on when it broke
        return hashlib.sha256(_canonical_json(content)).hexdigest()


class Limits(Model):
    """Limits that are part of the suite."""

    turns: int = Field(gt=0)
    """Turns in an episode."""
    answer_characters: int = Field(gt=0)
    turn_seconds: float = Field(gt=0)
    """Seconds that an agent has for one batch of answers, for each question in it."""
    trial_seconds: float = Field(gt=0)


class SuiteReference(Model):
    """Which frozen list of tasks a run was made on; ``digest`` covers ids, contents and limits."""

    name: str
    version: int
    digest: str


class Settings(Model):
    """What a run is: equal settings and an equal agent give the same scored content."""

    agent: str
    agent_settings: dict[str, Any]
    memory: Memory
    environment: str
    environment_version: int
    environment_options: dict[str, Any] = {}
    """Given as ``--env-option``, such as the ``data`` of a shop; with any, no suite lists the
    run."""
    split: Split
    tasks: int = Field(gt=0)
    episodes: int = Field(gt=0)
    repeats: int = Field(gt=0)
    control_episodes: int = Field(ge=0)
    seed: int
    limits: Limits
    suite: SuiteReference | None
    """None for environments that no suite lists."""
    is_ranked: bool
    """False for players that see hidden state."""
    is_deterministic: bool
    """False where the content digest cannot be compared (a remote endpoint, a GPU, a person)."""


class Provenance(Model):
    """Where and how a run was made; never scored."""

    created: str
    command_line: list[str]
    python: str
    platform: str
    packages: dict[str, str]
    git_commit: str | None = None


class Manifest(Model):
    """``manifest.json`` of a run folder."""

    schema_version: int = SCHEMA_VERSION
    settings: Settings
    provenance: Provenance


class RunFolder:
    """A folder with ``manifest.json`` and the append-only ``trials.jsonl``."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def trials_path(self) -> Path:
        return self.path / TRIALS_FILE

    @property
    def manifest_path(self) -> Path:
        return self.path / MANIFEST_FILE

    def exists(self) -> bool:
        """True when there is a manifest."""
        return self.manifest_path.exists()

    def create(self, manifest: Manifest) -> None:
        """Write the manifest; it appears whole or not at all."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            temporary = self.manifest_path.with_suffix(".tmp")
            temporary.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
            os.replace(temporary, self.manifest_path)
        except OSError as error:
            raise RecordError(
                f"Cannot write the run folder {self.path}: {error.strerror}."
            ) from error

    def manifest(self) -> Manifest:
        """Read ``manifest.json``; `RecordError` when it is missing, damaged or of another
        version."""
        try:
            text = self.manifest_path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise RecordError(
                f"{self.path} is not a run folder: it has no {MANIFEST_FILE}. "
                "A run folder is what `lamer-bench run` names at its end."
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise RecordError(f"Cannot read {self.manifest_path}: {error}.") from error
        try:  # unlike json.loads, this refuses depth, endless numbers and half a character
            content = _JSON.validate_json(text)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]["msg"]
            raise RecordError(f"{self.manifest_path} is damaged: {fault}.") from error
        version = content.get("schema_version") if isinstance(content, dict) else None
        if version != SCHEMA_VERSION:
            raise RecordError(
                f"{self.manifest_path} has schema version {version!r}; "
                f"this program reads {SCHEMA_VERSION}."
            )
        try:
            return Manifest.model_validate(content)
        except ValidationError as error:
            raise RecordError(f"{self.manifest_path} is damaged: {_first_fault(error)}.") from error

    def trials(self) -> Iterator[Trial]:
        """All stored trials; raises `RecordError` at the first line that is not a whole trial."""
        if not self.trials_path.exists():
            return
        with self.trials_path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    raise RecordError(f"{self.trials_path}, line {number}: truncated.")
                try:
                    yield Trial.model_validate_json(line)
                except ValidationError as error:
                    raise RecordError(
                        f"{self.trials_path}, line {number}, is damaged: {_first_fault(error)}."
                    ) from error

    def drop_torn_line(self) -> int:
        """Cut off a last line that a killed process did not finish; returns the bytes dropped."""
        if not self.trials_path.exists():
            return 0
        with self.trials_path.open("rb+") as file:
            content_end = file.seek(0, os.SEEK_END)
            whole_end = _last_newline_end(file, content_end)
            if whole_end < content_end:
                file.truncate(whole_end)
        return content_end - whole_end

    def append(self, trials: Iterable[Trial]) -> None:
        """Add trials and flush them to the disk; on a full disk nothing half-written stays."""
        lines = b"".join(trial.model_dump_json().encode() + b"\n" for trial in trials)
        try:
            # unbuffered: a buffer would be written once more on closing, after the truncation
            with self.trials_path.open("ab", buffering=0) as file:
                start = file.seek(0, os.SEEK_END)
                try:
                    _write_all(file, lines)
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(start)
                    raise
        except OSError as error:
            raise RecordError(
                f"Cannot write {self.trials_path}: {error.strerror}. Everything up to here is "
                "kept; the same command goes on from it."
            ) from error


SELDOM = (200_000, 50, 100)
"""Thresholds of the garbage collector for what keeps many records."""


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Fewer searches for reference cycles while records are read: they hold none, and every search
    goes through turns that are kept."""
    usual = gc.get_threshold()
    gc.set_threshold(*SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def content_digest(trials: Iterable[Trial], *, trust_digests: bool = False) -> str:
    """SHA-256 over the scored content of all trials, whatever their order, time and machine.

    ``trust_digests``: take the trials' own digests for granted.
    """
    whole = hashlib.sha256()
    digests = (
        (trial.key, trial.digest if trust_digests else trial.scored_digest()) for trial in trials
    )
    for key, digest in sorted(digests):
        whole.update(_canonical_json([*key, digest]))
    return whole.hexdigest()


def hash_fingerprint(fingerprint: str) -> str:
    """SHA-256 of an instance's canonical content, in hexadecimal."""
    return hashlib.sha256(fingerprint.encode()).hexdigest()


def json_schemas() -> dict[str, Any]:
    """JSON Schema of both files of a run folder."""
    return {MANIFEST_FILE: Manifest.model_json_schema(), TRIALS_FILE: Trial.model_json_schema()}


def _write_all(file: io.FileIO, content: bytes) -> None:
    """A raw file may take less than it is given, for instance on a disk that is nearly full."""
    left = memoryview(content)
    while left:
        left = left[file.write(left) :]


def _canonical_json(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    names = ".".join(map(str, fault["loc"]))[:80]  # a stranger's text, where a field is unknown
    place = "".join(sign if sign.isprintable() else "?" for sign in names) or "the line"
    return f"{place}: {fault['msg']}"


def _last_newline_end(file: Any, end: int) -> int:
    """Offset just after the last newline before ``end`` (0 when there is none)."""
    block = 65_536
    position = end
    while position > 0:
        start = max(0, position - block)
        file.seek(start)
        found = file.read(position - start).rfind(b"\n")
        if found >= 0:
            return int(start + found + 1)
        position = start
    return 0
