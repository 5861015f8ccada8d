"""The shipped language agents: what they write, and that a run of them can be repeated exactly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from baselines.explorer.minesweeper import Board, Knowledge
from baselines.language_agent import LamerAgent, LanguageAgent, SupervisedAgent
from baselines.prompts import compact
from lamer_bench import Answer, Task, TrialPlan, make, play
from lamer_bench.errors import AgentError
from lamer_bench.record import Trial

AGENTS = [(LamerAgent, 20), (SupervisedAgent, 40)]
"""An agent, and how many cells that it notes rightly come on one that it does not, at least."""


def played(agent: LanguageAgent, plan: TrialPlan) -> tuple[Trial, list]:
    """A trial, and the questions that were asked in it."""
    trial = play(make(plan.task.environment), plan)
    asks = []
    answer = None
    while True:
        try:
            ask = trial.send(answer)  # type: ignore[arg-type]
        except StopIteration as stop:
            return stop.value, asks
        asks.append(ask)
        answer = (agent.act if ask.kind == "act" else agent.reflect)([ask.view])[0]


@pytest.mark.parametrize(("cls", "rightly"), AGENTS)
def test_it_answers_with_actions_and_notes_what_it_saw(cls: type, rightly: int) -> None:
    agent = cls()
    agent.prepare("minesweeper-hard")
    right = wrong = actions = turns = 0
    for index in range(12):
        plan = TrialPlan(Task("minesweeper-hard", "val", index), memory="reflection")
        trial, asks = played(agent, plan)
        board, seen = Board.from_rules(asks[0].view.rules), Knowledge()
        reflected = iter([ask for ask in asks if ask.kind == "reflect"])
        for episode in trial.episodes:
            turns += len(episode.turns)
            actions += sum(turn.action is not None for turn in episode.turns)
            assert all(0 < turn.answer_tokens <= 4 for turn in episode.turns)
            if episode.reflection:
                seen.add(board, board.read(next(reflected).view.observation))
                told, truth = cells(noted(board, episode.reflection.text)), cells(seen)
                right += len(told & truth)
                wrong += len(told ^ truth)
    assert actions / turns > 0.8
    assert right > rightly * wrong


def noted(board: Board, text: str) -> Knowledge:
    """What a reflection says."""
    knowledge = Knowledge()
    knowledge.add_notes(board, text)
    return knowledge


def cells(knowledge: Knowledge) -> set[tuple[int, int | None]]:
    """Cells with their numbers, mines with None."""
    return {*knowledge.numbers.items(), *((cell, None) for cell in knowledge.mines)}


def test_the_prompt_holds_the_last_reflection_and_nothing_of_the_rules() -> None:
    agent = LamerAgent()
    agent.prepare("minesweeper-hard")
    for index in range(20):
        plan = TrialPlan(Task("minesweeper-hard", "val", index), memory="reflection")
        _, asks = played(agent, plan)
        later = [ask for ask in asks if ask.view.episode > 0 and ask.kind == "act"]
        if later:
            view = later[-1].view
            board = Board.from_rules(view.rules)
            mines = sorted(noted(board, view.earlier[-1].reflection).mines)
            lines = compact(view, "act").splitlines()
            assert mines
            assert " ".join(["mine", *map(board.name, mines)]) in lines
            assert not set(lines) & set(view.rules.splitlines())
            assert lines[-1].endswith("<action>")
            return
    pytest.fail("no trial needed a second attempt")


def test_a_wiped_memory_leaves_no_trace_in_the_prompt() -> None:
    agent = LamerAgent()
    agent.prepare("minesweeper-hard")
    plan = TrialPlan(Task("minesweeper-hard", "val", 0), kind="control", memory="reflection")
    _, asks = played(agent, plan)
    assert {ask.kind for ask in asks} == {"act"}
    for ask in asks:
        prompt = compact(ask.view, "act")
        assert "<remark>" not in prompt
        assert not {line.split()[0] for line in prompt.splitlines()} & {"safe", "mine"}


@pytest.mark.parametrize("kind", ["act", "reflect"])
def test_prompts_render_for_any_observation(kind: str) -> None:
    agent = LamerAgent()
    agent.prepare("minesweeper-hard")
    env = make("minesweeper-hard")
    view = next(play(env, TrialPlan(Task("minesweeper-hard", "val", 0)))).view
    for text in ("", "\x00\x07", "words that it never saw " * 20, "√" * 200):
        view.observation = text
        ask = agent.act if kind == "act" else agent.reflect
        assert isinstance(ask([view])[0], Answer)


def test_a_family_without_weights_is_one_clear_line() -> None:
    with pytest.raises(AgentError, match="was not trained for 'doors', only for minesweeper, "):
        LamerAgent().prepare("doors-easy")


@pytest.mark.parametrize("environment", ["sokoban-hard", "webshop-medium"])
def test_the_other_families_are_played_with_actions_and_remembered(environment: str) -> None:
    agent = LamerAgent()
    agent.prepare(environment)
    actions = turns = reflections = 0
    for index in range(8):
        plan = TrialPlan(Task(environment, "val", index), memory="reflection")
        trial, _ = played(agent, plan)
        for episode in trial.episodes:
            turns += len(episode.turns)
            actions += sum(turn.action is not None for turn in episode.turns)
            if episode.reflection is not None:
                reflections += episode.reflection.text not in ("", "<remark></remark>")
    assert actions / turns > 0.8
    assert reflections


def test_a_folder_without_weights_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="no weights"):
        LanguageAgent(tmp_path).prepare("minesweeper-hard")


RUN = [sys.executable, "-m", "lamer_bench", "run", "--agent", "lamer", "--env", "minesweeper-hard"]
RUN += ["--tasks", "12", "--json"]


def digest(out: Path, *options: str, hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [*RUN, "--out", str(out), *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["content_digest"]  # type: ignore[no-any-return]


def test_fresh_processes_batches_and_a_kill_give_one_content(tmp_path: Path) -> None:
    undisturbed = digest(tmp_path / "a", hash_seed="1")
    assert digest(tmp_path / "b", "--batch", "5", hash_seed="2") == undisturbed
    out = tmp_path / "killed"
    trials = out / "trials.jsonl"
    process = subprocess.Popen(
        [*RUN, "--out", str(out), "--batch", "2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(30_000):
            if (trials.exists() and trials.stat().st_size) or process.poll() is not None:
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    finally:
        process.wait()
    num_kept = len(trials.read_bytes().splitlines())
    assert 0 < num_kept < 24
    assert digest(out, hash_seed="3") == undisturbed
