"""Where and how a run was made: versions, machine, commit. Stored in the manifest, never scored."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lamer_bench.record import Provenance

_ALWAYS = ("lamer-bench", "gymnasium", "numpy")


def provenance(command_line: Sequence[str], packages: Iterable[str] = ()) -> Provenance:
    """The present process; ``packages`` are distributions to name besides the core's."""
    return Provenance(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command_line=list(command_line),
        python=platform.python_version(),
        platform=platform.platform(),
        packages={name: _version(name) for name in dict.fromkeys((*_ALWAYS, *packages))},
        git_commit=git_commit(),
    )


def git_commit() -> str | None:
    """The commit of the source tree this package runs from, with ``-dirty`` after local changes;
    None for an installed wheel."""
    home = Path(__file__).resolve().parent.parent
    if not (home / ".git").exists():
        return None
    command = [
        "git",
        "-C",
        str(home),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=40",
        "--exclude=*",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
