"""The JSON API: everything that the pages show, submissions, and exports. ``openapi.json`` beside
this file describes it."""

from __future__ import annotations

import csv
import inspect
import io
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from flask import Blueprint, Response, abort, current_app, jsonify, request, send_file, url_for

from lamer_bench.env import environment_class, make
from lamer_bench.errors import LamerBenchError
from lamer_bench.task import Task, split_environment_id
from leaderboard.board import Board, Selection
from leaderboard.bundles import BundleError, unpack
from leaderboard.database import Token
from leaderboard.entries import Entry, Result
from leaderboard.limits import Limiter
from leaderboard.ranking import Row, Value, paired

api = Blueprint("api", __name__)
_DESCRIPTION = Path(__file__).parent / "openapi.json"
_BLOCK = 2**16
_MOST_COMPARED = 8


def board() -> Board:
    """The board of this application."""
    found: Board = current_app.extensions["board"]
    return found


# Submissions -------------------------------------------------------------------------------------


@api.post("/api/v1/submissions")
def submit() -> Any:
    """Take a bundle. The same one again is the same entry; what was rejected is judged anew."""
    token = bearer()
    limiter: Limiter = current_app.extensions["submissions"]
    refuse_for(limiter.seconds_to_wait(token.name))
    if not request.content_length:
        abort(411, "A bundle is sent with its Content-Length.")
    limiter.note(token.name)
    bundles = board().config.folder / "bundles"
    handle, name = tempfile.mkstemp(prefix="incoming-", dir=bundles)
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            while block := request.stream.read(_BLOCK):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        return _taken(path, token)
    finally:
        path.unlink(missing_ok=True)


def _taken(path: Path, token: Token) -> Any:
    database = board().database
    try:
        card, digest, _ = unpack(path)
    except BundleError as error:
        database.note("rejected", "", token.name, str(error))
        return jsonify(
            {"state": "rejected", "entry": None, "digest": None, "reason": str(error)}
        ), 422
    known = database.entry_by_digest(digest)
    place = board().config.bundle(digest)
    is_again = (  # with the file gone, what is rejected could never be verified again
        known is not None
        and known.state == "rejected"
        and known.submitter == token.name
        and not place.exists()
    )
    if known is None or is_again:
        day = datetime.now(UTC) - timedelta(days=1)
        if database.num_submitted_since(token.name, day) >= token.quota:
            refuse_for(3600.0, f"{token.name} has used its {token.quota} runs of this day.")
        os.replace(path, place)
        if known is None:
            known = database.entry(database.submit(digest, card, token.name))
        else:
            database.submit_again(known)
            known = database.entry(known.id)
    assert known is not None
    return jsonify(_submission(known)), 202 if known.state == "pending" else 200


@api.get("/api/v1/submissions/<digest>")
def submission(digest: str) -> Any:
    """What became of a submission."""
    entry = board().database.entry_by_digest(digest)
    if entry is None:
        abort(404, "No submission has this digest.")
    return jsonify(_submission(entry))


def _submission(entry: Entry) -> dict[str, Any]:
    return {
        "state": entry.state,
        "entry": entry.id,
        "digest": entry.digest,
        "reason": entry.reason,
        "url": url_for("pages.entry", identity=entry.id, _external=True),
    }


@api.post("/api/v1/entries/<int:identity>/withdraw")
def withdraw(identity: int) -> Any:
    """Take one's own entry off the board; the audit log keeps the line."""
    token = bearer()
    entry = board().database.entry(identity)
    if entry is None or entry.state not in ("verified", "pending"):
        abort(404, "No such entry stands on the board.")
    if entry.submitter != token.name:
        abort(403, "Only its submitter can withdraw an entry.")
    board().database.take_down(entry.digest, "withdrawn", token.name, "withdrawn by its submitter")
    return jsonify({"state": "withdrawn", "entry": identity})


def bearer() -> Token:
    """Whose token came with the request; 401 without one, 429 for more after many wrong ones. A
    right one is never refused: others may share the address."""
    kind, _, text = request.headers.get("Authorization", "").partition(" ")
    token = board().database.token_of(text.strip()) if kind.lower() == "bearer" else None
    if token is None:
        limiter: Limiter = current_app.extensions["refusals"]
        address = request.remote_addr or "unknown"
        refuse_for(limiter.seconds_to_wait(address))
        limiter.note(address)
        response = jsonify({"error": "This needs a valid token: Authorization: Bearer TOKEN."})
        response.status_code = 401
        response.headers["WWW-Authenticate"] = "Bearer"
        abort(response)
    return token


