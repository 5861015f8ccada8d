"""The prompting agents: what they ask, what stays in the context, and runs against bad servers."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from baselines.endpoint_settings import EndpointSettings
from baselines.prompting import (
    KEPT_CHARACTERS,
    PromptingAgent,
    ReactAgent,
    ReflexionAgent,
    ZeroShotAgent,
    remark,
    visible,
)
from lamer_bench.agent import PastEpisode, PastTurn, View
from lamer_bench.checks import AGENT_CHECKS, check_agent
from lamer_bench.cli import main
from lamer_bench.errors import AgentError
from lamer_bench.record import RunFolder, Trial
from tests.chat_server import ChatServer, Received, Reply, completion

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "evaluate.md").read_text(encoding="utf-8")
AGENTS_PAGE = (DOCS / "agents.md").read_text(encoding="utf-8")
KEY = "sk-test-0123456789abcdef"
AGENTS = [ZeroShotAgent, ReactAgent, ReflexionAgent]
THOUGHT = "<think>(9,9) <action>(6,6)</action>?</think>Row 1 is open.\n<action>(1,1)</action>"
Serve = Callable[[Callable[[Received], Reply | str]], ChatServer]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start a server that answers as told and name it in the environment."""
    with ExitStack() as stack:

        def start(answer: Callable[[Received], Reply | str]) -> ChatServer:
            server = stack.enter_context(ChatServer(answer).running())
            monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
            return server

        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_MODEL", "tiny")
        yield start


def player(received: Received) -> str:
    """A model that takes the first action offered, and remarks on what it has seen."""
    if "<remark>" in received.prompt:
        return f"<remark>note {len(received.prompt)}: <b>not</b> the corner</remark>"
    found = re.search(r"Possible now: ([^;\n]+)", received.prompt)
    assert found is not None
    return f"The first will do.\n<action>{found[1]}</action>"


def view(**changes: Any) -> View:
    """The third turn of a second attempt, after a first one of two turns."""
    given: dict[str, Any] = {
        "environment": "minesweeper-easy",
        "rules": "Open every cell.",
        "action_hint": "Name a cell like this: <action>(2,3)</action>.",
        "memory": "both",
        "num_episodes": 3,
        "turn_limit": 9,
        "episode": 1,
        "turn": 2,
        "observation": "board now",
        "admissible": ["(1,2)", "(2,2)"],
        "turns": [
            PastTurn("board 0", THOUGHT, "(1,1)"),
            PastTurn("board 1", "open <i>it</i>!", None),
        ],
        "earlier": [
            PastEpisode(
                [PastTurn("old board", THOUGHT, "(1,1)")],
                "old end",
                "Sure.\n<remark>not (3,3)</remark>",
            )
        ],
        "state": {},
    }
    return View(**{**given, **changes})


def prompt(cls: type[PromptingAgent], kind: Any = "act", **changes: Any) -> str:
    system, user = cls().messages(view(**changes), kind)
    assert (system["role"], user["role"]) == ("system", "user")
    assert system["content"].endswith("Open every cell.")
    return user["content"]


# Prompts -----------------------------------------------------------------------------------------


def test_react_is_shown_everything_in_order_with_its_thoughts() -> None:
    turn = "Your answer: Row 1 is open.\n<action>(1,1)</action>"
    assert prompt(ReactAgent).startswith(
        "Attempt 1 at this task, which was not solved.\n\n"
        f"Turn 1:\nold board\n{turn}\n\n"
        "The attempt ended here:\nold end\n\n"
        "Your note after it: not (3,3)\n\n"
        "Attempt 2 of 3 at this task.\n\n"
        f"Turn 1:\nboard 0\n{turn}\n\n"
        "Turn 2:\nboard 1\nYour answer: open <i>it</i>! (not an action)\n\n"
        "Turn 3 of 9, now:\nboard now\n\n"
        "Possible now: (1,2); (2,2)\n\n"
        "Think first: "
    )
    assert prompt(ReactAgent).endswith("Name a cell like this: <action>(2,3)</action>.")


def test_zero_shot_is_shown_its_actions_without_thoughts_and_asked_for_none() -> None:
    text = prompt(ZeroShotAgent)
    assert "board 0\nYour answer: <action>(1,1)</action>\n" in text
    assert "Row 1 is open" not in text
    assert "Think first" not in text
    assert "Answer with your next action and nothing else" in text


@pytest.mark.parametrize("cls", AGENTS)
def test_without_memory_a_prompt_knows_nothing_of_attempts(cls: type[PromptingAgent]) -> None:
    text = prompt(cls, memory="none", episode=0, earlier=())
    assert "ttempt" not in text
    assert text.startswith("Turn 1:\nboard 0")


