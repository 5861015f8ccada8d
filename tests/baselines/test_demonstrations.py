"""What the supervised start is shown: sound probabilities, teachers that are right."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is in the [train] extra")

from baselines.explorer.sokoban import Rules, read_board, tried_here
from baselines.models import SmallModel, load_tokenizer
from baselines.prompts import spoken
from baselines.training.corrections import Corrected, beginnings
from baselines.training.demonstrations import (
    Batch,
    Demonstration,
    Population,
    RetryTeacher,
    Rows,
    batches,
    demonstrate,
)
from baselines.training.model import ModelSize, build_model, build_tokenizer, save_policy
from baselines.training.supervised import SupervisedSettings, levels_of, train_supervised
from baselines.training.teachers import TEACHERS
from baselines.training.teachers.sokoban import Solutions, _likely, _looks_good
from lamer_bench import Agent, Task, TrialPlan, make
from lamer_bench.agent import PastEpisode, PastTurn, View
from lamer_bench.errors import SettingError
from tests.recorded import record_trial

TOKENIZER = build_tokenizer()
SIZE = ModelSize(width=16, layers=1, heads=2, mlp_width=32)
POPULATION = Population(remember=0.3, slip=0.2)
ENVIRONMENTS = [
    "minesweeper-hard",
    "environments.practice:MinesweeperPractice-4x7c",
    "sokoban-medium",
    "sokoban-hard",
    "environments.practice:SokobanPractice-8x7x2d",
    "environments.practice:SokobanPractice-6x8x2b",
]


def shown(environment: str, population: Population = POPULATION) -> list[Demonstration]:
    family = make(environment).family.removesuffix("_practice")
    return [
        demonstration
        for number in range(8)
        for demonstration in demonstrate(
            environment, number, TEACHERS[family], population, TOKENIZER
        )
    ]


def words(tokens: tuple[int, ...]) -> list[str]:
    return [TOKENIZER.id_to_token(token) for token in tokens]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_token_is_known_and_has_a_target_that_sums_to_one(environment: str) -> None:
    unknown = TOKENIZER.token_to_id("<unk>")
    demonstrations = shown(environment)
    assert {demonstration.kind for demonstration in demonstrations} == {"act", "reflect"}
    for demonstration in demonstrations:
        assert unknown not in demonstration.prompt
        assert len(demonstration.targets) == len(demonstration.answer)
        for target in demonstration.targets:
            assert None not in target
            assert sum(target.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_what_a_player_does_is_what_the_population_might(environment: str) -> None:
    for demonstration in shown(environment):
        for token, target in zip(demonstration.answer, demonstration.targets, strict=True):
            assert target[token] > 0


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_same_trial_is_shown_again(environment: str) -> None:
    first, again = shown(environment), shown(environment)
    assert [d.answer for d in first] == [d.answer for d in again]


def test_a_minesweeper_reflection_is_a_copy_of_what_was_seen() -> None:
    for demonstration in shown("minesweeper-hard"):
        if demonstration.kind == "reflect":
            prompt, answer = words(demonstration.prompt), words(demonstration.answer)
            assert "*" in answer  # the mine that ended the attempt
            assert (prompt[-1], answer[-1]) == ("<remark>", "</remark>")
            assert prompt[:-1] == answer[:-1]


def test_who_neither_forgets_nor_slips_names_the_best_cells_only() -> None:
    mixed = Population().mixed(["(1,1)", "(2,2)"], ["(3,3)"], ["(4,4)"])
    assert mixed == {"(1,1)": 0.5, "(2,2)": 0.5}


def test_a_population_is_mixed_by_its_shares() -> None:
    # nobody slips in 0.8; 0.25 of those remember: 0.2 on a, 0.6 on b; slips put 0.1 on each
    mixed = Population(remember=0.25, slip=0.2).mixed(["a"], ["b"], ["a", "b"])
    assert mixed == pytest.approx({"a": 0.3, "b": 0.7})


@pytest.mark.parametrize("environment", ["sokoban-medium", "sokoban-hard", "sokoban-ood"])
def test_the_teachers_distances_are_the_environments_shortest_solutions(environment: str) -> None:
    env = make(environment)
    for number in range(5):
        observation, _ = env.reset(options={"task": Task(environment, "train", number).id})
        room, start = read_board(Rules.read(env.rules()), observation)
        solution = ", ".join(env.solution()).split(", ")
        solutions = Solutions(room, start)
        assert solutions.moves_left[start] == len(solution)
        position = start
        for move in solution:
            assert move in solutions.best(position)
            position = room.move(position, move)


ROOM = """
# # # # # #
# P _ _ _ #
# _ X _ _ #
# _ _ _ _ #
# _ _ O _ #
# # # # # #
"""


def sokoban_view(reflection: str) -> View:
    env = make("sokoban-easy")
    return View(
        environment="sokoban-easy",
        rules=env.rules(),
        action_hint="",
        memory="reflection",
        num_episodes=3,
        turn_limit=20,
        episode=1,
        turn=0,
        observation=ROOM.strip(),
        admissible=None,
        turns=(),
        earlier=[PastEpisode(reflection=reflection)],
        state={},
    )


class TaughtAgent(Agent):
    """The Sokoban teacher's player, which never errs."""

    def act(self, views: Sequence[View]) -> list[str]:
        [view] = views
        decision = TEACHERS["sokoban"].decide(view, Population(), 0.0, view.rng)
        assert decision is not None
        return [spoken(view, "act", f" {' '.join(decision.answer)} </action>")]


