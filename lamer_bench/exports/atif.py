"""ATIF: Harbor's Agent Trajectory Interchange Format, version 1.7.

Source: RFC 0001 of the Harbor project, https://harborframework.com/docs/trajectory-format.

A trial is one trajectory. Its first step is the system's (the rules). Each episode begins with a
user step that holds the first observation. An answer is an agent step: its text is the message, the
canonical action a tool call ``act``, what it led to the observation of that step. A reflection is
an agent step without a tool call. What ATIF has no field for stands in ``extra``: episode, turn,
reward, end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lamer_bench.env import TextEnv
from lamer_bench.record import Episode, Manifest, Trial, Turn
from lamer_bench.replay import read_back
from lamer_bench.tables import episode_row

SCHEMA_VERSION = "ATIF-v1.7"
MISSING = "[the observation cannot be brought back]"


def trajectory(manifest: Manifest, trial: Trial, env: TextEnv | None) -> dict[str, Any]:
    """A trial as an ATIF document; without ``env`` its observations are `MISSING`."""
    settings = manifest.settings
    rows = [episode_row(episode) for episode in trial.episodes]
    name = f"{settings.environment}/{settings.agent}/{trial.kind}/{trial.task}/{trial.repeat}"
    return {
        "schema_version": SCHEMA_VERSION,
        "session_id": name,
        "agent": {
            "name": settings.agent,
            "version": manifest.provenance.packages.get("lamer-bench", "unknown"),
            "extra": {"settings": settings.agent_settings},
        },
        "steps": [
            {"step_id": number, **step}
            for number, step in enumerate(_steps(trial, env, settings.episodes), start=1)
        ],
        "final_metrics": {
            "total_prompt_tokens": sum(row["prompt_tokens"] for row in rows),
            "total_completion_tokens": sum(row["answer_tokens"] for row in rows),
            "total_steps": sum(row["turns"] for row in rows),
        },
        "extra": {
            "task": trial.task,
            "kind": trial.kind,
            "repeat": trial.repeat,
            "memory": trial.memory,
            "won": any(row["won"] for row in rows),
            "episodes": [{"end": row["end"], "return": row["return"]} for row in rows],
            "void": trial.void and trial.void.model_dump(),
            "record_digest": trial.digest,
        },
    }


def _steps(trial: Trial, env: TextEnv | None, num_episodes: int) -> Iterator[dict[str, Any]]:
    if env is not None:
        yield {"source": "system", "message": env.rules()}
    texts = read_back(env, trial) if env is not None else None
    for position, episode in enumerate(trial.episodes):
        seen = texts[position] if texts else [None] * (len(episode.turns) + 1)
        yield {
            "source": "user",
            "message": _shown(seen[0]),
            "extra": {"episode": position, "of": num_episodes},
        }
        yield from _answers(episode, seen)


def _answers(episode: Episode, seen: Sequence[str | None]) -> Iterator[dict[str, Any]]:
    for number, turn in enumerate(episode.turns):
        is_last = number + 1 == len(episode.turns)
        yield _answer(episode.index, number, turn, seen[number + 1], episode.end if is_last else "")
    note = episode.reflection
    if note is not None:
        yield {
            "source": "agent",
            "message": note.text,
            "metrics": _metrics(note.prompt_tokens, note.answer_tokens),
            "extra": {"reflection_after_episode": episode.index},
        }


def _answer(episode: int, number: int, turn: Turn, led_to: str | None, end: str) -> dict[str, Any]:
    call = f"episode-{episode}-turn-{number}"
    result = {"content": _shown(led_to)}
    step: dict[str, Any] = {"source": "agent", "message": turn.answer}
    if turn.action is not None:
        step["tool_calls"] = [
            {"tool_call_id": call, "function_name": "act", "arguments": {"action": turn.action}}
        ]
        result["source_call_id"] = call
    extra = {"episode": episode, "turn": number, "reward": turn.reward}
    return step | {
        "observation": {"results": [result]},
        "metrics": _metrics(turn.prompt_tokens, turn.answer_tokens),
        "extra": extra | ({"end": end} if end else {}),
    }


def _metrics(prompt_tokens: int, answer_tokens: int) -> dict[str, int]:
    return {"prompt_tokens": prompt_tokens, "completion_tokens": answer_tokens}


def _shown(text: str | None) -> str:
    return MISSING if text is None else text
