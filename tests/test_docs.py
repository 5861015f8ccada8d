"""The documents agree with the code, their links lead somewhere, and their examples run."""

from __future__ import annotations

import importlib.util
import inspect
import json
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


POLICIES = sorted((ROOT / "baselines" / "weights").glob("*/*/training.json"))


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
    agents.write_text(agents.read_text(encoding="utf-8").replace("oracle.md", "orakel.md"))
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


def test_every_metric_is_described_with_an_example() -> None:
    functions = inspect.getmembers(metrics, inspect.isfunction)
    text = read("docs/metrics.md")
    public = [name for name, one in functions if one.__module__ == metrics.__name__]
    for name in public:
        assert name[0] == "_" or re.search(
            rf"^### `{name}`$.*?^```python\n{name}\(.*\)  # ", text, re.MULTILINE | re.DOTALL
        )


@pytest.mark.parametrize("name", list(AGENTS))
def test_every_agent_has_its_page(name: str) -> None:
    page = read(f"docs/agents/{name}.md")
    parts = ["Idea", "Details", "Results", "Recipe"]
    if name in docs.agent_pages.ALGORITHMS:
        parts.insert(2, "Logged metrics")
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == parts
    for line in commands(page):
        names = docs.helps()
        known = next(
            text
            for command, text in names
            if f"{line} ".startswith(f"{command} ") and command != "lamer-bench"
        )
        assert line.startswith("lamer-bench train ") or all(
            option in known for option in re.findall(r"(?<= )--[a-z-]+", line)
        ), line


def commands(page: str) -> list[str]:
    """The commands of ours in a page's blocks."""
    text = "\n".join(re.findall(r"^```bash\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    return [line for line in text.splitlines() if line.startswith("lamer-bench ")]


@needs_torch
@pytest.mark.parametrize("algorithm", ["supervised", "lamer", "ppo"])
def test_every_logged_metric_is_described(algorithm: str, tmp_path: Path) -> None:
    """Trains for a step: the log of a real training is what must be described."""
    size = ["--size", '{"width": 32, "layers": 1, "heads": 2, "mlp_width": 64}']
    start = f"train supervised --out {tmp_path}/start --steps 1 --batch-size 4 --reflections 2"
    assert main([*start.split(), "--chunk-trials", "4", *size]) == 0
    out = tmp_path / "start"
    if algorithm != "supervised":
        out = tmp_path / "out"
        train = f"train {algorithm} --start {tmp_path}/start/policy --out {out} --steps 1 --tasks 1"
        options = "--episodes-per-task 6 --minibatches 1 --reference-kl 0.1"
        assert main([*train.split(), *options.split()]) == 0
    lines = (out / "metrics.jsonl").read_text("utf-8").splitlines()
    logged = {re.sub(r"_\d+$", "_k", name) for name in json.loads(lines[0])} - {"step"}
    page = read(f"docs/agents/{algorithm}.md").partition("## Logged metrics")[2]
    described = set(re.findall(r"^\| `(\w+)`", page.partition("## ")[0], re.MULTILINE))
    is_optional = {"value_loss"} if algorithm == "lamer" else set()
    assert described - is_optional == logged


def test_every_command_and_option_is_described() -> None:
    text = read("docs/command-line.md")
    for name, help_text in docs.helps():
        assert f"## {name}\n" in text
        for option in re.findall(r"--[a-z-]+", help_text):
            assert option in text


def test_the_changelog_and_the_citation_know_this_version() -> None:
    assert f"## [{lamer_bench.__version__}]" in read("CHANGELOG.md")
    assert f"\nversion: {lamer_bench.__version__}\n" in read("CITATION.cff")


@pytest.mark.parametrize("policy", POLICIES, ids=lambda one: "/".join(one.parts[-3:-1]))
def test_a_policy_that_ships_has_its_place_on_two_pages(policy: Path) -> None:
    family, agent = policy.parent.parent.name, policy.parent.name
    row = next(line for line in read("docs/agents.md").splitlines() if f"[`{family}`]" in line)
    assert f"`{agent}`" in row
    settings = read(f"docs/agents/{agent}.md").partition("| setting |")[2].splitlines()[0]
    assert f" {family} " in settings


def test_the_page_of_the_starts_shows_the_networks_that_ship() -> None:
    lines = read("docs/agents/supervised.md").splitlines()
    sizes = next(line for line in lines if line.startswith("| `size`")).split(" | ")[1:]
    configs = sorted((ROOT / "baselines" / "weights").glob("*/supervised/config.json"))
    for text, config in zip(sizes, configs, strict=True):
        size, shape = json.loads(text.strip(" |`")), json.loads(config.read_text("utf-8"))
        assert size["width"] == shape["hidden_size"]
        assert size["layers"] == shape["num_hidden_layers"]
        assert size["heads"] == shape["num_attention_heads"]
        assert size["mlp_width"] == shape["intermediate_size"]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda one: "/".join(one.parts[-3:-1]))
def test_a_policy_that_ships_names_its_stages_and_no_path(policy: Path) -> None:
    settings = json.loads(policy.read_text("utf-8"))["settings"]
    named = [settings.get(name) or "" for name in ("start", "player")]
    assert [one for one in named if "/" in one.removeprefix("../")] == []


def test_a_setting_that_all_algorithms_share_is_listed_once() -> None:
    listed = re.findall(r"^\| `(--[a-z-]+)`", read("docs/training.md"), re.MULTILINE)
    assert listed.count("--gamma-step") == 1
    assert listed.count("--divide") == 2


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


def test_the_environment_and_agent_of_its_page_run_as_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = blocks("docs/your-environment.md", "python")
    (tmp_path / "safe.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (commands,) = blocks("docs/your-environment.md", "bash")
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