@pytest.mark.parametrize("environment", ["sokoban-hard", "sokoban-ood"])
def test_the_teacher_wins_upright_rooms_and_wide_ones(environment: str) -> None:
    for number in range(5):
        plan = TrialPlan(Task(environment, "train", number))
        trial = record_trial(make(environment), plan, TaughtAgent())
        assert [episode.end for episode in trial.episodes] == ["won"]


def ways_of(view: View, population: Population) -> set[str]:
    """The directions in which a population pushes the box of `ROOM`."""
    decision = TEACHERS["sokoban"].decide(view, population, 0.0, view.rng)
    assert decision is not None
    assert decision.choices[0] == {"(3,3)": pytest.approx(1.0)}
    return set(decision.choices[1])


def test_who_remembers_does_not_slip_into_a_push_that_was_tried_from_here() -> None:
    # (4,4) up comes from another arrangement of boxes
    named = sokoban_view("<remark> (3,3) right (4,4) up </remark>")
    rules = Rules.read(named.rules)
    assert tried_here(named, rules) == [(2 * 6 + 2, "right")]
    # right and down bring the box nearer; both begin a shortest solution, so both stay right
    assert ways_of(named, Population(slip=0.5)) == {"right", "down"}
    room, position = read_board(rules, named.observation)
    tempting = [push for push in room.pushes(position) if _looks_good(room, push)]
    heeding = [push for push in tempting if push.moves[-1] != "right"]
    likely = dict(_likely(Population(remember=1.0, slip=0.5), [], tempting, heeding))
    assert {push.moves[-1] for push in likely} == {"down"}
    forgetful = dict(_likely(Population(remember=0.0, slip=0.5), [], tempting, heeding))
    assert {push.moves[-1] for push in forgetful} == {"right", "down"}


def test_a_sokoban_reflection_lists_the_attempts_pushes() -> None:
    for demonstration in shown("sokoban-medium"):
        if demonstration.kind == "reflect":
            prompt, answer = words(demonstration.prompt), words(demonstration.answer)
            assert answer[-1] == "</remark>"
            assert prompt[-len(answer) - 2 :] == ["pushed", *answer[:-1], "\n", "<remark>"]


def test_the_moves_lead_to_the_push_that_is_named() -> None:
    for number in range(4):
        env = make("sokoban-hard")
        observation, _ = env.reset(options={"task": Task("sokoban-hard", "train", number).id})
        room, position = read_board(Rules.read(env.rules()), observation)
        for push in room.pushes(position):
            here = position
            for left in range(len(push.moves), 0, -1):
                ways = room.walk(here, push)
                assert push.moves[-left] in ways
                here = room.move(here, ways[0])
            assert here == push.after


def test_batches_hold_whole_rows_padded_at_the_end() -> None:
    pad = TOKENIZER.token_to_id("<pad>")
    demonstrations = shown("sokoban-hard")
    view_rng = Task("sokoban-hard", "train", 0).rng("test")
    made = batches(demonstrations, pad, Rows(act=16, reflect=2), view_rng)
    assert made
    texts = {(*d.prompt, *d.answer[:-1]) for d in demonstrations}
    for pair in made:
        for batch in pair:
            for number, line in enumerate(batch.tokens):
                text = tuple(line[: batch.predictors[batch.rows == number].max() + 1])
                assert text in texts
                assert set(line[len(text) :]) <= {pad}
            of, words, shares = batch.targets
            sums = np.bincount(of, shares, minlength=len(batch.rows))
            assert sums == pytest.approx(1.0)
            assert words.max() < TOKENIZER.get_vocab_size()


