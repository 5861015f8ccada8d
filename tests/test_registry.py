"""Names: the nearest one is suggested, plug-ins are found, and a broken one is one clear line."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from lamer_bench import env, registry
from lamer_bench.errors import UnknownNameError
from lamer_bench.registry import AGENTS, ENVIRONMENTS, Registry
from tests import toys


@pytest.mark.parametrize("names", [ENVIRONMENTS, AGENTS])
def test_every_catalogue_line_leads_to_a_class(names: Registry) -> None:
    for name in names:
        assert isinstance(names.load(name), type)


def test_a_catalogue_line_bears_the_name_of_its_class() -> None:
    for name in ENVIRONMENTS:
        assert ENVIRONMENTS.load(name).family == name
    for name in AGENTS:
        assert AGENTS.load(name).name == name


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ("minesweeper-hrd", "Did you mean 'minesweeper-hard'?"),
        ("minesweper-hard", "Did you mean 'minesweeper-hard'?"),
        ("socoban-easy", "Did you mean 'sokoban-easy'?"),
        ("tests.toys:Doors-esy", "Did you mean 'tests.toys:Doors-easy'?"),
    ],
)
def test_the_nearest_environment_is_suggested(given: str, advice: str) -> None:
    with pytest.raises(UnknownNameError, match=advice.replace("?", r"\?")):
        env.make(given)


def test_without_a_near_name_all_are_listed() -> None:
    with pytest.raises(UnknownNameError, match=r"Known: .*explorer.*lamer.*oracle.*random"):
        AGENTS.load("zzz")


def test_a_reference_needs_no_catalogue() -> None:
    assert env.make("tests.toys:Doors-easy").environment == "doors-easy"
    assert AGENTS.load("tests.toys:Guesser") is toys.Guesser


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("no_such_module:Class", "No module named 'no_such_module'"),
        ("tests.toys:NoSuchClass", "has no attribute 'NoSuchClass'"),
        ("tests.toys:", "cannot be loaded"),
    ],
)
def test_a_reference_that_leads_nowhere_says_why(target: str, reason: str) -> None:
    with pytest.raises(UnknownNameError, match=reason) as caught:
        AGENTS.load(target)
    assert "\n" not in str(caught.value)


def test_a_reference_to_something_else_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="does not inherit TextEnv"):
        env.make("tests.toys:Guesser-easy")


def test_installed_plug_ins_are_found_and_cannot_replace_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    points = [
        EntryPoint("guesser", "tests.toys:Guesser", "lamer_bench.agents"),
        EntryPoint("random", "tests.toys:Guesser", "lamer_bench.agents"),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    agents = Registry("agent", "tests.plugin_catalogue", "lamer_bench.agents")
    monkeypatch.setitem(sys.modules, "tests.plugin_catalogue", toys)  # any importable module
    agents.register("random", "baselines.random_agent:RandomAgent")
    assert list(agents) == ["random", "guesser"]
    assert agents.load("guesser") is toys.Guesser
    assert agents.load("random") is not toys.Guesser


def test_a_plug_in_that_raises_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_plugin.py").write_text("raise RuntimeError('out of order')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UnknownNameError, match="RuntimeError: out of order"):
        AGENTS.load("broken_plugin:Agent")


def test_a_family_that_cannot_be_loaded_does_not_hide_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ENVIRONMENTS.load("minesweeper")
    monkeypatch.setitem(ENVIRONMENTS._targets, "broken", "no_such_module:Class")
    assert "minesweeper-hard" in env.environment_ids()
    with pytest.warns(UserWarning, match="no_such_module"):
        env.register_with_gymnasium(["broken"])
