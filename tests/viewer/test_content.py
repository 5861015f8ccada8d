"""What the viewer shows: rows, texts from a replay, the page, the server, the terminal."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lamer_bench.cli import main
from lamer_bench.env import make
from lamer_bench.errors import RecordError, SettingError
from lamer_bench.protocol import observation_hash
from lamer_bench.record import MANIFEST_FILE, TRIALS_FILE, RunFolder
from lamer_bench.replay import open_world, read_back
from lamer_bench.scores import score_run
from lamer_bench.viewer import content as contents
from lamer_bench.viewer import page, terminal
from lamer_bench.viewer.content import Content, Strings
from lamer_bench.viewer.server import Server
from tests.viewer.players import HOSTILE, served, write_example

# Replay ------------------------------------------------------------------------------------------


def test_the_texts_that_come_back_have_the_recorded_hashes(tmp_path: Path) -> None:
    folder = write_example(tmp_path / "run")
    env = open_world(folder.manifest().settings)
    for trial in folder.trials():
        for episode, texts in zip(trial.episodes, read_back(env, trial), strict=True):
            hashes = [turn.observation for turn in episode.turns] + [episode.final_observation]
            assert [observation_hash(text or "") for text in texts] == hashes


def test_a_text_that_was_not_seen_is_not_shown(tmp_path: Path) -> None:
    folder = write_example(tmp_path / "run")
    trial = next(folder.trials())
    trial.episodes[0].turns[1].observation = "0" * 16
    texts = read_back(make("minesweeper-easy"), trial)
    assert texts[0][0] is not None
    assert texts[0][1:] == [None] * (len(texts[0]) - 1)
    assert None not in texts[1]


def test_a_task_that_cannot_be_drawn_has_no_texts(tmp_path: Path) -> None:
    trial = next(write_example(tmp_path / "run").trials())
    trial.task = "nonsense"
    texts = read_back(make("minesweeper-easy"), trial)
    assert {text for episode in texts for text in episode} == {None}


def test_another_version_of_the_environment_is_not_shown_as_this_one(tmp_path: Path) -> None:
    folder = write_example(tmp_path / "run")
    path = tmp_path / "run" / MANIFEST_FILE
    version = folder.manifest().settings.environment_version
    text = path.read_text("utf-8")
    path.write_text(
        text.replace(f'"environment_version": {version}', '"environment_version": 99'), "utf-8"
    )
    content = Content.of(folder)
    assert "made on version 99" in content.note
    strings = Strings()
    assert all(turn[0] is None for turn in content.trial(0, strings)[0]["turns"])


def test_an_environment_by_reference_is_imported_only_when_allowed(tmp_path: Path) -> None:
    folder = write_example(tmp_path / "run", "tests.toys:Doors-easy")
    settings = folder.manifest().settings
    with pytest.raises(RecordError, match="--allow-imports"):
        open_world(settings)
    assert open_world(settings, allow_imports=True).family == "doors"


def test_a_page_without_observations_says_so_where_it_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(write_example(tmp_path / "run", "tests.toys:Doors-easy").path)
    command = ["view", run, "--out", str(tmp_path / "view.html")]
    assert main(command) == 0
    assert "Observations are not shown: " in capsys.readouterr().err
    assert main([*command, "--allow-imports"]) == 0
    assert capsys.readouterr().err == ""


# Rows --------------------------------------------------------------------------------------------


def test_a_row_says_what_the_record_says(tmp_path: Path) -> None:
    folder = write_example(tmp_path / "run")
    trials = {trial.key: trial for trial in folder.trials()}
    content = Content.of(folder)
    assert len(content.rows) == len(trials) == 12
    for row in content.rows:
        trial = trials[(row["kind"], row["task"], row["repeat"])]
        turns = [turn for episode in trial.episodes for turn in episode.turns]
        assert row["turns"] == len(turns)
        assert row["invalid"] == sum(turn.action is None for turn in turns)
        assert row["ends"] == [episode.end for episode in trial.episodes]
    assert content.rows[-1]["void"] == "ConnectionError: endpoint down"
    assert contents.result(content.rows[-1]) == "void"


def test_rows_are_in_the_order_of_the_tasks_each_trial_before_its_control(tmp_path: Path) -> None:
    folder = write_example(tmp_path / "run", tasks=12)
    path = tmp_path / "run" / TRIALS_FILE
    path.write_bytes(b"".join(reversed(path.read_bytes().splitlines(keepends=True))))
    rows = Content.of(folder).rows
    indices = [int(row["task"].rpartition("/")[2]) for row in rows]
    assert indices == sorted(indices)
    assert [row["kind"] for row in rows[:4]] == ["trial", "control"] * 2


def test_the_first_differing_move_is_that_of_the_canonical_actions(tmp_path: Path) -> None:
    trial = next(write_example(tmp_path / "run").trials())
    assert len(trial.episodes) == 3
    assert contents.first_difference(trial.episodes, 0) is None
    for position in (1, 2):
        before, after = (
            [turn.action for turn in trial.episodes[at].turns] for at in (position - 1, position)
        )
        number = contents.first_difference(trial.episodes, position)
        if number is None:
            assert after == before[: len(after)]
        else:
            assert after[:number] == before[:number]
            assert number == len(before) or after[number] != before[number]


def test_the_head_holds_the_numbers_of_score(tmp_path: Path) -> None:
    folder = write_example(tmp_path / "run")
    expected = score_run(folder).as_json()
    head = Content.of(folder).head()
    assert head["scores"] == {name: expected[name] for name in head["scores"]}
    assert head["symbols"] == {"?": "hidden", ".": "blank", "*": "mine"}


# The page ----------------------------------------------------------------------------------------


def embedded(html: str) -> dict[str, Any]:
    """The content that a page holds."""
    found = re.findall(r'<script type="application/json" id="content">(.*?)</script>', html, re.S)
    assert len(found) == 1
    document: dict[str, Any] = json.loads(found[0])
    return document


def test_the_page_is_one_file_without_a_source_elsewhere(tmp_path: Path) -> None:
    html = page.whole_page(Content.of(write_example(tmp_path / "run")))
    policy = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)[0]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "http" not in policy
    assert "unsafe" not in policy
    assert not re.search(r'(?:src|href)="|@import|url\(', html.partition("<script")[0])


def test_no_text_of_an_agent_can_end_its_element(tmp_path: Path) -> None:
    html = page.whole_page(Content.of(write_example(tmp_path / "run")))
    assert html.count("</script>") == 2
    document = embedded(html)
    assert HOSTILE in document["strings"]
    assert len(document["trials"]) == len(document["rows"])


def test_the_script_makes_no_markup_of_texts() -> None:
    script = "\n".join(page.asset(name) for name in page.SCRIPTS)
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMP"):
        assert way not in script
    files = Path(page.__file__).parent / "assets"
    assert {file.name for file in files.glob("*.js")} == set(page.SCRIPTS)


def test_the_page_holds_every_turn(tmp_path: Path) -> None:
    folder = write_example(tmp_path / "run")
    document = embedded(page.whole_page(Content.of(folder)))
    strings, stored = document["strings"], {trial.key: trial for trial in folder.trials()}
    for row, episodes in zip(document["rows"], document["trials"], strict=True):
        trial = stored[(row["kind"], row["task"], row["repeat"])]
        for shown, episode in zip(episodes, trial.episodes, strict=True):
            for turn, recorded in zip(shown["turns"], episode.turns, strict=True):
                assert observation_hash(strings[turn[0]]) == recorded.observation
                assert strings[turn[1]] == recorded.answer
                assert (None if turn[2] is None else strings[turn[2]]) == recorded.action
                assert turn[3] == recorded.reward
            if episode.reflection:
                assert strings[shown["reflection"][0]] == episode.reflection.text


def test_view_writes_the_page_and_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_example(tmp_path / "run one")
    assert main(["view", "run one"]) == 0
    assert "views/minesweeper-easy-run-one.html  (12 trials" in capsys.readouterr().out
    assert embedded(Path("views/minesweeper-easy-run-one.html").read_text("utf-8"))["rows"]
    assert main(["view", "nowhere"]) == 2
    assert "is not a run folder" in capsys.readouterr().err


# The server --------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with served(write_example(tmp_path / "run")) as serving:
        yield serving


def get(server: Server, path: str, host: str | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=30)
    connection.request("GET", path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_a_served_page_holds_rows_and_asks_for_trials(server: Server, tmp_path: Path) -> None:
    status, html = get(server, "/")
    document = embedded(html)
    assert status == 200
    assert "trials" not in document
    assert "connect-src 'self'" in html
    status, text = get(server, "/trial/0.json")
    assert status == 200
    trial = json.loads(text)
    strings = Strings()
    assert trial["episodes"] == Content.of(RunFolder(tmp_path / "run")).trial(0, strings)
    assert trial["strings"] == strings.all()


@pytest.mark.parametrize("path", ["/trial/99.json", "/trial/-1.json", "/../x", "/trial/0.json/.."])
def test_the_server_gives_nothing_else(server: Server, path: str) -> None:
    assert get(server, path)[0] == 404


def test_the_server_answers_to_local_names_only(server: Server) -> None:
    assert get(server, "/", host="elsewhere.example")[0] == 404
    assert get(server, "/", host="localhost:1")[0] == 200


# The terminal ------------------------------------------------------------------------------------


def walked(content: Content, words: list[str], start: int = 0) -> str:
    """What the terminal shows when these words are typed."""
    left, shown = iter(words), []

    def read(prompt: str) -> str:
        try:
            return next(left)
        except StopIteration:
            raise EOFError from None

    terminal.walk(content, start, read, shown.append)
    return "\n".join(shown)


def test_the_terminal_steps_forwards_and_backwards(tmp_path: Path) -> None:
    content = Content.of(write_example(tmp_path / "run"))
    shown = walked(content, ["", "b", "a", "e"])
    places = re.findall(r"--- (episode \d, turn \d+)", shown)
    assert places[:3] == ["episode 1, turn 1", "episode 1, turn 2", "episode 1, turn 1"]
    assert places[-1] == "episode 2, turn 1"
    assert "? ? ? ? ? ?" in shown
    assert f"\n{HOSTILE.replace(chr(0x2028), chr(0xFFFD))}" in shown


def test_the_terminal_shows_reflections_and_the_first_difference(tmp_path: Path) -> None:
    content = Content.of(write_example(tmp_path / "run"))
    shown = walked(content, [""] * 40)
    assert "Reflection:\nNote 1: " in shown
    assert "(first move unlike episode 1)" in shown


def test_the_terminal_goes_on_to_the_next_trial_and_ends_after_the_last(tmp_path: Path) -> None:
    content = Content.of(write_example(tmp_path / "run"))
    shown = walked(content, ["t", "t"], start=9)
    assert [line for line in shown.splitlines() if line.startswith("===")] == [
        "=== minesweeper-easy/test/4, control, repeat 0, memory wiped: "
        + contents.result(content.rows[9])
        + " ===",
        "=== minesweeper-easy/test/5, trial, repeat 0, memory both: "
        + contents.result(content.rows[10])
        + " ===",
        "=== minesweeper-easy/test/5, control, repeat 0, memory wiped: void ===",
    ]
    assert "That was the last trial." in walked(content, ["t"], start=11)


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert terminal.printable("a\x1b[2Jb\r\n\tc\x9b") == "a\ufffd[2Jb\ufffd\n\tc\ufffd"


def test_a_trial_that_is_not_there_is_named(tmp_path: Path) -> None:
    content = Content.of(write_example(tmp_path / "run"))
    assert terminal.find_row(content, "minesweeper-easy/test/2", "control", 0) == 5
    with pytest.raises(SettingError, match="6 tasks, from minesweeper-easy/test/0 on"):
        terminal.find_row(content, "minesweeper-easy/test/77", "trial", 0)
