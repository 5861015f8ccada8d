"""The judge: a process that replays one bundle and prints what it found, as one JSON object.

    python -m leaderboard.judge BUNDLE FOLDER

It runs under limits of CPU time, memory and file size that its caller sets and that it cannot
raise. Nothing of what the bundle claims is used but the answers: `lamer_bench.verify` replays them,
and the scores are computed from the replay.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from lamer_bench.errors import LamerBenchError
from lamer_bench.record import RunFolder
from lamer_bench.scores import Scores
from lamer_bench.verify import verify
from leaderboard.bundles import BundleError, unpack
from leaderboard.rules import fault_of


def judge(bundle: Path, folder: Path) -> dict[str, Any]:
    """Unpack a bundle into an empty folder and replay it.

    Returns:
        ``{"ok": False, "reason"}``, or ``{"ok": True, "suite", "memory", "results"}`` with the
        scores of each environment.
    """
    try:
        _, _, environments = unpack(bundle, folder)
    except BundleError as error:
        return rejected(str(error))
    runs = [RunFolder(folder / environment) for environment in environments]
    if fault := fault_of(runs):
        return rejected(fault)
    results = {}
    for run in runs:
        try:
            verdict = verify(run)
        except LamerBenchError as error:
            return rejected(f"{run.path.name}: {error}")
        if verdict.scores is None:
            return rejected(f"{run.path.name}: {verdict.divergence}")
        results[run.path.name] = result(verdict.scores, verdict.num_turns)
    settings = runs[0].manifest().settings
    assert settings.suite is not None  # fault_of has seen to it
    suite = f"{settings.suite.name}-{settings.suite.version}"
    return {"ok": True, "suite": suite, "memory": settings.memory, "results": results}


def rejected(reason: str) -> dict[str, Any]:
    """A verdict against a bundle."""
    return {"ok": False, "reason": " ".join(reason.split())[:500]}


def result(scores: Scores, num_turns: int) -> dict[str, Any]:
    """What is kept of a run."""
    document = scores.as_json()
    del document["run_dir"]
    tasks = {
        task.task: [round(float(p), 6) for p in task.pass_if_voids_lost] for task in scores.tasks
    }
    return {"scores": document, "tasks": tasks, "num_turns": num_turns}


def main() -> None:
    bundle, folder = map(Path, sys.argv[1:])
    print(json.dumps(judge(bundle, folder)))


if __name__ == "__main__":
    main()
