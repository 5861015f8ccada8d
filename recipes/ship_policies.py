"""Copy the trained policies of the comparison into the package: one start and small adapters.

    python recipes/ship_policies.py [--training runs/training] [--families minesweeper sokoban ...]

Of each algorithm the policy of seed 0 ships, as an adapter on the supervised start beside it.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from compare_algorithms import ORDER, ROOT

from baselines.adapters import ADAPTER_FILE, ADAPTER_WEIGHTS
from baselines.language_agent import WEIGHTS

START = "supervised"
FAMILIES = ["minesweeper", "sokoban", "webshop"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--training", type=Path, default=ROOT / "runs" / "training")
    parser.add_argument("--families", nargs="+", default=FAMILIES)
    options = parser.parse_args()
    for family in options.families:
        shutil.rmtree(WEIGHTS / family, ignore_errors=True)
        trained = options.training / family
        start = WEIGHTS / family / START
        shutil.copytree(trained / START / "policy", start)
        facts = facts_of(start)
        settings = facts["settings"]
        for name in settings.keys() & {"start", "player"}:  # a stage's name, not a path of ours
            settings[name] = Path(settings[name]).parent.name
        write(start / "training.json", facts)
        for algorithm in ORDER:
            policy = trained / f"{algorithm}-seed0" / "policy"
            if policy.exists():
                ship(policy, WEIGHTS / family / algorithm)
    size = sum(file.stat().st_size for file in WEIGHTS.rglob("*") if file.is_file())
    print(f"{WEIGHTS}: {size / 1e6:.1f} MB")


def ship(policy: Path, folder: Path) -> None:
    """Copy a policy's adapter, its start named by its place beside it."""
    folder.mkdir()
    shutil.copy(policy / "adapter" / ADAPTER_WEIGHTS, folder)
    config = json.loads((policy / "adapter" / ADAPTER_FILE).read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = f"../{START}"
    write(folder / ADAPTER_FILE, config)
    facts = facts_of(policy)
    facts["settings"]["start"] = f"../{START}"
    write(folder / "training.json", facts)


def facts_of(policy: Path) -> dict[str, Any]:
    """What a policy was trained with."""
    facts: dict[str, Any] = json.loads((policy / "training.json").read_text(encoding="utf-8"))
    return facts


def write(path: Path, content: dict[str, Any]) -> None:
    """As JSON."""
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
