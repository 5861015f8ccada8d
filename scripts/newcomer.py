"""A newcomer's path: from a clone to the first plot with the README's commands only.

    python scripts/newcomer.py

Clones this repository into a temporary folder and runs, with bash, every block under "Run it" and
"See it" of its README; prints how long each command took. The virtual environment is a new one. A
package registry must be reachable, the usual cache of pip is used.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADINGS = ("Run it", "See it")


def main() -> int:
    """Clone, run, print; returns the exit code."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        clone = Path(scratch, "lamer-bench")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        for line in commands((clone / "README.md").read_text(encoding="utf-8")):
            started = time.perf_counter()
            done = subprocess.run(
                ["bash", "-c", line], cwd=clone, env=clean(), capture_output=True, text=True
            )
            print(f"{time.perf_counter() - started:7.1f} s  {line}", flush=True)
            if done.returncode:
                print(done.stdout, done.stderr, sep="\n")
                return 1
        figures = sorted(file.name for file in (clone / "figures").iterdir())
        size = disk_used(clone / ".venv")
    print(f"{time.perf_counter() - begun:7.1f} s  in all; {len(figures)} files in figures/")
    print(f"{size / 1e6:7.0f} MB in .venv")
    return int("report.html" not in figures)


def commands(readme: str) -> list[str]:
    """The lines of the blocks under the headings."""
    found = []
    for heading in HEADINGS:
        part = readme.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        for block in re.findall(r"^```bash\n(.*?)^```$", part, re.MULTILINE | re.DOTALL):
            found += [line for line in block.splitlines() if line.strip()]
    return found


def clean() -> dict[str, str]:
    """The environment without what a virtual environment of ours has put there."""
    left_out = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    own = Path(sys.executable).parent
    places = [one for one in kept["PATH"].split(os.pathsep) if Path(one) != own]
    return kept | {"PATH": os.pathsep.join(places)}


def disk_used(folder: Path) -> int:
    """Bytes of a folder's files."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


if __name__ == "__main__":
    if shutil.which("git") is None:
        sys.exit("git is needed to clone.")
    sys.exit(main())