def with_maps(environment: str) -> Batch:
    """Four actions whose cells are taught."""
    demonstrations = [one for one in shown(environment) if one.maps is not None]
    [(batch, _)] = batches(
        [*demonstrations[:4], replace(demonstrations[0], kind="reflect")],
        TOKENIZER.token_to_id("<pad>"),
        Rows(act=4, reflect=1),
        Random(0),
    )
    return batch


def test_maps_of_a_batch_stand_beside_the_pauses_that_hold_them() -> None:
    batch = with_maps("sokoban-hard")
    pause = [TOKENIZER.token_to_id(number) for number in "3456"]  # a room of four rows inside
    for number, line in enumerate(batch.tokens):
        assert [line[place] for place in batch.pauses[number, :4]] == pause
        cells = batch.maps[number]
        assert (cells[:, :4, :6] >= 0).all()
        assert (cells[:, 4:] == -1).all()
        assert (cells[:, :, 6:] == -1).all()


def test_a_minesweeper_cell_holds_its_own_risk() -> None:
    batch = with_maps("minesweeper-hard")
    of, tokens, shares = batch.targets
    for number, line in enumerate(batch.tokens):
        risks = batch.maps[number, 0, :, 0]
        cells = line[batch.pauses[number, risks >= 0]]
        best = {int(cell) for cell in cells[risks[risks >= 0] == risks[risks >= 0].min()]}
        first = of == list(batch.rows).index(number)  # the answer's first token
        likeliest = {int(token) for token in tokens[first & (shares >= shares[first].max())]}
        assert likeliest <= best


def test_a_star_stands_for_all_levels() -> None:
    levels = levels_of("environments.practice:SokobanPractice-*")
    assert len(levels) == len(set(levels)) == 150
    assert levels_of("sokoban-easy") == ["sokoban-easy"]


def test_a_policys_own_trials_are_marked_by_the_teacher(tmp_path: Path) -> None:
    save_policy(build_model(TOKENIZER, SIZE, seed=0), TOKENIZER, tmp_path / "policy", {})
    player = Corrected(tmp_path / "policy", 1.0, TOKENIZER)
    trials = [("minesweeper-easy", number, TEACHERS["minesweeper"]) for number in range(4)]
    shown = list(player.demonstrate(trials, Population()))
    assert {one.kind for one in shown} == {"act", "reflect"}
    # an untrained policy writes nonsense, and still only what is right is shown
    for one in shown:
        for token, target in zip(one.answer, one.targets, strict=True):
            assert target[token] > 0
    again = Corrected(tmp_path / "policy", 1.0, TOKENIZER)
    assert [one.prompt for one in again.demonstrate(trials, Population())] == [
        one.prompt for one in shown
    ]
    greedy = Corrected(tmp_path / "policy", 0.0, TOKENIZER)
    assert [one.prompt for one in greedy.demonstrate(trials, Population())] != [
        one.prompt for one in shown
    ]


def test_a_retry_is_shown_something_else_than_what_failed() -> None:
    folder = "baselines/weights/sokoban/supervised"
    tokenizer = load_tokenizer(folder)
    trials = [("sokoban-medium", number, TEACHERS["sokoban"]) for number in range(96)]

    def repeats(explore: float) -> list[bool]:
        """Of each decision after a failure: do its targets hold a push that failed?"""
        marked = []
        for one in Corrected(folder, 0.5, tokenizer, explore).demonstrate(trials, Population()):
            text = [tokenizer.id_to_token(token) for token in one.prompt]
            if one.kind == "act" and "failed" in text:
                line = text[text.index("failed") + 1 :]
                listed = [tokenizer.token_to_id(token) for token in line[: line.index("\n")]]
                cells, ways = one.targets[:2]
                marked.append(
                    any(
                        cell == one.answer[0] and cells.get(cell) and ways.get(way)
                        for cell, way in zip(listed[::2], listed[1::2], strict=True)
                    )
                )
        return marked

    always, never = repeats(0.0), repeats(1.0)
    assert len(never) > 20
    assert len(always) > 2 * len(never), "most failures are imagined"
    assert np.mean(always) < np.mean(never) / 2, "only where it sees nothing else"