def refuse_for(seconds: float, message: str = "Too many requests; wait and send it again.") -> None:
    """Answer 429 where there is something to wait for."""
    if seconds > 0:
        response = jsonify({"error": message})
        response.status_code = 429
        response.headers["Retry-After"] = str(int(seconds) + 1)
        abort(response)


# Reading -----------------------------------------------------------------------------------------


@api.get("/healthz")
def health() -> Any:
    """Whether the database answers, and how much waits."""
    return jsonify({"status": "ok", "pending": board().database.num_pending()})


@api.get("/api/v1/openapi.json")
def description() -> Response:
    """This API in the form of OpenAPI."""
    return Response(_DESCRIPTION.read_bytes(), mimetype="application/json")


@api.get("/api/v1/environments")
def environments() -> Any:
    """The environments of each suite version."""
    return jsonify({suite: board().environments(suite) for suite in board().suites})


@api.get("/api/v1/environments/<environment>")
def environment(environment: str) -> Any:
    """One environment: what it is, its rules, an example."""
    _known_environment(environment)
    return jsonify({"environment": environment} | (described(environment) or {}))


def _known_environment(name: str) -> None:
    names = dict.fromkeys(one for suite in board().suites for one in board().environments(suite))
    if name not in names:
        abort(404, f"No environment of this board is called {name[:60]!r}.")


@cache
def described(environment: str) -> dict[str, str] | None:
    """What an environment's docstring and its first test task say; None where it is not installed
    any more."""
    try:
        cls = environment_class(environment)
        env = make(environment)
        env.load(Task(env.environment, "test", 0))
        first, _ = env.reset()
    except LamerBenchError:
        return None
    level = cls.levels[split_environment_id(environment)[1]]
    text = inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0]
    return {
        "summary": " ".join(text.split()),
        "level": getattr(level, "description", ""),
        "rules": env.rules(),
        "observation": first,
        "turns": str(env.turn_limit),
    }


@api.get("/api/v1/table")
def table() -> Any:
    """A ranked table."""
    selection = _selection()
    rows = [row_json(row) for row in board().rows(selection)]
    covered = list(board().covered(selection))
    return jsonify(
        {
            "suite": selection.suite,
            "split": selection.split,
            "environments": covered,
            "rows": rows,
        }
    )


@api.get("/api/v1/table.csv")
def table_csv() -> Response:
    """A table as CSV: a line for each entry."""
    lines = [flat(row) for row in board().rows(_selection())]
    text = io.StringIO()
    writer = csv.DictWriter(text, FLAT, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: guarded(value) for name, value in line.items()} for line in lines)
    return Response(text.getvalue(), mimetype="text/csv")


