"""Every way to tamper with a trial is refused, at the right place."""

from __future__ import annotations

import pytest

from tests.verify.tampering import find, refusal, refused_at, tamper


def edit_reward(lines):
    line = find(lines, "trial", "lost")
    line["episodes"][1]["turns"][-1]["reward"] = 10.0
    return line, 1, len(line["episodes"][1]["turns"]) - 1


def edit_reward_to_nan(lines):
    line = find(lines, "control", "lost")
    line["episodes"][2]["turns"][0]["reward"] = float("nan")
    return line, 2, 0


def edit_answer(lines):
    line = find(lines, "trial", "lost")
    line["episodes"][0]["turns"][0]["answer"] = "mauve"
    return line, 0, 0


def edit_action(lines):
    line = find(lines, "control", "lost")
    line["episodes"][1]["turns"][0]["action"] = None
    return line, 1, 0


def lengthen_answer(lines):
    line = find(lines, "trial", "lost")
    line["episodes"][0]["turns"][0]["answer"] += " " * 20_000
    return line, 0, 0


def edit_observation(lines):
    line = find(lines, "trial", "lost")
    line["episodes"][2]["turns"][0]["observation"] = "0" * 16
    return line, 2, 0


def edit_final_observation(lines):
    line = find(lines, "trial", "lost")
    line["episodes"][1]["final_observation"] = "0" * 16
    return line, 1, None


def claim_a_win(lines):
    line = find(lines, "trial", "lost")
    line["episodes"][-1]["end"] = "won"
    return line, 2, None


def claim_running_out_of_turns(lines):
    line = find(lines, "control", "lost")
    line["episodes"][0]["end"] = "turn_limit"
    return line, 0, None


def swap_episodes(lines):
    line = next(
        line
        for line in lines
        if line["kind"] == "control" and line["episodes"][0] | {"index": 1} != line["episodes"][1]
    )
    line["episodes"][:2] = line["episodes"][1::-1]
    return line, 0, None


def duplicate_an_episode(lines):
    line = find(lines, "trial", "won")
    line["episodes"].insert(0, line["episodes"][0])
    return line, 1, None


def add_an_episode(lines):
    line = find(lines, "trial", "lost")
    line["episodes"].append(line["episodes"][-1] | {"index": 3})
    line["episodes"][2]["reflection"] = None
    return line, 3, None


def drop_the_last_episode(lines):
    line = find(lines, "trial", "lost")
    del line["episodes"][-1]
    return line, 2, None


def drop_a_lost_control_episode(lines):
    line = find(lines, "control", "lost")
    del line["episodes"][2]
    return line, 2, None


def drop_the_first_episode(lines):
    line = find(lines, "trial", "lost")
    del line["episodes"][0]
    return line, 0, None


def play_on_after_the_end(lines):
    line = find(lines, "trial", "lost")
    turns = line["episodes"][0]["turns"]
    turns.append(turns[-1])
    return line, 0, len(turns) - 1


def play_on_after_a_win(lines):
    line = find(lines, "trial", "won")
    line["episodes"].append(line["episodes"][-1] | {"index": len(line["episodes"])})
    return line, len(line["episodes"]) - 1, None


def stop_early(lines):
    line = next(
        line
        for line in lines
        if line["kind"] == "control" and len(line["episodes"][0]["turns"]) > 1
    )
    line["episodes"][0]["turns"].pop()
    return line, 0, len(line["episodes"][0]["turns"])


def remove_all_turns(lines):
    line = find(lines, "control", "lost")
    line["episodes"][0]["turns"] = []
    return line, 0, 0


def edit_fingerprint(lines):
    line = find(lines, "trial", "won")
    line["fingerprint"] = "0" * 64
    return line, None, None


def claim_other_memory(lines):
    line = find(lines, "trial", "lost")
    line["memory"] = "history"
    return line, None, None


def claim_memory_in_the_control(lines):
    line = find(lines, "control", "lost")
    line["memory"] = "both"
    return line, None, None


def drop_a_reflection(lines):
    line = find(lines, "trial", "lost")
    line["episodes"][1]["reflection"] = None
    return line, 1, None


def reflect_after_the_last_episode(lines):
    line = find(lines, "trial", "lost")
    line["episodes"][2]["reflection"] = line["episodes"][1]["reflection"]
    return line, 2, None


def reflect_after_a_win(lines):
    line = find(lines, "trial", "won")
    line["episodes"][-1]["reflection"] = {"text": "easy"}
    return line, len(line["episodes"]) - 1, None


def reflect_in_the_control(lines):
    line = find(lines, "control", "lost")
    line["episodes"][0]["reflection"] = {"text": "I remember"}
    return line, 0, None


def lengthen_a_reflection(lines):
    line = find(lines, "trial", "lost")
    line["episodes"][0]["reflection"]["text"] = "x" * 20_000
    return line, 0, None


def repeat_out_of_range(lines):
    line = find(lines, "trial", "lost")
    line["repeat"] = 2
    return line, None, None


def index_out_of_range(lines):
    line = find(lines, "trial", "lost")
    line["task"] = "doors-easy/test/4"
    return line, None, None


def task_of_another_split(lines):
    line = find(lines, "trial", "lost")
    line["task"] = "doors-easy/train/0"
    return line, None, None


def task_of_another_environment(lines):
    line = find(lines, "trial", "lost")
    line["task"] = "doors-hard/test/0"
    return line, None, None


