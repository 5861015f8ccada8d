"""The documents agree with the code, their links lead somewhere, and their examples run."""

from __future__ import annotations

import importlib.util
import inspect
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import lamer_bench
from lamer_bench import metrics
from lamer_bench.cli import main
from lamer_bench.registry import AGENTS, ENVIRONMENTS

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FAMILIES = [name for name in ENVIRONMENTS if name != "doors" and not ENVIRONMENTS.load(name).plays]


def load_generator() -> ModuleType:
    sys.path.insert(0, str(ROOT / "scripts"))
    spec = importlib.util.spec_from_file_location("docs_generator", ROOT / "scripts" / "docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


docs = load_generator()
needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="the settings of training need torch"
)


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def blocks(path: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", read(path), re.MULTILINE | re.DOTALL)


# Generated parts ---------------------------------------------------------------------------------


@needs_torch
def test_the_generated_parts_are_up_to_date() -> None:
    assert list(docs.stale()) == [], "run: python scripts/docs.py"


@needs_torch
def test_a_stale_part_is_noticed(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "README.md", tmp_path)
    page = tmp_path / "docs" / "environments" / f"{FAMILIES[0]}.md"
    page.write_text(page.read_text(encoding="utf-8").replace("## Reward", "## Prize"))
    agents = tmp_path / "docs" / "agents.md"
    agents.write_text(agents.read_text(encoding="utf-8").replace("`oracle` |", "`orakel` |"))
    assert {"docs/agents.md", f"docs/environments/{FAMILIES[0]}.md"} <= docs.stale(tmp_path).keys()


def test_a_part_without_its_markers_is_an_error() -> None:
    with pytest.raises(SystemExit, match="needs the markers"):
        docs.with_section("no markers", "agents", "a table", "docs/agents.md")


# Everything has its place ------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_an_environment_has_its_page_with_all_its_levels(family: str) -> None:
    page = read(f"docs/environments/{family}.md")
    for level in ENVIRONMENTS.load(family).levels:
        assert f"`{family}-{level}`" in page
    assert f"docs/environments/{family}.md" in read("README.md")


def test_every_agent_is_described() -> None:
    text = read("docs/agents.md")
    assert [name for name in AGENTS if f"`{name}`" not in text] == []


def test_every_metric_is_described() -> None:
    functions = inspect.getmembers(metrics, inspect.isfunction)
    text = read("docs/metrics.md")
    public = [name for name, one in functions if one.__module__ == metrics.__name__]
    missing = [name for name in public if name[0] != "_" and f"`{name}`" not in text]
    assert missing == []


def test_every_command_and_option_is_described() -> None:
    text = read("docs/command-line.md")
    for name, help_text in docs.helps():
        assert f"## {name}\n" in text
        for option in re.findall(r"--[a-z-]+", help_text):
            assert option in text


def test_the_changelog_knows_this_version() -> None:
    assert f"## [{lamer_bench.__version__}]" in read("CHANGELOG.md")


# Links and words ---------------------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        file = (document.parent / name).resolve() if name else document
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def anchors(file: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_document_names_a_private_path(document: Path) -> None:
    found = re.findall(r"(?:/work|/root|/home|/tmp)/\S*", document.read_text(encoding="utf-8"))
    assert found == []


# Examples ----------------------------------------------------------------------------------------


def test_the_gymnasium_example_runs() -> None:
    code = next(block for block in blocks("README.md", "python") if "import gymnasium" in block)
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_the_environment_and_agent_of_the_readme_run_as_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = next(block for block in blocks("README.md", "python") if "class Safe" in block)
    (tmp_path / "safe.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    commands = next(block for block in blocks("README.md", "bash") if "safe:Safe-easy" in block)
    for line in commands.splitlines():
        assert main(shlex.split(line, comments=True)[1:]) == 0
    shown = capsys.readouterr().out
    assert "safe:Safe-easy keeps all" in shown
    assert re.search(r"gain at k=3 +\+0\.[1-9]", shown)


def test_the_readme_has_its_two_commands_first() -> None:
    for heading, word in (("## Run it", "run --agent lamer"), ("## Test it", "-m pytest")):
        part = read("README.md").partition(f"\n{heading}\n")[2].partition("\n## ")[0]
        first = part.partition("```bash\n")[2].partition("```")[0]
        assert first.startswith("python3 -m venv")
        assert word in first