@api.get("/api/v1/table.parquet")
def table_parquet() -> Response:
    """A table as Parquet."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        abort(501, 'Parquet needs: pip install "lamer-bench[export]"')
    lines = [flat(row) for row in board().rows(_selection())]
    columns = {name: [line[name] for line in lines] for name in FLAT}
    sink = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), sink)
    return Response(sink.getvalue(), mimetype="application/vnd.apache.parquet")


@api.get("/api/v1/entries/<int:identity>")
def entry(identity: int) -> Any:
    """An entry with all scores of its runs."""
    found = board().entry(identity)
    if found is None:
        abort(404, "There is no such entry.")
    return jsonify(entry_json(found))


@api.get("/api/v1/entries/<int:identity>/bundle")
def bundle(identity: int) -> Any:
    """The bundle as it was sent."""
    found = board().entries.get(identity)
    if found is None:
        abort(404, "No verified entry has this number.")
    path = board().config.bundle(found.digest).resolve()
    if not path.exists():
        abort(404, "The bundle is not kept on this board.")
    return send_file(path, mimetype="application/zip", download_name=f"entry-{identity}.zip")


@api.get("/api/v1/compare")
def compare() -> Any:
    """Paired differences of the first of some entries to each other one."""
    first, *others = compared(request.args.get("entries", ""))
    return jsonify(
        [
            {
                "a": first.id,
                "b": other.id,
                "environments": [asdict(p) for p in paired(first, other)],
            }
            for other in others
        ]
    )


@api.get("/api/v1/audit")
def audit() -> Any:
    """The newest hundred lines of the audit log, or those before a line."""
    text = request.args.get("before")
    if text is not None and not (text.isascii() and text.isdigit() and len(text) < 16):
        abort(400, "before is the number of a line.")
    lines = board().database.audit(None if text is None else int(text))
    return jsonify([asdict(line) | {"at": line.at.isoformat()} for line in lines])


def compared(text: str) -> list[Entry]:
    """Two to eight verified entries by their numbers, separated by commas, of one suite version."""
    numbers = list(dict.fromkeys(text.split(",")))
    if not 2 <= len(numbers) <= _MOST_COMPARED:
        _bad(f"Give 2 to {_MOST_COMPARED} entries: entries=3,5.")
    found = []
    for number in numbers:
        is_number = number.isascii() and number.isdigit() and len(number) < 16
        entry = board().entries.get(int(number)) if is_number else None
        if entry is None:
            _bad(f"No verified entry has the number {number[:20]!r}.")
        found.append(entry)
    if len({entry.suite for entry in found}) > 1:
        _bad("Entries of different suite versions cannot be compared.")
    return found


def _bad(message: str) -> NoReturn:
    abort(400, message)


def _selection() -> Selection:
    return board().selection(request.args)


# As JSON and as lines ----------------------------------------------------------------------------


def entry_json(entry: Entry) -> dict[str, Any]:
    """An entry for programs."""
    return {
        "id": entry.id,
        "digest": entry.digest,
        "state": entry.state,
        "reason": entry.reason,
        "submitter": entry.submitter,
        "agent": entry.card.model_dump(),
        "memory": entry.memory,
        "suite": entry.suite,
        "submitted_at": entry.submitted_at.isoformat(),
        "decided_at": entry.decided_at.isoformat() if entry.decided_at else None,
        "results": _results_json(entry.results),
        "sealed": _results_json(entry.sealed),
    }


def _results_json(results: Mapping[str, Result]) -> dict[str, Any]:
    return {
        name: {
            "scores": dict(result.scores),
            "tasks": dict(result.tasks),
            "turns": result.num_turns,
        }
        for name, result in results.items()
    }


def row_json(row: Row) -> dict[str, Any]:
    """A line of a table for programs; shares from 0 to 1, entropy in nats."""
    return {
        "rank": row.rank,
        "entry": row.entry.id,
        "agent": row.entry.card.model_dump(),
        "submitter": row.entry.submitter,
        "memory": row.entry.memory,
        "submitted_at": row.entry.submitted_at.isoformat(),
        "environments": list(row.environments),
        "pass_at": {str(k): _value(value) for k, value in enumerate(row.pass_at, start=1)},
        "sealed": _value(row.sealed),
        "control": _value(row.control),
        "gain": _value(row.gain),
        "trajectory_entropy": _value(row.entropy),
        "tokens": row.tokens,
        "voids": row.voids,
        "p_next": row.p_next,
    }


def _value(value: Value | None) -> Mapping[str, Any] | None:
    return None if value is None else asdict(value)


_MEASURES = (
    "pass_at_1",
    "pass_at_2",
    "pass_at_3",
    "sealed",
    "control",
    "gain",
    "trajectory_entropy",
)
FLAT = (
    *("rank", "entry", "agent", "kind", "base_model", "memory", "submitter", "submitted_at"),
    *("trained_on_suite", "open_weights", "environments"),
    *(f"{name}{end}" for name in _MEASURES for end in ("", "_low", "_high")),
    *("tokens", "voids", "p_next"),
)
"""Columns of the exports."""


def flat(row: Row) -> dict[str, Any]:
    """A line of a table with one value in each column."""
    line = row_json(row)
    card = line["agent"]
    values = {f"pass_at_{k}": line["pass_at"].get(str(k)) for k in (1, 2, 3)}
    values |= {name: line[name] for name in _MEASURES[3:]}
    found = {name: line[name] for name in FLAT if name in line} | {
        "agent": card["name"],
        "kind": card["kind"],
        "base_model": card["base_model"],
        "trained_on_suite": card["trained_on_suite"],
        "open_weights": card["open_weights"],
        "environments": " ".join(row.environments),
    }
    for name, value in values.items():
        value = value or {"value": None, "low": None, "high": None}
        found |= {name: value["value"], f"{name}_low": value["low"], f"{name}_high": value["high"]}
    return {name: found[name] for name in FLAT}


def guarded(value: Any) -> Any:
    """A text that a spreadsheet will not take for a formula."""
    return (
        f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t") else value
    )
