"""The pages: rendered here, usable without a script, from no other host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    redirect,
    render_template,
    request,
    url_for,
)

from lamer_bench.task import split_environment_id
from leaderboard import charts
from leaderboard.api import board, compared, described
from leaderboard.board import COLUMNS, KINDS, SPLITS, Selection, present_suite
from leaderboard.bundles import MOST_BYTES
from leaderboard.entries import Entry
from leaderboard.ranking import Row, Value, control_at, paired
from leaderboard.rules import CONTROL_EPISODES, EPISODES, FEWEST_TASKS, SPLIT
from leaderboard.runs import manifest_text

pages = Blueprint("pages", __name__)
THEMES = ("light", "dark", "auto")
ROWS_A_PAGE = 100
_MOST_FLIPS = 12
"""Tasks that a comparison lists on each side."""


@pages.app_context_processor
def _common() -> dict[str, Any]:
    theme = request.cookies.get("theme", "auto")
    return {
        "board_title": board().config.title,
        "theme": theme if theme in THEMES else "auto",
        "here": request.full_path.rstrip("?"),
        "percent": percent,
        "interval_text": interval_text,
        "interval": charts.interval,
    }


@pages.get("/theme/<name>")
def theme(name: str) -> Any:
    """Remember light, dark or auto, and go back."""
    if name not in THEMES:
        abort(404, f"No theme is called {name[:20]!r}. Themes: {', '.join(THEMES)}.")
    try:
        back = urlsplit(request.args.get("back", "/"))
    except ValueError:  # such as //[
        back = urlsplit("/")
    is_local = not back.scheme and not back.netloc and back.path.startswith("/")
    safe = is_local and not back.path.startswith("//") and "\\" not in back.path
    response = redirect(f"{back.path}?{back.query}" if safe else "/", 303)
    response.set_cookie("theme", name, max_age=31_536_000, samesite="Lax", httponly=True)
    return response


@pages.get("/")
def overview() -> Any:
    """The table over the suite, or what the query selects of it."""
    return _table_page("overview.html", {}, lambda shown: {})


@pages.get("/environments/<environment>")
def environment(environment: str) -> Any:
    """One environment: what it is, its table, pass@k of the first entries."""
    own = {"environment": environment}
    return _table_page("environment.html", own, lambda shown: _about(environment, shown))


def _table_page(
    template: str, own: dict[str, str], more: Callable[[list[Row]], dict[str, Any]]
) -> Response:
    """Rendered once for each address, as long as the board does not change."""

    def render() -> str:
        selection = board().selection(request.args.to_dict() | own)
        number = request.args.get("page", "1")
        number = number if number.isascii() and number.isdigit() and len(number) < 6 else "1"
        rows = board().rows(selection)
        start = (max(1, int(number)) - 1) * ROWS_A_PAGE
        return render_template(
            template,
            selection=selection,
            rows=rows[start : start + ROWS_A_PAGE],
            num_rows=len(rows),
            page=max(1, int(number)),
            num_pages=-(-len(rows) // ROWS_A_PAGE),
            covered=board().covered(selection),
            choices=_choices(selection),
            columns=COLUMNS,
            link=lambda **changes: _address(selection.with_(**changes)),
            page_link=lambda n: _address(selection, page=str(n)),
            **more(rows),
        )

    key = (request.full_path, request.cookies.get("theme"))
    return Response(board().remembered(key, render), mimetype="text/html")


def _choices(selection: Selection) -> dict[str, list[str]]:
    parts = [split_environment_id(name) for name in board().environments(selection.suite)]
    return {
        "suite": board().suites,
        "split": list(SPLITS),
        "family": list(dict.fromkeys(family for family, _ in parts)),
        "level": list(dict.fromkeys(level for _, level in parts)),
        "kind": list(KINDS),
        "weights": ["open", "closed"],
    }


def _address(selection: Selection, **more: str) -> str:
    """The page of a selection; values that say nothing are left out."""
    names = ("suite", "split", "family", "level", "kind", "weights", "sort", "order")
    values = {name: getattr(selection, name) for name in names} | more
    usual = {"suite": present_suite(), "split": SPLITS[0], "sort": "rank"}
    query = urlencode({n: v for n, v in values.items() if v and v != usual.get(n)})
    if selection.environment:
        path = url_for("pages.environment", environment=selection.environment)
    else:
        path = url_for("pages.overview")
    return f"{path}?{query}" if query else path


def _about(environment: str, rows: list[Row]) -> dict[str, Any]:
    curves = [charts.Curve(row.entry.card.name, row.pass_at) for row in rows[: charts.MOST_CURVES]]
    label = f"pass@k on {environment} of the first {len(curves)} entries, with 95 % bands"
    return {"chart": charts.pass_curves(curves, label), "about": described(environment)}


@pages.get("/entries/<int:identity>")
def entry(identity: int) -> Any:
    """A submission: its verdict, and what was computed from it."""
    found = board().entry(identity)
    if found is None:
        abort(404, "There is no such entry.")
    rows = [
        _single(found, name) for name in board().environments(found.suite) if name in found.results
    ]
    return render_template(
        "entry.html",
        entry=found,
        rows=rows,
        sealed=[_single(found, name, "sealed") for name in found.sealed],
        manifests=[
            (name, text)
            for name in found.results
            if (text := manifest_text(board(), found, name)) is not None
        ],
        charts=[(row.environments[0], _curves(row)) for row in rows],
        turns=sum(result.num_turns for result in found.results.values()),
    )


def _single(found: Entry, environment: str, split: str = SPLITS[0]) -> Row:
    ranked = board().table(found.suite, (environment,), split)
    return next(row for row in ranked if row.entry.id == found.id)


def _curves(row: Row) -> Any:
    result = row.entry.results[row.environments[0]]
    wiped = [control_at(result, int(k)) for k in result.scores["independent_pass_at"]]
    curves = [charts.Curve("with memory", row.pass_at)]
    curves += [charts.Curve("memory wiped", wiped, is_control=True)] if wiped else []
    return charts.pass_curves(curves, f"pass@k on {row.environments[0]}, with and without memory")


@pages.get("/compare")
def compare() -> Any:
    """Two entries or more, the first against each other one."""
    text = ",".join(request.args.getlist("entries"))
    if not text:
        return redirect(url_for("pages.overview"), 303)
    first, *others = compared(text)
    names = board().environments(first.suite)
    pairs = [(other, paired(first, other, names)) for other in others]
    return render_template("compare.html", first=first, pairs=pairs, most=_MOST_FLIPS)


@pages.get("/verification")
def verification() -> Any:
    """How a number gets onto this board, and what a replay cannot show."""
    return render_template(
        "verification.html",
        suite=present_suite(),
        split=SPLIT,
        episodes=EPISODES,
        control=CONTROL_EPISODES,
        tasks=FEWEST_TASKS,
    )


@pages.get("/submitting")
def submitting() -> Any:
    """How to submit."""
    return render_template(
        "submitting.html",
        url=request.host_url.rstrip("/"),
        megabytes=MOST_BYTES // 2**20,
        has_sealed=current_app.extensions["sealed"] is not None,
    )


@pages.get("/audit")
def audit() -> Any:
    """What happened to submissions, newest first."""
    before = request.args.get("before", "")
    number = int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None
    lines = board().database.audit(number)
    return render_template("audit.html", lines=lines, more=len(lines) == ROWS_A_PAGE)


@pages.app_template_filter("place")
def place(task: str) -> str:
    """``minesweeper-hard/test/17`` -> ``17``."""
    return task.rpartition("/")[2]


def percent(value: Value | float | None, digits: int = 1) -> str:
    """A share as percent; a dash for nothing."""
    number = value.value if isinstance(value, Value) else value
    return "–" if number is None else f"{100 * number:.{digits}f}"


def interval_text(value: Value | None, scale: float = 100, digits: int = 1) -> str:
    """``[12.3, 45.6]``; empty without an interval."""
    if value is None or value.low is None or value.high is None:
        return ""
    return f"[{scale * value.low:.{digits}f}, {scale * value.high:.{digits}f}]"
