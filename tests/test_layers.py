"""Imports run in one direction, and nobody touches global randomness; see docs/architecture.md."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("lamer_bench", "environments", "baselines", "leaderboard")

FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"errors"}),
    frozenset({"task", "registry"}),
    frozenset({"agent", "env", "metrics"}),
    frozenset({"record", "options"}),
    frozenset({"protocol", "suites", "provenance", "asking", "tables"}),
    frozenset({"replay", "runner", "scores"}),
    frozenset({"verify", "checks", "comparison"}),
    frozenset({"plots", "viewer", "exports"}),
    frozenset({"cli"}),
)
"""Modules of the core: each imports from the floors below its own only."""

OPEN_TO = {
    "environments": frozenset({"env", "task", "errors"}),
    "baselines": frozenset().union(*FLOORS) - {"cli", "plots"},
    "leaderboard": frozenset(
        {"record", "metrics", "scores", "verify", "suites", "task", "errors", "env"}
        | {"registry", "viewer"}
        | {"agent", "asking", "protocol", "provenance", "runner"}  # a board plays sealed tasks
    ),
}
"""What the other rooms may import from the core."""

THIRD_PARTY = {
    "lamer_bench/cli": {"rich", "typer"},
    "lamer_bench/plots": {"matplotlib", "pandas"},
    "lamer_bench/tables": {"pandas"},
    "lamer_bench": {"gymnasium", "numpy", "pydantic"},
    "environments": {"numpy"},
    "environments/webshop/app": {"flask", "werkzeug"},
    "environments/webshop/browser": {"selenium"},
    "environments/webshop/nouns": {"spacy"},
    "environments/webshop/search": {"bm25s", "numpy"},
    "baselines/training": {"numpy", "safetensors", "tokenizers", "torch", "transformers"},
    "baselines/training/chat_policy": {"huggingface_hub", "tokenizers", "torch", "transformers"},
    "baselines/training/lora": {"peft", "safetensors", "torch"},
    "baselines/training/live": {"rich"},
    "baselines/training/log": {"rich"},
    "baselines/human": {"rich"},
    "baselines/endpoint": {"httpx2"},
    "baselines/local_model": {"huggingface_hub", "jinja2", "peft", "torch", "transformers"},
    "baselines/endpoint_settings": {"pydantic"},
    "baselines": {"numpy", "safetensors", "threadpoolctl", "tokenizers"},
    "leaderboard": {"flask", "markupsafe", "numpy", "pydantic", "werkzeug"},
    "leaderboard/api": {"pyarrow"},
    "leaderboard/database": {"sqlalchemy"},
    "leaderboard/schema": {"sqlalchemy"},
    "leaderboard/serving": {"waitress"},
}
"""Other people's packages, by the longest beginning of a path that fits."""

STREAMLESS = {"Random", "SystemRandom", "getstate", "setstate"}
"""What may be used of `random`: the rest draws from its global stream."""


def broken_rules(path: str, source: str) -> list[str]:
    """The import rules that a file at ``path`` (from the root, with ``/``) breaks."""
    tree = ast.parse(source)
    found = [fault for module in _imports(tree) for fault in _import_faults(path, module)]
    return found + [f"{path} draws from a global stream: {call}" for call in _global_draws(tree)]


def _imports(tree: ast.Module) -> Iterator[str]:
    """Every imported module; for ``from lamer_bench import task`` also ``lamer_bench.task``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            if module == "lamer_bench":
                yield from (f"lamer_bench.{alias.name}" for alias in node.names)
            else:
                yield module


def _import_faults(path: str, module: str) -> Iterator[str]:
    room = path.partition("/")[0]
    top = module.partition(".")[0]
    says = f"{path} imports {module}"
    if not top:
        yield f"{says}: relative imports hide the room"
    elif top == "lamer_bench":
        yield from _core_faults(path, module, says)
    elif top in ROOMS:
        if top != room:
            yield f"{says}: {room} never imports {top}"
        elif module.startswith("baselines.training") and "/training/" not in path:
            yield f"{says}: only training/ imports what needs torch"
    elif top not in sys.stdlib_module_names and top not in _third_party(path):
        yield f"{says}: {top} has no place there"


def _core_faults(path: str, module: str, says: str) -> Iterator[str]:
    room, _, rest = path.partition("/")
    wanted = [*module.split("."), ""][1]
    if not wanted or not _is_module(wanted):
        wanted = "__init__"  # a name of the front page, such as `from lamer_bench import Task`
    own = rest.removesuffix(".py").partition("/")[0]
    if room == "lamer_bench":
        if own in ("__init__", "__main__") or own == wanted:
            return
        if wanted == "__init__" or _floor(wanted) >= _floor(own):
            yield f"{says}: it is not below {own}"
    elif (rest, wanted) in (("catalogue.py", "registry"), ("__init__.py", "__init__")):
        return
    elif wanted not in OPEN_TO[room] and not (wanted == "__init__" and room == "baselines"):
        yield f"{says}: {room} may import {', '.join(sorted(OPEN_TO[room]))}"


def _is_module(name: str) -> bool:
    """True for a file of the core and for a folder, whose files all stand on its floor."""
    core = ROOT / "lamer_bench"
    return (core / f"{name}.py").exists() or (core / name / "__init__.py").exists()


def _floor(module: str) -> int:
    return next(index for index, floor in enumerate(FLOORS) if module in floor)


def _third_party(path: str) -> set[str]:
    allowed: set[str] = set()
    for beginning, names in THIRD_PARTY.items():
        if path.startswith(f"{beginning}/") or path == f"{beginning}.py":
            allowed |= names
    return allowed


def _global_draws(tree: ast.Module) -> Iterator[str]:
    """Calls such as ``random.random()``, ``random.seed(1)``, ``np.random.seed(1)``."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        called = ast.unparse(node.func)
        module, _, name = called.rpartition(".")
        is_numpys = module in ("np.random", "numpy.random") and name in ("seed", "rand", "randint")
        if is_numpys or (module == "random" and name not in STREAMLESS):
            yield called


