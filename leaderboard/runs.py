"""The runs of verified entries in the viewer: the same page that `lamer-bench view` writes.

That page has a script, which the policy of the page allows by its hash; it is the only place of the
board with one, and without it the JSON API has the same content.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from typing import Any

from flask import Blueprint, Response, abort, current_app

from lamer_bench.record import RunFolder
from lamer_bench.viewer.content import Content
from lamer_bench.viewer.page import served_page, served_trial
from leaderboard.board import Board
from leaderboard.entries import Entry

runs = Blueprint("runs", __name__)
_MOST_OPEN = 4
_POLICY = re.compile(r'http-equiv="Content-Security-Policy" content="([^"]*)"')
_lock = threading.Lock()
"""An environment replays one trial at a time."""


@runs.get("/entries/<int:identity>/runs/<environment>/")
def page(identity: int, environment: str) -> Response:
    """A run's trials as a table, one trial at a time beside it."""
    with _lock:
        text = served_page(_content(identity, environment))
    policy = _POLICY.search(text)
    assert policy is not None
    response = Response(text, mimetype="text/html")
    response.headers["Content-Security-Policy"] = f"{policy[1]}; frame-ancestors 'none'"
    return response


@runs.get("/entries/<int:identity>/runs/<environment>/trial/<int:index>.json")
def trial(identity: int, environment: str, index: int) -> Response:
    """A trial with what the agent saw, by its place in the run."""
    with _lock:
        content = _content(identity, environment)
        if index >= len(content.rows):
            abort(404, "The run has no trial of this number.")
        return Response(served_trial(content, index), mimetype="application/json")


@runs.get("/entries/<int:identity>/runs/<environment>/manifest.json")
def manifest(identity: int, environment: str) -> Response:
    """A run's settings, and where its sender says that it was made."""
    board: Board = current_app.extensions["board"]
    entry = board.entries.get(identity)
    text = entry and manifest_text(board, entry, environment)
    if not text:
        abort(404, "No verified entry has this run.")
    return Response(text, mimetype="application/json")


def manifest_text(board: Board, entry: Entry, environment: str) -> str | None:
    """The manifest of a verified run as it was sent; None where there is none."""
    if environment not in entry.results:
        return None
    try:
        return RunFolder(board.config.runs(entry.digest) / environment).manifest_path.read_text(
            encoding="utf-8"
        )
    except FileNotFoundError:
        return None


def _content(identity: int, environment: str) -> Content:
    board: Board = current_app.extensions["board"]
    entry = board.entries.get(identity)
    if entry is None or environment not in entry.results:
        abort(404, "No verified entry has this run.")
    opened: OrderedDict[Any, Content] = current_app.extensions.setdefault("opened", OrderedDict())
    key = (entry.digest, environment, entry.decided_at)
    if key not in opened:
        opened[key] = Content.of(board.config.runs(entry.digest) / environment)
        while len(opened) > _MOST_OPEN:
            opened.popitem(last=False)
    opened.move_to_end(key)
    return opened[key]
