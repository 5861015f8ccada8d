"""The tables of a board's database, and how a database of an older version becomes one of this."""

from __future__ import annotations

import sqlalchemy as sa

from lamer_bench.errors import SettingError

SCHEMA_VERSION = 2
METADATA = sa.MetaData()
_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")

schema = sa.Table("schema", METADATA, sa.Column("version", sa.Integer, nullable=False))
tokens = sa.Table(
    "tokens",
    METADATA,
    sa.Column("id", _id, primary_key=True, autoincrement=True),
    sa.Column("name", sa.String(64), nullable=False, unique=True),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("quota", sa.Integer, nullable=False),
    sa.Column("created_at", sa.DateTime, nullable=False),
    sa.Column("revoked_at", sa.DateTime),
)
entries = sa.Table(
    "entries",
    METADATA,
    sa.Column("id", _id, primary_key=True, autoincrement=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("reason", sa.Text, nullable=False, default=""),
    sa.Column("submitter", sa.String(64), nullable=False, index=True),
    sa.Column("card", sa.Text, nullable=False),
    sa.Column("memory", sa.String(16), nullable=False, default=""),
    sa.Column("suite", sa.String(64), nullable=False, default=""),
    sa.Column("submitted_at", sa.DateTime, nullable=False),
    sa.Column("decided_at", sa.DateTime),
    sa.Column("lease", sa.String(32)),
    sa.Column("lease_until", sa.DateTime),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
)
results = sa.Table(
    "results",
    METADATA,
    sa.Column("entry", _id, sa.ForeignKey("entries.id"), primary_key=True),
    sa.Column("environment", sa.String(64), primary_key=True),
    sa.Column("scores", sa.Text, nullable=False),
    sa.Column("tasks", sa.Text, nullable=False),
    sa.Column("num_turns", sa.Integer, nullable=False),
)
sealed_runs = sa.Table(
    "sealed_runs",
    METADATA,
    sa.Column("id", _id, primary_key=True, autoincrement=True),
    sa.Column("drawn_from", sa.String(80), nullable=False),
    sa.Column("submitter", sa.String(64), nullable=False),
    sa.Column("name", sa.String(120), nullable=False),
    sa.Column("memory", sa.String(16), nullable=False),
    sa.Column("environment", sa.String(64), nullable=False),
    sa.Column("settings", sa.Text, nullable=False),
    sa.Column("began_at", sa.DateTime, nullable=False),
    sa.Column("finished_at", sa.DateTime),
    sa.Column("scores", sa.Text, nullable=False, default=""),
    sa.Column("tasks", sa.Text, nullable=False, default=""),
    sa.Column("num_turns", sa.Integer, nullable=False, default=0),
    sa.UniqueConstraint("drawn_from", "submitter", "name", "memory", "environment"),
)
sealed_answers = sa.Table(
    "sealed_answers",
    METADATA,
    sa.Column("run", _id, sa.ForeignKey("sealed_runs.id"), primary_key=True),
    sa.Column("trial", sa.Integer, primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True),
    sa.Column("answer", sa.Text, nullable=False),  # JSON
)
audit = sa.Table(
    "audit",
    METADATA,
    sa.Column("id", _id, primary_key=True, autoincrement=True),
    sa.Column("at", sa.DateTime, nullable=False),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("who", sa.String(64), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
)

_APPEND_ONLY = {
    "sqlite": [
        f"CREATE TRIGGER audit_{what.lower()} BEFORE {what} ON audit "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        for what in ("UPDATE", "DELETE")
    ],
    "postgresql": [
        "CREATE FUNCTION audit_kept() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$",
        "CREATE TRIGGER audit_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_kept()",
    ],
}


def upgrade(connection: sa.Connection) -> None:
    """Make the tables of a new database, or bring those of an older version up to this one, in the
    transaction of ``connection``.

    Raises:
        SettingError: a newer program wrote the database.
    """
    is_new = not sa.inspect(connection).has_table("schema")
    METADATA.create_all(connection)  # tables of later versions; those that are there stay
    found = 0 if is_new else connection.scalar(sa.select(schema.c.version)) or 0
    if found > SCHEMA_VERSION:
        raise SettingError(
            f"The database has schema version {found}; this program knows {SCHEMA_VERSION} at "
            "most. Use the program that wrote it, or a new database."
        )
    if found < 2:  # 2: sealed tasks; the database itself keeps the audit log as it is
        for statement in _APPEND_ONLY[connection.dialect.name]:
            connection.exec_driver_sql(statement)
    if found < SCHEMA_VERSION:
        connection.execute(schema.delete())
        connection.execute(schema.insert().values(version=SCHEMA_VERSION))
