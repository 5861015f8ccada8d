"""The worker: takes pending submissions one after another and has each judged in a process of its
own, under limits of CPU time, memory and wall time.

Killed at any moment, it leaves a lease that runs out; the next worker begins the job anew. A
verdict is stored only by who holds the lease, and its files are moved into place before it.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from leaderboard.config import Config
from leaderboard.database import Database, Job
from leaderboard.judge import rejected

_SECONDS_BETWEEN_LOOKS = 0.5
_MOST_FILE_BYTES = 2 * 2**30
_JUDGE_NICENESS = 5


def work(config: Config, database: Database, goes_on: Callable[[], bool] = lambda: True) -> None:
    """Judge submissions as they come, as long as ``goes_on`` says so."""
    clean(config)
    while goes_on():
        if not work_once(config, database):
            time.sleep(_SECONDS_BETWEEN_LOOKS)


def work_once(config: Config, database: Database) -> bool:
    """Judge the oldest pending submission; False when there is none."""
    job = database.claim(config.lease_seconds)
    if job is None:
        return False
    with tempfile.TemporaryDirectory(prefix="judge-", dir=_scratch(config)) as scratch:
        folder = Path(scratch) / "runs"
        verdict = _judged(config, database, job, folder)
        if verdict is None:
            return True
        if verdict["ok"]:
            _keep(folder, config.runs(job.digest))
            database.verified(job, verdict["suite"], verdict["memory"], verdict["results"])
        elif database.rejected(job, verdict["reason"]):
            config.bundle(job.digest).unlink(missing_ok=True)
            shutil.rmtree(config.runs(job.digest), ignore_errors=True)
    return True


def _judged(config: Config, database: Database, job: Job, folder: Path) -> dict[str, Any] | None:
    """The verdict; None when the lease was lost or the job is to be tried again."""
    bundle = config.bundle(job.digest)
    if not bundle.exists():
        return rejected("The bundle's file is missing on the board; submit it again.")
    folder.mkdir()
    started = time.monotonic()
    with tempfile.TemporaryFile() as output:
        judge = subprocess.Popen(
            [sys.executable, "-m", "leaderboard.judge", str(bundle), str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            preexec_fn=lambda: _limit(config),
        )
        try:
            while judge.poll() is None:
                try:
                    judge.wait(config.lease_seconds / 3)
                except subprocess.TimeoutExpired:
                    if not database.renew(job, config.lease_seconds):
                        return None
                if time.monotonic() - started > config.judge_seconds:
                    return rejected(f"The replay took more than {config.judge_seconds} s.")
        finally:
            if judge.poll() is None:
                judge.kill()
                judge.wait()
        output.seek(0)
        printed = output.read()
    if judge.returncode == 0:
        verdict: dict[str, Any] = json.loads(printed)
        return verdict
    if judge.returncode == -signal.SIGXCPU:
        return rejected(f"The replay took more than {config.judge_cpu_seconds} s of CPU time.")
    if job.attempts < config.most_attempts:
        database.give_back(job)
        return None
    return rejected("The replay broke off: it needs more memory than the board allows.")


def _limit(config: Config) -> None:
    """In the judge, before it starts. Pages go before replays."""
    os.nice(_JUDGE_NICENESS)
    cpu = config.judge_cpu_seconds
    for what, soft, hard in (
        (resource.RLIMIT_CPU, cpu, cpu + 5),
        (resource.RLIMIT_AS, config.judge_bytes, config.judge_bytes),
        (resource.RLIMIT_FSIZE, _MOST_FILE_BYTES, _MOST_FILE_BYTES),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        resource.setrlimit(what, (soft, hard))


def _environment() -> dict[str, str]:
    """No secrets of the board reach the judge."""
    kept = ("PATH", "PYTHONPATH", "HOME", "LANG", "VIRTUAL_ENV")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    return found | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}


def _keep(folder: Path, place: Path) -> None:
    """Move the runs to where the pages read them; an older copy of the same content gives way."""
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(place, ignore_errors=True)
    os.replace(folder, place)


def _scratch(config: Config) -> Path:
    scratch = config.folder / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    return scratch


def clean(config: Config) -> None:
    """Remove what killed workers left behind, an hour later."""
    for left in _scratch(config).iterdir():
        if time.time() - left.stat().st_mtime > 3600:
            shutil.rmtree(left, ignore_errors=True)
