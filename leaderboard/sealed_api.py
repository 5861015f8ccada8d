"""The API to play sealed tasks through: begin or go on with a run, send answers, get questions."""

from __future__ import annotations

import gzip
import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

from flask import Blueprint, Response, abort, current_app, request
from pydantic import BaseModel, Field, ValidationError

from lamer_bench import suites
from lamer_bench.agent import Memory
from lamer_bench.env import make
from lamer_bench.record import Model, Settings
from lamer_bench.task import SEALED
from leaderboard.api import bearer, board, refuse_for
from leaderboard.bundles import Text
from leaderboard.config import Config
from leaderboard.database import Database, SealedRow, Token
from leaderboard.rules import CONTROL_EPISODES, EPISODES
from leaderboard.sealed import (
    MOST_IN_FLIGHT,
    Answered,
    BehindError,
    Given,
    Seal,
    SealedRun,
)

sealed = Blueprint("sealed", __name__, url_prefix="/api/v1/sealed")
MOST_REQUEST_BYTES = 4 * 2**20
MOST_SETTINGS_BYTES = 2**16
_MOST_HELD = 8
"""Runs that are kept in memory; another one is rebuilt from its answers."""
_COMPRESSED_FROM = 1024

Body = TypeVar("Body", bound=BaseModel)


class Opening(Model):
    """What the agent's side says of its run."""

    environment: Annotated[str, Field(max_length=64)]
    name: Annotated[Text, Field(min_length=1)]
    """As its entry is called on the board."""
    agent: Annotated[Text, Field(min_length=1)]
    agent_settings: dict[str, Any]
    memory: Memory
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] = 0
    is_deterministic: bool


class Answers(Model):
    """Answers of any number of trials; none asks for the open questions again."""

    answers: Annotated[list[Answered], Field(max_length=MOST_IN_FLIGHT)]


@sealed.post("/runs")
def begin() -> Response:
    """Begin a run, or go on with the one of this name: what is asked, and how far it is."""
    token = bearer()
    return _reply(_desk().begin(token, _body(Opening)))


@sealed.post("/runs/<int:run>/answers")
def answer(run: int) -> Response:
    """Take answers; returns what is asked next, and the scores after the last one. An answer that
    was taken before is left out, so that a request can be repeated."""
    token = bearer()
    answers = _body(Answers).answers
    row = board().database.sealed_run(run) if run < 2**63 else None
    if row is None or row.submitter != token.name:
        abort(404, "You have no run on sealed tasks with this number.")
    return _reply(_desk().answer(row, answers))


# The runs of this process ------------------------------------------------------------------------


