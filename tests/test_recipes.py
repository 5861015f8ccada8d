"""The recipes' tables: LaMer's leads worked out by hand, and rows that are replaced in place."""

from __future__ import annotations

import importlib
import os
import subprocess
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from baselines.training import cli

RECIPES = Path(__file__).resolve().parent.parent / "recipes"


@pytest.fixture
def recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """They import each other as scripts of one folder do."""
    monkeypatch.syspath_prepend(str(RECIPES))


@pytest.fixture
def compare(recipes: None) -> ModuleType:
    return importlib.import_module("compare_algorithms")


@pytest.fixture
def ask(recipes: None) -> ModuleType:
    return importlib.import_module("ask_questions")


@pytest.fixture
def tables(recipes: None) -> ModuleType:
    return importlib.import_module("tables")


def played(compare: ModuleType, algorithm: str, seed: int, wins: str, control: str) -> Any:
    """A run of as many tasks as there are digits; each is whether that task was won."""
    tasks = [
        SimpleNamespace(
            pass_at=np.array([0.0, 0.0, float(win)]),
            independent=np.array([0.0, 0.0, float(again)]),
            trajectory_entropy=0.5 if algorithm == "lamer" else 0.25,
        )
        for win, again in zip(wins, control, strict=True)
    ]
    policy = compare.Policy(algorithm, seed, Path())
    return compare.Played("sokoban-hard", policy, SimpleNamespace(tasks=tasks), Path(), 0)


def test_leads_are_paired_over_tasks_after_the_mean_over_seeds(compare: ModuleType) -> None:
    runs = [
        played(compare, "grpo", 0, "0101", "0001"),
        played(compare, "lamer", 0, "1101", "0000"),
        played(compare, "lamer", 1, "1001", "0000"),
    ]
    (row,) = compare.all_tests(runs)
    assert (row["environment"], row["lamer minus"]) == ("sokoban-hard", "grpo")
    # LaMer's means are 1, 1/2, 0, 1
    assert row["its pass@3"] == "50.0"
    assert row["pass@3"].startswith("12.5 [")
    assert row["its control"] == "25.0"
    assert row["over its control"].startswith("37.5 [")
    assert (row["better"], row["worse"], row["p"]) == (1, 1, "1")
    assert row["entropy"] == "0.25 [0.25, 0.25]"


def test_nothing_is_led_where_lamer_did_not_play(compare: ModuleType) -> None:
    assert compare.all_tests([played(compare, "grpo", 0, "01", "01")]) == []


def test_the_best_single_episode_algorithm_is_the_one_whose_control_wins_most(
    compare: ModuleType,
) -> None:
    runs = [
        played(compare, "supervised", 0, "1111", "1111"),
        played(compare, "rloo", 0, "0000", "0011"),
        played(compare, "grpo", 0, "1110", "0001"),
        played(compare, "lamer", 0, "1110", "0000"),
    ]
    lamer = {"environment": "sokoban-hard", "agent": "lamer", "pass@3": "75.0", "seeds": "3"}
    rloo = lamer | {"agent": "rloo", "seeds": "1"}
    alone = lamer | {"environment": "sokoban-ood"}  # nothing else has played there
    (row,) = compare.leads_over_best(compare.all_tests(runs), [lamer, rloo, alone])
    assert (row["best single-episode algorithm"], row["its seeds"]) == ("rloo", "1")
    assert (row["LaMer's pass@3"], row["its control"]) == ("75.0", "50.0")
    assert row["LaMer's lead"].startswith("25.0 [")


def test_p_values_are_corrected_for_the_rows_that_stay(
    compare: ModuleType, tables: ModuleType, tmp_path: Path
) -> None:
    page, file = tmp_path / "page.md", tmp_path / "tests.csv"
    page.write_text("Before.\n<!-- tests: begin -->\n<!-- tests: end -->\nAfter.\n")
    first = [{"environment": name, "better": 5, "worse": 0} for name in ("a", "b")]
    tables.write_csv(file, compare.corrected(first))
    anew = [{"environment": "a", "better": 6, "worse": 0}]

    tables.update_tests(
        file, page, "tests", anew, lambda row: row["environment"] == "a", compare.corrected
    )

    # sign tests: 2 / 2^6 = 0.03125 for six of six, 2 / 2^5 = 0.0625 for five of five
    a, b = tables.read_csv(file)
    assert (a["p"], a["p (Holm)"]) == ("0.031", "0.062")
    assert (b["p"], b["p (Holm)"]) == ("0.062", "0.062")
    assert page.read_text() == (
        "Before.\n<!-- tests: begin -->\n"
        "| environment | better | worse | p | p (Holm) |\n|---|---|---|---|---|\n"
        "| a | 6 | 0 | 0.031 | 0.062 |\n| b | 5 | 0 | 0.062 | 0.062 |\n"
        "<!-- tests: end -->\nAfter.\n"
    )


