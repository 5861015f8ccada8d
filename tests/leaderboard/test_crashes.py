"""Killed in the middle: nothing is lost, doubled, or left pending; and many at once."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from lamer_bench.record import RunFolder, content_digest
from leaderboard import client, sealed_client
from leaderboard.database import Database
from leaderboard.sealed import SALT_VARIABLE
from leaderboard.worker import _work_once, work_once
from tests.leaderboard.conftest import ENVIRONMENT, SALT, Lab, make_lab
from tests.leaderboard.test_sealed import SCOUT, Scout, digest_at_home

Bundle = Callable[..., Path]
PATIENCE = 600.0


def wait_for(is_so: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := is_so():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come to that")


def actions(database: Database) -> Counter[str]:
    return Counter(line.action for line in database.audit())


@contextmanager
def served(folder: Path, port: str = "0") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`lamer-bench serve` as its users start it; its process and address."""
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "lamer_bench", "serve", "--port", port),
            *(
                "--database-url",
                f"sqlite:///{folder}/board.sqlite",
                "--folder",
                str(folder / "files"),
            ),
        ],
        env=os.environ | {SALT_VARIABLE: SALT},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    try:
        address = re.search(r"http://\S+", server.stdout.readline())
        assert address is not None
        yield server, address[0]
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def workers_of(folder: Path) -> list[int]:
    """Processes that work for a board."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if "leaderboard.serving" in command and str(folder / "files") in command:
                found.append(int(entry.name))
    return found


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc to find the worker")
def test_a_killed_server_and_a_killed_worker_lose_and_double_nothing(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(f"sqlite:///{tmp_path}/board.sqlite")
    monkeypatch.setenv(client.TOKEN_VARIABLE, database.add_token("lab", 100))
    content = [bundle(name=f"Agent {number}") for number in range(3)]
    with served(tmp_path) as (server, url):
        for one in content:
            answer = client._sent(one, url, client.token_for(url), print)
            assert answer["state"] in ("pending", "verified")
        wait_for(lambda: workers_of(tmp_path))
        server.send_signal(signal.SIGKILL)
        server.wait()
    wait_for(lambda: not workers_of(tmp_path))  # the worker ends with its server
    with served(tmp_path) as (_, url):
        again = client._sent(content[0], url, client.token_for(url), print)
        assert again["entry"] == 1
        for worker in wait_for(lambda: workers_of(tmp_path)):
            os.kill(worker, signal.SIGKILL)
        wait_for(lambda: database.num_pending() == 0)
        assert urlopen(f"{url}/healthz").status == 200
    assert actions(database) == {"submitted": 3, "verified": 3}
    assert len(database.entries()) == 3
    database.close()


@pytest.mark.slow
def test_a_killed_server_loses_no_answer_to_a_sealed_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(f"sqlite:///{tmp_path}/board.sqlite")
    monkeypatch.setenv(client.TOKEN_VARIABLE, database.add_token("lab", 100))
    said: list[str] = []
    ended: list[dict[str, Any]] = []
    with served(tmp_path) as (server, url):
        play = threading.Thread(
            target=lambda: ended.append(
                sealed_client.play(SCOUT, ENVIRONMENT, url, notice=said.append)
            ),
            daemon=True,
        )
        play.start()
        wait_for(lambda: database.sealed_answers(1))
        server.send_signal(signal.SIGKILL)
        server.wait()
    assert database.sealed_results() == []
    with served(tmp_path, url.rpartition(":")[2]):
        play.join(PATIENCE)
        [found] = ended
    assert any("cannot be reached" in line for line in said)
    record = RunFolder(tmp_path / "files" / "sealed" / str(found["run"]))
    assert content_digest(record.trials()) == digest_at_home(Scout(), record, tmp_path / "own")
    assert actions(database) == {"sealed begun": 1, "sealed": 1}
    database.close()


def test_a_lease_that_ran_out_is_taken_over_and_the_late_worker_decides_nothing(
    lab: Lab, bundle: Bundle
) -> None:
    lab.send(bundle())
    late = lab.database.claim(0.0)
    assert late is not None
    assert lab.database.renew(late, 0.0)
    own = lab.database.claim(30.0)
    assert own is not None
    assert lab.database.claim(30.0) is None
    assert not lab.database.renew(late, 30.0)
    assert not lab.database.rejected(late, "too late")
    assert not lab.database.verified(late, "s", "none", {})
    lab.database.give_back(own)
    lab.decide()
    assert actions(lab.database) == {"submitted": 1, "verified": 1}


class Dying:
    """Judges that end without a verdict."""

    def __init__(self, code: int) -> None:
        self.code = code

    def begin(self, request: Any) -> None: ...

    def ended(self, _: float) -> int:
        return self.code

    def stop(self) -> None: ...


class Broken(Dying):
    """Judges that find a fault of the board."""

    def begin(self, request: Any) -> None:
        verdict = {"ok": False, "reason": "broke off", "is_of_board": True}
        Path(request.verdict).write_text(json.dumps(verdict))


def test_a_fault_of_the_board_costs_no_bundle(lab: Lab, bundle: Bundle) -> None:
    """It can be verified again when the board is mended."""
    sent = lab.send(bundle()).get_json()
    _work_once(lab.config, lab.database, Broken(0))  # type: ignore[arg-type]
    assert lab.database.entry_by_digest(sent["digest"]).state == "rejected"  # type: ignore[union-attr]
    assert lab.database.verify_again("operator", [sent["digest"]]) == 1
    lab.decide()
    assert actions(lab.database) == {"submitted": 1, "rejected": 1, "reverify": 1, "verified": 1}


def test_a_judge_that_dies_counts_and_one_that_is_told_to_end_does_not(
    lab: Lab, bundle: Bundle
) -> None:
    lab.send(bundle())
    for code, times in ((-signal.SIGTERM, 5), (-signal.SIGKILL, 2)):
        for _ in range(times):
            assert _work_once(lab.config, lab.database, Dying(code))  # type: ignore[arg-type]
            assert lab.database.num_pending() == 1
    _work_once(lab.config, lab.database, Dying(-signal.SIGKILL))  # type: ignore[arg-type]
    entry = lab.database.entry(1)
    assert entry is not None
    assert "it needs more memory" in entry.reason


@pytest.mark.slow
def test_a_replay_that_takes_too_long_is_ended_and_the_board_goes_on(
    tmp_path: Path, bundle: Bundle
) -> None:
    long = bundle("random", ("sokoban-hard", "sokoban-ood", "webshop-ood"))
    hasty = make_lab(tmp_path, judge_cpu_seconds=1)
    assert hasty.submit(long)["reason"] == "The replay took more than 1 s of CPU time."
    assert hasty.submit(bundle())["state"] == "verified"
    hasty.database.close()


def test_many_at_once_have_one_verdict_each(lab: Lab, bundle: Bundle) -> None:
    content = [bundle(name=f"Agent {number % 6}").read_bytes() for number in range(12)]
    answers: list[Any] = []

    def send(one: bytes) -> None:
        with lab.app.test_client() as own:
            headers = {"Authorization": f"Bearer {lab.token}"}
            answers.append(own.post("/api/v1/submissions", data=one, headers=headers).get_json())

    in_threads([lambda one=one: send(one) for one in content])  # type: ignore[misc]
    assert sorted(Counter(a["entry"] for a in answers).values()) == [2] * 6

    def judge() -> None:
        while work_once(lab.config, lab.database):
            pass

    in_threads([judge, judge])
    assert actions(lab.database) == {"submitted": 6, "verified": 6}


def in_threads(jobs: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
