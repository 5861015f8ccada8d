"""Speed of other libraries' MineSweeper and Sokoban, as JSON on standard output.

Run by ``benchmark.py`` with the Python of the environment that holds the peers: it imports nothing
of this project. No peer is charged for drawing pixels, nor a slow reset to its steps. A peer that
is not there, or breaks, is reported with the reason.
"""

from __future__ import annotations

import io
import json
import random
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import version

REPEATS = 3
SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
SOKOBAN_MOVES = ("up", "down", "left", "right")


def per_second(act: Callable[[], int]) -> float:
    """The best of several rates of a function that returns how many things it did."""
    best = 0.0
    for _ in range(REPEATS):
        done, begin = 0, time.perf_counter()
        while (spent := time.perf_counter() - begin) < SECONDS:
            done += act()
        best = max(best, done / spent)
    return best


def gym_sokoban() -> dict[str, float]:
    import numpy
    from gym_sokoban.envs.room_utils import generate_room
    from gym_sokoban.envs.sokoban_env import SokobanEnv

    class TextSokoban(SokobanEnv):
        """Draws text: its own observation is a picture, which would cost more."""

        def render(self, mode: str = "text", **_: object) -> str:
            return "\n".join(" ".join("#_OX√P"[int(g)] for g in row) for row in self.room_state)

    def rooms(boxes: int) -> Callable[[], int]:
        def draw() -> int:
            try:
                generate_room(dim=(6, 6), num_steps=20, num_boxes=boxes)
            except (RuntimeError, RuntimeWarning):
                return 0
            return 1

        return draw

    random.seed(0)
    numpy.random.seed(0)  # noqa: NPY002  (the global stream is all that the peer reads)
    measures = {f"sokoban 6x6, {n} box tasks": per_second(rooms(n)) for n in (1, 2, 3)}
    env = TextSokoban(dim_room=(6, 6), num_boxes=2, num_gen_steps=20, max_steps=10**9, reset=False)
    while True:
        try:
            env.reset(render_mode="tiny_rgb_array")
            break
        except (RuntimeError, RuntimeWarning):
            continue

    def steps() -> int:
        for _ in range(200):
            env.step(random.randrange(1, 9), observation_mode="tiny_rgb_array")
        return 200

    return {**measures, "sokoban steps": per_second(steps)}


def textarena() -> dict[str, float]:
    import textarena

    def play(name: str, action: Callable[[], str], most: int, **settings: int) -> dict[str, float]:
        def make() -> object:
            return textarena.make(name, **settings)

        def reset() -> int:
            env.reset(num_players=1, seed=random.randrange(10**6))
            return 1

        def first_step() -> int:
            reset()
            env.step(action())  # MineSweeper draws its mines here
            return 1

        spent_on_resets = 0.0

        def steps() -> int:
            nonlocal spent_on_resets, env
            env = make()
            begin = time.perf_counter()
            reset()
            spent_on_resets += time.perf_counter() - begin
            done = 0
            while done < most:
                env.get_observation()
                done += 1
                if env.step(action())[0]:
                    break
            return done

        env = make()
        tasks = per_second(first_step if name.startswith("Mine") else reset)
        done, begin = 0, time.perf_counter()
        while time.perf_counter() - begin < REPEATS * SECONDS:
            done += steps()
        spent = time.perf_counter() - begin - spent_on_resets
        return {"tasks": tasks, "steps": done / spent}

    mines = play(
        "Minesweeper-v0",
        lambda: f"[{random.randrange(6)} {random.randrange(6)}]",
        50,
        rows=6,
        cols=6,
        num_mines=10,
    )
    sokoban = play("Sokoban-v0", lambda: f"[{random.choice(SOKOBAN_MOVES)}]", 100)
    return {
        **{f"minesweeper {name}": rate for name, rate in mines.items()},
        "sokoban 6x6, 3 box tasks": sokoban["tasks"],
        "sokoban steps": sokoban["steps"],
    }


def gem() -> dict[str, float]:
    from gem.envs.game_env.minesweeper import MinesweeperEnv

    env = MinesweeperEnv(rows=6, cols=6, num_mines=10, max_turns=100)

    def steps() -> int:
        env.reset()
        done, over = 0, False
        while not over:
            cell = f"{random.randrange(6)} {random.randrange(6)}"
            _, _, ended, truncated, _ = env.step(f"\\boxed{{reveal {cell}}}")
            done += 1
            over = ended or truncated
        return done

    def resets() -> int:
        env.reset()
        env.step("\\boxed{reveal 2 2}")  # the mines are drawn here
        return 1

    return {"minesweeper steps": per_second(steps), "minesweeper tasks": per_second(resets)}


PEERS = {"gym-sokoban": gym_sokoban, "textarena": textarena, "gem-llm": gem}


def main() -> None:
    results: dict[str, dict[str, object]] = {}
    for name, measure in PEERS.items():
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                results[name] = {"version": version(name), "rates": measure()}
        except Exception as error:  # a peer that breaks is a finding, not a crash of ours
            results[name] = {"skipped": f"{type(error).__name__}: {error}"}
    print(json.dumps(results))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
