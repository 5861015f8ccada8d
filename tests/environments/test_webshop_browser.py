"""The browser door: what Chromium shows equals what the environment tells, and it always ends."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import pytest

from environments.webshop import WebShop, browser
from lamer_bench import Agent, Answer, Task, View, make
from lamer_bench.env import environment_ids
from lamer_bench.errors import BrowserError, MissingExtraError
from lamer_bench.runner import EnvironmentPool, run

IS_THERE = find_spec("selenium") and shutil.which(browser.CHROMIUM)
needs_chromium = pytest.mark.skipif(
    not (IS_THERE and shutil.which(browser.DRIVER)), reason="it needs selenium and Chromium"
)


@pytest.fixture
def env() -> Iterator[WebShop]:
    env = make("webshop-browser-hard")
    yield env  # type: ignore[misc]
    env.close()
    assert browser._shared is None or not browser._shared.is_open


def play_both(shown: WebShop, told: WebShop, actions: list[str], index: int) -> None:
    """Every step is the same through both doors: observation, reward, ends and info."""
    assert shown.reset(seed=index) == told.reset(seed=index)
    for action in actions:
        assert shown.step(action) == told.step(action)


def random_actions(told: WebShop, rng: random.Random, index: int) -> list[str]:
    told.reset(seed=index)
    actions: list[str] = []
    while not told._over:
        choices = told.admissible() or ["search[blue bottle, 9.5 & more]", "search[xyzzy]"]
        actions.append(rng.choice([*choices, "click[nothing]"]))
        told.step(actions[-1])
    return actions


@needs_chromium
def test_chromium_shows_what_the_environment_tells(env: WebShop) -> None:
    told, rng = make("webshop-hard"), random.Random(0)
    for index in range(2):
        told.reset(seed=index)
        play_both(env, told, told.solution(), index)
        assert env.won
        play_both(env, told, random_actions(told, rng, index), index)


@needs_chromium
@pytest.mark.slow
@pytest.mark.parametrize("level", list(WebShop.levels))
def test_all_levels_are_the_same_through_both_doors(level: str) -> None:
    form = {"observation": "text_rich"}
    told, rng = make(f"webshop-{level}", **form), random.Random(level)
    shown = make(f"webshop-browser-{level}", **form)
    for index in range(5):
        told.reset(seed=index)
        play_both(shown, told, told.solution(), index)
        play_both(shown, told, random_actions(told, rng, index), index)
    shown.close()


@needs_chromium
def test_two_environments_take_turns_in_one_chromium(env: WebShop) -> None:
    other, told = make("webshop-browser-hard"), make("webshop-hard")
    starts = {one: one.reset(seed=index)[0] for index, one in enumerate((env, other))}
    for one in (env, other, env):
        one.step("search[mug]" if one.turn == 0 else "click[next >]")
    told.reset(seed=0)
    told.step("search[mug]")
    told.step("click[next >]")
    assert env.look() == told.look()
    assert "Page 1 " in other.look()
    assert starts[env] != starts[other]
    other.close()
    assert browser.chromium(env).is_open


class Saboteur(Agent):
    """Buys what is listed last; ends Chromium with a blow before its fifth batch of answers."""

    name: ClassVar[str] = "saboteur"

    def __init__(self) -> None:
        self.num_asked = 0

    def act(self, views: Sequence[View]) -> list[Answer | str]:
        self.num_asked += 1
        if self.num_asked == 5:
            assert browser._shared is not None
            for process in browser.processes(browser._shared._profile):
                os.kill(process, signal.SIGKILL)
        return ["search[mug]" if not view.admissible else view.admissible[-1] for view in views]


@needs_chromium
def test_a_crash_makes_void_trials_and_the_run_goes_on(tmp_path: Path) -> None:
    settings = {"tasks": 6, "episodes": 1, "control_episodes": 0, "batch": 2}
    folder = run(Saboteur(), "webshop-browser-easy", out=tmp_path / "run", **settings)
    voids = [trial.void for trial in folder.trials()]
    # three turns a trial, two at a time: the third and the fourth were under way
    assert [void and void.type for void in voids] == (
        [None, None, "BrowserError", "BrowserError", None, None]
    )
    assert browser._shared is not None
    assert not browser._shared.is_open
    assert left_over(browser._shared._profile) == []


def left_over(profile: Path) -> list[int]:
    """Processes that are still there a moment after they were told to end."""
    for _ in range(100):
        if not browser.processes(profile):
            break
        time.sleep(0.1)
    return browser.processes(profile)


@needs_chromium
def test_nothing_of_chromium_is_left(env: WebShop) -> None:
    env.reset(seed=0)
    profile = browser.chromium(env)._profile
    assert browser.processes(profile)
    env.close()
    assert left_over(profile) == []
    assert not profile.exists()
    env.close()


_KILLED = """
import os, signal, sys
from environments.webshop import browser
from lamer_bench import make
env = make("webshop-browser-easy")
env.reset(seed=0)
print(browser.chromium(env)._profile, flush=True)
os.kill(os.getpid(), int(sys.argv[1]))
"""


@needs_chromium
@pytest.mark.parametrize("blow", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_of_chromium_outlives_a_killed_program(blow: signal.Signals) -> None:
    command = [sys.executable, "-c", _KILLED, str(int(blow))]
    killed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert killed.returncode == -blow
    profile = Path(killed.stdout.strip())
    assert profile.name.startswith("lamer-bench-chromium-")
    assert left_over(profile) == []
    assert not profile.exists()


@needs_chromium
def test_a_closed_chromium_breaks_the_episode_off_and_not_the_next(env: WebShop) -> None:
    env.reset(seed=0)
    browser.chromium(env).close()
    with pytest.raises(BrowserError, match="Chromium stopped"):
        env.step("search[mug]")
    assert env.reset(seed=0)[1]["valid"]


def test_what_is_missing_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'lamer-bench\[browser\]'"):
        EnvironmentPool("webshop-browser-easy")
    monkeypatch.setattr(browser, "find_spec", find_spec)
    monkeypatch.setattr(browser, "CHROMIUM", "no-such-browser")
    if find_spec("selenium"):
        with pytest.raises(MissingExtraError, match="apt-get install chromium chromium-driver"):
            EnvironmentPool("webshop-browser-easy")


def test_its_tasks_are_those_of_webshop() -> None:
    shown, told = make("webshop-browser-medium"), make("webshop-medium")
    for index in range(5):
        for env in (shown, told):
            env.load(Task(env.environment, "val", index))
        assert shown.fingerprint() == told.fingerprint()
        assert shown.solution() == told.solution()
    assert not [name for name in environment_ids() if name.startswith("webshop-browser")]