def test_new_rows_stand_where_the_old_ones_stood(tables: ModuleType) -> None:
    old = [{"name": "a", "n": 1}, {"name": "b", "n": 1}, {"name": "a", "n": 2}, {"name": "c"}]
    new = [{"name": "a", "n": 3}]
    merged = tables.merged(old, new, lambda row: row["name"] == "a")
    assert merged == [new[0], {"name": "b", "n": 1}, {"name": "c"}]
    assert tables.merged([{"name": "b"}], new, lambda row: row["name"] == "a")[-1] == new[0]


def test_questions_compare_their_own_runs_and_those_that_they_borrow(
    ask: ModuleType, compare: ModuleType
) -> None:
    def asked(question: str, environment: str, algorithm: str) -> Any:
        run = replace(played(compare, algorithm, 0, "01", "01"), environment=environment)
        return ask.Case(question, run.environment, run.policy, question, "none"), run

    sizes = [asked("sizes", "sokoban-ood", name) for name in ("ppo", "lamer")]
    elsewhere = asked("sizes", "sokoban-hard", "lamer")
    retries = [asked("retries", "sokoban-ood", name) for name in ("grpo", "lamer")]
    more = [asked("more rooms", "MoreSokoban-ood", name) for name in ("ppo", "lamer")]
    slower = [asked("slower", "MoreSokoban-ood", name) for name in ("grpo", "lamer")]
    everything = [*sizes, elsewhere, *retries, *more, *slower]

    def runs_of(question: str) -> list[Any]:
        return list(ask.runs_of(question, everything))

    assert runs_of("sizes") == [run for _, run in [*sizes, elsewhere]]
    assert runs_of("two starts") == [run for _, run in [sizes[1], *retries]]
    assert runs_of("slower") == [run for _, run in [*slower, more[0]]]

    def needed(*questions: str) -> list[Any]:
        return [(case, run) for case, run in everything if ask.needs(case, questions)]

    assert needed("two starts") == [sizes[1], *retries]
    assert needed("more rooms", "retries") == [*retries, *more]
    assert needed() == everything


SETS = ("sokoban", "sokoban-plain", "sokoban-large", "sokoban-sizes", "sokoban-retries")


@pytest.mark.parametrize("family", ["minesweeper", "webshop", *SETS])
def test_the_training_recipe_gives_commands_that_the_trainers_accept(
    family: str, ask: ModuleType, tmp_path: Path
) -> None:
    commands, trained = tmp_path / "commands", tmp_path / "training" / family
    commands.mkdir()
    (tmp_path / "training" / "sokoban" / "failures").mkdir(parents=True)  # plain's start, copied
    recorder = tmp_path / "lamer-bench"
    recorder.write_text('#!/bin/sh\nprintf "%s\\0" "$@" > "$COMMANDS/$$"\n')
    recorder.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    for what in ("algorithms", "variants"):
        subprocess.run(
            ["bash", RECIPES / "train_algorithms.sh", family, what, trained.parent],
            env=os.environ | {"PATH": path, "COMMANDS": str(commands)},
            check=True,
        )

    folders, parser = [], cli.build_parser()
    for file in commands.iterdir():
        train, *arguments = file.read_text().split("\0")[:-1]
        assert train == "train"
        options = vars(parser.parse_args(arguments))
        algorithm, out = options.pop("algorithm"), options.pop("out")
        settings_class, _ = cli.ALGORITHMS[algorithm]
        names = {setting.name for setting in fields(settings_class)}
        settings_class(**{name: value for name, value in options.items() if name in names})
        folders.append(out)
        if algorithm != "supervised":
            assert options["start"] == str(trained / "supervised" / "policy")
            assert out.name.startswith(f"{algorithm}-")
            assert out.name.endswith(f"-seed{options['seed']}")
    assert len(set(folders)) == len(folders)
    assert trained / "lamer-seed0" in folders
    if family in ask.LEVELS:
        for folder in folders:  # of variants, whose names say which question they answer
            (folder / "policy").mkdir(parents=True)
        assert list(ask.varied(family, trained))