def test_a_look_back_holds_the_attempt_and_where_it_ended() -> None:
    text = prompt(ReflexionAgent, "reflect")
    assert "The attempt ended here, not solved:\nboard now\n\nYou have not solved" in text
    assert "not (3,3)" in text
    assert "Possible now" not in text
    assert "<remark>" in text


def test_only_the_last_reflections_stay() -> None:
    earlier = [PastEpisode(reflection=f"<remark>note {number}</remark>") for number in range(5)]
    text = prompt(ReflexionAgent, earlier=earlier, memory="reflection", episode=5)
    assert re.findall(r"note \d", text) == ["note 2", "note 3", "note 4"]


def test_an_endless_thought_does_not_stay_whole() -> None:
    long = PastTurn("board", "x" * 10_000 + "<action>(1,1)</action>", "(1,1)")
    text = prompt(ReactAgent, turns=[long], earlier=())
    assert "x" * KEPT_CHARACTERS + "\n<action>(1,1)</action>" in text
    assert "x" * (KEPT_CHARACTERS + 1) not in text


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("a <think>b</think> c", "c"),
        ("b</think>c", "c"),
        ("a<think>b", "a"),
        ("<think>b", ""),
        ("<think>a</think>b<think>c</think>d", "d"),
        (" a < b ", "a < b"),
    ],
)
def test_hidden_reasoning_is_left_out(answer: str, shown: str) -> None:
    assert visible(answer) == shown


@pytest.mark.parametrize(
    ("reflection", "shown"),
    [
        ("<remark>a</remark>", "a"),
        ("so <REMARK> a <b>b</b>\n</REMARK> end", "a <b>b</b>"),
        ("<remark>a</remark><remark>b</remark>", "b"),
        ("<remark>cut off", "cut off"),
        ("no tag", "no tag"),
        ("<think><remark>no</remark></think>yes", "yes"),
        ("", ""),
    ],
)
def test_a_reflection_is_what_stands_in_its_tag(reflection: str, shown: str) -> None:
    assert remark(reflection) == shown


def test_braces_in_a_hint_stay_as_they_are() -> None:
    assert prompt(ReactAgent, action_hint="Say {hint} or {0}.").endswith("Say {hint} or {0}.")


# Contract and runs -------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", AGENTS)
def test_it_keeps_the_contract(cls: type[PromptingAgent], serve: Serve) -> None:
    serve(player)
    assert len(check_agent(cls.name)) == len(AGENT_CHECKS)


@pytest.mark.parametrize("cls", AGENTS)
def test_without_an_endpoint_it_does_not_start(
    cls: type[PromptingAgent], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(AgentError, match="Set OPENAI_BASE_URL"):
        cls().prepare("minesweeper-easy")
    assert main(["run", "--agent", cls.name, "--env", "minesweeper-easy"]) == 2
    assert capsys.readouterr().err.strip() == f"lamer-bench: {no_endpoint()}"


def no_endpoint() -> str:
    return (
        "No endpoint is named. Set OPENAI_BASE_URL, or the option base_url, "
        "for example to http://localhost:8000/v1."
    )


def lamer_bench(out: Path, agent: str, capsys: Any, *options: str) -> dict[str, Any]:
    """The scores of a run on two tasks, which must end well."""
    command = ["run", "--agent", agent, "--env", "minesweeper-easy", "--tasks", "2", "--json"]
    quick = ["--agent-option", "pause_seconds=0.01"]
    capsys.readouterr()
    assert main([*command, *quick, *options, "--out", str(out)]) == 0
    captured = capsys.readouterr()
    assert KEY not in captured.out + captured.err
    scores: dict[str, Any] = json.loads(captured.out)
    return scores


def trials(out: Path, kind: str = "trial") -> list[Trial]:
    return [trial for trial in RunFolder(out).trials() if trial.kind == kind]


@pytest.mark.parametrize("cls", AGENTS)
def test_a_whole_run_is_played_counted_and_can_be_verified(
    cls: type[PromptingAgent], serve: Serve, tmp_path: Path, capsys: Any
) -> None:
    server = serve(player)
    out = tmp_path / "run"
    scores = lamer_bench(out, cls.name, capsys, "--agent-option", "temperature=0.2")
    assert main(["verify", str(out)]) == 0
    assert scores["void_share"] == 0
    assert scores["invalid_rate"] == 0
    num_asked = len(server.received)
    assert scores["tokens"] == {"prompt": 7 * num_asked, "answer": 3 * num_asked}
    settings = RunFolder(out).manifest().settings
    assert settings.memory == cls.memories[0]
    assert not settings.is_deterministic
    assert settings.agent_settings["temperature"] == 0.2
    assert settings.agent_settings["base_url"] == server.base_url
    assert not any(KEY in file.read_text() for file in out.iterdir())
    assert {received.headers["authorization"] for received in server.received} == {f"Bearer {KEY}"}
    assert "httpx2" in RunFolder(out).manifest().provenance.packages


def test_reflexion_reads_its_reflections_and_no_earlier_turn(
    serve: Serve, tmp_path: Path, capsys: Any
) -> None:
    server = serve(player)
    lamer_bench(tmp_path / "run", "reflexion", capsys)
    written = {
        remark(episode.reflection.text)
        for trial in trials(tmp_path / "run")
        for episode in trial.episodes
        if episode.reflection
    }
    assert written
    later = [one.prompt for one in server.received if "Attempt 2 of 3" in one.prompt]
    notes = {match for text in later for match in re.findall(r"Your note after it: (.*)", text)}
    assert notes
    assert notes <= written
    assert all("The attempt ended here:" not in text for text in later)
    assert all(not trial.episodes[0].reflection for trial in trials(tmp_path / "run", "control"))


def test_the_same_run_sends_the_same_seeds_and_another_turn_another(
    serve: Serve, tmp_path: Path, capsys: Any
) -> None:
    seeds = []
    for name in ("a", "b"):
        server = serve(player)
        lamer_bench(tmp_path / name, "react", capsys)
        seeds.append(sorted(received.body["seed"] for received in server.received))
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0])) == len(seeds[0])


