"""`lamer-bench plot`: which folders it finds, what it lists, and its errors."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="matplotlib is in the [plots] extra")
pytest.importorskip("pandas", reason="pandas is in the [plots] extra")


from lamer_bench import plots
from lamer_bench.cli import main
from lamer_bench.errors import RecordError, SettingError, UnknownNameError
from lamer_bench.plots import sources
from tests.plots.figures import rising, run, table, training


def test_a_folder_stands_for_what_it_holds_but_for_what_was_set_aside(tmp_path: Path) -> None:
    found = [run(tmp_path / "runs" / "doors-easy" / name) for name in ("a", "b", "a.old-1")]
    one = training(tmp_path / "runs" / "training", rising(3))
    assert sources.find([tmp_path / "runs"]) == ([one], found[:2])
    assert sources.find([found[2], one, one]) == ([one], [found[2]])


@pytest.mark.parametrize(("name", "fault"), [("nowhere", "does not exist"), (".", "holds none")])
def test_a_path_without_runs_and_trainings_is_an_error(
    tmp_path: Path, name: str, fault: str
) -> None:
    with pytest.raises(RecordError, match=f"{fault}.*metrics.jsonl.*manifest.json"):
        plots.plot([tmp_path / name], out=tmp_path / "out")


def test_a_kind_that_the_paths_hold_nothing_for_is_an_error_only_when_asked_for(
    tmp_path: Path,
) -> None:
    folder = training(tmp_path / "a", {"act_loss": [3.0, 2.0]}, algorithm="supervised")
    files = plots.plot([folder], out=tmp_path / "out")
    assert {file.stem for file in files} == {"metrics"}
    with pytest.raises(SettingError, match=r"'diversity', which reads runs.* 1 training.* 0 runs"):
        plots.plot([folder], ["diversity"], tmp_path / "out")
    with pytest.raises(SettingError, match="nothing to draw for 'entropy'"):
        plots.plot([folder], ["entropy"], tmp_path / "out")


def test_a_run_without_a_finished_trial_is_left_out_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "runs" / "whole")
    begun = run(tmp_path / "runs" / "begun", "random")
    (begun / "trials.jsonl").write_text("")
    assert main(["plot", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 0
    assert f"{begun} is left out: it has no finished trial" in capsys.readouterr().err
    assert {row["agent"] for row in table(tmp_path / "out", "pass-at-k")} == {"lamer"}
    assert main(["plot", str(begun), "--out", str(tmp_path / "none")]) == 2
    assert "There is nothing to draw: no run has a finished trial" in capsys.readouterr().err


def test_a_misspelt_kind_is_an_error_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'diversity'"):
        plots.plot([tmp_path], ["divercity"], tmp_path / "out")


def test_the_command_draws_all_that_the_paths_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training(tmp_path / "in" / "a", rising(6))
    run(tmp_path / "in" / "b")
    out = tmp_path / "out"
    assert main(["plot", str(tmp_path / "in"), "--out", str(out), "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert {Path(file).stem for file in files} == set(plots.KINDS) - {"dots"} | {"report"}
    assert sorted(map(Path, files)) == sorted(out.iterdir())
    assert main(["plot", str(tmp_path / "in"), "--kind", "kl", "--out", str(out)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        str(out / f"kl.{suffix}") for suffix in ("svg", "pdf", "png", "csv")
    ]


@pytest.mark.parametrize("words", [["--kind"], ["--kind", "list"]])
def test_kind_alone_lists_the_kinds(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", *words]) == 0
    shown = capsys.readouterr().out
    for name, kind in plots.KINDS.items():
        assert re.search(rf"^ {name} +folders of {kind.reads} ", shown, re.MULTILINE)


def test_no_path_is_an_error_of_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot"]) == 2
    assert "give at least one folder" in capsys.readouterr().err


def without_matplotlib(*words: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; sys.modules['matplotlib'] = None; "
        "from lamer_bench.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_without_matplotlib_there_is_one_clear_line(tmp_path: Path) -> None:
    done = without_matplotlib("plot", str(training(tmp_path / "a", rising(3))))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert 'pip install "lamer-bench[plots]"' in done.stderr


def test_the_kinds_are_listed_without_matplotlib() -> None:
    done = without_matplotlib("plot", "--kind")
    assert done.returncode == 0
    assert "pass-at-k" in done.stdout


def test_importing_the_command_line_loads_neither_matplotlib_nor_pandas() -> None:
    code = (
        "import sys, lamer_bench.cli, lamer_bench.plots; "
        "print([name for name in ('matplotlib', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
