"""The database: everything that a board stores, and the only SQL.

SQLite (a file, write-ahead log) or PostgreSQL, by the URL. A change of a submission and its audit
line are one transaction. Work is handed out by leases: whoever holds the newest lease of a pending
submission may decide it, so that a killed worker loses nothing and a late one decides nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from lamer_bench.errors import SettingError
from leaderboard.bundles import AgentCard
from leaderboard.entries import AuditLine, Entry, Result, SealedResult, State
from leaderboard.schema import audit as _audit
from leaderboard.schema import entries as _entries
from leaderboard.schema import results as _results
from leaderboard.schema import sealed_answers as _sealed_answers
from leaderboard.schema import sealed_runs as _sealed_runs
from leaderboard.schema import tokens as _tokens
from leaderboard.schema import upgrade


@dataclass(frozen=True)
class Token:
    """A submitter's token, without its secret."""

    id: int
    name: str
    quota: int
    """Submissions in 24 hours."""
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True)
class Job:
    """A pending submission that a worker holds."""

    entry: int
    digest: str
    lease: str
    attempts: int
    """Judges that died over it before."""


@dataclass(frozen=True)
class SealedRow:
    """A run on sealed tasks, as it is stored."""

    id: int
    drawn_from: str
    """Suite version and label of the secret, such as ``lamer-2.1f0c9a3e``."""
    submitter: str
    settings: str
    """JSON of the run's `Settings`."""
    scores: dict[str, Any] | None
    """None as long as it is not finished."""