FILES = [
    path.relative_to(ROOT).as_posix()
    for room in ROOMS
    for path in sorted((ROOT / room).rglob("*.py"))
]


@pytest.mark.parametrize("path", FILES)
def test_a_file_imports_only_what_its_room_may(path: str) -> None:
    assert broken_rules(path, (ROOT / path).read_text(encoding="utf-8")) == []


def test_every_module_of_the_core_has_its_floor() -> None:
    modules = {path.split("/")[1].removesuffix(".py") for path in FILES if "lamer_bench/" in path}
    assert modules - {"__init__", "__main__"} <= frozenset().union(*FLOORS)


@pytest.mark.parametrize(
    ("path", "source", "fault"),
    [
        ("lamer_bench/task.py", "from lamer_bench.env import TextEnv", "not below task"),
        ("lamer_bench/task.py", "from lamer_bench import runner", "not below task"),
        ("lamer_bench/runner.py", "import environments.minesweeper", "never imports environments"),
        ("lamer_bench/runner.py", "def f():\n    from baselines import oracle", "never imports"),
        ("lamer_bench/runner.py", "import matplotlib.pyplot", "matplotlib has no place"),
        ("lamer_bench/scores.py", "import torch", "torch has no place"),
        ("lamer_bench/scores.py", "from lamer_bench.plots import plot", "not below scores"),
        ("lamer_bench/plots/runs.py", "from lamer_bench.cli import output", "not below plots"),
        ("lamer_bench/cli/plotting.py", "import matplotlib", "matplotlib has no place"),
        ("baselines/training/log.py", "from lamer_bench import plots", "may import"),
        ("lamer_bench/env.py", "from . import task", "relative imports"),
        (
            "lamer_bench/checks/agent.py",
            "from lamer_bench.verify import verify",
            "not below checks",
        ),
        ("lamer_bench/checks/agent.py", "from lamer_bench import cli", "not below checks"),
        ("lamer_bench/checks/agent.py", "import typer", "typer has no place"),
        ("lamer_bench/runner.py", "from lamer_bench.checks.agent import AGENT_CHECKS", "not below"),
        ("lamer_bench/runner.py", "from lamer_bench import checks", "not below runner"),
        ("environments/doors.py", "from lamer_bench.checks.promises import NONSENSE", "may import"),
        ("environments/doors.py", "from lamer_bench.protocol import play", "may import env"),
        ("environments/doors.py", "from lamer_bench.registry import ENVIRONMENTS", "may import"),
        ("environments/doors.py", "from baselines.oracle import OracleAgent", "never imports"),
        ("baselines/react.py", "from environments.minesweeper import Minesweeper", "never"),
        ("baselines/react.py", "from lamer_bench.cli import main", "may import"),
        ("baselines/react.py", "import transformers", "transformers has no place"),
        ("baselines/react.py", "from baselines.training.loop import train", "needs torch"),
        ("leaderboard/app.py", "from baselines.oracle import OracleAgent", "never imports"),
        ("environments/doors.py", "import random\nrandom.seed(1)", "global stream: random.seed"),
        ("baselines/react.py", "import random\nrandom.choice([1])", "global stream: random.choice"),
        ("lamer_bench/metrics.py", "np.random.seed(1)", "global stream: np.random.seed"),
    ],
)
def test_a_broken_rule_is_named(path: str, source: str, fault: str) -> None:
    assert fault in "\n".join(broken_rules(path, source))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("environments/catalogue.py", "from lamer_bench.registry import ENVIRONMENTS"),
        ("environments/doors.py", "from lamer_bench.env import TextEnv\nimport numpy"),
        (
            "baselines/react.py",
            "from lamer_bench import Agent, play\nimport random\nrandom.Random(1)",
        ),
        ("baselines/training/ppo.py", "import torch\nfrom baselines.training.loop import train"),
        ("lamer_bench/cli/running.py", "from lamer_bench import runner\nimport typer"),
        ("lamer_bench/plots/runs.py", "import pandas\nfrom lamer_bench.scores import score_run"),
        ("lamer_bench/cli/results.py", "from lamer_bench.checks.agent import AGENT_CHECKS"),
        (
            "lamer_bench/checks/agent.py",
            "from lamer_bench.checks.promises import require\nfrom lamer_bench import runner",
        ),
    ],
)
def test_what_is_allowed_is_not_named(path: str, source: str) -> None:
    assert broken_rules(path, source) == []
