"""lamer-bench: multi-episode text environments for language agents that explore and adapt.

Importing it registers every environment with Gymnasium as ``lamer/<family>-<level>-v<version>``.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from lamer_bench.errors import ShadowedPackageError


def _refuse_shadowed_packages() -> None:
    """`environments` and `baselines` are common names: say so when one is somebody else's."""
    home = Path(__file__).resolve().parent.parent
    for name in ("environments", "baselines"):
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).resolve().parent if spec and spec.origin else None
        if found != home / name:
            raise ShadowedPackageError(
                f"lamer-bench needs its own package {name!r} at {home / name}, but Python finds "
                f"{found or 'none'} first. Rename that one, or start in another folder."
            )


_refuse_shadowed_packages()

from lamer_bench.agent import Agent, Answer, View  # noqa: E402
from lamer_bench.env import MultiEpisode, TextEnv, make, register_with_gymnasium  # noqa: E402
from lamer_bench.protocol import Ask, TrialPlan, play  # noqa: E402
from lamer_bench.registry import ENVIRONMENTS  # noqa: E402
from lamer_bench.tables import load_runs  # noqa: E402
from lamer_bench.task import Task  # noqa: E402

__version__ = "0.1.0"
__all__ = [
    "Agent",
    "Answer",
    "Ask",
    "MultiEpisode",
    "Task",
    "TextEnv",
    "TrialPlan",
    "View",
    "__version__",
    "load_runs",
    "make",
    "play",
]

register_with_gymnasium(ENVIRONMENTS)
