"""The judge: a process that replays one bundle and writes what it found, as one JSON object.

    python -m leaderboard.judge

loads all that a judge needs, which takes half a second, and then forks one for each request (a
`Request` as a line of JSON); it prints the judge's process id and, when that has ended, its exit
code. A judge runs under limits of CPU time, memory and file size that it cannot raise. Nothing of
what the bundle claims is used but the answers: `lamer_bench.verify` replays them, and the scores
are computed from the replay.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from lamer_bench.errors import LamerBenchError
from lamer_bench.record import SELDOM, RunFolder
from lamer_bench.scores import Scores
from lamer_bench.verify import verify
from leaderboard.bundles import BundleError, unpack
from leaderboard.rules import fault_of


def judge(bundle: Path, folder: Path) -> dict[str, Any]:
    """Unpack a bundle into an empty folder and replay it.

    Returns:
        ``{"ok": False, "reason"}``, with ``"is_of_board"`` where the board is at fault, or
        ``{"ok": True, "suite", "memory", "results"}`` with the scores of each environment.
    """
    try:
        return _judged(bundle, folder)
    except MemoryError:
        raise
    except Exception as error:  # a fault of the board; its kind says more than silence
        kind = type(error).__name__
        reason = f"The replay broke off with {kind}. Tell whoever runs this board."
        return rejected(reason) | {"is_of_board": True}


def _judged(bundle: Path, folder: Path) -> dict[str, Any]:
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
    """A verdict against a bundle: one line that every database and page can hold."""
    line = " ".join(reason.split())[:500]
    return {"ok": False, "reason": "".join(sign if sign.isprintable() else "?" for sign in line)}


def result(scores: Scores, num_turns: int) -> dict[str, Any]:
    """What is kept of a run."""
    document = scores.as_json()
    del document["run_dir"]
    tasks = {
        task.task: [round(float(p), 6) for p in task.pass_if_voids_lost] for task in scores.tasks
    }
    return {"scores": document, "tasks": tasks, "num_turns": num_turns}


@dataclass(frozen=True)
class Request:
    """What a judge is told."""

    bundle: str
    folder: str
    """Empty; the bundle is unpacked there."""
    verdict: str
    """File to write."""
    cpu_seconds: int
    memory_bytes: int

    def line(self) -> bytes:
        """As the process reads it."""
        return json.dumps(asdict(self)).encode() + b"\n"


_MOST_FILE_BYTES = 2 * 2**30
_NICENESS = 5  # pages go before replays


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # an end by Ctrl+C is told from a fault
    gc.set_threshold(*SELDOM)
    gc.freeze()
    for line in sys.stdin.buffer:
        process = os.fork()
        if process == 0:
            _judge_and_exit(Request(**json.loads(line)))
        print(process, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


def _judge_and_exit(request: Request) -> NoReturn:
    try:
        os.nice(_NICENESS)
        cpu, memory = request.cpu_seconds, request.memory_bytes
        for what, soft, hard in (
            (resource.RLIMIT_CPU, cpu, cpu + 5),
            (resource.RLIMIT_AS, memory, memory),
            (resource.RLIMIT_FSIZE, _MOST_FILE_BYTES, _MOST_FILE_BYTES),
            (resource.RLIMIT_CORE, 0, 0),
        ):
            resource.setrlimit(what, (soft, hard))
        verdict = judge(Path(request.bundle), Path(request.folder))
        Path(request.verdict).write_text(json.dumps(verdict), encoding="utf-8")
    except BaseException:  # no memory, or a limit of the system
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
