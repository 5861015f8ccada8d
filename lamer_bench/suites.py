"""Suites: named, versioned, frozen lists of task ids, and the limits that go with them.

A suite's file does not list the ids, because they are ``<environment>/<split>/0..n-1``; it holds,
for each environment and split, n and a digest of the ids with their instances' contents. A
generator that draws something else is noticed by `check`, and results of two versions of a suite
never share a table.

Two digests, both SHA-256 in hexadecimal:

* of a split: over lines ``<task id> <hash_fingerprint(fingerprint)>\\n`` of its tasks in order;
* of an environment (`SuiteReference.digest`, stored in every run): over the canonical JSON (sorted
  keys, no spaces) of ``{"suite", "version", "environment", "limits", "entry"}``, where ``limits``
  are the environment's `Limits` and ``entry`` its `SuiteEntry`, split digests included.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError

from lamer_bench import registry
from lamer_bench.env import MAX_ANSWER_CHARACTERS, TextEnv, environment_ids, make
from lamer_bench.errors import SettingError, UnknownNameError
from lamer_bench.record import Limits, Model, SuiteReference, hash_fingerprint
from lamer_bench.task import SPLITS, Split, Task, split_environment_id, split_of

DEFAULT_SUITE = "lamer"
NUM_TASKS: dict[Split, int] = {"train": 500, "val": 100, "test": 200}
"""Tasks that the default suite freezes; training may draw beyond them."""
TURN_SECONDS = 60.0
TRIAL_SECONDS = 1800.0

_DATA = Path(__file__).parent / "data"
_BUILT_IN = "environments."


class SplitEntry(Model):
    """A frozen split of an environment: tasks 0..tasks-1."""

    tasks: int = Field(gt=0)
    digest: str


class SuiteEntry(Model):
    """An environment of a suite."""

    environment_version: int
    turn_limit: int = Field(gt=0)
    splits: dict[Split, SplitEntry]


class Suite(Model):
    """A suite as its JSON file holds it."""

    name: str
    version: int
    answer_characters: int = Field(gt=0)
    turn_seconds: float = Field(gt=0)
    trial_seconds: float = Field(gt=0)
    environments: dict[str, SuiteEntry]
    """By environment id."""

    def __contains__(self, environment: str) -> bool:
        return environment in self.environments

    def entry(self, environment: str) -> SuiteEntry:
        """What is frozen of an environment; raises `UnknownNameError` when nothing is."""
        registry.ENVIRONMENTS.check(environment, self.environments)
        return self.environments[environment]

    def limits(self, environment: str) -> Limits:
        """The limits of an environment's runs."""
        return Limits(
            turns=self.entry(environment).turn_limit,
            answer_characters=self.answer_characters,
            turn_seconds=self.turn_seconds,
            trial_seconds=self.trial_seconds,
        )

    def num_tasks(self, environment: str, split: Split) -> int:
        """Number of frozen tasks of a split."""
        return self.entry(environment).splits[split].tasks

    def tasks(self, environment: str, split: Split) -> list[Task]:
        """The frozen tasks of a split."""
        return [Task(environment, split, i) for i in range(self.num_tasks(environment, split))]

    def reference(self, environment: str) -> SuiteReference:
        """What a run stores; the digest covers the ids, contents and limits of the environment."""
        content = {
            "suite": self.name,
            "version": self.version,
            "environment": environment,
            "limits": self.limits(environment).model_dump(),
            "entry": self.entry(environment).model_dump(),
        }
        line = json.dumps(content, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(line.encode()).hexdigest()
        return SuiteReference(name=self.name, version=self.version, digest=digest)


@dataclass(frozen=True, slots=True)
class SplitCount:
    """What `check` found in one split of one environment."""

    environment: str
    split: Split
    tasks: int
    distinct: int
    """Distinct instances among the tasks."""
    overlaps: int
    """Distinct instances that are in another split too, of this or of any other environment."""
    is_frozen: bool
    """True when the digest is that of the suite."""

    @property
    def duplicates(self) -> int:
        """Tasks whose instance an earlier task of the split has already."""
        return self.tasks - self.distinct


@dataclass(frozen=True, slots=True)
class SuiteCheck:
    """The outcome of `check`: a table and what is wrong with it."""

    rows: tuple[SplitCount, ...]
    failures: tuple[str, ...]
    """One line each; empty when the suite is as frozen."""

    @property
    def is_ok(self) -> bool:
        """True without failures."""
        return not self.failures


# Reading -----------------------------------------------------------------------------------------


def suite_names() -> list[str]:
    """Names of the suites that are shipped."""
    return sorted(path.stem for path in _DATA.glob("*.json"))


def load_suite(name: str = DEFAULT_SUITE) -> Suite:
    """Read a shipped suite; raises `UnknownNameError` for another name."""
    names = suite_names()
    if name not in names:
        raise UnknownNameError(registry.unknown("suite", name, names))
    return read_suite(_DATA / f"{name}.json")


def read_suite(path: Path) -> Suite:
    """Read a suite's JSON file; raises `SettingError` when it is none."""
    try:
        return Suite.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise SettingError(f"{path} is not a suite: {error}") from error


def suite_reference(environment: str, name: str = DEFAULT_SUITE) -> SuiteReference | None:
    """What a run on ``environment`` stores; None where the suite does not list it."""
    suite = load_suite(name)
    return suite.reference(environment) if environment in suite else None


def limits_of(env: TextEnv, name: str = DEFAULT_SUITE) -> Limits:
    """Limits of a run on ``env``; where the suite does not list it, with the usual times."""
    suite = load_suite(name)
    if env.environment in suite:
        return suite.limits(env.environment)
    return Limits(
        turns=env.turn_limit,
        answer_characters=MAX_ANSWER_CHARACTERS,
        turn_seconds=TURN_SECONDS,
        trial_seconds=TRIAL_SECONDS,
    )


# Freezing ----------------------------------------------------------------------------------------


def freeze(
    name: str = DEFAULT_SUITE,
    *,
    version: int | None = None,
    environments: Iterable[str] | None = None,
    num_tasks: dict[Split, int] = NUM_TASKS,
    progress: Callable[[str], None] = lambda _: None,
) -> Suite:
    """Draw every task and build the suite; `write_suite` stores it. A maintainer's command.

    Args:
        name: the suite's name.
        version: raised whenever a frozen suite changes; `next_version` unless given.
        environments: environment ids; every level of every built-in family unless given.
        num_tasks: tasks of each split.
        progress: called with ``environment/split`` before its tasks are drawn.
    """
    chosen = built_in_environments() if environments is None else list(environments)
    return Suite(
        name=name,
        version=next_version(name) if version is None else version,
        answer_characters=MAX_ANSWER_CHARACTERS,
        turn_seconds=TURN_SECONDS,
        trial_seconds=TRIAL_SECONDS,
        environments={
            environment: _freeze_environment(environment, num_tasks, progress)
            for environment in chosen
        },
    )


def next_version(name: str, path: Path | None = None) -> int:
    """One more than that of the suite that is shipped by this name or stored at ``path``, whichever
    is newer; 1 where there is none."""
    stored = [one for one in (_DATA / f"{name}.json", path) if one is not None and one.exists()]
    return 1 + max((read_suite(one).version for one in stored), default=0)


def write_suite(suite: Suite, path: Path | None = None) -> Path:
    """Store a suite among the shipped ones, or at ``path``; returns where it is."""
    target = path or _DATA / f"{suite.name}.json"
    temporary = target.with_suffix(".tmp")
    temporary.write_text(suite.model_dump_json(indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, target)
    return target


def built_in_environments() -> list[str]:
    """Ids of every level of every family that this repository holds; plug-ins are left out."""
    return [
        environment for environment in environment_ids() if _home(environment).startswith(_BUILT_IN)
    ]


def split_digest(lines: Iterable[tuple[str, str]]) -> str:
    """Digest of a split from (task id, hashed fingerprint) of its tasks, by index."""
    whole = hashlib.sha256()
    for task, fingerprint in lines:
        whole.update(f"{task} {fingerprint}\n".encode())
    return whole.hexdigest()


def _freeze_environment(
    environment: str, num_tasks: dict[Split, int], progress: Callable[[str], None]
) -> SuiteEntry:
    env = make(environment)
    splits: dict[Split, SplitEntry] = {}
    for split in SPLITS:
        progress(f"{environment}/{split}")
        lines = _hashed(_fingerprints(env, split, num_tasks[split]))
        splits[split] = SplitEntry(tasks=num_tasks[split], digest=split_digest(lines))
    return SuiteEntry(environment_version=env.version, turn_limit=env.turn_limit, splits=splits)


def _fingerprints(env: TextEnv, split: Split, num_tasks: int) -> Iterator[tuple[str, str]]:
    """(task id, fingerprint) of the first tasks of a split."""
    for index in range(num_tasks):
        task = Task(env.environment, split, index)
        env.load(task)
        yield task.id, env.fingerprint()


def _hashed(lines: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    return ((task, hash_fingerprint(fingerprint)) for task, fingerprint in lines)


def _home(environment: str) -> str:
    family, _ = split_environment_id(environment)
    return str(registry.ENVIRONMENTS.load(family).__module__)


# Checking ----------------------------------------------------------------------------------------


def check(
    suite: Suite | str = DEFAULT_SUITE, *, progress: Callable[[str], None] = lambda _: None
) -> SuiteCheck:
    """Draw every frozen task again and look for anything that is not as it was frozen.

    Digests, versions and turn limits must be those of the suite, each instance must belong to the
    split that it was drawn for, and no instance of a split may be in another one, of any
    environment.
    """
    suite = load_suite(suite) if isinstance(suite, str) else suite
    failures: list[str] = []
    drawn: dict[tuple[str, Split], list[tuple[str, str]]] = {}
    for environment, entry in suite.environments.items():
        env = make(environment)
        failures += _version_failures(env, entry)
        for split, frozen in entry.splits.items():
            progress(f"{environment}/{split}")
            drawn[environment, split] = list(_fingerprints(env, split, frozen.tasks))
    owners = _owners(drawn)
    rows = []
    for (environment, split), lines in drawn.items():
        frozen = suite.environments[environment].splits[split]
        row = _count(environment, split, lines, frozen, owners)
        rows.append(row)
        failures += _split_failures(row, lines)
    return SuiteCheck(tuple(rows), tuple(failures))


def _owners(
    drawn: dict[tuple[str, Split], list[tuple[str, str]]],
) -> dict[str, set[Split]]:
    """Fingerprint -> the splits that it was drawn for, over all environments."""
    owners: dict[str, set[Split]] = {}
    for (_, split), lines in drawn.items():
        for _, fingerprint in lines:
            owners.setdefault(fingerprint, set()).add(split)
    return owners


def _count(
    environment: str,
    split: Split,
    lines: list[tuple[str, str]],
    frozen: SplitEntry,
    owners: dict[str, set[Split]],
) -> SplitCount:
    contents = Counter(fingerprint for _, fingerprint in lines)
    return SplitCount(
        environment=environment,
        split=split,
        tasks=len(lines),
        distinct=len(contents),
        overlaps=sum(len(owners[fingerprint]) > 1 for fingerprint in contents),
        is_frozen=split_digest(_hashed(lines)) == frozen.digest,
    )


def _version_failures(env: TextEnv, entry: SuiteEntry) -> list[str]:
    failures = []
    if env.version != entry.environment_version:
        failures.append(
            f"{env.environment} has version {env.version}; "
            f"the suite froze version {entry.environment_version}."
        )
    if env.turn_limit != entry.turn_limit:
        failures.append(
            f"{env.environment} has a limit of {env.turn_limit} turns; "
            f"the suite froze {entry.turn_limit}."
        )
    return failures


def _split_failures(row: SplitCount, lines: list[tuple[str, str]]) -> list[str]:
    name = f"{row.environment}/{row.split}"
    failures = []
    if not row.is_frozen:
        failures.append(f"{name}: the tasks are not those that were frozen (another digest).")
    if row.overlaps:
        failures.append(f"{name}: {row.overlaps} instances are in another split too.")
    strangers = [task for task, content in lines if split_of(content) != row.split]
    if strangers:
        failures.append(f"{name}: {strangers[0]} belongs to another split by its content.")
    return failures
