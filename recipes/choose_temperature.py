"""Choose the sampling temperature of a policy on val tasks: never on test.

    python recipes/choose_temperature.py POLICY_FOLDER [--env minesweeper-hard] [--tasks 100]

Prints one line for each temperature. The shipped agents' default was chosen so.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from baselines.language_agent import LanguageAgent
from lamer_bench.runner import run
from lamer_bench.scores import score_run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--env", default="minesweeper-hard")
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.05, 0.2, 0.5, 1.0])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for temperature in options.temperatures:
            folder = run(
                LanguageAgent(options.folder, temperature),
                options.env,
                split="val",
                tasks=options.tasks,
                out=Path(scratch) / str(temperature),
            )
            scores = score_run(folder)
            passed = "  ".join(
                f"pass@{k} {e.value:.3f}" for k, e in enumerate(scores.pass_at, start=1) if e
            )
            control = scores.independent_pass_at[-1]
            print(
                f"{options.env} val, temperature {temperature}: {passed}  "
                f"control {control.value if control else float('nan'):.3f}  gain {scores.gain}  "
                f"entropy {scores.trajectory_entropy}",
                flush=True,
            )


if __name__ == "__main__":
    main()
