"""The board as it is read: verified entries and their tables, kept until the database changes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from lamer_bench.errors import UnknownNameError
from lamer_bench.registry import unknown
from lamer_bench.suites import DEFAULT_SUITE, Suite, load_suite
from lamer_bench.task import split_environment_id
from leaderboard.config import Config
from leaderboard.database import Database
from leaderboard.entries import Entry, Result
from leaderboard.ranking import Row, Value, table

SPLITS = ("test", "sealed")
KINDS = ("prompting", "trained", "scripted", "human")
COLUMNS = {
    "rank": "rank",
    "agent": "agent",
    "pass1": "pass@1",
    "pass2": "pass@2",
    "pass3": "pass@3",
    "sealed": "sealed pass@3",
    "control": "control pass@3",
    "gain": "gain",
    "entropy": "entropy",
    "tokens": "tokens a task",
    "submitted": "submitted",
}
"""Name of a column in addresses -> its heading."""
DESCENDING = {"pass1", "pass2", "pass3", "sealed", "control", "gain", "entropy", "submitted"}
"""Columns that are shown largest first unless asked otherwise."""


_MOST_PAGES = 500
"""That are kept as they were rendered."""


@dataclass(frozen=True)
class Selection:
    """What a table shows. Ranks are those of the whole table, whatever is left out of it."""

    suite: str
    environment: str = ""
    """An id; otherwise all of the suite that the next two leave."""
    family: str = ""
    level: str = ""
    split: str = "test"
    """``test``, or ``sealed`` for what the same entries reached on the sealed tasks."""
    kind: str = ""
    weights: str = ""
    """``open`` or ``closed``."""
    sort: str = "rank"
    order: str = ""
    """``asc`` or ``desc``; the column's own unless said."""

    @property
    def is_descending(self) -> bool:
        """Whether the largest come first."""
        return self.order == "desc" if self.order else self.sort in DESCENDING

    def with_(self, **changes: str) -> Selection:
        """A copy with other values."""
        return replace(self, **changes)


