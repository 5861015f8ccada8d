"""Sealed tasks: the same protocol over HTTP, nothing hidden on the agent's side, nothing lost."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from baselines.random_agent import RandomAgent
from lamer_bench.agent import Answer
from lamer_bench.asking import Asker
from lamer_bench.cli import main
from lamer_bench.env import make
from lamer_bench.errors import SettingError, TaskError
from lamer_bench.record import RunFolder, content_digest, hash_fingerprint
from lamer_bench.runner import EnvironmentPool, Writer, drive, plan_trials, prepare_folder
from lamer_bench.suites import load_suite
from lamer_bench.task import Task, split_environment_id, split_of
from lamer_bench.verify import verify
from leaderboard import client, sealed_client
from leaderboard.sealed import SALT_VARIABLE, Seal, read_salt
from tests.leaderboard.conftest import (
    ENVIRONMENT,
    SALT,
    SEALED_TASKS,
    Lab,
    served,
    with_secret,
)

Bundle = Callable[..., Path]
BEGIN = "/api/v1/sealed/runs"
OPENING = {
    "environment": ENVIRONMENT,
    "name": "Chance",
    "agent": "random",
    "agent_settings": {},
    "memory": "history",
    "is_deterministic": True,
}


class Scout(RandomAgent):
    """Reflects, and keeps count in its scratch pad."""

    name = "scout"
    memories = ("both",)

    def act(self, views: Any) -> Any:
        answers: list[Any] = list(super().act(views))
        for place, view in enumerate(views):
            view.state["asked"] = view.state.get("asked", view.turn) + 1
            assert view.state["asked"] == view.turn + 1
            past = sum(len(one.turns) for one in view.earlier)
            answers[place] = Answer(f"{past} turns ago. {answers[place]}", past, view.turn)
        return answers

    def reflect(self, views: Any) -> Any:
        return [f"lost after {view.turn}: {view.observation[:20]}\ud800\0" for view in views]


SCOUT = f"{Scout.__module__}:Scout"


@pytest.fixture
def url(sealed_lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The board's address; the client's files go to a folder of their own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "client" / "home"))
    monkeypatch.delenv(client.TOKEN_VARIABLE, raising=False)
    monkeypatch.setattr(client.time, "sleep", lambda seconds: None)
    with served(sealed_lab) as address:
        client.store_token(address, sealed_lab.token)
        yield address


def record_of(lab: Lab, found: dict[str, Any]) -> RunFolder:
    return RunFolder(lab.config.folder / "sealed" / str(found["run"]))


def digest_at_home(agent: Any, record: RunFolder, folder: Path) -> str:
    """Content digest of the same run, played by `runner.drive` in this process."""
    settings = record.manifest().settings
    pool, seal = EnvironmentPool(settings.environment), Seal(SALT)
    plans = [replace(plan, task=seal.task(plan.task)) for plan in plan_trials(settings)]
    own = RunFolder(folder)
    prepare_folder(own, record.manifest())
    writer = Writer(own, plans, lambda _: None, lambda _: None)
    asker = Asker(agent, settings.limits)
    drive(writer.missing, pool, asker, settings.limits.trial_seconds, 256, writer)
    writer.flush()
    asker.close()
    return content_digest(own.trials())


def begin(lab: Lab, **changes: Any) -> Any:
    headers = {"Authorization": f"Bearer {lab.token}"}
    return lab.client.post(BEGIN, json=OPENING | changes, headers=headers)


def answer(lab: Lab, run: int, answers: list[Any], token: str = "") -> Any:
    headers = {"Authorization": f"Bearer {token or lab.token}"}
    return lab.client.post(f"{BEGIN}/{run}/answers", json={"answers": answers}, headers=headers)


# The tasks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("environment", [ENVIRONMENT, "minesweeper-paper", "sokoban-medium"])
def test_a_sealed_task_is_in_no_public_split_and_depends_on_the_secret(environment: str) -> None:
    family, suite = split_environment_id(environment)[0], load_suite()
    public = set()
    for name in suite.environments:
        if split_environment_id(name)[0] == family:
            env = make(name)
            for task in suite.tasks(name, "test"):
                env.load(task)
                public.add(env.fingerprint())
    env = make(environment)
    drawn: dict[str, list[str]] = {}
    for salt in (SALT, SALT[::-1]):
        seal = Seal(salt)
        drawn[salt] = []
        for index in range(30):
            env.load(seal.task(Task(environment, "sealed", index)))
            drawn[salt].append(env.fingerprint())
    first, second = drawn.values()
    assert {split_of(content) for content in first} == {"test"}  # none that could be trained on
    assert not public & set(first)
    assert sum(a == b for a, b in zip(first, second, strict=True)) <= 3
    again = Seal(SALT).task(Task(environment, "sealed", 7))
    env.load(again)
    assert env.fingerprint() == first[7]
    assert SALT not in repr(again)


def test_a_public_id_plays_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for environment in (ENVIRONMENT, "sokoban-easy", "webshop-easy"):
        with pytest.raises(TaskError, match="sealed: only the leaderboard"):
            make(environment).load(Task.parse(f"{environment}/sealed/3"))
    run = ["run", "--agent", "random", "--env", ENVIRONMENT, "--out", str(tmp_path / "run")]
    assert main([*run, "--split", "sealed"]) == 2
    assert "run --sealed URL" in capsys.readouterr().err


def test_the_secret_is_long_and_its_owners_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "salt"
    file.write_text(f"{SALT}\n")
    file.chmod(0o644)
    with pytest.raises(SettingError, match="chmod 600"):
        read_salt(file)
    file.chmod(0o600)
    assert read_salt(file) == SALT
    file.write_text("short")
    with pytest.raises(SettingError, match="has 5 characters; 32 or more"):
        read_salt(file)
    monkeypatch.setenv(SALT_VARIABLE, SALT)
    assert read_salt(None) == SALT
    assert SALT_VARIABLE not in os.environ  # no other process inherits it
    assert read_salt(None) == ""


# Playing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("environment", [ENVIRONMENT, "sokoban-easy", "webshop-easy"])
def test_the_board_records_what_the_same_agent_does_at_home(
    environment: str, sealed_lab: Lab, url: str, tmp_path: Path
) -> None:
    found = sealed_client.play(SCOUT, environment, url, seed=3)
    record = record_of(sealed_lab, found)
    trials = list(record.trials())
    assert len(trials) == 2 * SEALED_TASKS == found["scores"]["trials"]
    assert {trial.memory for trial in trials} == {"both", "none"}
    assert content_digest(trials) == digest_at_home(Scout(), record, tmp_path / "own")
    assert sealed_client.play(SCOUT, environment, url, seed=3) == found  # it is over and stays so
    verdict = verify(record)
    assert "split: expected train or val or test, got sealed" in str(verdict)


def test_lost_connections_and_a_forgetful_board_change_nothing(
    sealed_lab: Lab, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = with_secret(sealed_lab)  # a second process of the same board
    calls = 0

    with served(other) as second:

        def unreliable(address: str, document: Any, token: str) -> dict[str, Any]:
            nonlocal calls
            calls += 1
            if calls % 3 == 0:
                address = address.replace(url, second)
            if calls % 4 == 0:
                sealed_lab.app.extensions["sealed"]._held.clear()
            found = client.post_json(address, document, token)
            if calls % 5 == 1:
                raise client._Unreached("the answer got lost.")
            return found

        monkeypatch.setattr(sealed_client, "post_json", unreliable)
        found = sealed_client.play(SCOUT, ENVIRONMENT, url)
    assert calls > 10
    record = record_of(sealed_lab, found)
    assert content_digest(record.trials()) == digest_at_home(Scout(), record, tmp_path / "own")
    lines = [line.action for line in sealed_lab.database.audit()]
    assert sorted(lines) == ["sealed", "sealed begun"]
    assert sealed_lab.database.sealed_answers(found["run"]) == []


def test_an_answer_counts_once_and_a_late_one_is_void(lab: Lab) -> None:
    lab = with_secret(lab)
    state = begin(lab).get_json()
    assert state == begin(lab).get_json()
    assert state["progress"] == {"done": 0, "total": 2 * SEALED_TASKS, "wins": 0, "voids": 0}
    first = state["questions"][0]
    given = {"trial": first["trial"], "place": 0, "text": "<action>(1,1)</action>"}
    once = answer(lab, state["run"], [given, given | {"text": "another"}]).get_json()
    assert once["questions"][0]["view"]["turns"][0][1] == given["text"]
    assert answer(lab, state["run"], [given]).get_json() == once
    strange = {"trial": 9999, "place": 0, "text": "no such trial"}
    assert answer(lab, state["run"], [strange]).get_json() == once
    assert len(lab.database.sealed_answers(state["run"])) == 1

    hasty = with_secret(lab, sealed_answer_seconds=0.0)
    answer(hasty, state["run"], [])  # asks
    late = answer(hasty, state["run"], [given | {"place": 1}]).get_json()
    assert late["progress"]["voids"] == 1
    gone = answer(hasty, state["run"], [{"trial": 1, "place": 0, "void": "OSError: gone"}])
    assert gone.get_json()["progress"]["voids"] == 2


def test_what_a_board_refuses(lab: Lab) -> None:
    assert begin(lab).status_code == 404  # it has no secret
    lab = with_secret(lab)
    run = begin(lab).get_json()["run"]
    refused = begin(lab, seed=7, agent_settings={"temperature": 1})
    assert refused.status_code == 409
    assert "another agent_settings and seed" in refused.get_json()["error"]
    assert begin(lab, environment="os:system-x").status_code == 404
    assert begin(lab, name="<b>").status_code == 400
    assert begin(lab, agent_settings={"x": "y" * 70_000}).status_code == 400
    assert begin(lab, split="test").status_code == 400
    other = lab.database.add_token("lab-b", 1)
    assert answer(lab, run, [], other).status_code == 404
    assert answer(lab, run + 1, []).status_code == 404
    headers = {"Authorization": f"Bearer {other}"}
    assert lab.client.post(BEGIN, json=OPENING, headers=headers).status_code == 200
    again = lab.client.post(BEGIN, json=OPENING | {"name": "Other"}, headers=headers)
    assert again.status_code == 429
    bodies = (b"", b"[]", b"{" * 50_000, b"\xff", b'{"answers": [{"trial": 1e999}]}')
    for body in bodies:
        address = f"{BEGIN}/{run}/answers"
        assert lab.client.post(address, data=body, headers=headers).status_code in (400, 404)
    large = lab.client.post(BEGIN, data=b" " * 5_000_000, headers=headers)
    assert large.status_code == 413
    rotated = with_secret(lab, sealed_salt=SALT[::-1])
    assert answer(rotated, run, []).status_code == 409


# Nothing hidden ----------------------------------------------------------------------------------


def hidden(environment: str) -> list[str]:
    """Texts that would tell what an instance is, or all of them."""
    seal, env = Seal(SALT), make(environment)
    texts = [SALT, SALT[:16], seal._salt]
    for index in range(SEALED_TASKS):
        task = seal.task(Task(environment, "sealed", index))
        env.load(task)
        content, solution = env.fingerprint(), env.solution()
        texts += [content, hash_fingerprint(content), json.dumps(content)[1:-1]]
        texts += [joined.join(solution) for joined in (" ", ", ", '", "', '","', "\n", "\\n")]
        texts += [str(task.rng("instance").getrandbits(64))]
    return [text for text in texts if len(text) > 8]


@pytest.mark.parametrize("environment", [ENVIRONMENT, "sokoban-easy", "webshop-easy"])
def test_no_response_and_no_file_of_the_client_tells_what_is_hidden(
    environment: str,
    sealed_lab: Lab,
    url: str,
    bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    told: list[str] = []

    def keep(response: Any) -> Any:
        if not response.direct_passthrough:
            packed = response.headers.get("Content-Encoding") == "gzip"
            data = gzip.decompress(response.data) if packed else response.data
            told.append(f"{response.headers}{data.decode(errors='replace')}")
        return response

    sealed_lab.submit(bundle("random", name="random"))
    sealed_lab.app.after_request_funcs.setdefault(None, []).insert(0, keep)
    here = tmp_path / "client"
    here.mkdir(exist_ok=True)
    monkeypatch.chdir(here)
    command = ["run", "--agent", "random", "--env", environment, "--sealed", url]
    assert main([*command, "--json"]) == 0
    assert main(command) == 0
    addresses = ("/", f"/?split=sealed&family={environment.rpartition('-')[0]}", "/entries/1")
    for address in (
        *addresses,
        f"/environments/{environment}?split=sealed",
        f"/environments/{environment}",
        "/audit",
        "/api/v1/audit",
        f"/api/v1/table?environment={environment}&split=sealed",
        f"/api/v1/table.csv?environment={environment}&split=sealed",
        "/api/v1/entries/1",
        "/feed.atom",
        "/submitting",
        "/verification",
    ):
        assert sealed_lab.client.get(address).status_code == 200, address
    printed = capfd.readouterr()
    assert '"scores"' in printed.out
    files = [path for path in here.rglob("*") if path.is_file()]
    assert [path.name for path in files] == ["tokens.json"]
    told += [path.read_text() for path in files] + [printed.out, printed.err]
    assert sum('"questions":[{' in text for text in told) > 3
    for text in hidden(environment):
        assert not any(text in one for one in told), text
    for one in told:
        assert '"solution"' not in one


def test_no_process_beside_the_server_knows_the_secret(tmp_path: Path) -> None:
    from tests.leaderboard.test_crashes import wait_for, workers_of

    if not Path("/proc/self/environ").exists():
        pytest.skip("needs /proc")
    url = f"sqlite:///{tmp_path}/board.sqlite"
    serve = [sys.executable, "-m", "lamer_bench", "serve", "--port", "0", "--workers", "1"]
    server = subprocess.Popen(
        [*serve, "--folder", str(tmp_path / "files")],
        env=os.environ | {SALT_VARIABLE: SALT, "LAMER_BENCH_DATABASE_URL": url},
        stdout=subprocess.PIPE,
    )
    try:
        (worker,) = wait_for(lambda: workers_of(tmp_path))
        for process, name in ((worker, "environ"), (worker, "cmdline"), (server.pid, "cmdline")):
            content = Path(f"/proc/{process}/{name}").read_bytes()
            assert SALT.encode() not in content, name
            assert name == "environ" or url.encode() not in content
    finally:
        server.kill()
        server.wait()
        assert server.stdout is not None
        server.stdout.close()


# On the board ------------------------------------------------------------------------------------


def test_sealed_results_stand_in_a_column_of_their_own(
    sealed_lab: Lab, url: str, bundle: Bundle, tmp_path: Path
) -> None:
    lab = sealed_lab
    lab.submit(bundle("random"))  # "Chance"
    lab.submit(bundle("explorer", name="Explorer & Co"))
    query = {"environment": ENVIRONMENT}
    before = lab.client.get("/api/v1/table", query_string=query).get_json()
    assert [row["sealed"] for row in before["rows"]] == [None, None]
    found = sealed_client.play("random", ENVIRONMENT, url, name="Chance")
    table = lab.client.get("/api/v1/table", query_string=query).get_json()
    by_name = {row["agent"]["name"]: row for row in table["rows"]}
    assert by_name["Explorer & Co"]["sealed"] is None
    assert by_name["Chance"]["sealed"]["value"] == found["scores"]["pass_at"]["3"]
    assert by_name["Chance"]["pass_at"] == before["rows"][1]["pass_at"]
    sealed = lab.client.get("/api/v1/table", query_string=query | {"split": "sealed"}).get_json()
    assert [row["agent"]["name"] for row in sealed["rows"]] == ["Chance"]
    assert sealed["rows"][0]["pass_at"]["1"]["value"] == found["scores"]["pass_at"]["1"]
    entry = lab.client.get("/api/v1/entries/1").get_json()
    assert entry["sealed"][ENVIRONMENT]["scores"] == found["scores"]
    assert "Sealed tasks" in lab.client.get("/entries/1").text
    assert "Sealed tasks" not in lab.client.get("/entries/2").text
    rotated = with_secret(lab, sealed_salt=SALT[::-1])
    after = rotated.client.get("/api/v1/table", query_string=query).get_json()
    assert [row["sealed"] for row in after["rows"]] == [None, None]  # other tasks, other table

    from leaderboard.backups import backup

    archive = tmp_path / "backup.tar.gz"
    backup(lab.database, lab.config.folder, archive)
    content = gzip.decompress(archive.read_bytes())
    assert f"sealed/{found['run']}/trials.jsonl".encode() in content
    assert SALT.encode() not in content


def test_the_command_prints_what_the_board_computed(
    sealed_lab: Lab, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", "--agent", "explorer", "--env", ENVIRONMENT, "--sealed", url]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    record = record_of(sealed_lab, found)
    assert found["scores"]["content_digest"] == content_digest(record.trials())
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert f"{found['scores']['pass_at']['3']:.3f}" in printed
    assert "beside your entry 'explorer'" in printed
    for more, line in (
        (["--tasks", "5", "--fresh"], "leave out --tasks, --fresh"),
        (["--memory", "none"], ""),
    ):
        code = main([*command, *more])
        assert (code, line in capsys.readouterr().err) == ((2, True) if line else (0, True))
    assert main([*command[:2], "oracle", *command[3:]]) == 2
    assert "told hidden state" in capsys.readouterr().err
