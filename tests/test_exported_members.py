"""The front page: what `import lamer_bench` offers, and that each of it is documented."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import lamer_bench
from lamer_bench import errors

FRONT_PAGE = [
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


def test_the_front_page_is_as_agreed() -> None:
    assert sorted(lamer_bench.__all__) == FRONT_PAGE


@pytest.mark.parametrize("name", FRONT_PAGE)
def test_what_is_exported_exists_and_is_documented(name: str) -> None:
    member = getattr(lamer_bench, name)
    assert name == "__version__" or inspect.getdoc(member)


@pytest.mark.parametrize("name", [name for name in FRONT_PAGE if name != "__version__"])
def test_public_methods_are_documented(name: str) -> None:
    member = getattr(lamer_bench, name)
    methods = inspect.getmembers(member, inspect.isfunction) if inspect.isclass(member) else []
    own = [function for key, function in methods if not key.startswith("_")]
    ours = [function for function in own if function.__module__.startswith("lamer_bench")]
    assert [function.__qualname__ for function in ours if not inspect.getdoc(function)] == []


def test_the_version_is_the_distributions() -> None:
    assert lamer_bench.__version__ == version("lamer-bench")


def test_every_exception_stands_in_the_drawn_tree() -> None:
    classes = [
        name
        for name, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, errors.LamerBenchError)
    ]
    drawn = re.findall(r"^[├└]── (\w+)", errors.__doc__ or "", re.MULTILINE)
    assert sorted(classes) == sorted([*drawn, "LamerBenchError"])


def test_importing_it_loads_nothing_heavy() -> None:
    heavy = ["torch", "transformers", "pandas", "matplotlib", "tokenizers", "rich", "typer"]
    heavy += ["flask", "selenium", "bm25s"]
    code = f"import sys, lamer_bench; print([name for name in {heavy} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_a_shadowed_package_is_named_with_both_paths(tmp_path: Path) -> None:
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "__init__.py").write_text("")
    code = "import sys; sys.path.insert(0, sys.argv[1]); import lamer_bench"
    command = [sys.executable, "-c", code, str(tmp_path)]
    failed = subprocess.run(command, capture_output=True, text=True, check=False)
    last_line = failed.stderr.strip().splitlines()[-1]
    assert "ShadowedPackageError" in last_line
    assert str(tmp_path / "environments") in last_line
    assert str(Path(lamer_bench.__file__).parent.parent / "environments") in last_line
