"""Random first: another plays from the second attempt on, with what its memory shows it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from baselines.language_agent import LamerAgent
from baselines.oracle import OracleAgent
from baselines.random_first import RandomFirst
from lamer_bench.agent import Agent, Answer, Memory, View
from lamer_bench.errors import LamerBenchError, SettingError
from lamer_bench.record import RunFolder, Trial
from lamer_bench.runner import run
from tests import toys

ENVIRONMENT = "minesweeper-medium"


class Watched(toys.Guesser):
    """Keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.acted: list[View] = []
        self.reflected: list[View] = []

    def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
        self.acted += views
        return super().act(views)

    def reflect(self, views: Sequence[View]) -> Sequence[Answer | str]:
        self.reflected += views
        return [f"saw {[turn.action for turn in view.turns]}" for view in views]


class Forgetful(toys.Guesser):
    name: ClassVar[str] = "forgetful"
    memories: ClassVar[Sequence[Memory]] = ("none",)


def play(agent: str | Agent, out: Path, environment: str = ENVIRONMENT, **more: Any) -> RunFolder:
    return run(agent, environment, out=out, **{"tasks": 8, **more})


def of_kind(folder: RunFolder, kind: str) -> dict[str, Trial]:
    return {trial.task: trial for trial in folder.trials() if trial.kind == kind}


def actions(trial: Trial, episode: int) -> list[str | None]:
    return [turn.action for turn in trial.episodes[episode].turns]


@pytest.mark.parametrize("agent", ["explorer", "lamer"])
def test_the_first_attempt_is_the_random_agents_and_no_later_one(
    agent: str, tmp_path: Path
) -> None:
    first = play("random-first", tmp_path / "first", agent_options={"agent": agent})
    random = of_kind(play("random", tmp_path / "random", memory="history"), "trial")
    num_later = 0
    for task, trial in of_kind(first, "trial").items():
        assert actions(trial, 0) == actions(random[task], 0)
        assert all(turn.answer_tokens == 0 for turn in trial.episodes[0].turns)
        for episode in range(1, len(trial.episodes)):
            num_later += 1
            if episode < len(random[task].episodes):
                assert actions(trial, episode) != actions(random[task], episode)
    assert num_later >= 8
    if agent == "lamer":
        reflections = [t.episodes[0].reflection for t in of_kind(first, "trial").values()]
        assert all(one and "<remark>" in one.text for one in reflections)


@pytest.mark.parametrize("agent", ["explorer", "lamer"])
def test_the_control_is_the_wrapped_agents_own(agent: str, tmp_path: Path) -> None:
    wrapping = play("random-first", tmp_path / "first", agent_options={"agent": agent})
    alone = play(agent, tmp_path / "alone")
    controls = of_kind(wrapping, "control")
    assert len(controls) == 8
    assert {task: trial.digest for task, trial in controls.items()} == {
        task: trial.digest for task, trial in of_kind(alone, "control").items()
    }


@pytest.mark.parametrize("memory", ["history", "reflection", "both"])
def test_the_wrapped_agent_sees_the_random_attempt_as_its_memory_allows(
    memory: str, tmp_path: Path
) -> None:
    watched = Watched()
    folder = play(
        RandomFirst(watched), tmp_path / "run", "doors-easy", memory=memory, control_episodes=0
    )
    trials = of_kind(folder, "trial")
    lost = [trial for trial in trials.values() if trial.episodes[0].end != "won"]
    assert lost
    assert min(view.episode for view in watched.acted) == 1
    second = [view for view in watched.acted if (view.episode, view.turn) == (1, 0)]
    played = sorted(str(actions(trial, 0)) for trial in lost)
    if memory != "reflection":
        shown = [[turn.action for turn in view.earlier[0].turns] for view in second]
        assert sorted(map(str, shown)) == played
    else:
        assert not any(view.earlier[0].turns for view in second)
    if memory != "history":
        assert sorted(view.earlier[0].reflection for view in second) == [f"saw {a}" for a in played]
        assert sum(view.episode == 0 for view in watched.reflected) == len(lost)


def test_the_run_names_the_wrapped_agent_and_holds_its_settings(tmp_path: Path) -> None:
    options = {"agent": "lamer", "temperature": "0.5"}
    folder = play("random-first", tmp_path / "run", agent_options=options, tasks=1)
    settings = folder.manifest().settings
    assert settings.agent == "random-first:lamer"
    assert settings.agent_settings["agent"] == "lamer"
    assert settings.agent_settings["agent_settings"]["temperature"] == 0.5
    assert settings.memory == LamerAgent.memories[0] == "reflection"


def test_it_declares_what_the_wrapped_agent_declares(tmp_path: Path) -> None:
    told = play(RandomFirst("oracle"), tmp_path / "run", tasks=4)
    assert not told.manifest().settings.is_ranked
    assert not OracleAgent().told_solution or RandomFirst("oracle").told_solution
    ends = [trial.episodes[1].end for trial in of_kind(told, "trial").values()]
    assert ends == ["won"] * 4
    assert RandomFirst("human").is_interactive
    assert not RandomFirst("react").deterministic
    assert RandomFirst("zero-shot").memories == ["history"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: RandomFirst(Forgetful()), "'forgetful' has no memory"),
        (lambda: RandomFirst("explorr"), "Did you mean 'explorer'"),
        (lambda: RandomFirst("lamer", temperatur="1"), "Did you mean 'temperature'"),
        (lambda: RandomFirst(Watched(), temperature="1"), "given by its name"),
    ],
)
def test_what_cannot_be_wrapped_is_one_clear_line(make: Any, says: str) -> None:
    with pytest.raises(LamerBenchError, match=says):
        make()


def test_it_cannot_be_run_without_memory(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="cannot use memory 'none'"):
        play("random-first", tmp_path / "run", memory="none")
