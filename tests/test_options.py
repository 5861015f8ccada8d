"""Options of agents: read as their class says, and refused with one clear line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lamer_bench.agent import Answer, View
from lamer_bench.cli import main
from lamer_bench.errors import AgentError, LamerBenchError, SettingError
from lamer_bench.options import make_with_options, read_options, split_options
from lamer_bench.record import RunFolder
from lamer_bench.runner import make_agent, run
from tests import toys


class Choosy(toys.Guesser):
    """Has options of several types."""

    def __init__(
        self, folder: str | Path, rate: float = 0.5, *, count: int = 3, is_bold: bool = False
    ) -> None:
        super().__init__()
        self.given = {"folder": str(folder), "rate": rate, "count": count, "is_bold": is_bold}

    def settings(self) -> dict[str, Any]:
        return self.given


class Painted(toys.Doors):
    """An environment with options."""

    def __init__(self, level: str, paint: str, coats: int = 1) -> None:
        super().__init__(level)


class TakesAll(toys.Guesser):
    """Checks its options itself."""

    def __init__(self, agent: str | toys.Guesser = "random", **options: Any) -> None:
        super().__init__()
        self.given = (agent, options)


class Renamed(toys.Guesser):
    """Made of others."""

    def __init__(self, part: str = "none") -> None:
        super().__init__()
        self.name = f"renamed:{part}"  # type: ignore[misc]


class Refuses(toys.Guesser):
    """Has no answer to every second view."""

    def act(self, views: Sequence[View]) -> Sequence[Answer | str | AgentError]:
        answers = super().act(views)
        return [AgentError("no answer") if i % 2 else one for i, one in enumerate(answers)]


def test_texts_are_read_as_the_class_says() -> None:
    given = {"folder": "weights", "rate": "0.25", "count": "7", "is_bold": "true"}
    read = {"folder": "weights", "rate": 0.25, "count": 7, "is_bold": True}
    assert read_options(Choosy, given) == read
    assert read_options(Choosy, read) == read
    assert make_agent("tests.test_options:Choosy", given).settings() == read


def test_a_class_that_takes_all_options_gets_the_rest_as_text() -> None:
    agent = make_agent("tests.test_options:TakesAll", {"agent": "oracle", "rate": "0.25"})
    assert agent.given == ("oracle", {"rate": "0.25"})  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["sk-secret"], "name=value"),
        (["=sk-secret"], "name=value"),
        (["a b=sk-secret"], "name=value"),
        (["rate=1", "rate=sk-secret"], "'rate' is given twice"),
    ],
)
def test_what_is_no_option_is_not_quoted(texts: list[str], says: str) -> None:
    with pytest.raises(SettingError, match=says) as caught:
        split_options(texts)
    assert "secret" not in str(caught.value)


def test_a_value_may_hold_anything() -> None:
    assert split_options(["top-k=a=b", "rate="]) == {"top_k": "a=b", "rate": ""}


@pytest.mark.parametrize(
    ("agent", "options", "says"),
    [
        ("tests.test_options:Choosy", {}, "needs the option 'folder': --agent-option folder=VALUE"),
        ("tests.test_options:Choosy", {"folder": "f", "rat": "1"}, "Did you mean 'rate'"),
        ("tests.test_options:Choosy", {"folder": "f", "rate": "hot"}, "rate is 'hot': Input"),
        ("oracle", {"rate": "1"}, "OracleAgent has no option 'rate'; it has none at all"),
    ],
)
def test_a_wrong_option_is_one_clear_line(agent: str, options: dict[str, str], says: str) -> None:
    with pytest.raises(LamerBenchError, match=says) as caught:
        make_agent(agent, options)
    assert "\n" not in str(caught.value)


def test_a_missing_option_of_an_environment_is_given_by_its_own_flag() -> None:
    with pytest.raises(SettingError, match=r"Painted needs .* 'paint': --env-option paint=VALUE"):
        make_with_options("tests.test_options:Painted-easy", {"coats": "2"})


def test_the_command_line_passes_options_on(tmp_path: Path) -> None:
    command = ["run", "--agent", "tests.test_options:Choosy", "--env", "doors-easy", "--tasks", "1"]
    options = ["--agent-option", "folder=here", "--agent-option", "is-bold=yes", "--json"]
    assert main([*command, *options, "--out", str(tmp_path / "run")]) == 0
    stored = RunFolder(tmp_path / "run").manifest().settings.agent_settings
    assert stored == {"folder": "here", "rate": 0.5, "count": 3, "is_bold": True}


def test_an_agent_that_is_built_already_takes_no_options(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="given by its name"):
        run(toys.Guesser(), "doors-easy", agent_options={"rate": 1}, out=tmp_path / "run")


def test_an_agent_made_of_others_names_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "tests.test_options:Renamed"
    folder = run(name, "doors-easy", agent_options={"part": "oracle"}, tasks=1)
    assert folder.manifest().settings.agent == "renamed:oracle"
    assert folder.path == Path("runs/doors-easy/renamed.oracle-n1")


def test_an_error_in_the_place_of_an_answer_is_the_void_of_its_own_trial(tmp_path: Path) -> None:
    folder = run(Refuses(), "doors-easy", tasks=6, control_episodes=0, out=tmp_path / "run")
    voids = [trial.void for trial in folder.trials()]
    kept = [void for void in voids if void is not None]
    assert 0 < len(kept) < 6
    assert {(void.type, void.message) for void in kept} == {("AgentError", "no answer")}
