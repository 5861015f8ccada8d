"""The pages, as a browser without scripts reads them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lamer_bench.record import RunFolder
from lamer_bench.runner import default_folder
from lamer_bench.suites import DEFAULT_SUITE, load_suite
from leaderboard.bundles import pack
from tests.leaderboard.conftest import CARD, ENVIRONMENT, Lab

ADDRESSES = (
    *("/", "/?family=minesweeper&level=easy&sort=pass3&order=asc", "/verification", "/submitting"),
    *("/audit", f"/environments/{ENVIRONMENT}", "/entries/1", "/compare?entries=1&entries=2"),
)
VOID = {"meta", "link", "input", "br", "img", "line", "circle", "rect", "polyline", "polygon"}


class Page(HTMLParser):
    """Tags in their order, texts of headings, links, and rows of tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[str] = []
        self.links: list[str] = []
        self.scripts = 0
        self.rows: list[list[str]] = []
        self.handlers: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], "tags left open"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.handlers += [name for name in values if name.startswith("on") or name == "style"]
        self.scripts += tag == "script"
        self.links += [values[name] or "" for name in ("href", "src", "action") if name in values]
        if tag in ("h1", "h2"):
            self.headings.append("")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings[-1] += data
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data


def page(lab: Lab, address: str) -> Page:
    answer = lab.client.get(address)
    assert answer.status_code == 200, answer.text
    return Page(answer.text)


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_page_runs_nothing_and_asks_no_other_host(address: str, filled: Lab) -> None:
    answer = filled.client.get(address)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy
    found = Page(answer.text)
    assert found.scripts == 0
    assert found.handlers == []
    assert all(link.startswith(("/", "#")) for link in found.links), found.links
    assert len(found.headings) >= 1


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_link_leads_somewhere(address: str, filled: Lab) -> None:
    for link in {link.partition("#")[0] for link in page(filled, address).links} - {""}:
        with filled.client.get(link) as answer:
            assert answer.status_code in (200, 303), link


def test_an_empty_board_invites(lab: Lab) -> None:
    for address in ("/", f"/environments/{ENVIRONMENT}", "/audit"):
        assert page(lab, address).headings
    assert "Submit the first one" in lab.client.get("/").text


def test_the_table_shows_the_scores(filled: Lab) -> None:
    rows = page(filled, f"/environments/{ENVIRONMENT}").rows
    heading, first, second = rows[0], rows[1], rows[2]
    assert [text.split()[0] for text in heading[1:]][:3] == ["rank", "agent", "pass@1"]
    assert "Explorer & Co" in first[2]
    assert (first[1], second[1]) == ("1", "2")
    scores = filled.database.entries()[1].results[ENVIRONMENT].scores
    for place, k in ((3, "1"), (4, "2"), (5, "3")):
        low, high = (100 * end for end in scores["pass_at_ci"][k])
        expected = f"{100 * scores['pass_at'][k]:.1f} [{low:.1f}, {high:.1f}]"
        assert " ".join(first[place].split()) == expected


def names(found: Page) -> list[str]:
    return [row[2].split("\n")[0].strip() for row in found.rows[1:]]


def test_columns_sort_both_ways_and_filters_keep_the_ranks(filled: Lab) -> None:
    address = f"/environments/{ENVIRONMENT}"
    assert names(page(filled, f"{address}?sort=agent")) == ["Chance", "Explorer & Co"]
    assert names(page(filled, f"{address}?sort=agent&order=desc")) == ["Explorer & Co", "Chance"]
    assert names(page(filled, f"{address}?sort=pass3")) == ["Explorer & Co", "Chance"]
    assert names(page(filled, f"{address}?sort=pass3&order=asc")) == ["Chance", "Explorer & Co"]
    assert page(filled, f"{address}?kind=prompting").rows == []
    assert page(filled, f"{address}?kind=scripted").rows[2][1] == "2"


