"""Sokoban's own rules; what every environment must keep is in the contract test."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import deque
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from environments.sokoban import PAPER, STANDARD, Sokoban
from environments.sokoban.rooms import DIRECTIONS, shape_of
from lamer_bench.errors import SettingError
from lamer_bench.task import SPLITS, Task, split_of

LEVELS = list(Sokoban.levels)


def laid_out(level: str, board: str) -> Sokoban:
    env = Sokoban(level)
    env.load(Task(env.environment, "train", 0))
    env.lay_out(board)
    env.reset()
    return env


def board(*rows: str) -> str:
    return "\n".join(" ".join(row) for row in rows)


# Rules, worked out by hand ------------------------------------------------------------------------


def test_a_move_walks_and_a_move_against_a_box_pushes_it() -> None:
    env = laid_out("easy", board("######", "#____#", "#_PX_#", "#____#", "#___O#", "######"))

    observation, reward, terminated, truncated, info = env.step("right")

    assert observation == board("######", "#____#", "#__PX#", "#____#", "#___O#", "######")
    assert (reward, terminated, truncated) == (-0.1, False, False)
    assert info == {"won": False, "valid": True, "admissible": list(DIRECTIONS)}


def test_a_move_into_a_wall_is_an_action_that_changes_nothing() -> None:
    env = laid_out("easy", board("######", "#P___#", "#_X__#", "#____#", "#___O#", "######"))
    before = env.look()

    observation, reward, *_, info = env.step("up")

    assert observation == before
    assert (reward, info["valid"], env.last_action, env.turn) == (-0.1, True, "up", 1)


@pytest.mark.parametrize("behind", ["#____#", "#_X__#", "#_√__#"])
def test_a_box_before_a_wall_or_a_box_does_not_move(behind: str) -> None:
    # The box is pushed down against: the lower wall, another box, another box on a target.
    if behind == "#____#":
        rows = ("######", "#OO__#", "#____#", "#_P__#", "#_X_X#", "######")
    else:
        targets = "#O___#" if "√" in behind else "#OO__#"
        rows = ("######", targets, "#_P__#", "#_X__#", behind, "######")
    env = laid_out("medium", board(*rows))
    before = env.look()

    observation, reward, *_ = env.step("down")

    assert observation == before
    assert reward == pytest.approx(-0.1)


def test_on_and_off_a_target() -> None:
    env = laid_out("medium", board("######", "#____#", "#PXO_#", "#____#", "#OX__#", "######"))

    observation, reward, *_ = env.step("right")
    assert observation.splitlines()[2] == "# _ P √ _ #"
    assert reward == pytest.approx(-0.1 + 1)

    observation, reward, *_ = env.step("right")
    assert observation.splitlines()[2] == "# _ _ S X #"
    assert reward == pytest.approx(-0.1 - 1)

    observation, reward, *_ = env.step("up")
    assert observation.splitlines()[1:3] == ["# _ _ P _ #", "# _ _ O X #"]
    assert reward == pytest.approx(-0.1)


def test_a_box_pushed_from_target_to_target_gains_nothing() -> None:
    env = laid_out("medium", board("######", "#____#", "#P√O_#", "#____#", "#__X_#", "######"))

    _, reward, *_ = env.step("right")

    assert reward == pytest.approx(-0.1)


def test_the_rewards_of_all_moves_of_a_turn_are_summed() -> None:
    # Trap 9 of the published setting: it returned the last move's reward only.
    env = laid_out("medium", board("######", "#____#", "#PXO_#", "#____#", "#OX__#", "######"))

    _, reward, *_ = env.step("right, left, up")

    assert reward == pytest.approx(1 - 3 * 0.1)


def test_solved_in_the_middle_of_a_turn_ends_it() -> None:
    env = laid_out("medium", board("######", "#____#", "#PXO_#", "#____#", "#_√__#", "######"))

    observation, reward, terminated, truncated, info = env.step("right, left, left")

    assert reward == pytest.approx(-0.1 + 1 + 10)
    assert (terminated, truncated, info["won"]) == (True, False, True)
    assert observation.splitlines()[2] == "# _ P √ _ #"
    assert observation.endswith("Solved.")


def test_a_dead_position_goes_on_until_the_turns_are_used_up() -> None:
    env = laid_out("easy", board("######", "#_PX_#", "#____#", "#____#", "#O___#", "######"))

    ends = []
    for _ in range(env.turn_limit):
        _, _, terminated, truncated, info = env.step("right")
        ends.append((terminated, truncated, info["won"]))

    assert env.look().splitlines()[1] == "# _ _ P X #"
    assert ends == [(False, False, False)] * 19 + [(False, True, False)]


def test_a_restart_is_exact_also_after_a_win() -> None:
    env = Sokoban("medium")
    first, _ = env.reset(seed=3)
    for action in env.solution():
        env.step(action)

    again, _ = env.reset()

    assert again == first
    assert [env.step(action)[3:] for action in env.solution()][-1] == (
        False,
        {"won": True, "valid": True},
    )


# Reading answers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "action"),
    [
        ("up", "up"),
        ("up, left, left", "up, left, left"),
        ("<action>up</action>", "up"),
        ("I think <action>Up, LEFT</action>", "up, left"),
        ("UP LEFT", "up, left"),
        ("u l r", "up, left, right"),
        ("D,D", "down, down"),
        (" right;\tdown. ", "right, down"),
        ("up -> left", "up, left"),
        ("↑ ↓", "up, down"),
        ("move up then push left", "up, left"),
        ("[up], [up]", "up, up"),
        ("", None),
        ("move", None),
        ("up, up, up, up", None),
        ("jump", None),
        ("up, jump", None),
        ("upleft", None),
        ("up 2", None),
        ("I go up", None),
        ("<action></action>", None),
        ("north", None),
        ("√", None),
        ("up" + " " * 300, None),
    ],
)
def test_reading_answers(answer: str, action: str | None) -> None:
    assert Sokoban("medium").read(answer) == action


def test_one_move_a_turn_reads_one_move() -> None:
    env = Sokoban("easy")
    assert env.read("Left") == "left"
    assert env.read("left, left") is None


def test_an_answer_that_is_no_action_costs_a_turn_and_changes_nothing() -> None:
    env = Sokoban("paper")
    first, _ = env.reset(seed=0)

    observation, reward, terminated, truncated, info = env.step("dig")

    assert observation.startswith("That is not an action.")
    assert observation.endswith(first)
    assert (reward, terminated, truncated, env.turn) == (-1.0, False, False, 1)
    assert info == {"won": False, "valid": False}


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.text("udlr UDLRpownlefthgi,<>/action", max_size=60)))
def test_any_text_is_answered(answer: str) -> None:
    env = _ANY
    env.reset()
    observation, reward, *_, info = env.step(answer)
    assert observation
    assert info["valid"] == (env.last_action is not None)
    assert env.last_action is None or env.parse(env.last_action) == env.last_action
    assert reward < 20


_ANY = Sokoban("hard")


# Instances ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("level", LEVELS)
def test_the_solution_wins_every_task_within_the_turns(level: str, split: str) -> None:
    env = Sokoban(level)
    for index in range(100 if level != "hard" else 40):
        env.load(Task(env.environment, split, index))  # type: ignore[arg-type]
        assert split_of(env.fingerprint()) == split
        observation, _ = env.reset()
        assert env.board.symbols.box_on_target not in observation
        actions = env.solution()
        moves = [move for action in actions for move in action.split(", ")]
        assert env.board.min_moves <= len(moves) <= env.board.max_moves
        assert len(actions) <= env.turn_limit
        total = 0.0
        for action in actions:
            assert env.parse(action) == action
            _, reward, terminated, _, info = env.step(action)
            total += float(reward)
        assert terminated
        assert info["won"]
        assert total == pytest.approx(10 + env.board.boxes - 0.1 * len(moves))


@pytest.mark.parametrize("level", [level for level in LEVELS if level != "paper"])
def test_our_own_levels_leave_an_imperfect_player_slack(level: str) -> None:
    board = Sokoban.levels[level]
    assert board.turn_limit * board.moves_per_turn >= 2 * board.max_moves


@pytest.mark.parametrize(("level", "tasks"), [("easy", 30), ("paper", 30), ("hard", 4), ("ood", 4)])
def test_no_solution_is_shorter(level: str, tasks: int) -> None:
    env = Sokoban(level)
    for index in range(tasks):
        observation, _ = env.reset(seed=index)
        moves = sum(action.count(",") + 1 for action in env.solution())
        assert moves == _shortest(_Reference(observation, env.board.symbols))


def test_tasks_differ() -> None:
    for level in ("easy", "paper"):
        env = Sokoban(level)
        seen = set()
        for index in range(300):
            env.load(Task(env.environment, "train", index))
            seen.add(env.fingerprint())
        assert len(seen) >= 290


def test_hand_made_boards_must_fit_the_level() -> None:
    with pytest.raises(SettingError, match="6 columns, 2 boxes"):
        laid_out("medium", board("######", "#P___#", "#_X__#", "#____#", "#___O#", "######"))
    env = laid_out("easy", board("######", "#_PX_#", "#____#", "#____#", "#O___#", "######"))
    with pytest.raises(SettingError, match="cannot be solved"):
        env.solution()


@pytest.mark.parametrize("level", ["medium", "ood"])
def test_mirrored_and_rotated_copies_share_the_fingerprint(level: str) -> None:
    env = Sokoban(level)
    other = Sokoban(level)
    other.reset(seed=99)
    for index in range(20):
        text, _ = env.reset(seed=index)
        rows = [line.split() for line in text.splitlines()]
        upside_down, mirrored = rows[::-1], [row[::-1] for row in rows]
        copies = [upside_down, mirrored, [row[::-1] for row in upside_down]]
        if level == "medium":
            copies += [list(zip(*copy, strict=True)) for copy in (rows, *copies)]  # type: ignore[misc]
        for copy in copies:
            other.lay_out("\n".join(" ".join(row) for row in copy))
            assert other.fingerprint() == env.fingerprint()


def test_another_player_box_target_wall_or_size_is_another_fingerprint() -> None:
    env = laid_out("easy", board("######", "#P___#", "#_X__#", "#____#", "#__O_#", "######"))
    prints = {env.fingerprint()}
    for rows in (
        ("######", "#_P__#", "#_X__#", "#____#", "#__O_#", "######"),
        ("######", "#P___#", "#__X_#", "#____#", "#__O_#", "######"),
        ("######", "#P___#", "#_X__#", "#____#", "#_O__#", "######"),
        ("######", "#P___#", "#_X__#", "#____#", "#__O##", "######"),
    ):
        env.lay_out(board(*rows))
        prints.add(env.fingerprint())
    assert len(prints) == 5
    assert {fingerprint.split()[1] for fingerprint in prints} == {"6x6"}


def test_the_fingerprint_does_not_depend_on_the_symbols() -> None:
    class Standard(Sokoban):
        levels = {  # noqa: RUF012
            "plain": Sokoban.levels["medium"],
            "other": Sokoban.levels["medium"].__class__(
                "other symbols", boxes=2, min_moves=6, max_moves=18, turn_limit=12, symbols=STANDARD
            ),
        }

    plain, other = Standard("plain"), Standard("other")
    text, _ = plain.reset(seed=1)
    other.reset(seed=2)

    other.lay_out(text.translate(str.maketrans("".join(PAPER), "".join(STANDARD))))

    assert other.fingerprint() == plain.fingerprint()


def test_splits_are_disjoint() -> None:
    env = Sokoban("easy")
    seen: dict[str, set[str]] = {split: set() for split in SPLITS}
    for split in SPLITS:
        for index in range(200):
            env.load(Task(env.environment, split, index))
            seen[split].add(env.fingerprint())
    assert not seen["train"] & seen["test"]
    assert not seen["train"] & seen["val"]
    assert not seen["val"] & seen["test"]


def test_an_instance_does_not_depend_on_what_was_loaded_before() -> None:
    fresh, used = Sokoban("paper"), Sokoban("paper", split="train")
    for split in SPLITS:
        used.load(Task("sokoban-paper", split, 5))
    expected, _ = fresh.reset(options={"task": "sokoban-paper/val/7"})
    assert used.reset(options={"task": "sokoban-paper/val/7"})[0] == expected


_DIGEST = """
import hashlib
from environments.sokoban import Sokoban
from lamer_bench.task import Task
digest = hashlib.sha256()
for level in Sokoban.levels:
    env = Sokoban(level)
    for split in ("train", "test"):
        for index in range(3):
            env.load(Task(env.environment, split, index))
            digest.update((env.reset()[0] + str(env.solution())).encode())