class Board:
    """Entries and tables; safe to share among threads."""

    def __init__(self, config: Config, database: Database, drawn_from: str = "") -> None:
        self.config = config
        self.database = database
        self._drawn_from = drawn_from
        self._lock = threading.Lock()
        self._version = (-1, -1)
        self._entries: dict[int, Entry] = {}
        self._tables: dict[tuple[str, str, tuple[str, ...]], list[Row]] = {}
        self._pages: OrderedDict[Any, Any] = OrderedDict()

    def refresh(self) -> tuple[int, int]:
        """Read the entries anew if the database has changed; returns its version."""
        version = self.database.version()
        with self._lock:
            if version != self._version:
                found = self._with_sealed(self.database.entries())
                self._entries = {entry.id: entry for entry in found}
                self._tables.clear()
                self._pages.clear()
                self._version = version
        return version

    def _with_sealed(self, entries: list[Entry]) -> list[Entry]:
        """Entries with what their agents reached on the sealed tasks: those of the secret that the
        board has, or had last."""
        finished = self.database.sealed_results()
        drawn_from = {one.drawn_from.partition(".")[0]: one.drawn_from for one in finished}
        if self._drawn_from:
            drawn_from[present_suite()] = self._drawn_from
        found: dict[tuple[str, ...], dict[str, Result]] = {}
        for one in finished:
            key = (one.drawn_from, one.submitter, one.name, one.memory)
            found.setdefault(key, {})[one.result.environment] = one.result
        return [
            replace(e, sealed=found.get((drawn, e.submitter, e.card.name, e.memory), {}))
            for e in entries
            for drawn in [drawn_from.get(e.suite, "")]
        ]

    @property
    def entries(self) -> Mapping[int, Entry]:
        """Verified entries by their ids."""
        self.refresh()
        return self._entries

    def entry(self, identity: int) -> Entry | None:
        """An entry in any state."""
        return self.entries.get(identity) or self.database.entry(identity)

    def remembered(self, key: Any, make: Any) -> Any:
        """What ``make()`` gave for this key, as long as the database does not change."""
        version = self.refresh()
        with self._lock:
            if key in self._pages:
                self._pages.move_to_end(key)
                return self._pages[key]
        found = make()
        with self._lock:
            if version == self._version:
                self._pages[key] = found
                if len(self._pages) > _MOST_PAGES:
                    self._pages.popitem(last=False)
        return found

    # What there is -------------------------------------------------------------------------------

    @property
    def suites(self) -> list[str]:
        """Suite versions with entries, and the present one, newest first."""
        found = {entry.suite for entry in self.entries.values()} | {present_suite()}
        return sorted(found, key=lambda name: (name == present_suite(), name), reverse=True)

    def environments(self, suite: str) -> list[str]:
        """Environment ids of a suite version, in the suite's order."""
        if suite == present_suite():
            return list(_suite().environments)
        found = {name for e in self.entries.values() if e.suite == suite for name in e.results}
        return sorted(found)

    def selection(self, arguments: Mapping[str, str]) -> Selection:
        """What an address's query asks for; raises `UnknownNameError` for a name that is none."""
        suite = arguments.get("suite") or present_suite()
        _known("suite version", suite, self.suites)
        environments = self.environments(suite)
        parts = [split_environment_id(name) for name in environments]
        selection = Selection(
            suite=suite,
            environment=_one_of(arguments, "environment", environments),
            family=_one_of(arguments, "family", [family for family, _ in parts]),
            level=_one_of(arguments, "level", [level for _, level in parts]),
            split=_one_of(arguments, "split", SPLITS) or SPLITS[0],
            kind=_one_of(arguments, "kind", KINDS),
            weights=_one_of(arguments, "weights", ("open", "closed")),
            sort=_one_of(arguments, "sort", tuple(COLUMNS)) or "rank",
            order=_one_of(arguments, "order", ("asc", "desc")),
        )
        if not self.covered(selection):
            raise UnknownNameError(
                f"The suite has no environment of family {selection.family!r} and level "
                f"{selection.level!r}."
            )
        return selection

    def covered(self, selection: Selection) -> tuple[str, ...]:
        """The environments that a selection's table is over."""
        if selection.environment:
            return (selection.environment,)
        return tuple(
            name
            for name in self.environments(selection.suite)
            if selection.family in ("", split_environment_id(name)[0])
            and selection.level in ("", split_environment_id(name)[1])
        )

    # Tables --------------------------------------------------------------------------------------

    def table(self, suite: str, environments: tuple[str, ...], split: str = SPLITS[0]) -> list[Row]:
        """The ranked table over environments."""
        version = self.refresh()
        found = self._tables.get((suite, split, environments))
        if found is None:
            entries = [entry for entry in self._entries.values() if entry.suite == suite]
            if split == "sealed":
                entries = [replace(entry, results=entry.sealed) for entry in entries]
            found = table(entries, environments)
            with self._lock:
                if version == self._version and len(self._tables) < 200:
                    self._tables[suite, split, environments] = found
        return found

    def rows(self, selection: Selection) -> list[Row]:
        """The rows that a selection shows, in its order."""
        rows = [
            row
            for row in self.table(selection.suite, self.covered(selection), selection.split)
            if selection.kind in ("", row.entry.card.kind)
            and selection.weights in ("", _weights(row.entry))
        ]
        if selection.sort == "rank":
            return rows[::-1] if selection.is_descending else rows
        known = [row for row in rows if cell(row, selection.sort) is not None]
        rest = [row for row in rows if cell(row, selection.sort) is None]
        known.sort(key=lambda row: cell(row, selection.sort), reverse=selection.is_descending)
        return known + rest


def cell(row: Row, column: str) -> Any:
    """What a row is sorted by in a column; None for nothing."""
    if column.startswith("pass"):
        return _number(row.pass_at[int(column[4:]) - 1])
    if column == "agent":
        return row.entry.card.name.lower()
    if column == "submitted":
        return row.entry.submitted_at
    value = getattr(row, column)
    return _number(value) if isinstance(value, Value) else value


def present_suite() -> str:
    """Name and version of the suite that this board takes."""
    return f"{_suite().name}-{_suite().version}"


@cache
def _suite() -> Suite:
    return load_suite(DEFAULT_SUITE)


def _number(value: Value | None) -> float | None:
    return None if value is None else value.value


def _weights(entry: Entry) -> str:
    return {True: "open", False: "closed", None: ""}[entry.card.open_weights]


def _one_of(arguments: Mapping[str, str], name: str, known: Sequence[str]) -> str:
    value = arguments.get(name, "")
    if value:
        _known(name, value, list(dict.fromkeys(known)))
    return value


def _known(kind: str, name: str, names: Sequence[str]) -> None:
    if name not in names:
        raise UnknownNameError(unknown(kind, name[:80], names))
