"""The worker: takes pending submissions one after another and has each judged in a process of its
own (`judge`), under limits of CPU time, memory and wall time.

Killed at any moment, it leaves a lease that runs out; the next worker begins the job anew. A
verdict is stored only by who holds the lease, and its files are moved into place before it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from leaderboard.config import Config
from leaderboard.database import Database, Job
from leaderboard.judge import Request, rejected

_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_TO_END = 10.0
_TOLD_TO_END = (-signal.SIGTERM, -signal.SIGINT)


class Judges:
    """A process that has loaded what a judge needs and none of the board's secrets; it forks a
    judge for each bundle, one at a time."""

    def __init__(self) -> None:
        self._parent: subprocess.Popen[bytes] | None = None
        self._running: int | None = None
        self._code = -signal.SIGKILL
        """How the process ended that ended last."""

    def __enter__(self) -> Judges:
        return self

    def __exit__(self, *_: object) -> None:
        if self._parent is not None:
            self._parent.communicate()  # it ends with its input

    def begin(self, request: Request) -> None:
        """Have a bundle judged."""
        if self._parent is None:
            self._parent = subprocess.Popen(
                [sys.executable, "-m", "leaderboard.judge"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                bufsize=0,
            )
        with contextlib.suppress(BrokenPipeError):  # `ended` sees it
            self._pipe("stdin").write(request.line())
        self._running = self._number()

    def ended(self, seconds: float) -> int | None:
        """The judge's exit code, None when it is still running after so long."""
        if self._running is None:
            return self._code
        if not select.select([self._pipe("stdout")], [], [], seconds)[0]:
            return None
        code = self._number()
        self._running = None
        return self._code if code is None else code

    def stop(self) -> None:
        """End a judge that is still running."""
        if self._running is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._running, signal.SIGKILL)
            self.ended(_SECONDS_TO_END)

    def _number(self) -> int | None:
        """The next line; None when the process is gone, and the next bundle starts another."""
        line = self._pipe("stdout").readline()
        if line:
            return int(line)
        assert self._parent is not None
        self._parent.communicate()
        self._code = self._parent.returncode or -signal.SIGKILL
        self._parent = None
        return None

    def _pipe(self, name: str) -> IO[bytes]:
        pipe: IO[bytes] = getattr(self._parent, name)
        return pipe


def work(config: Config, database: Database, goes_on: Callable[[], bool] = lambda: True) -> None:
    """Judge submissions as they come, as long as ``goes_on`` says so."""
    clean(config)
    with Judges() as judges:
        while goes_on():
            if not _work_once(config, database, judges):
                time.sleep(_SECONDS_BETWEEN_LOOKS)


def work_once(config: Config, database: Database) -> bool:
    """Judge the oldest pending submission; False when there is none."""
    with Judges() as judges:
        return _work_once(config, database, judges)


def _work_once(config: Config, database: Database, judges: Judges) -> bool:
    job = database.claim(config.lease_seconds)
    if job is None:
        return False
    with tempfile.TemporaryDirectory(prefix="judge-", dir=_scratch(config)) as scratch:
        verdict = _judged(config, database, job, judges, Path(scratch))
        if verdict is None:
            return True
        if verdict["ok"]:
            _keep(_runs(Path(scratch)), config.runs(job.digest))
            database.verified(job, verdict["suite"], verdict["memory"], verdict["results"])
        elif database.rejected(job, verdict["reason"]) and "is_of_board" not in verdict:
            config.bundle(job.digest).unlink(missing_ok=True)
            shutil.rmtree(config.runs(job.digest), ignore_errors=True)
    return True


def _runs(scratch: Path) -> Path:
    """Where a judge unpacks."""
    return scratch / "runs"


def _judged(
    config: Config, database: Database, job: Job, judges: Judges, scratch: Path
) -> dict[str, Any] | None:
    """The verdict; None when the lease was lost or the job is to be tried again."""
    bundle = config.bundle(job.digest)
    if not bundle.exists():
        return rejected("The bundle's file is missing on the board; submit it again.")
    _runs(scratch).mkdir()
    written = scratch / "verdict.json"
    cpu, memory = config.judge_cpu_seconds, config.judge_bytes
    started = time.monotonic()
    judges.begin(Request(str(bundle), str(_runs(scratch)), str(written), cpu, memory))
    try:
        while (code := judges.ended(config.lease_seconds / 3)) is None:
            if not database.renew(job, config.lease_seconds):
                return None
            if time.monotonic() - started > config.judge_seconds:
                return rejected(f"The replay took more than {config.judge_seconds} s.")
    finally:
        judges.stop()
    if code == 0:
        verdict: dict[str, Any] = json.loads(written.read_bytes())
        return verdict
    if code == -signal.SIGXCPU:
        return rejected(f"The replay took more than {cpu} s of CPU time.")
    if code in _TOLD_TO_END:
        database.give_back(job)
        return None
    if job.attempts + 1 < config.most_attempts:
        database.give_back(job, judge_died=True)
        return None
    return rejected("The replay broke off: it needs more memory than the board allows.")


def _environment() -> dict[str, str]:
    """No secrets of the board reach a judge."""
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
    """Remove what killed workers and servers left behind, an hour later."""
    uploads = (config.folder / "bundles").glob("incoming-*")
    for left in [*_scratch(config).iterdir(), *uploads]:
        with contextlib.suppress(FileNotFoundError):  # another worker cleans too
            if time.time() - left.stat().st_mtime > 3600:
                left.unlink() if left.is_file() else shutil.rmtree(left, ignore_errors=True)