print(digest.hexdigest())
"""


def test_a_fresh_process_draws_the_same_instances() -> None:
    digest = hashlib.sha256()
    for level in LEVELS:
        env = Sokoban(level)
        for split in SPLITS[::2]:
            for index in range(3):
                env.load(Task(env.environment, split, index))
                digest.update((env.reset()[0] + str(env.solution())).encode())
    finished = subprocess.run(
        [sys.executable, "-c", _DIGEST],
        env={**os.environ, "PYTHONHASHSEED": "123"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout.strip() == digest.hexdigest()


def test_every_level_describes_its_symbols_in_words() -> None:
    for level in LEVELS:
        env = Sokoban(level)
        rules = env.rules()
        for glyph in env.board.symbols:
            assert f"{glyph} " in rules
        assert f"{env.turn_limit} turns" in rules


# An independent implementation, slow and plain ----------------------------------------------------


class _Reference:
    """The rules once more, on sets of (row, column)."""

    STEPS = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}  # noqa: RUF012

    def __init__(self, text: str, symbols: tuple[str, ...]) -> None:
        wall, _, target, box, player, box_on_target, player_on_target = self.symbols = symbols
        self.size = (0, 0)
        self.walls, self.targets = set(), set()
        boxes = set()
        for row, line in enumerate(text.splitlines()):
            for column, glyph in enumerate(line.split()):
                self.size = (row + 1, column + 1)
                if glyph == wall:
                    self.walls.add((row, column))
                if glyph in (target, box_on_target, player_on_target):
                    self.targets.add((row, column))
                if glyph in (box, box_on_target):
                    boxes.add((row, column))
                if glyph in (player, player_on_target):
                    self.player = (row, column)
        self.boxes = frozenset(boxes)

    def moved(
        self, player: tuple[int, int], boxes: frozenset[tuple[int, int]], move: str
    ) -> tuple[tuple[int, int], frozenset[tuple[int, int]]]:
        down, right = self.STEPS[move]
        ahead = (player[0] + down, player[1] + right)
        beyond = (ahead[0] + down, ahead[1] + right)
        if ahead in self.walls or (ahead in boxes and (beyond in boxes or beyond in self.walls)):
            return player, boxes
        if ahead in boxes:
            boxes = boxes - {ahead} | {beyond}
        return ahead, boxes

    def move(self, move: str) -> float:
        before = len(self.boxes & self.targets)
        self.player, self.boxes = self.moved(self.player, self.boxes, move)
        after = len(self.boxes & self.targets)
        bonus = 10.0 if after == len(self.targets) else 0.0
        return bonus - 0.1 + (after > before) - (after < before)

    def draw(self) -> str:
        wall, floor, target, box, player, box_on_target, player_on_target = self.symbols
        lines = []
        for row in range(self.size[0]):
            glyphs = []
            for column in range(self.size[1]):
                cell = (row, column)
                on_target = cell in self.targets
                if cell in self.walls:
                    glyphs.append(wall)
                elif cell in self.boxes:
                    glyphs.append(box_on_target if on_target else box)
                elif cell == self.player:
                    glyphs.append(player_on_target if on_target else player)
                else:
                    glyphs.append(target if on_target else floor)
            lines.append(" ".join(glyphs))
        return "\n".join(lines)


def _shortest(room: _Reference) -> int:
    start = (room.player, room.boxes)
    distance = {start: 0}
    queue = deque([start])
    while queue:
        state = queue.popleft()
        if state[1] == room.targets:
            return distance[state]
        for move in DIRECTIONS:
            after = room.moved(*state, move)
            if after not in distance:
                distance[after] = distance[state] + 1
                queue.append(after)
    raise AssertionError("no solution")


@pytest.mark.parametrize("level", LEVELS)
def test_step_parity_with_an_independent_implementation(level: str) -> None:
    env = Sokoban(level)
    rng = Random(level)
    for index in range(60):
        text, _ = env.reset(seed=index)
        reference = _Reference(text, env.board.symbols)
        # Half of the play follows the solution, so that boxes come onto targets and rooms are won.
        planned = env.solution() if index % 2 else []
        over = False
        while not over:
            moves = rng.choices(DIRECTIONS, k=rng.randint(1, env.board.moves_per_turn))
            action = planned.pop(0) if planned else ", ".join(moves)
            observation, reward, terminated, truncated, _ = env.step(action)
            expected = 0.0
            for move in action.split(", "):
                expected += reference.move(move)
                if reference.boxes == reference.targets:
                    break
            assert observation.split("\nEvery")[0] == reference.draw()
            assert reward == pytest.approx(expected)
            assert terminated == (reference.boxes == reference.targets)
            over = terminated or truncated


def test_the_search_counts_every_state_at_its_exact_distance() -> None:
    shape = shape_of(5, 5, 2)
    floor, targets = 0b111_111_110, (2, 6)
    layers = shape.solve(floor, targets, 100)
    distances: dict[tuple[int, ...], int] = {}
    for distance, layer in enumerate(layers):
        for index in range(9**3):
            if layer >> index & 1:
                player, one, two = index % 9, index // 9 % 9, index // 81
                distances[player, one, two] = distance
    for (player, one, two), distance in distances.items():
        reference = _Reference(_drawn(floor, targets, (one, two), player), PAPER)
        assert _shortest(reference) == distance


def _drawn(floor: int, targets: tuple[int, ...], boxes: tuple[int, ...], player: int) -> str:
    rows = ["# # # # #"]
    for row in range(3):
        glyphs = ["#"]
        for cell in range(3 * row, 3 * row + 3):
            glyph = "#" if not floor >> cell & 1 else "O" if cell in targets else "_"
            if cell in boxes:
                glyph = "√" if cell in targets else "X"
            elif cell == player:
                glyph = "S" if cell in targets else "P"
            glyphs.append(glyph)
        rows.append(" ".join([*glyphs, "#"]))
    return "\n".join([*rows, rows[0]])
