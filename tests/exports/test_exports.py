"""Tables and exports: documented columns, and that each format holds what the records hold."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

pytest.importorskip("pandas", reason="pandas is in the [export] extra")

import pandas as pd

import lamer_bench
from lamer_bench import exports, tables
from lamer_bench.cli import main
from lamer_bench.errors import RecordError, UnknownNameError
from lamer_bench.protocol import observation_hash
from lamer_bench.record import RunFolder, Trial
from lamer_bench.scores import score_run
from lamer_bench.tables import load_runs
from tests.viewer.players import HOSTILE, write_example


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return write_example(tmp_path / "runs" / "one")


# Tables ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("per", get_args(tables.Per))
def test_the_columns_are_the_documented_ones(run: RunFolder, per: tables.Per) -> None:
    frame = load_runs(run.path, per)
    assert list(frame.columns) == list(tables.COLUMNS[per])
    assert all(tables.COLUMNS[per].values())
    assert len(frame) > 0


def test_rows_agree_with_the_records(run: RunFolder) -> None:
    trials = {trial.key: trial for trial in run.trials()}
    frame = load_runs(run.path)
    assert len(frame) == len(trials)
    turns = load_runs(run.path, "turn")
    for row in frame.itertuples():
        trial = trials[(row.kind, row.task, row.repeat)]
        played = [turn for episode in trial.episodes for turn in episode.turns]
        assert row.turns == len(played)
        assert row.invalid == sum(turn.action is None for turn in played)
        own = turns[(turns["task"] == row.task) & (turns["kind"] == row.kind)]
        assert list(own["answer"]) == [turn.answer for turn in played]
    assert frame["void"].iloc[-1] == "ConnectionError: endpoint down"
    assert pd.isna(frame["best_return"].iloc[-1])


def test_a_notebook_computes_pass_at_k_from_the_table(run: RunFolder) -> None:
    frame = lamer_bench.load_runs([run.path])
    played = frame[(frame["kind"] == "trial") & (frame["void"] == "")]
    expected = score_run(run).as_json()["pass_at"]
    for k in (1, 2, 3):
        won = played["won_in"].between(1, k)
        assert won.groupby(played["task"]).mean().mean() == expected[str(k)]


def test_several_folders_make_one_frame(run: RunFolder, tmp_path: Path) -> None:
    write_example(tmp_path / "runs" / "two", "sokoban-easy", tasks=2)
    frame = load_runs(tmp_path / "runs")
    assert set(frame["environment"]) == {"minesweeper-easy", "sokoban-easy"}
    assert len(load_runs([tmp_path / "runs", run.path])) == len(frame)
    aside = (tmp_path / "runs" / "two").rename(tmp_path / "runs" / "two.old-1")
    assert set(load_runs(tmp_path / "runs", "trial")["environment"]) == {"minesweeper-easy"}
    assert set(load_runs(aside)["environment"]) == {"sokoban-easy"}  # named itself
    with pytest.raises(RecordError, match="holds no run"):
        load_runs(tmp_path / "nowhere")
    with pytest.raises(UnknownNameError, match="a trial, an episode or a turn"):
        load_runs(run.path, "step")  # type: ignore[arg-type]


def test_without_pandas_there_is_one_clear_error(run: RunFolder) -> None:
    code = (
        "import sys; sys.modules['pandas'] = None; import lamer_bench; "
        "lamer_bench.load_runs(sys.argv[1])"
    )
    command = [sys.executable, "-c", code, str(run.path)]
    failed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 'pip install "lamer-bench[export]"' in failed.stderr.splitlines()[-1]


@pytest.mark.parametrize("to", ["csv", "parquet"])
def test_files_hold_the_same_tables(run: RunFolder, tmp_path: Path, to: str) -> None:
    if to == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is in the [export] extra")
    files = exports.export(run, to, tmp_path / "out")
    assert [file.name for file in files] == [f"{per}s.{to}" for per in get_args(tables.Per)]
    for per, file in zip(get_args(tables.Per), files, strict=True):
        expected = load_runs(run.path, per)
        stored = (
            pd.read_parquet(file)
            if to == "parquet"
            else pd.read_csv(file, keep_default_na=False, dtype=str)
        )
        assert list(stored.columns) == list(expected.columns)
        assert list(stored["task"]) == list(expected["task"])
        if per == "turn":
            assert list(stored["answer"]) == list(expected["answer"])


# ATIF --------------------------------------------------------------------------------------------

AGENT_ONLY = {"tool_calls", "metrics", "reasoning_content", "model_name"}


def documents(run: RunFolder, out: Path) -> dict[tuple[str, str], dict[str, Any]]:
    files = exports.export(run, "atif", out)
    read = [json.loads(file.read_text("utf-8")) for file in files]
    return {(one["extra"]["kind"], one["extra"]["task"]): one for one in read}


def test_atif_keeps_the_rules_of_the_format(run: RunFolder, tmp_path: Path) -> None:
    for document in documents(run, tmp_path / "out").values():
        assert document["schema_version"] == "ATIF-v1.7"
        assert document.keys() <= {
            *("schema_version", "session_id", "agent", "steps", "final_metrics", "extra")
        }
        assert {"name", "version"} <= document["agent"].keys()
        steps = document["steps"]
        assert [step["step_id"] for step in steps] == list(range(1, len(steps) + 1))
        for step in steps:
            assert step["source"] in ("system", "user", "agent")
            assert isinstance(step["message"], str)
            assert step["source"] == "agent" or not AGENT_ONLY & step.keys()
            calls = {call["tool_call_id"] for call in step.get("tool_calls", [])}
            for result in step.get("observation", {"results": []})["results"]:
                assert result.get("source_call_id") in {*calls, None}


def test_atif_holds_every_answer_with_what_was_seen(run: RunFolder, tmp_path: Path) -> None:
    found = documents(run, tmp_path / "out")
    for trial in run.trials():
        document = found[(trial.kind, trial.task)]
        answers = [step for step in document["steps"] if "observation" in step]
        played = [turn for episode in trial.episodes for turn in episode.turns]
        assert [step["message"] for step in answers] == [turn.answer for turn in played]
        assert [
            step["tool_calls"][0]["arguments"]["action"] if "tool_calls" in step else None
            for step in answers
        ] == [turn.action for turn in played]
        led_to = [
            observation_hash(step["observation"]["results"][0]["content"]) for step in answers
        ]
        assert led_to == [seen for episode in trial.episodes for seen in followed(episode)]
        tokens = sum(
            step["metrics"]["prompt_tokens"] for step in document["steps"] if "metrics" in step
        )
        assert document["final_metrics"]["total_prompt_tokens"] == tokens
        assert (document["extra"]["void"] is not None) is (trial.void is not None)


def followed(episode: Any) -> list[str]:
    """The hash of what each turn led to."""
    return [*(turn.observation for turn in episode.turns[1:]), episode.final_observation]


def test_reflections_are_steps_of_the_agent(run: RunFolder, tmp_path: Path) -> None:
    document = documents(run, tmp_path / "out")["trial", "minesweeper-easy/test/0"]
    notes = [
        step for step in document["steps"] if "reflection_after_episode" in step.get("extra", {})
    ]
    assert [step["message"] for step in notes] == [f"Note {n}: {HOSTILE}" for n in (1, 2)]


# Every Eval Ever ---------------------------------------------------------------------------------

REQUIRED = {
    "schema_version",
    "evaluation_id",
    "retrieved_timestamp",
    "source_metadata",
    "model_info",
    "eval_library",
    "evaluation_results",
}
REQUIRED_OF_AN_INSTANCE = {
    "schema_version",
    "evaluation_id",
    "model_id",
    "evaluation_name",
    "sample_id",
    "interaction_type",
    "input",
    "answer_attribution",
    "evaluation",
}


def test_eee_holds_the_scores_with_their_attempts(run: RunFolder, tmp_path: Path) -> None:
    aggregate, instances = exports.export(run, "eee", tmp_path / "out")
    document = json.loads(aggregate.read_text("utf-8"))
    scores = score_run(run).as_json()
    assert document.keys() - {"evaluation_timestamp", "detailed_evaluation_results"} == REQUIRED
    found = {one["evaluation_name"]: one for one in document["evaluation_results"]}
    assert len(found) == 6
    for k in ("1", "2", "3"):
        for prefix, name in (("", "pass_at"), ("control ", "independent_pass_at")):
            one = found[f"minesweeper-easy {prefix}pass@{k}"]
            assert one["score_details"]["score"] == scores[name][k]
            ends = one["score_details"]["uncertainty"]["confidence_interval"]
            assert [ends["lower"], ends["upper"]] == scores[f"{name}_ci"][k]
            assert one["generation_config"]["generation_args"]["max_attempts"] == int(k)
            assert one["metric_config"].keys() >= {"lower_is_better", "min_score", "max_score"}
    details = document["detailed_evaluation_results"]
    assert details["checksum"] == hashlib.sha256(instances.read_bytes()).hexdigest()
    assert details["total_rows"] == 12


def test_eee_instances_are_the_trials(run: RunFolder, tmp_path: Path) -> None:
    aggregate, instances = exports.export(run, "eee", tmp_path / "out")
    document = json.loads(aggregate.read_text("utf-8"))
    names = {one["evaluation_name"] for one in document["evaluation_results"]}
    rows = [json.loads(line) for line in instances.read_text("utf-8").splitlines()]
    for row, trial in zip(rows, run.trials(), strict=True):
        assert row.keys() >= REQUIRED_OF_AN_INSTANCE
        assert row["evaluation_id"] == document["evaluation_id"]
        assert row["evaluation_name"] in names
        assert row["sample_id"] == trial.task
        assert row["evaluation"]["is_correct"] is won(trial)
        assert [one["turn_idx"] for one in row["messages"]] == list(range(len(row["messages"])))
        assert all(isinstance(value, str) for value in row["metadata"].values())
        for one in row["answer_attribution"]:
            said = row["messages"][one["turn_idx"]]
            assert said["role"] == "assistant"
            assert one["extracted_value"] in said["content"]
    assert rows[-1]["error"] == "ConnectionError: endpoint down"
    assert rows[-1]["evaluation"]["num_turns"] is None


def test_eee_names_a_control_of_many_episodes_by_a_k_that_it_has_scores_of(tmp_path: Path) -> None:
    folder = write_example(tmp_path / "run", tasks=2, control_episodes=5)
    aggregate, instances = exports.export(folder, "eee", tmp_path / "out")
    names = {
        one["evaluation_name"] for one in json.loads(aggregate.read_text())["evaluation_results"]
    }
    rows = [json.loads(line) for line in instances.read_text("utf-8").splitlines()]
    assert {row["evaluation_name"] for row in rows} <= names


def won(trial: Trial) -> bool:
    return any(episode.end == "won" for episode in trial.episodes)


# The command -------------------------------------------------------------------------------------


def test_export_says_what_it_wrote(
    run: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", "runs/one", "--to", "csv"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"exports/minesweeper-easy-one-csv/{name}.csv" for name in ("trials", "episodes", "turns")
    ]
    assert main(["export", "runs/one", "--to", "atif"]) == 0
    assert "exports/minesweeper-easy-one-atif  (12 files)" in capsys.readouterr().out
    assert main(["export", "runs/one", "--to", "atiff"]) == 2
    assert "Did you mean 'atif'?" in capsys.readouterr().err


def test_a_run_that_cannot_be_replayed_is_exported_without_texts(tmp_path: Path) -> None:
    folder = write_example(tmp_path / "run", "tests.toys:Doors-easy")
    (document, *_) = documents(folder, tmp_path / "out").values()
    assert document["steps"][0]["message"] == "[the observation cannot be brought back]"