def test_a_misbehaving_server_costs_voids_and_nothing_else(
    serve: Serve, tmp_path: Path, capsys: Any
) -> None:
    numbers = count()
    passing = [Reply(b"boom", 500), Reply(b"{", 200), Reply(b"busy", 429), Reply(b"", 503)]
    first_board: list[str] = []

    def answer(received: Received) -> Reply | str:
        board = received.prompt.partition("Turn 1")[2].partition("Your answer")[0]
        board = board.partition(":\n")[2].partition("Possible")[0].strip()
        first_board[:] = first_board or [board]
        if board == first_board[0]:
            return Reply(f'{{"error": "no more for {KEY}"}}'.encode(), 402)
        number = next(numbers)
        if number % 2:
            return passing[number // 2 % len(passing)]
        return player(received)

    serve(answer)
    out = tmp_path / "run"
    scores = lamer_bench(out, "react", capsys, "--agent-option", "retries=20")
    voids = [trial.void for trial in RunFolder(out).trials() if trial.void]
    assert [(void.type, void.message.partition(": ")[2]) for void in voids] == [
        ("AgentError", "HTTP 402: no more for [key]")
    ] * 2
    assert scores["void_share"] == 0.5
    assert main(["verify", str(out)]) == 0


@pytest.mark.parametrize("agent", ["zero-shot", "reflexion"])
def test_an_endpoint_that_is_down_makes_every_trial_void(
    agent: str, serve: Serve, tmp_path: Path, capsys: Any
) -> None:
    with ChatServer(player).running() as gone:
        address = gone.base_url
    serve(player)
    scores = lamer_bench(tmp_path / "run", agent, capsys, "--agent-option", f"base_url={address}")
    assert scores["void_share"] == 1
    voids = [trial.void for trial in RunFolder(tmp_path / "run").trials()]
    assert len(voids) == 4
    assert all(void and "cannot connect" in void.message for void in voids)


@pytest.mark.slow
def test_the_commands_of_the_pages_run_as_shown(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(player)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE + AGENTS_PAGE, re.MULTILINE | re.DOTALL)
    lines = (
        "".join(block for block in blocks if "--agent local" not in block)
        .replace("\\\n", " ")
        .splitlines()
    )
    commands = [shlex.split(line, comments=True) for line in lines]
    assert all(command[0] in ("export", "lamer-bench") for command in commands)
    played = [command[1:] for command in commands if command[0] == "lamer-bench"]
    assert len(played) == 9
    assert [main(command) for command in played] == [0] * 9


def test_every_option_is_described() -> None:
    assert [name for name in EndpointSettings.model_fields if f"`{name}`" not in PAGE] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<action></action>",
        "<action>(1,1)",
        "<action>(1,1)</action><script>alert(1)</script>",
        "<think><action>(1,1)",
        "&lt;action&gt;(1,1)&lt;/action&gt; <![CDATA[ ]]> {hint} {0} %s \x1b[31m \ud800 \x00",
        "<action>" * 3000,
    ],
)
def test_markup_in_answers_is_only_text(
    text: str, serve: Serve, tmp_path: Path, capsys: Any
) -> None:
    serve(lambda _: completion(text))
    scores = lamer_bench(tmp_path / "run", "reflexion", capsys, "--memory", "both")
    assert scores["void_share"] == 0
    assert scores["invalid_rate"] > 0
    assert main(["verify", str(tmp_path / "run")]) == 0
