"""Every Eval Ever: the shared schema of evaluation results, version 0.2.1, with its instance-level
schema ``instance_level_eval_0.2.1``.

Source: https://github.com/evaleval/every_eval_ever, ``eval.schema.json`` and
``instance_level_eval.schema.json``.

Attempts: each k is an evaluation of its own (``pass@1`` ... ``pass@K``, and the memory-wiped
``control pass@k``) whose ``max_attempts`` is k, and every instance says in its metadata in which
attempt it was won. An instance is a trial, with all its attempts in ``messages``.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from lamer_bench.env import TextEnv
from lamer_bench.exports.atif import MISSING
from lamer_bench.metrics import CONFIDENCE
from lamer_bench.record import Manifest, RunFolder, Trial
from lamer_bench.replay import read_back
from lamer_bench.scores import score_run
from lamer_bench.tables import episode_row

SCHEMA_VERSION = "0.2.1"
INSTANCE_SCHEMA_VERSION = "instance_level_eval_0.2.1"
FEEDBACK = "The task is not solved; nothing else is said."


def evaluation(folder: RunFolder, instances_file: Path) -> dict[str, Any]:
    """The scores of a run as an aggregate document."""
    manifest = folder.manifest()
    scores = score_run(folder).as_json()
    num_tasks = scores["tasks"]
    results = [
        _result(manifest, f"{prefix}pass@{k}", value, scores[f"{name}_ci"][k], int(k), num_tasks)
        for prefix, name in (("", "pass_at"), ("control ", "independent_pass_at"))
        for k, value in scores[name].items()
        if value is not None
    ]
    settings, provenance = manifest.settings, manifest.provenance
    content = instances_file.read_bytes()
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": evaluation_id(manifest),
        "evaluation_timestamp": _epoch(manifest),
        "retrieved_timestamp": str(int(time.time())),
        "source_metadata": {
            "source_name": "lamer-bench",
            "source_type": "evaluation_run",
            "source_organization_name": "unknown",
            "evaluator_relationship": "other",
        },
        "eval_library": {
            "name": "lamer-bench",
            "version": provenance.packages.get("lamer-bench", "unknown"),
        },
        "model_info": {
            "name": settings.agent,
            "id": f"lamer-bench/{settings.agent}",
            "additional_details": {
                "memory": settings.memory,
                "seed": str(settings.seed),
                **{name: str(value) for name, value in settings.agent_settings.items()},
            },
        },
        "evaluation_results": results,
        "detailed_evaluation_results": {
            "format": "jsonl",
            "file_path": instances_file.name,
            "hash_algorithm": "sha256",
            "checksum": hashlib.sha256(content).hexdigest(),
            "total_rows": content.count(b"\n"),
        },
    }


def _result(
    manifest: Manifest, name: str, value: float, ends: list[float] | None, k: int, num_tasks: int
) -> dict[str, Any]:
    settings, provenance = manifest.settings, manifest.provenance
    details: dict[str, Any] = {"score": value}
    if ends is not None:
        details["uncertainty"] = {
            "confidence_interval": {
                "lower": ends[0],
                "upper": ends[1],
                "confidence_level": CONFIDENCE,
            },
            "num_samples": num_tasks,
        }
    is_control = name.startswith("control")
    about = "with its memory wiped between attempts" if is_control else "within k attempts"
    return {
        "evaluation_name": f"{settings.environment} {name}",
        "source_data": {
            "dataset_name": f"lamer-bench {settings.environment} {settings.split}",
            "source_type": "other",
            "additional_details": _suite_details(manifest),
        },
        "evaluation_timestamp": _epoch(manifest),
        "metric_config": {
            "evaluation_description": f"Share of tasks won {about}, k = {k}.",
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": 1.0,
        },
        "score_details": details,
        "generation_config": {
            "generation_args": {
                "execution_command": " ".join(provenance.command_line),
                "max_attempts": k,
                "incorrect_attempt_feedback": FEEDBACK,
            },
        },
    }


def _suite_details(manifest: Manifest) -> dict[str, str]:
    settings = manifest.settings
    details = {
        "environment_version": str(settings.environment_version),
        "tasks": str(settings.tasks),
    }
    if settings.suite is not None:
        details |= {
            "suite": settings.suite.name,
            "suite_version": str(settings.suite.version),
            "suite_digest": settings.suite.digest,
        }
    return details


def instances(folder: RunFolder, env: TextEnv | None) -> Iterator[dict[str, Any]]:
    """A row for each trial, controls included; void trials carry their error."""
    manifest = folder.manifest()
    for trial in folder.trials():
        yield _instance(manifest, trial, env)


def _instance(manifest: Manifest, trial: Trial, env: TextEnv | None) -> dict[str, Any]:
    settings = manifest.settings
    rows = [episode_row(episode) for episode in trial.episodes]
    wins = [number for number, row in enumerate(rows, start=1) if row["won"]]
    num_turns = sum(row["turns"] for row in rows)
    messages = list(_messages(trial, env))
    start = messages[1]["content"] if len(messages) > 1 else MISSING
    read = sum(row["prompt_tokens"] for row in rows)
    written = sum(row["answer_tokens"] for row in rows)
    k = settings.episodes
    if trial.kind == "control":  # more control episodes than attempts estimate pass@k all the same
        k = min(settings.control_episodes, k)
    prefix = "control " if trial.kind == "control" else ""
    return {
        "schema_version": INSTANCE_SCHEMA_VERSION,
        "evaluation_id": evaluation_id(manifest),
        "model_id": f"lamer-bench/{settings.agent}",
        "evaluation_name": f"{settings.environment} {prefix}pass@{k}",
        "sample_id": trial.task,
        "sample_hash": hashlib.sha256(start.encode()).hexdigest(),
        "interaction_type": "multi_turn",
        "input": {"raw": start, "reference": []},
        "output": None,
        "messages": messages,
        "answer_attribution": _attribution(trial, messages),
        "evaluation": {
            "score": float(bool(wins)),
            "is_correct": bool(wins),
            "num_turns": num_turns or None,
        },
        "token_usage": {
            "input_tokens": read,
            "output_tokens": written,
            "total_tokens": read + written,
        },
        "performance": {"latency_ms": trial.seconds * 1000},
        "error": f"{trial.void.type}: {trial.void.message}" if trial.void else None,
        "metadata": {
            "kind": trial.kind,
            "repeat": str(trial.repeat),
            "memory": trial.memory,
            "attempts": str(len(rows)),
            "won_in_attempt": str(wins[0]) if wins else "none",
            "attempt_ends": " ".join(row["end"] for row in rows),
        },
    }


def _messages(trial: Trial, env: TextEnv | None) -> Iterator[dict[str, Any]]:
    for index, (role, content) in enumerate(_said(trial, env)):
        yield {"turn_idx": index, "role": role, "content": content}


def _said(trial: Trial, env: TextEnv | None) -> Iterator[tuple[str, str]]:
    """(role, text): what was seen as the user's, answers and reflections as the assistant's."""
    yield "system", env.rules() if env is not None else MISSING
    texts = read_back(env, trial) if env is not None else None
    for position, episode in enumerate(trial.episodes):
        seen = texts[position] if texts else [None] * (len(episode.turns) + 1)
        for turn, text in zip(episode.turns, seen, strict=False):
            yield "user", MISSING if text is None else text
            yield "assistant", turn.answer
        yield "user", MISSING if seen[-1] is None else str(seen[-1])
        if episode.reflection is not None:
            yield "assistant", episode.reflection.text


def _attribution(trial: Trial, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Where the last action was read."""
    played = [episode for episode in trial.episodes if episode.turns]
    if not played or played[-1].turns[-1].action is None:
        return []
    after_it = 2 + (played[-1].reflection is not None)
    return [
        {
            "turn_idx": len(messages) - after_it,
            "source": "messages[turn_idx].content",
            "extracted_value": played[-1].turns[-1].action,
            "extraction_method": "regex",
            "is_terminal": True,
        }
    ]


def evaluation_id(manifest: Manifest) -> str:
    """``eval_name/model_id/timestamp``, as the schema asks."""
    settings = manifest.settings
    return f"lamer-bench-{settings.environment}/{settings.agent}/{_epoch(manifest)}"


def _epoch(manifest: Manifest) -> str:
    """When the run was made, in seconds since 1970."""
    return str(int(datetime.fromisoformat(manifest.provenance.created).timestamp()))