class Database:
    """One board's database; safe to share among threads and processes."""

    def __init__(self, url: str) -> None:
        try:
            self._engine = sa.create_engine(
                _with_driver(url), pool_pre_ping=not url.startswith("sqlite")
            )
        except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ImportError) as error:
            raise SettingError(
                f"{url!r} opens no database: {error}. Give sqlite:///board.sqlite or "
                'postgresql://user:password@host/name (pip install "lamer-bench[postgres]").'
            ) from error
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _prepare_sqlite)
            sa.event.listen(self._engine, "begin", _begin_immediate)
        self._create()

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()

    def _create(self) -> None:
        try:
            with self._writing() as connection:
                if self._engine.dialect.name == "postgresql":  # two servers may start at once
                    connection.execute(sa.text("SELECT pg_advisory_xact_lock(7236519)"))
                upgrade(connection)
        except sa.exc.DBAPIError as error:
            raise SettingError(f"The database cannot be opened: {error.orig}.") from error

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._engine.execution_options(writes=True).begin() as connection:
            yield connection

    # Tokens --------------------------------------------------------------------------------------

    def add_token(self, name: str, quota: int) -> str:
        """Make a token for a submitter; returns it, and only now: its hash alone is stored."""
        secret = secrets.token_urlsafe(32)
        row = {"name": name, "hash": _hash(secret), "quota": quota, "created_at": now()}
        try:
            with self._writing() as connection:
                made = connection.execute(_tokens.insert().values(row)).inserted_primary_key
        except sa.exc.IntegrityError as error:
            raise SettingError(
                f"There is a token for {name!r} already; revoke it first."
            ) from error
        assert made is not None
        return f"lamer_{made[0]}_{secret}"

    def tokens(self) -> list[Token]:
        """All tokens, revoked ones included."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(_tokens).order_by(_tokens.c.id))
            return [
                Token(r.id, r.name, r.quota, _aware(r.created_at), _time(r.revoked_at))
                for r in rows
            ]

    def revoke_token(self, name: str) -> None:
        """Make a submitter's token worthless; their entries stay."""
        gone = f"{name} revoked {secrets.token_hex(4)}"[:64]  # the name may get a new token
        with self._writing() as connection:
            changed = connection.execute(
                _tokens.update()
                .where(_tokens.c.name == name, _tokens.c.revoked_at.is_(None))
                .values(revoked_at=now(), name=gone)
            )
        if not changed.rowcount:
            raise SettingError(f"No token is called {name!r}.")

    def token_of(self, text: str) -> Token | None:
        """The token behind a bearer's text; compared in constant time. None when there is none."""
        _, _, rest = text.partition("lamer_")
        number, _, secret = rest.partition("_")
        identity = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(_tokens).where(_tokens.c.id == identity)).first()
        stored = row.hash if row else _hash("")
        is_right = hmac.compare_digest(stored, _hash(secret))
        if row is None or not is_right or row.revoked_at is not None:
            return None
        return Token(row.id, row.name, row.quota, _aware(row.created_at), None)

    def num_submitted_since(self, submitter: str, since: datetime) -> int:
        """Submissions of someone, whatever became of them, and runs on sealed tasks."""
        with self._engine.connect() as connection:
            return connection.scalar(  # type: ignore[return-value]
                sa.select(sa.func.count())
                .select_from(_audit)
                .where(
                    _audit.c.who == submitter,
                    _audit.c.action.in_(("submitted", "sealed begun")),
                    _audit.c.at >= since.astimezone(UTC).replace(tzinfo=None),
                )
            )

    # Submissions ---------------------------------------------------------------------------------

    def submit(self, digest: str, card: AgentCard, submitter: str) -> int:
        """Store a submission as pending; the one that is there already, if its digest is known."""
        row = {
            "digest": digest,
            "state": "pending",
            "submitter": submitter,
            "card": card.model_dump_json(),
            "submitted_at": now(),
        }
        try:
            with self._writing() as connection:
                made = connection.execute(_entries.insert().values(row)).inserted_primary_key
                assert made is not None
                _log(connection, "submitted", digest, submitter, card.name)
                return int(made[0])
        except sa.exc.IntegrityError:
            known = self.entry_by_digest(digest)
            assert known is not None
            return known.id

    def submit_again(self, entry: Entry) -> None:
        """Put a rejected submission back into the queue, after its bundle has come once more."""
        with self._writing() as connection:
            changed = connection.execute(
                _entries.update()
                .where(_entries.c.id == entry.id, _entries.c.state == "rejected")
                .values(
                    state="pending",
                    reason="",
                    decided_at=None,
                    lease=None,
                    lease_until=None,
                    attempts=0,
                )
            )
            if changed.rowcount:
                _log(connection, "submitted", entry.digest, entry.submitter, entry.card.name)

    def note(self, action: str, digest: str, who: str, detail: str) -> None:
        """An audit line for something that is stored nowhere else."""
        with self._writing() as connection:
            _log(connection, action, digest, who, detail)

    def claim(self, seconds: float) -> Job | None:
        """Take the oldest pending submission that nobody holds, for so many seconds."""
        lease = secrets.token_hex(16)
        free = sa.or_(_entries.c.lease_until.is_(None), _entries.c.lease_until < now())
        pending = (
            sa.select(_entries.c.id)
            .where(_entries.c.state == "pending", free)
            .order_by(_entries.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        with self._writing() as connection:
            identity = connection.scalar(pending)
            if identity is None:
                return None
            connection.execute(
                _entries.update()
                .where(_entries.c.id == identity)
                .values(lease=lease, lease_until=now() + timedelta(seconds=seconds))
            )
            row = connection.execute(sa.select(_entries).where(_entries.c.id == identity)).one()
        return Job(row.id, row.digest, lease, row.attempts)

    def renew(self, job: Job, seconds: float) -> bool:
        """Hold a job for longer; False when somebody else holds it by now."""
        with self._writing() as connection:
            changed = connection.execute(
                _mine(job).values(lease_until=now() + timedelta(seconds=seconds))
            )
        return bool(changed.rowcount)

    def give_back(self, job: Job, *, judge_died: bool = False) -> None:
        """Let somebody else take the job at once."""
        attempts = job.attempts + judge_died
        with self._writing() as connection:
            connection.execute(_mine(job).values(lease_until=None, lease=None, attempts=attempts))

    def verified(
        self, job: Job, suite: str, memory: str, results: Mapping[str, Mapping[str, Any]]
    ) -> bool:
        """Store the verdict and the scores at once; False when the job is no longer held."""
        rows = [
            {
                "entry": job.entry,
                "environment": environment,
                "scores": json.dumps(result["scores"]),
                "tasks": json.dumps(result["tasks"]),
                "num_turns": result["num_turns"],
            }
            for environment, result in results.items()
        ]
        values = {"state": "verified", "reason": "", "suite": suite, "memory": memory}
        with self._writing() as connection:
            if not connection.execute(_mine(job).values(decided_at=now(), **values)).rowcount:
                return False
            connection.execute(_results.delete().where(_results.c.entry == job.entry))
            connection.execute(_results.insert(), rows)
            turns = sum(row["num_turns"] for row in rows)
            detail = f"{len(rows)} environments, {turns} turns replayed"
            _log(connection, "verified", job.digest, "board", detail)
        return True

    def rejected(self, job: Job, reason: str) -> bool:
        """Store the verdict; False when the job is no longer held."""
        with self._writing() as connection:
            values = {"state": "rejected", "reason": reason, "decided_at": now()}
            if not connection.execute(_mine(job).values(**values)).rowcount:
                return False
            connection.execute(_results.delete().where(_results.c.entry == job.entry))
            _log(connection, "rejected", job.digest, "board", reason)
        return True

    def take_down(self, digest: str, state: State, who: str, reason: str) -> None:
        """Withdraw or remove an entry; the name of a removed one shows in the audit log only."""
        with self._writing() as connection:
            changed = connection.execute(
                _entries.update()
                .where(_entries.c.digest == digest, _entries.c.state.in_(("verified", "pending")))
                .values(state=state, reason=reason, decided_at=now(), lease=None)
            )
            if not changed.rowcount:
                raise SettingError(f"No entry with the digest {digest[:64]!r} stands on the board.")
            _log(connection, state, digest, who, reason)

    def verify_again(self, who: str, which: str | Iterable[str]) -> int:
        """Put entries back into the queue: those of some digests, or all verified ones of a suite
        version, such as ``lamer-2``; returns their number."""
        with self._writing() as connection:
            query = sa.select(_entries.c.digest).where(
                _entries.c.state.in_(("verified", "rejected"))
            )
            if isinstance(which, str):
                query = query.where(_entries.c.state == "verified", _entries.c.suite == which)
            else:
                query = query.where(_entries.c.digest.in_(list(which)))
            found = list(connection.scalars(query))
            for digest in found:
                _log(connection, "reverify", digest, who, "")
            connection.execute(
                _entries.update()
                .where(_entries.c.digest.in_(found))
                .values(state="pending", lease=None, lease_until=None, attempts=0)
            )
        return len(found)

    # Sealed tasks --------------------------------------------------------------------------------

    def find_sealed(self, names: Mapping[str, str]) -> int | None:
        """The run on sealed tasks that is called so, if there is one; ``names``: drawn_from,
        submitter, name, memory and environment."""
        wanted = [_sealed_runs.c[column] == value for column, value in names.items()]
        with self._engine.connect() as connection:
            return connection.scalar(sa.select(_sealed_runs.c.id).where(*wanted))

    def begin_sealed(self, names: Mapping[str, str], settings: str) -> int:
        """Store a run on sealed tasks that begins, or find the one that is called so."""
        row = {**names, "settings": settings, "began_at": now()}
        try:
            with self._writing() as connection:
                made = connection.execute(_sealed_runs.insert().values(row)).inserted_primary_key
                assert made is not None
                detail = f"{names['name']} on {names['environment']}, {names['drawn_from']}"
                _log(connection, "sealed begun", "", names["submitter"], detail)
                return int(made[0])
        except sa.exc.IntegrityError:
            known = self.find_sealed(names)
            assert known is not None
            return known

    def sealed_run(self, identity: int) -> SealedRow | None:
        """A run on sealed tasks."""
        with self._engine.connect() as connection:
            row = connection.execute(
                sa.select(_sealed_runs).where(_sealed_runs.c.id == identity)
            ).first()
        if row is None:
            return None
        scores = json.loads(row.scores) if row.finished_at else None
        return SealedRow(row.id, row.drawn_from, row.submitter, row.settings, scores)

    def sealed_answers(self, run: int) -> list[str]:
        """Stored answers, those of a trial in their order."""
        query = (
            sa.select(_sealed_answers.c.answer)
            .where(_sealed_answers.c.run == run)
            .order_by(_sealed_answers.c.trial, _sealed_answers.c.place)
        )
        with self._engine.connect() as connection:
            return list(connection.scalars(query))

    def store_sealed_answers(self, run: int, answers: Mapping[tuple[int, int], str]) -> bool:
        """Store answers by (trial, place), all or none; False where one of them is there."""
        rows = [
            {"run": run, "trial": trial, "place": place, "answer": answer}
            for (trial, place), answer in answers.items()
        ]
        try:
            with self._writing() as connection:
                connection.execute(_sealed_answers.insert(), rows)
        except sa.exc.IntegrityError:
            return False
        return True

    def finish_sealed(self, row: SealedRow, result: Mapping[str, Any], detail: str) -> None:
        """Store the scores of a run once; its answers are in its run folder by then."""
        values = {
            "finished_at": now(),
            "scores": json.dumps(result["scores"]),
            "tasks": json.dumps(result["tasks"]),
            "num_turns": result["num_turns"],
        }
        with self._writing() as connection:
            changed = connection.execute(
                _sealed_runs.update()
                .where(_sealed_runs.c.id == row.id, _sealed_runs.c.finished_at.is_(None))
                .values(values)
            )
            if changed.rowcount:
                connection.execute(_sealed_answers.delete().where(_sealed_answers.c.run == row.id))
                _log(connection, "sealed", "", row.submitter, detail)

    def sealed_results(self) -> list[SealedResult]:
        """All finished runs on sealed tasks, oldest first."""
        query = (
            sa.select(_sealed_runs)
            .where(_sealed_runs.c.finished_at.is_not(None))
            .order_by(_sealed_runs.c.id)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [SealedResult(r.drawn_from, r.submitter, r.name, r.memory, _result(r)) for r in rows]

    # Backups -------------------------------------------------------------------------------------

    def dump(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(table, row) of everything, as one transaction sees it."""
        with self._engine.connect() as connection:
            if self._engine.dialect.name == "postgresql":  # SQLite's see one state anyway
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            for stored in _KEPT:
                for row in connection.execute(sa.select(stored).order_by(*stored.primary_key)):
                    values = row._asdict()
                    yield stored.name, {n: _plain(value) for n, value in values.items()}

    def fill(self, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Store what `dump` gave, in a database that holds nothing (`SettingError`)."""
        tables = {stored.name: stored for stored in _KEPT}
        with self._writing() as connection:
            for stored in _KEPT:
                if connection.scalar(sa.select(sa.func.count()).select_from(stored)):
                    raise SettingError("The database is not empty; restore into a new one.")
            for name, row in rows:
                times = {c.name for c in tables[name].columns if isinstance(c.type, sa.DateTime)}
                values = {
                    n: datetime.fromisoformat(v) if n in times and v else v for n, v in row.items()
                }
                connection.execute(tables[name].insert().values(values))
            if self._engine.dialect.name == "postgresql":
                for stored in (_tokens, _entries, _sealed_runs, _audit):
                    connection.execute(
                        sa.text(
                            f"SELECT setval(pg_get_serial_sequence('{stored.name}', 'id'), "
                            f"(SELECT coalesce(max(id), 1) FROM {stored.name}))"
                        )
                    )

    # Reading -------------------------------------------------------------------------------------

    def version(self) -> tuple[int, int]:
        """Another one after every change that a page could show. A line may be committed after one
        with a higher number, so that the highest alone says too little."""
        count, newest = sa.func.count(), sa.func.coalesce(sa.func.max(_audit.c.id), 0)
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(count, newest).select_from(_audit)).one()
        return (row[0], row[1])

    def num_pending(self) -> int:
        """Submissions that wait for their verdict."""
        with self._engine.connect() as connection:
            count = sa.select(sa.func.count()).select_from(_entries)
            return connection.scalar(count.where(_entries.c.state == "pending")) or 0

    def entries(self, states: Sequence[State] = ("verified",)) -> list[Entry]:
        """Entries in order of their ids, with the results of verified ones."""
        return self._entries(_entries.c.state.in_(list(states)))

    def entry(self, identity: int) -> Entry | None:
        """One entry in any state."""
        return next(iter(self._entries(_entries.c.id == identity)), None)

    def entry_by_digest(self, digest: str) -> Entry | None:
        """One entry in any state."""
        return next(iter(self._entries(_entries.c.digest == digest)), None)

    def _entries(self, condition: Any) -> list[Entry]:
        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(_entries).where(condition).order_by(_entries.c.id)
            ).all()
            found = connection.execute(
                sa.select(_results)
                .join(_entries, _entries.c.id == _results.c.entry)
                .where(condition, _entries.c.state == "verified")
                .order_by(_results.c.entry, _results.c.environment)
            ).all()
        results: dict[int, dict[str, Result]] = {}
        for row in found:
            results.setdefault(row.entry, {})[row.environment] = _result(row)
        return [_entry(row, results.get(row.id, {})) for row in rows]

    def audit(self, before: int | None = None, most: int = 100) -> list[AuditLine]:
        """The newest lines first."""
        query = sa.select(_audit).order_by(_audit.c.id.desc()).limit(most)
        if before is not None:
            query = query.where(_audit.c.id < before)
        with self._engine.connect() as connection:
            return [
                AuditLine(r.id, _aware(r.at), r.action, r.digest, r.who, r.detail)
                for r in connection.execute(query)
            ]


_KEPT = (_tokens, _entries, _results, _sealed_runs, _sealed_answers, _audit)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def now() -> datetime:
    """UTC, without its zone, as it is stored."""
    return datetime.now(UTC).replace(tzinfo=None)


def _mine(job: Job) -> Any:
    return _entries.update().where(
        _entries.c.id == job.entry, _entries.c.lease == job.lease, _entries.c.state == "pending"
    )


def _log(connection: sa.Connection, action: str, digest: str, who: str, detail: str) -> None:
    line = {"at": now(), "action": action, "digest": digest, "who": who, "detail": detail}
    connection.execute(_audit.insert().values(line))


def _result(row: Any) -> Result:
    tasks = {task: tuple(shares) for task, shares in json.loads(row.tasks).items()}
    return Result(row.environment, json.loads(row.scores), tasks, row.num_turns)


def _entry(row: Any, results: Mapping[str, Result]) -> Entry:
    card = AgentCard.model_validate_json(row.card)
    if row.state == "removed":
        card = card.model_copy(update={"name": "Removed", "base_model": "", "link": ""})
    return Entry(
        id=row.id,
        digest=row.digest,
        state=row.state,
        reason=row.reason,
        submitter=row.submitter,
        card=card,
        memory=row.memory,
        suite=row.suite,
        submitted_at=_aware(row.submitted_at),
        decided_at=_time(row.decided_at),
        results=results,
    )


def _aware(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC)


def _time(value: datetime | None) -> datetime | None:
    return None if value is None else _aware(value)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _with_driver(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where _begin_immediate says
    for setting in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "busy_timeout=20000",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {setting}")


def _begin_immediate(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
