"""The oracle wins what is certified, and says so where it was not told the solution."""

from pathlib import Path

import pytest

from baselines.oracle import OracleAgent
from lamer_bench.env import environment_ids, make
from lamer_bench.errors import AgentError
from lamer_bench.protocol import TrialPlan, play
from lamer_bench.runner import run
from lamer_bench.task import Task


@pytest.mark.parametrize("environment", environment_ids())
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_it_wins_every_level_and_split_in_the_first_episode(
    tmp_path: Path, environment: str, split: str
) -> None:
    settings = {"tasks": 8, "episodes": 1, "control_episodes": 0, "split": split}
    folder = run("oracle", environment, out=tmp_path / "run", **settings)  # type: ignore[arg-type]
    ends = [trial.episodes[0].end for trial in folder.trials()]
    assert ends == ["won"] * 8


def test_it_breaks_where_it_is_not_told() -> None:
    plan = TrialPlan(Task("minesweeper-easy", "test", 0))
    view = next(play(make("minesweeper-easy"), plan)).view
    with pytest.raises(AgentError, match="not told"):
        OracleAgent().act([view])


def test_a_solution_that_does_not_win_is_an_error() -> None:
    plan = TrialPlan(Task("minesweeper-easy", "test", 0), tell_solution=True)
    view = next(play(make("minesweeper-easy"), plan)).view
    view.solution = view.solution[:1] if view.solution else None
    view.turn = 1
    with pytest.raises(AgentError, match="1 turns has not won"):
        OracleAgent().act([view])