def task_with_another_spelling(lines):
    line = find(lines, "trial", "lost")
    line["task"] = line["task"].replace("test/", "test/0")
    return line, None, None


def no_task_at_all(lines):
    line = find(lines, "trial", "lost")
    line["task"] = "everything"
    return line, None, None


def duplicate_a_trial(lines):
    lines.append(find(lines, "trial", "won"))
    return lines[-1], None, None


def replace_a_loss_by_a_win_on_another_task(lines):
    lost, won = find(lines, "trial", "lost"), find(lines, "trial", "won")
    lost["episodes"] = won["episodes"]
    lost["fingerprint"] = won["fingerprint"]
    return lost, None, None


def drop_a_lost_trial(lines):
    line = find(lines, "trial", "lost")
    lines.remove(line)
    return line, None, None


def drop_a_control(lines):
    line = find(lines, "control", "lost")
    lines.remove(line)
    return line, None, None


def drop_everything(lines):
    line = lines[0]
    lines.clear()
    return line, None, None


def void_with_episodes(lines):
    line = find(lines, "trial", "lost")
    line["void"] = {"type": "TimeoutError", "message": ""}
    return line, None, None


def void_of_another_instance(lines):
    line = find(lines, "trial", "lost")
    line.update(void={"type": "TimeoutError", "message": ""}, episodes=[], fingerprint="0" * 64)
    return line, None, None


def void_of_another_memory(lines):
    line = find(lines, "trial", "lost")
    line.update(void={"type": "TimeoutError", "message": ""}, episodes=[], memory="none")
    return line, None, None


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (edit_reward, "reward"),
        (edit_reward_to_nan, "reward"),
        (edit_answer, "action"),
        (edit_action, "action"),
        (lengthen_answer, "answer"),
        (edit_observation, "observation"),
        (edit_final_observation, "final observation"),
        (claim_a_win, "end"),
        (claim_running_out_of_turns, "end"),
        (swap_episodes, "episode index"),
        (duplicate_an_episode, "episode index"),
        (add_an_episode, "number of episodes"),
        (drop_the_last_episode, "number of episodes"),
        (drop_a_lost_control_episode, "number of episodes"),
        (drop_the_first_episode, "episode index"),
        (play_on_after_the_end, "number of turns"),
        (play_on_after_a_win, "number of episodes"),
        (stop_early, "number of turns"),
        (remove_all_turns, "number of turns"),
        (edit_fingerprint, "fingerprint"),
        (claim_other_memory, "memory"),
        (claim_memory_in_the_control, "memory"),
        (drop_a_reflection, "reflection"),
        (reflect_after_the_last_episode, "reflection"),
        (reflect_after_a_win, "reflection"),
        (reflect_in_the_control, "reflection"),
        (lengthen_a_reflection, "reflection"),
        (repeat_out_of_range, "repeat"),
        (index_out_of_range, "task"),
        (task_of_another_split, "task"),
        (task_of_another_environment, "task"),
        (task_with_another_spelling, "task"),
        (no_task_at_all, "task"),
        (duplicate_a_trial, "trial"),
        (replace_a_loss_by_a_win_on_another_task, "fingerprint"),
        (drop_a_lost_trial, "trial"),
        (drop_a_control, "trial"),
        (drop_everything, "trial"),
        (void_with_episodes, "void trial"),
        (void_of_another_instance, "fingerprint"),
        (void_of_another_memory, "memory"),
    ],
)
def test_a_tampered_trial_is_refused_where_it_was_tampered_with(run, change, what):
    assert refused_at(run, change).what == what


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0])
def test_seconds_that_are_no_number_are_refused(run, seconds):
    tamper(run, lambda lines: lines[2].update(seconds=seconds))
    assert refusal(run).what == "seconds"


def test_an_answer_rewritten_without_consequence_is_noticed_by_the_digest(run):
    def change(lines):
        line = find(lines, "trial", "lost")
        turn = line["episodes"][0]["turns"][0]
        turn["answer"] = f"I thought hard. <action>{turn['answer']}</action>"
        return line, None, None

    assert "digest" in refused_at(run, change, redigest=False).what


def test_a_rewritten_reflection_is_noticed_by_the_digest(run):
    def change(lines):
        line = find(lines, "trial", "lost")
        line["episodes"][0]["reflection"]["text"] = "It was the blue one."
        return line, None, None

    assert "digest" in refused_at(run, change, redigest=False).what


def test_a_wrong_digest_is_refused(run):
    def change(lines):
        lines[3]["digest"] = "0" * 64
        return lines[3], None, None

    assert "digest" in refused_at(run, change, redigest=False).what


def test_the_first_of_two_divergences_is_named(run):
    def change(lines):
        line = find(lines, "trial", "lost")
        line["episodes"][1]["end"] = "won"
        line["episodes"][0]["turns"][0]["reward"] = 5.0
        return line, 0, 0

    refused_at(run, change)


def test_another_answer_with_its_own_action_is_refused_at_the_latest_where_it_leads(run):
    """The answer and the action fit each other, so that only the reaction gives it away."""

    def change(lines):
        line = find(lines, "trial", "lost")
        turn = line["episodes"][0]["turns"][0]
        turn["answer"] = turn["action"] = "blue" if turn["action"] != "blue" else "red"

    tamper(run, change)
    divergence = refusal(run)
    assert divergence.episode == 0
    assert divergence.what in ("reward", "observation", "final observation", "number of turns")