@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("/?sort=nothing", "No sort is called"),
        ("/?family=minesweper", "Did you mean"),
        ("/?suite=lamer-99", "No suite version"),
        ("/environments/nowhere", "No environment is called"),
        ("/compare?entries=1", "Give 2 to 8"),
        ("/compare?entries=1&entries=99", "No verified entry has the number"),
        ("/compare?entries=1&entries=%3Cscript%3E", "No verified entry"),
        ("/entries/99", "There is no such entry"),
        (f"/entries/{10**20}", "not found"),
        (f"/entries/{'9' * 5000}", "not found"),
        (f"/entries/1/runs/{ENVIRONMENT}/trial/{10**20}.json", "not found"),
        (f"/api/v1/entries/{2**63}", "not found"),
        (f"/api/v1/entries/{2**63}/bundle", "not found"),
        ("/entries/1/runs/sokoban-easy/", "No verified entry has this run"),
        ("/theme/pink", "No theme is called"),
        ("/nothing", "not found"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(address: str, line: str, filled: Lab) -> None:
    answer = filled.client.get(address)
    assert answer.status_code in (400, 404)
    assert line in answer.text
    assert "<script" not in answer.text
    assert Page(answer.text).scripts == 0


@pytest.mark.parametrize(
    "back",
    ["//[", "//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"],
)
def test_the_colours_go_back_to_this_board_only(back: str, filled: Lab) -> None:
    answer = filled.client.get("/theme/dark", query_string={"back": back})
    assert answer.headers["Location"] == "/"
    assert "SameSite=Lax" in answer.headers["Set-Cookie"]
    filled.client.delete_cookie("theme")


def test_the_colours_are_remembered(filled: Lab) -> None:
    answer = filled.client.get("/theme/dark", query_string={"back": "/audit?before=9"})
    assert answer.headers["Location"] == "/audit?before=9"
    assert 'data-theme="dark"' in filled.client.get("/").text
    filled.client.delete_cookie("theme")
    assert 'data-theme="auto"' in filled.client.get("/").text


def test_texts_of_strangers_are_escaped(lab: Lab, bundle: Callable[..., Path]) -> None:
    lab.submit(bundle(name="Tom & \"Jerry\" 'x'", link="https://a.example/?a=1&b=%22"))
    text = lab.client.get("/entries/1").text
    assert "Tom &amp; &#34;Jerry&#34; &#39;x&#39;" in text
    assert 'href="https://a.example/?a=1&amp;b=%22"' in text


def test_markup_in_a_run_is_shown_as_text(
    lab: Lab, played: Callable[..., RunFolder], tmp_path: Path
) -> None:
    """Where a run may hold any text, it may hold this."""
    evil = "</pre><script>alert(1)</script>\x1b[2J\u202e<img src=x onerror=alert(1)>"
    run = RunFolder(shutil.copytree(played().path, tmp_path / "run"))
    manifest = json.loads(run.manifest_path.read_text())
    manifest["settings"]["agent"] = evil
    manifest["settings"]["agent_settings"] = {evil: [evil]}
    manifest["provenance"] |= dict.fromkeys(("created", "python", "platform", "git_commit"), evil)
    manifest["provenance"] |= {"command_line": [evil], "packages": {evil: evil}}
    run.manifest_path.write_text(json.dumps(manifest))
    bundle = tmp_path / "bundle.zip"
    pack([run], CARD, bundle)
    assert lab.submit(bundle)["state"] == "verified"
    for address in ("/", "/entries/1", f"/environments/{ENVIRONMENT}", "/audit"):
        found = page(lab, address)
        assert (found.scripts, found.handlers) == (0, []), address
    viewer = lab.client.get(f"/entries/1/runs/{ENVIRONMENT}/").text
    assert "<script>alert" not in viewer
    assert "<img" not in viewer
    for path in ("manifest.json", "trial/0.json"):
        answer = lab.client.get(f"/entries/1/runs/{ENVIRONMENT}/{path}")
        assert answer.mimetype == "application/json"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_trajectory_opens_in_the_viewer_under_its_own_policy(filled: Lab) -> None:
    answer = filled.client.get(f"/entries/1/runs/{ENVIRONMENT}/")
    policy = answer.headers["Content-Security-Policy"]
    assert re.search(r"script-src 'sha256-[^']+'", policy)
    assert "unsafe" not in policy
    trial = filled.client.get(f"/entries/1/runs/{ENVIRONMENT}/trial/0.json").get_json()
    assert trial["episodes"]
    assert filled.client.get(f"/entries/1/runs/{ENVIRONMENT}/trial/9999.json").status_code == 404


def test_every_environment_of_the_suite_has_a_page(filled: Lab) -> None:
    listed: Any = load_suite(DEFAULT_SUITE).environments
    for environment in listed:
        found = filled.client.get(f"/environments/{environment}").text
        assert "First observation of test task 0" in found


def test_the_commands_to_submit_name_the_folder_that_a_run_makes(
    filled: Lab, played: Callable[..., RunFolder]
) -> None:
    text = filled.client.get("/submitting").text
    said = re.search(r"run --agent (\S+) --env \S+ --tasks (\d+)", text)
    assert said is not None
    usual = played().manifest().settings
    settings = usual.model_copy(update={"agent": said[1], "tasks": int(said[2])})
    folder = default_folder(settings, usual.memory).name
    assert f"submit runs/*/{folder} " in text
    documents = Path(__file__).parents[2] / "docs"
    assert f"submit runs/*/{folder} " in (documents / "submit.md").read_text("utf-8")


def test_a_page_of_an_environment_is_of_no_other_one(filled: Lab) -> None:
    found = page(filled, f"/environments/{ENVIRONMENT}?environment=sokoban-medium")
    assert found.headings[0] == ENVIRONMENT


def test_void_trials_are_told_where_a_row_is(lab: Lab, bundle: Callable[..., Path]) -> None:
    sent = lab.submit(bundle())
    for voids, text in ((1, "1 void trial<"), (2, "2 void trials<")):
        stored = lab.database.entry_by_digest(sent["digest"])
        assert stored is not None
        found = stored.results[ENVIRONMENT]
        scores = {**found.scores, "voids": voids}
        lab.database.verify_again("operator", [sent["digest"]])
        job = lab.database.claim(30.0)
        assert job is not None
        changed = {"scores": scores, "tasks": dict(found.tasks), "num_turns": 1}
        lab.database.verified(job, stored.suite, "none", {ENVIRONMENT: changed})
        assert text in lab.client.get(f"/environments/{ENVIRONMENT}").text


def test_a_long_table_is_paged_and_whole(filled: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from leaderboard import pages

    monkeypatch.setattr(pages, "ROWS_A_PAGE", 1)
    address = f"/environments/{ENVIRONMENT}?kind=scripted"
    both = names(page(filled, f"{address}&page=1")) + names(page(filled, f"{address}&page=2"))
    assert both == ["Explorer & Co", "Chance"]
