"""Sealed tasks: the same protocol over HTTP, nothing hidden on the agent's side, nothing lost."""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from baselines.random_agent import RandomAgent
from lamer_bench.agent import Answer, View
from lamer_bench.asking import Asker
from lamer_bench.cli import main
from lamer_bench.env import make
from lamer_bench.errors import LamerBenchError, SettingError, TaskError
from lamer_bench.record import RunFolder, content_digest
from lamer_bench.runner import EnvironmentPool, Writer, drive, plan_trials, prepare_folder, run
from lamer_bench.suites import load_suite
from lamer_bench.task import SPLITS, Task, split_of
from lamer_bench.verify import verify
from leaderboard import client, sealed_client
from leaderboard.bundles import AgentCard
from leaderboard.sealed import SALT_VARIABLE, Seal, read_salt
from tests.leaderboard.conftest import ENVIRONMENT, Lab, make_lab

SALT = "0123456789abcdef" * 4
TASKS = 6
"""Of each environment on the board of these tests."""


class Scout(RandomAgent):
    """Reflects, keeps count in its scratch pad, and has no answer now and then."""

    name = "scout"
    memories = ("both",)

    def act(self, views: Any) -> Any:
        answers: list[Any] = list(super().act(views))
        for place, view in enumerate(views):
            view.state["asked"] = view.state.get("asked", 0) + 1
            assert view.state["asked"] == view.turn + 1
            past = sum(len(one.turns) for one in view.earlier)
            answers[place] = Answer(f"{past} turns ago. {answers[place]}", past, view.turn)
        return answers

    def reflect(self, views: Any) -> Any:
        return [f"lost after {view.turn} turns: {view.observation[:20]}\ud800\0" for view in views]


@pytest.fixture
def sealed_lab(tmp_path: Path) -> Iterator[Lab]:
    made = make_lab(
        tmp_path, submissions_a_minute=1000, sealed_salt=SALT, sealed_tasks=TASKS
    )
    yield made
    made.database.close()


@pytest.fixture
def url(sealed_lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(client.TOKEN_VARIABLE, raising=False)
    with served(sealed_lab) as address:
        client.store_token(address, sealed_lab.token)
        yield address


def served(lab: Lab) -> Any:
    from contextlib import contextmanager

    @contextmanager
    def serving() -> Iterator[str]:
        server = make_server("127.0.0.1", 0, lab.app, threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
        server.server_close()

    return serving()


def local_digest(agent: Any, record: RunFolder, folder: Path) -> str:
    """Content digest of the same run, played by `runner.drive` in this process."""
    settings = record.manifest().settings
    pool = EnvironmentPool(settings.environment)
    seal = Seal(SALT)
    plans = [replace(plan, task=seal.task(plan.task)) for plan in plan_trials(settings)]
    own = RunFolder(folder)
    prepare_folder(own, record.manifest())
    writer = Writer(own, plans, lambda _: None, lambda _: None)
    asker = Asker(agent, settings.limits)
    drive(writer.missing, pool, asker, settings.limits, 256, writer)
    writer.flush()
    asker.close()
    return content_digest(own.trials())


@pytest.mark.parametrize("environment", [ENVIRONMENT, "sokoban-easy", "webshop-easy"])
def test_the_board_records_what_the_same_agent_does_at_home(
    environment: str, sealed_lab: Lab, url: str, tmp_path: Path
) -> None:
    agent = f"{Scout.__module__}:Scout"
    found = sealed_client.play(agent, environment, url, seed=3)
    record = RunFolder(sealed_lab.config.folder / "sealed" / str(found["run"]))
    trials = list(record.trials())
    assert len(trials) == 2 * TASKS == found["scores"]["trials"]
    assert {trial.memory for trial in trials} == {"both", "none"}
    assert content_digest(trials) == local_digest(Scout(), record, tmp_path / "own")
    assert found["scores"]["content_digest"] == content_digest(trials)
    again = sealed_client.play(agent, environment, url, seed=3)
    assert again == found  # it is over, and stays as it is
