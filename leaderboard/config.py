"""Settings of a board, and where it keeps its files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from leaderboard import bundles


@dataclass(frozen=True)
class Config:
    """Everything that `create_app` and the worker need to know."""

    database_url: str = "sqlite:///board.sqlite"
    folder: Path = Path("board-files")
    """Bundles, and the runs of verified entries."""
    title: str = "lamer-bench"
    url: str = ""
    """The public address, such as ``https://board.example``, where a reverse proxy stands in front:
    addresses in pages begin with it, and what the proxy says of a request's sender is believed."""
    most_bytes: int = bundles.MOST_BYTES
    submissions_a_minute: int = 60
    """With one token; it has a quota for the day besides."""
    refused_tokens_a_minute: int = 20
    """From one address, before the next wrong one has to wait."""
    judge_cpu_seconds: int = 900
    judge_seconds: int = 1200
    judge_bytes: int = 4 * 2**30
    """Of address space."""
    lease_seconds: float = 30.0
    """How long a killed worker keeps others from its job."""
    most_attempts: int = 3
    """Judges that may die over a job without a verdict. One that was told to end does not count."""

    sealed_salt: str = field(default="", repr=False)
    """The secret that sealed tasks are drawn from; without one there are none."""
    sealed_tasks: int = 100
    """Of each environment."""
    sealed_answer_seconds: float = 12 * 3600.0
    """After so long without an answer a trial is void: a lost connection may come back."""

    def bundle(self, digest: str) -> Path:
        """The bundle of a submission."""
        return self.folder / "bundles" / f"{digest}.zip"

    def runs(self, digest: str) -> Path:
        """The unpacked runs of a verified entry: a folder for each environment."""
        return self.folder / "runs" / digest
