"""To Gymnasium every environment is one of its own."""

from __future__ import annotations

import subprocess
import sys
import warnings

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from lamer_bench import ENVIRONMENTS, MultiEpisode, Task, TextEnv, make
from lamer_bench.env import Outcome
from lamer_bench.errors import SettingError, TaskError
from tests.toys import Doors

FAMILIES = [name for name in ENVIRONMENTS if name != "doors" and not ENVIRONMENTS.load(name).plays]
IDS = [f"{family}-{level}" for family in FAMILIES for level in ENVIRONMENTS.load(family).levels]


def gymnasium_id(environment: str) -> str:
    family = environment.rpartition("-")[0]
    return f"lamer/{environment}-v{ENVIRONMENTS.load(family).version}"


@pytest.mark.parametrize("environment", IDS)
def test_gymnasiums_own_checker_has_nothing_to_say(environment: str) -> None:
    # warnings are errors in tests, so its advice counts too
    check_env(gymnasium.make(gymnasium_id(environment)).unwrapped)


@pytest.mark.parametrize(
    "code",
    [
        "import lamer_bench, gymnasium; env = gymnasium.make('lamer/minesweeper-hard-v2')",
        "import gymnasium; env = gymnasium.make('lamer_bench:lamer/minesweeper-hard-v2')",
    ],
)
def test_make_works_in_a_fresh_process(code: str) -> None:
    code = f"{code}; print(env.reset(seed=3)[0])"
    command = [sys.executable, "-W", "error", "-c", code]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown.rstrip("\n") == make("minesweeper-hard").reset(seed=3)[0]


@pytest.mark.parametrize("environment", IDS)
def test_a_seed_names_a_task(environment: str) -> None:
    env = gymnasium.make(gymnasium_id(environment))
    first, info = env.reset(seed=7)
    env.step("nonsense")
    env.reset(seed=8)
    assert env.reset(seed=7) == (first, info)
    task = f"{environment}/test/7"
    assert env.reset(options={"task": task}) == (first, info)
    assert env.unwrapped.task == Task.parse(task)  # type: ignore[attr-defined]


def test_a_seed_counts_within_the_split() -> None:
    env = gymnasium.make("lamer/minesweeper-easy-v2", split="train")
    env.reset(seed=5)
    assert str(env.unwrapped.task) == "minesweeper-easy/train/5"  # type: ignore[attr-defined]


def test_a_reset_without_seed_begins_the_same_task_again() -> None:
    env = gymnasium.make("lamer/sokoban-medium-v1")
    first = env.reset(seed=4)
    env.step("up")
    assert env.reset() == first


def test_reset_refuses_what_it_does_not_know() -> None:
    env = gymnasium.make("lamer/minesweeper-easy-v2")
    with pytest.raises(SettingError, match="knows the option 'task'"):
        env.reset(options={"tusk": "minesweeper-easy/test/1"})
    with pytest.raises(TaskError, match="does not belong to"):
        env.reset(options={"task": "minesweeper-hard/test/1"})
    with pytest.raises(TaskError, match="is not a task id"):
        env.reset(options={"task": "minesweeper-easy"})


def test_a_task_that_cannot_be_drawn_leaves_no_other_board_under_the_old_name() -> None:
    env = gymnasium.make("lamer/minesweeper-easy-v2")
    first, _ = env.reset(seed=0)
    with pytest.raises(TaskError):
        env.reset(options={"task": "minesweeper-easy/sealed/0"})
    assert env.reset()[0] == first
    assert str(env.unwrapped.task) == "minesweeper-easy/test/0"  # type: ignore[attr-defined]


def test_render_shows_the_observation() -> None:
    env = gymnasium.make("lamer/minesweeper-easy-v2", render_mode="ansi")
    assert env.reset(seed=0)[0] == env.render()


# MultiEpisode ------------------------------------------------------------------------------------


def doors() -> tuple[MultiEpisode, list[str], str]:
    """A trial of three attempts, the doors that win it, and one that loses it at once."""
    env = MultiEpisode(Doors("easy"), episodes=3)
    env.reset(seed=1)
    inner = env.unwrapped
    assert isinstance(inner, Doors)
    right = inner.solution()
    wrong = next(door for door in inner.admissible() if door != right[0])
    return env, right, wrong


def test_a_reward_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    env = make("minesweeper-easy")
    env.reset()
    monkeypatch.setattr(env, "act", lambda action: Outcome("", float("nan"), False, False))
    with pytest.raises(ValueError, match="is nan, which is no number"):
        env.step(env.solution()[0])


def test_a_lost_attempt_leads_to_the_next_one_of_the_same_task() -> None:
    env, _, wrong = doors()
    first, info = env.reset()
    assert info["episode"] == 0
    observation, reward, terminated, truncated, info = env.step(wrong)
    assert observation.endswith(f"Attempt 2 of 3, the same task:\n{first}")
    assert (reward, terminated, truncated) == (0.0, False, False)
    assert info == {**info, "episode": 1, "won": False, "valid": True}


def test_a_trial_ends_with_its_first_win() -> None:
    env, right, wrong = doors()
    env.reset()
    env.step(wrong)
    steps = [env.step(door) for door in right]
    assert [step[2] for step in steps] == [False, False, True]
    assert steps[-1][4]["won"]
    assert steps[-1][4]["episode"] == 1


def test_a_trial_ends_after_its_last_attempt() -> None:
    env, _, wrong = doors()
    env.reset()
    assert [env.step(wrong)[2] for _ in range(3)] == [False, False, True]


def test_an_attempt_that_runs_out_of_turns_is_over_too() -> None:
    env, _, _ = doors()
    env.reset()
    limit = env.unwrapped.turn_limit  # type: ignore[attr-defined]
    episodes = [env.step("")[4]["episode"] for _ in range(limit)]
    assert episodes == [0] * (limit - 1) + [1]


def test_a_trial_passes_gymnasiums_checker() -> None:
    trial = MultiEpisode(gymnasium.make("lamer/minesweeper-hard-v2"), episodes=2)
    assert isinstance(trial.unwrapped, TextEnv)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*is different from the unwrapped version")
        check_env(trial, skip_render_check=True)


def test_multi_episode_refuses_what_it_cannot_wrap() -> None:
    with pytest.raises(SettingError, match="at least 1 episode"):
        MultiEpisode(Doors("easy"), episodes=0)
    with pytest.raises(SettingError, match="text environments of lamer-bench only"):
        MultiEpisode(gymnasium.make("CartPole-v1"))  # type: ignore[arg-type]


# Vectors -----------------------------------------------------------------------------------------


def test_a_vector_steps_each_environment_by_itself() -> None:
    makers = [lambda: gymnasium.make("lamer/minesweeper-hard-v2") for _ in range(3)]
    vector = SyncVectorEnv(makers, autoreset_mode=AutoresetMode.DISABLED)
    observations, _ = vector.reset(seed=10)
    single = make("minesweeper-hard")
    assert observations == tuple(single.reset(seed=seed)[0] for seed in (10, 11, 12))
    cells = ["(1,1)", "(3,4)", "nonsense"]
    after, rewards, *_ = vector.step(cells)
    for index, cell in enumerate(cells):
        single.reset(seed=10 + index)
        assert single.step(cell)[:2] == (after[index], rewards[index])
    vector.close()
