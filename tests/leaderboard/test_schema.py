"""Databases of older versions are brought up, those of newer ones refused; the audit log stays."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from lamer_bench.errors import SettingError
from leaderboard import schema
from leaderboard.database import Database
from tests.leaderboard.conftest import CARD, Lab

VERSION_1 = f"""
CREATE TABLE schema (version INTEGER NOT NULL);
CREATE TABLE tokens (id INTEGER NOT NULL, name VARCHAR(64) NOT NULL, hash VARCHAR(64) NOT NULL,
 quota INTEGER NOT NULL, created_at DATETIME NOT NULL, revoked_at DATETIME, PRIMARY KEY (id),
 UNIQUE (name));
CREATE TABLE entries (id INTEGER NOT NULL, digest VARCHAR(64) NOT NULL, state VARCHAR(16) NOT NULL,
 reason TEXT NOT NULL, submitter VARCHAR(64) NOT NULL, card TEXT NOT NULL,
 memory VARCHAR(16) NOT NULL, suite VARCHAR(64) NOT NULL, submitted_at DATETIME NOT NULL,
 decided_at DATETIME, lease VARCHAR(32), lease_until DATETIME, attempts INTEGER NOT NULL,
 PRIMARY KEY (id), UNIQUE (digest));
CREATE INDEX ix_entries_state ON entries (state);
CREATE INDEX ix_entries_submitter ON entries (submitter);
CREATE TABLE audit (id INTEGER NOT NULL, at DATETIME NOT NULL, action VARCHAR(16) NOT NULL,
 digest VARCHAR(64) NOT NULL, who VARCHAR(64) NOT NULL, detail TEXT NOT NULL, PRIMARY KEY (id));
CREATE TABLE results (entry INTEGER NOT NULL, environment VARCHAR(64) NOT NULL,
 scores TEXT NOT NULL, tasks TEXT NOT NULL, num_turns INTEGER NOT NULL,
 PRIMARY KEY (entry, environment), FOREIGN KEY(entry) REFERENCES entries (id));
INSERT INTO schema VALUES (1);
INSERT INTO entries VALUES (1, 'ab', 'verified', '', 'lab', '{CARD.model_dump_json()}', 'none',
 'lamer-2', '2026-01-02 03:04:05', '2026-01-02 03:04:06', NULL, NULL, 1);
INSERT INTO results VALUES (1, 'minesweeper-easy', '{{}}',
 '{{"minesweeper-easy/test/0": [1.0]}}', 7);
INSERT INTO audit VALUES (1, '2026-01-02 03:04:06', 'verified', 'ab', 'board', '7 turns');
"""


def version(database: Database) -> int:
    with database._engine.connect() as connection:
        found = connection.scalars(sa.select(schema.schema.c.version)).all()
    assert len(found) == 1
    return int(found[0])


def test_a_database_of_version_1_is_brought_up_with_all_it_holds(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "old.sqlite") as connection:
        connection.executescript(VERSION_1)
    connection.close()
    for _ in range(2):  # the second time there is nothing to do
        database = Database(f"sqlite:///{tmp_path}/old.sqlite")
        assert version(database) == schema.SCHEMA_VERSION
        (entry,) = database.entries()
        assert entry.card == CARD
        assert entry.results["minesweeper-easy"].num_turns == 7
        assert database.sealed_results() == []
        test_the_database_itself_keeps_the_audit_log(Lab(*[None] * 3, database, ""))  # type: ignore[arg-type]
        assert database.audit()[-1].detail == "7 turns"
        database.close()


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.sqlite"
    Database(url).close()
    with sqlite3.connect(tmp_path / "new.sqlite") as connection:
        connection.execute("UPDATE schema SET version = 99")
    connection.close()
    with pytest.raises(SettingError, match="schema version 99; this program knows 2 at most"):
        Database(url)


def test_the_database_itself_keeps_the_audit_log(lab: Lab) -> None:
    lab.database.note("rejected", "", "lab", "a line")
    before = lab.database.audit()
    for change in (schema.audit.update().values(detail="another"), schema.audit.delete()):
        with (
            pytest.raises(sa.exc.DBAPIError, match="the audit log is append-only"),
            lab.database._writing() as connection,
        ):
            connection.execute(change)
    assert lab.database.audit() == before
