"""A board on a temporary database, and runs to submit to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("flask", reason="flask is in the [leaderboard] extra")
pytest.importorskip("sqlalchemy", reason="sqlalchemy is in the [leaderboard] extra")

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from lamer_bench.record import RunFolder
from lamer_bench.runner import run
from leaderboard.app import create_app
from leaderboard.bundles import AgentCard, pack
from leaderboard.config import Config
from leaderboard.database import Database
from leaderboard.worker import work_once

SALT = "0123456789abcdef" * 4
SEALED_TASKS = 6
CARD = AgentCard(name="Chance", kind="scripted", trained_on_suite=False)
ENVIRONMENT = "minesweeper-easy"


@dataclass
class Lab:
    """A board, and somebody with a token for it."""

    app: Flask
    client: FlaskClient
    config: Config
    database: Database
    token: str

    def send(self, bundle: Path | bytes, token: str | None = None) -> Any:
        """Submit a bundle; returns the response."""
        content = bundle if isinstance(bundle, bytes) else bundle.read_bytes()
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        return self.client.post("/api/v1/submissions", data=content, headers=headers)

    def decide(self) -> None:
        """Let a worker judge all that is pending."""
        while work_once(self.config, self.database):
            pass

    def submit(self, bundle: Path | bytes) -> dict[str, Any]:
        """Submit a bundle and wait for its verdict."""
        sent = self.send(bundle).get_json()
        if sent["state"] != "pending":
            return dict(sent)
        self.decide()
        return dict(self.client.get(f"/api/v1/submissions/{sent['digest']}").get_json())


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RunFolder]:
    """Plays an agent on 100 tasks; each run is made once."""
    root = tmp_path_factory.mktemp("played")
    made: dict[Any, RunFolder] = {}

    def play(agent: str = "random", environment: str = ENVIRONMENT, **settings: Any) -> RunFolder:
        key = (agent, environment, *sorted(settings.items()))
        if key not in made:
            made[key] = run(agent, environment, out=root / str(len(made)), **settings)
        return made[key]

    return play


@pytest.fixture(scope="session")
def bundle(
    played: Callable[..., RunFolder], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Packs an agent's runs; a card with this name."""
    root = tmp_path_factory.mktemp("bundles")

    def packed(
        agent: str = "random",
        environments: tuple[str, ...] = (ENVIRONMENT,),
        name: str = "Chance",
        **card: Any,
    ) -> Path:
        out = root / f"{len(list(root.iterdir()))}.zip"
        runs = [played(agent, environment) for environment in environments]
        pack(runs, CARD.model_copy(update={"name": name, **card}), out)
        return out

    return packed


def make_lab(tmp_path: Path, database_url: str = "", **settings: Any) -> Lab:
    """A board of its own."""
    config = replace(
        Config(folder=tmp_path / "files"),
        database_url=database_url or f"sqlite:///{tmp_path}/board.sqlite",
        **settings,
    )
    database = Database(config.database_url)
    app = create_app(config, database)
    return Lab(app, app.test_client(), config, database, database.add_token("lab-a", 1000))


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, bundle: Callable[..., Path]) -> Iterator[Lab]:
    """A board with two entries on two environments, to be looked at only."""
    made = make_lab(tmp_path_factory.mktemp("filled"), submissions_a_minute=1000)
    both = (ENVIRONMENT, "minesweeper-medium")
    made.submit(bundle("random", both, base_model='=HYPERLINK("x")'))
    made.submit(bundle("explorer", both, name="Explorer & Co"))
    yield made
    made.database.close()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A board on SQLite."""
    made = make_lab(tmp_path, submissions_a_minute=1000)
    yield made
    made.database.close()


@contextmanager
def served(lab: Lab) -> Iterator[str]:
    """The board behind HTTP; its address."""
    server = make_server("127.0.0.1", 0, lab.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def with_secret(lab: Lab, **settings: Any) -> Lab:
    """Another process of the same board, with a secret and a few sealed tasks."""
    settings = {"sealed_salt": SALT, "sealed_tasks": SEALED_TASKS, **settings}
    config = replace(lab.config, **settings)
    app = create_app(config, lab.database)
    return Lab(app, app.test_client(), config, lab.database, lab.token)


@pytest.fixture
def sealed_lab(lab: Lab) -> Lab:
    """A board with sealed tasks."""
    return with_secret(lab)
