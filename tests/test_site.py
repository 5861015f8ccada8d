"""The documentation site builds without a warning, loads nothing from elsewhere and has no broken
link; the commands of its first pages run."""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote
from urllib.request import urlopen

import pytest

from lamer_bench.cli import main

ROOT = Path(__file__).resolve().parent.parent


class Page(HTMLParser):
    """The links and ids of a page, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        self.ids |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif "src" in found:
            self.loads.append(found["src"])
        elif tag == "link" and found.get("rel") != "canonical":
            self.loads.append(found["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="the site needs the [docs] extra")
    pytest.importorskip("material", reason="the site needs the [docs] extra")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=quiet)
    assert done.returncode == 0, done.stderr
    return out


def pages(site: Path) -> Iterator[tuple[Path, Page]]:
    for file in sorted(site.rglob("*.html")):
        if file.name != "404.html":  # its links are absolute
            yield file, Page(file.read_text("utf-8"))


@pytest.mark.slow
def test_every_document_is_a_page(site: Path) -> None:
    written = {file.relative_to(site).with_suffix("").as_posix() for file, _ in pages(site)}
    documents = {
        file.relative_to(ROOT / "docs").with_suffix("").as_posix()
        for file in (ROOT / "docs").rglob("*.md")
    }
    assert written == documents | {"index", "file-map"}
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[2]
    assert [name for name in written if f"{name}.md" not in navigation] == []


@pytest.mark.slow
def test_no_link_is_broken_and_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    found = dict(pages(site))
    for file, page in found.items():
        assert [one for one in page.loads if re.match(r"(?:https?:)?//", one)] == [], file.name
        gone = [one for one in page.loads if not (file.parent / one.partition("?")[0]).exists()]
        assert [one for one in gone if not one.startswith("data:")] == [], file.name
        for link in page.links:
            path, _, anchor = unquote(link).partition("#")
            if "://" in path or path.startswith("mailto:"):
                continue
            target = (file.parent / path).resolve() if path else file
            target = target / "index.html" if target.is_dir() else target
            assert target.exists(), f"{file.name}: {link}"
            if anchor and target in found:
                assert anchor in found[target].ids, f"{file.name}: {link}"


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["quickstart.md", "your-agent.md"])
def test_the_commands_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is in the [plots] extra")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for code in blocks(page, "python"):
        (tmp_path / "cautious.py").write_text(code, "utf-8")
    commands = [line for block in blocks(page, "bash") for line in block.splitlines()]
    assert commands
    for line in commands:
        assert main(shlex.split(line, comments=True)[1:]) == 0, line


@pytest.mark.slow
def test_every_command_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they stand there, but for the folders; installing and pytest are left to
    scripts/newcomer.py and .ci/run, which run those blocks whole."""
    pytest.importorskip("matplotlib", reason="matplotlib is in the [plots] extra")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("quit\n" * 5))
    readme = (ROOT / "README.md").read_text("utf-8")
    found = re.findall(r"^```bash\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    lines = [line for block in found for line in block.splitlines() if line.strip()]
    assert len(lines) > 15
    other = "run --agent random --env minesweeper-hard --tasks 20 --out runs/other"
    assert main(other.split()) == 0
    for line in lines:
        words = shlex.split(line, comments=True)
        if not words[0].endswith("lamer-bench"):
            assert re.search(r"venv \.venv|pip install|-m pytest", line), line
            continue
        names = {"RUN": "runs/minesweeper-hard/lamer", "OTHER_RUN": "runs/other"}
        words = [names.get(word, word) for word in words[1:]]
        if "--web" in words:
            serves_pages(words)
        else:
            assert main(words) == 0, line


def serves_pages(words: list[str]) -> None:
    command = [sys.executable, "-m", "lamer_bench", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        address = re.search(r"http://\S+", serving.stdout.readline())
        assert address is not None
        with urlopen(address[0], timeout=60) as answer:
            assert answer.status == 200
        serving.terminate()  # Ctrl+C is ignored by what a script has started in the background
        serving.wait(timeout=60)


def test_the_notebook_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is in the [export] extra")
    monkeypatch.chdir(tmp_path)
    run = "run --agent random --env minesweeper-easy --tasks 3 --out runs/one"
    assert main(run.split()) == 0
    (code,) = blocks("seeing-results.md", "python")
    *statements, last = code.strip().splitlines()
    names: dict[str, object] = {}
    exec("\n".join(statements), names)
    shown = eval(last, names)
    assert isinstance(shown, pandas.Series)
    assert list(shown.index) == [("random", "minesweeper-easy")]


# The scripts of the cluster page, with Slurm's variables and without Slurm --------------------


def bash(script: str, folder: Path, *arguments: str, **variables: str) -> None:
    path = f"{folder}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["bash", str(ROOT / "recipes" / "cluster" / script), *arguments],
        cwd=folder,
        env={**os.environ, "PATH": path, **variables},
        check=True,
        capture_output=True,
    )


def test_a_job_of_the_array_plays_its_environment_and_goes_on(tmp_path: Path) -> None:
    for tasks in ("3", "3"):  # the second time there is nothing left to do
        bash("evaluate.sbatch", tmp_path, AGENT="random", TASKS=tasks, SLURM_ARRAY_TASK_ID="7")
    assert [file.parent for file in tmp_path.rglob("manifest.json")] == [
        tmp_path / "runs" / "sokoban-hard" / "random"
    ]


def test_the_training_job_starts_a_process_for_each_gpu(tmp_path: Path) -> None:
    launcher = tmp_path / "torchrun"
    launcher.write_text('#!/bin/sh\necho "$@" > called\n', "utf-8")
    launcher.chmod(0o755)
    variables = {"START": "model", "OUT": "out", "SLURM_GPUS_ON_NODE": "4"}
    bash("train.sbatch", tmp_path, "--lora-rank", "16", **variables)
    called = (tmp_path / "called").read_text("utf-8").strip()
    page = (ROOT / "docs" / "your-own-model.md").read_text("utf-8")
    as_documented = "torchrun --standalone --nproc-per-node 2 -m -- lamer_bench train lamer --start"
    assert as_documented in page
    assert called == (
        as_documented.removeprefix("torchrun ").replace("node 2", "node 4")
        + " model --out out --lora-rank 16"
    )
