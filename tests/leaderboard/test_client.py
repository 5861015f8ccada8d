"""The sender's side, and the commands."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from lamer_bench.cli import main
from lamer_bench.errors import SettingError
from lamer_bench.record import RunFolder
from leaderboard import client
from leaderboard.worker import work
from tests.leaderboard.conftest import CARD, ENVIRONMENT, Lab


@pytest.fixture
def url(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The board behind HTTP, with a worker; tokens are kept in a folder of their own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(client.TOKEN_VARIABLE, raising=False)
    server = make_server("127.0.0.1", 0, lab.app, threaded=True)
    ended = threading.Event()
    threads = [
        threading.Thread(target=server.serve_forever),
        threading.Thread(target=work, args=(lab.config, lab.database, lambda: not ended.is_set())),
    ]
    for thread in threads:
        thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    ended.set()
    server.shutdown()
    for thread in threads:
        thread.join()
    server.server_close()


def test_log_in_and_submit(
    lab: Lab, url: str, played: Callable[..., RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["login", "--url", url, "--token", lab.token]) == 0
    assert stat.S_IMODE(client.token_file().stat().st_mode) == 0o600
    capsys.readouterr()
    command = ["submit", str(played().path), "--url", url, "--kind", "scripted", "--json"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out) == {"state": "verified", "entry": 1, "reason": ""}
    assert main(command) == 0  # the same again
    assert json.loads(capsys.readouterr().out)["entry"] == 1
    assert lab.database.entries()[0].card.name == "random"
    assert main(["board", "withdraw", "1", "--url", url]) == 0
    assert lab.database.entries() == []


@pytest.mark.parametrize(
    ("flags", "declared"),
    [
        (
            ["--trained-on-suite", "--open-weights"],
            {"trained_on_suite": True, "open_weights": True},
        ),
        (
            ["--closed-weights", "--base-model", "Qwen3-4B", "--link", "https://a.example/x"],
            {
                "trained_on_suite": False,
                "open_weights": False,
                "base_model": "Qwen3-4B",
                "link": "https://a.example/x",
            },
        ),
    ],
)
def test_what_a_submitter_declares_stands_on_the_board(
    flags: list[str],
    declared: dict[str, Any],
    lab: Lab,
    url: str,
    played: Callable[..., RunFolder],
) -> None:
    assert main(["login", "--url", url, "--token", lab.token]) == 0
    command = ["submit", str(played().path), "--url", url, "--kind", "trained", "--name", "Mine"]
    assert main([*command, *flags]) == 0
    card = lab.database.entries()[0].card.model_dump()
    assert (card["name"], card["kind"]) == ("Mine", "trained")
    assert {name: card[name] for name in declared} == declared


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--url", "board.example", "--kind", "scripted"], "is no board's address"),
        (["--url", "http://127.0.0.1:9", "--kind", "magic"], "--kind is 'magic'"),
        (["--url", "http://127.0.0.1:9", "--kind", "scripted"], "There is no token for"),
        (["--url", "{url}", "--kind", "scripted", "--name", "<b>"], "--name is '<b>'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_sent(
    arguments: list[str],
    line: str,
    url: str,
    played: Callable[..., RunFolder],
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [url if word == "{url}" else word for word in arguments]
    assert main(["submit", str(played().path), *given]) == 2
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1


def test_a_run_that_does_not_replay_is_not_sent(
    lab: Lab, url: str, played: Callable[..., RunFolder], tmp_path: Path
) -> None:
    import shutil

    from tests.verify.tampering import tamper
    from tests.verify.test_tampered_trials import edit_reward

    client.store_token(url, lab.token)
    shutil.copytree(played().path, tmp_path / ENVIRONMENT)
    run = RunFolder(tmp_path / ENVIRONMENT)
    tamper(run, edit_reward)
    with pytest.raises(SettingError, match="reward: expected"):
        client.submit([run.path], url, CARD)
    with pytest.raises(SettingError, match="it has 20 tasks"):
        client.submit([played(tasks=20).path], url, CARD)
    assert lab.database.audit() == []


def test_a_board_that_is_away_is_tried_again_and_then_named(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, bundle: Callable[..., Path]
) -> None:
    monkeypatch.setattr(client.time, "sleep", lambda seconds: None)
    said: list[str] = []
    with pytest.raises(client.BoardError, match=r"127.0.0.1:9 cannot be reached"):
        client._sent(bundle(), "http://127.0.0.1:9", lab.token, said.append)
    assert len(said) == 3


def test_an_answer_that_breaks_off_is_asked_for_again() -> None:
    """A server that is killed has sent the length of its answer and not all of it."""
    whole = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{"state": "ok"}'
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def answer() -> None:
            for sent in (whole[:-15], whole[:-3], whole):
                connection, _ = listening.accept()
                with connection:
                    asked = b""
                    while not asked.endswith(b"{}"):
                        asked += connection.recv(65_536)
                    connection.sendall(sent)

        answering = threading.Thread(target=answer)
        answering.start()
        found = client.persistent(lambda: client.post_json(url, {}, "t"), (0, 0), said.append)
        answering.join()
    assert found == {"state": "ok"}
    assert said == [f"{url} broke off in the middle of an answer. Trying again."] * 2


def test_a_board_that_starts_again_is_asked_for_its_verdict_again(
    played: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    pending = {"state": "pending"}
    answers = [pending, client._Unreached("It is away (502)."), pending, {"state": "verified"}]

    def asked(_: object) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(client, "_asked", asked)
    monkeypatch.setattr(client.time, "sleep", lambda seconds: None)
    monkeypatch.setenv(client.TOKEN_VARIABLE, "lamer_1_x")
    said: list[str] = []
    found = client.submit([played().path], "http://b.example", CARD, notice=said.append)
    assert found == {"state": "verified"}
    assert said[-1] == "It is away (502). Trying again."


def test_a_port_in_use_and_an_address_with_a_path_have_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        command = [sys.executable, "-m", "lamer_bench", "serve", "--port", str(port)]
        command += ["--database-url", f"sqlite:///{tmp_path}/board.sqlite"]
        ended = subprocess.run(command, capture_output=True, text=True)
    said = ended.stderr
    assert ended.returncode == 2
    assert said.startswith(f"lamer-bench: Port {port} cannot be used: Address already in use")
    assert said.endswith("Give another with --port.\n")
    assert main(["serve", "--url", "https://board.example/lamer"]) == 2
    assert "stands at the root" in capsys.readouterr().err


def test_operators_commands(
    lab: Lab, bundle: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base: list[Any] = ["--database-url", lab.config.database_url]
    assert main(["tokens", "add", "lab-b", *base, "--json"]) == 0
    token = json.loads(capsys.readouterr().out)["token"]
    assert lab.database.token_of(token) is not None
    assert main(["tokens", "add", "lab-b", *base]) == 2
    assert "already" in capsys.readouterr().err
    assert main(["tokens", "revoke", "lab-b", *base]) == 0
    assert lab.database.token_of(token) is None
    assert main(["tokens", "list", *base, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out.partition("\n")[2])["tokens"]
    assert [one["revoked"] for one in listed] == [False, True]
    digest = lab.submit(bundle())["digest"]
    assert main(["board", "reverify", *base]) == 0
    lab.decide()
    archive = str(tmp_path / "backup.tar.gz")
    folder = ["--folder", str(lab.config.folder)]
    assert main(["board", "backup", archive, *base, *folder]) == 0
    assert main(["board", "remove", digest, "--reason", "a test", *base]) == 0
    assert lab.database.entries() == []
    assert main(["board", "restore", archive, *base, *folder]) == 2
    assert "not empty" in capsys.readouterr().err
    assert main(["serve", "--database-url", "mysql://x"]) == 2
    assert "sqlite:///board.sqlite" in capsys.readouterr().err