def test_a_failure_is_imagined_where_the_attempt_is_now() -> None:
    view = sokoban_view("<remark> (3,3) right </remark>")
    teacher = TEACHERS["sokoban"]
    assert isinstance(teacher, RetryTeacher)
    rng = Random(0)
    views = [teacher.failed_by(view, ("(3,3)", "down"), rng) for _ in range(50)]
    assert 10 < views.count(None) < 40, "after a push that wins half of the attempts do"
    again = next(view for view in views if view)
    assert teacher.tried(again) == {("(3,3)", "right"), ("(3,3)", "down")}
    pushed = ROOM.replace("P", "_").replace("# _ X _ _ #", "# _ P X _ #").strip()
    turn = PastTurn(view.observation, "", "down, right")
    later = replace(view, observation=pushed, turns=[turn], state={})
    assert teacher.tried(later) == set()
    lost = teacher.failed_by(later, ("(3,4)", "up"), rng)
    assert lost is not None
    assert teacher.tried(lost) == {("(3,4)", "up")}


def test_a_redirected_player_goes_on_after_a_push_only_where_the_room_can_be_won() -> None:
    view = sokoban_view("<remark> (3,3) right </remark>")
    view = replace(view, rules=make("sokoban-hard").rules())  # three moves a turn
    teacher = TEACHERS["sokoban"]
    assert isinstance(teacher, RetryTeacher)
    assert teacher.tried(view) == {("(3,3)", "right")}
    rng = Random(0)
    others = {("(3,3)", "up"): 1.0}
    won = teacher.redirect(view, others, rng)
    assert won is not None
    assert won.answer[:3] == ["(3,3)", "down", "<action>"], "up loses, left takes longer"
    assert won.choices[:2] == [{"(3,3)": 1.0}, {"down": 1.0}]
    assert all(won.choices)
    late = replace(view, turn=view.turn_limit - 1)  # three moves do not win
    below = ROOM.replace("P", "_").replace("_ _ _ _ #\n# _ _ O", "_ P _ _ #\n# _ _ O")
    late = replace(late, observation=below.strip(), state={})
    lost = teacher.redirect(late, others, rng)
    assert lost is not None
    assert lost.answer == ["(3,3)", "up", "<action>", "up"]
    assert lost.choices[-1] == {}, "whether to go on after a push that loses is not marked"
    assert teacher.redirect(late, {("(9,9)", "up"): 1.0}, rng) is None


def test_a_family_without_losing_answers_has_nothing_to_explore(tmp_path: Path) -> None:
    settings = SupervisedSettings(player="nowhere", explore=0.1)
    with pytest.raises(SettingError, match="in minesweeper no answer is what an attempt failed by"):
        train_supervised(settings, tmp_path)


def test_how_an_answer_would_begin_is_a_product_of_two_steps(tmp_path: Path) -> None:
    save_policy(build_model(TOKENIZER, SIZE, seed=0), TOKENIZER, tmp_path / "policy", {})
    model = SmallModel.from_folder(tmp_path / "policy")
    model.embedding *= 40.0  # sharper than an untrained network is
    prompts = [[5, 6, 7], [8, 9], [9, 8, 7]]
    for prompt, likely in zip(prompts, beginnings(model, TOKENIZER, prompts), strict=True):
        assert likely
        for (first, second), share in likely.items():
            tokens = [TOKENIZER.token_to_id(first), TOKENIZER.token_to_id(second)]
            expected = 1.0
            for length, token in enumerate(tokens):
                logits = model.logits(np.array([[*prompt, *tokens[:length]]]))[0]
                expected *= np.exp(logits[token]) / np.exp(logits).sum()
            assert share == pytest.approx(expected)


def test_a_player_of_another_vocabulary_is_refused(tmp_path: Path) -> None:
    # its numbers would stand for other words
    shop = build_tokenizer("webshop")
    save_policy(build_model(shop, SIZE, seed=0), shop, tmp_path / "shop", {})
    words = shop.get_vocab_size()
    with pytest.raises(SettingError, match=rf"another vocabulary \({words} tokens\).*--start"):
        Corrected(tmp_path / "shop", 1.0, TOKENIZER)
    with pytest.raises(SettingError, match=r"There is no policy in .*nowhere"):
        Corrected(tmp_path / "nowhere", 1.0, TOKENIZER)


def test_an_answer_that_the_vocabulary_lacks_is_named() -> None:
    shop = build_tokenizer("webshop")
    with pytest.raises(SettingError, match="not in the start's vocabulary"):
        list(demonstrate("minesweeper-easy", 0, TEACHERS["minesweeper"], POPULATION, shop))
