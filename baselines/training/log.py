"""The training log: a JSONL file for machines, a short line now and then for people."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

METRICS_FILE = "metrics.jsonl"


class TrainingLog:
    """Appends one line a step; a resumed training first drops what lies beyond its checkpoint."""

    def __init__(self, out: Path, total: int, resumed_at: int = 0, seconds_between: float = 10.0):
        out.mkdir(parents=True, exist_ok=True)
        self.path = out / METRICS_FILE
        self.total = total
        self._seconds_between = seconds_between
        self._started = self._printed = time.perf_counter()
        self._first_step = resumed_at
        kept = []
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                try:
                    entry = json.loads(line)
                except json.JSONDecodeError:
                    continue
                if entry["step"] <= resumed_at:
                    kept.append(line + "\n")
        self.path.write_text("".join(kept), encoding="utf-8")
        self._smooth: dict[str, float] = {}

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Store the metrics of a step; print a smoothed line every few seconds."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **metrics}) + "\n")
        for name, value in metrics.items():
            self._smooth[name] = 0.9 * self._smooth.get(name, value) + 0.1 * value
        now = time.perf_counter()
        if now - self._printed >= self._seconds_between or step == self.total:
            self._printed = now
            done = max(1, step - self._first_step)
            minutes = (now - self._started) / done * (self.total - step) / 60
            shown = "  ".join(f"{name} {value:.4g}" for name, value in self._smooth.items())
            print(f"step {step}/{self.total}  {shown}  {minutes:.1f} min left", file=sys.stderr)