@dataclass
class _Held:
    run: SealedRun | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Desk:
    """Plays the runs; what it has in memory can be rebuilt from the database at any moment."""

    def __init__(self, config: Config, database: Database) -> None:
        self.seal = Seal(config.sealed_salt)
        self._config = config
        self._database = database
        self._lock = threading.Lock()
        self._held: OrderedDict[int, _Held] = OrderedDict()

    def begin(self, token: Token, opening: Opening) -> dict[str, Any]:
        """The state of a new run, or of the one that is called so."""
        settings = self._settings(opening)
        document = settings.model_dump_json()
        if len(document) > MOST_SETTINGS_BYTES:
            abort(400, f"The agent's settings are over {MOST_SETTINGS_BYTES} bytes.")
        names = {
            "drawn_from": self.seal.drawn_from,
            "submitter": token.name,
            "name": opening.name,
            "memory": opening.memory,
            "environment": opening.environment,
        }
        known = self._database.find_sealed(names)
        if known is None:
            day = datetime.now(UTC) - timedelta(days=1)
            if self._database.num_submitted_since(token.name, day) >= token.quota:
                refuse_for(3600.0, f"{token.name} has used its {token.quota} runs of this day.")
            known = self._database.begin_sealed(names, document)
        row = self._database.sealed_run(known)
        assert row is not None
        if row.settings != document:
            abort(409, f"{_differing(row.settings, settings)} Choose another --name for this run.")
        return self.answer(row, [])

    def answer(self, row: SealedRow, answers: Sequence[Answered]) -> dict[str, Any]:
        """The state of a run after more answers."""
        if row.scores is not None:
            return _state(row, scores=row.scores)
        if row.drawn_from != self.seal.drawn_from:
            abort(409, "The board draws its sealed tasks from another secret by now.")
        held = self._hold(row.id)
        with held.lock:
            run = held.run or self._rebuilt(row)
            held.run = None  # whatever happens now, what is not finished is rebuilt
            if not self._took(row, run, answers):  # another process has gone on with it
                run = self._rebuilt(row)
                self._took(row, run, answers)
            held.run = run
            if not run.is_over:
                return _state(row, run)
            found = run.record(self._config.folder / "sealed" / str(row.id))
            detail = (
                f"{run.settings.agent} on {run.settings.environment}: {found['num_turns']} turns"
            )
            self._database.finish_sealed(row, found, detail)
            run.close()
            with self._lock:
                self._held.pop(row.id, None)
            return _state(row, scores=found["scores"])

    def _took(self, row: SealedRow, run: SealedRun, answers: Sequence[Answered]) -> bool:
        """Store answers, then play them; False where the database knows more than ``run``."""
        try:
            given = run.awaited(answers)
        except BehindError:
            return False
        stored = {key: one.model_dump_json() for key, one in given.items()}
        if stored and not self._database.store_sealed_answers(row.id, stored):
            return False
        run.play(given.values())
        return True

    def _rebuilt(self, row: SealedRow) -> SealedRun:
        settings = Settings.model_validate_json(row.settings)
        stored = map(Given.model_validate_json, self._database.sealed_answers(row.id))
        return SealedRun(settings, self.seal, stored, self._config.sealed_answer_seconds)

    def _hold(self, identity: int) -> _Held:
        with self._lock:
            held = self._held.setdefault(identity, _Held())
            self._held.move_to_end(identity)
            if len(self._held) > _MOST_HELD:
                self._held.popitem(last=False)
            return held

    def _settings(self, opening: Opening) -> Settings:
        suite = suites.load_suite()
        suite.entry(opening.environment)  # raises for one that is not in the suite
        return Settings(
            agent=opening.agent,
            agent_settings=opening.agent_settings,
            memory=opening.memory,
            environment=opening.environment,
            environment_version=make(opening.environment).version,
            split=SEALED,
            tasks=self._config.sealed_tasks,
            episodes=EPISODES,
            repeats=1,
            control_episodes=CONTROL_EPISODES,
            seed=opening.seed,
            limits=suite.limits(opening.environment),
            suite=suite.reference(opening.environment),
            is_ranked=True,
            is_deterministic=opening.is_deterministic,
        )


def _state(
    row: SealedRow, run: SealedRun | None = None, scores: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "run": row.id,
        "drawn_from": row.drawn_from,
        "progress": run and run.progress(),
        "questions": run.questions() if run else [],
        "scores": scores,
    }


def _differing(stored: str, settings: Settings) -> str:
    old, new = json.loads(stored), settings.model_dump(mode="json")
    names = [name for name in new if old.get(name) != new[name]]
    return (
        f"A run of this name has begun with another {' and '.join(names) or 'order of settings'}."
    )


# Requests and responses --------------------------------------------------------------------------


def _desk() -> Desk:
    desk: Desk | None = current_app.extensions["sealed"]
    if desk is None:
        abort(404, "This board has no sealed tasks: its operator gave it no secret.")
    return desk


def _body(kind: type[Body]) -> Body:
    if (request.content_length or 0) > MOST_REQUEST_BYTES:
        abort(413, f"A request has at most {MOST_REQUEST_BYTES} bytes.")
    try:
        return kind.model_validate_json(request.get_data())
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        abort(400, f"{'.'.join(map(str, fault['loc'])) or 'the request'}: {fault['msg']}.")


def _reply(state: dict[str, Any]) -> Response:
    """Views repeat themselves: compressed, they take a twentieth."""
    content = json.dumps(state, separators=(",", ":")).encode()
    response = Response(content, mimetype="application/json")
    if len(content) > _COMPRESSED_FROM and request.accept_encodings["gzip"]:
        response.data = gzip.compress(content, compresslevel=1, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    return response
