"""The shop as a web site: the same pages as HTML, a session for each visitor; needs Flask.

A click is a form that is sent, so that pages work without JavaScript; what it does is decided by
`visit`, as for every other door. All that an agent reads carries ``data-role``, in the order of the
page's elements; what a person sees besides (turns left, a note) stands outside ``<main>``.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

from environments.webshop.pages import Element, Page
from environments.webshop.visit import LONGEST_QUERY, Visit, read_action
from lamer_bench.errors import MissingExtraError

try:
    import flask
    from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
except ImportError as error:
    raise MissingExtraError(
        "The shop's web pages need Flask. Install it: pip install 'lamer-bench[browser]'."
    ) from error

HOST = "127.0.0.1"
MOST_VISITORS = 1_000
"""The visitor who has been away longest makes room for the next."""
_POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'"


@dataclass
class Visitor:
    """Somebody in the shop."""

    visit: Visit
    turns: int = 0
    """Actions taken so far."""
    note: str = ""
    """What to tell about the last one."""


class Lobby:
    """Who is in the shop, by the name that their addresses carry."""

    def __init__(
        self, welcome: Callable[[], Visit] | None = None, turn_limit: int | None = None
    ) -> None:
        self.turn_limit = turn_limit
        """Turns of an attempt; None where the visitor counts them."""
        self._welcome = welcome
        self._visitors: OrderedDict[str, Visitor] = OrderedDict()
        self._lock = threading.RLock()

    def enter(self, visit: Visit | None = None) -> str:
        """The name of a new visitor, who comes for ``visit`` or for what the shop was opened
        with."""
        with self._lock:
            if visit is None:
                if self._welcome is None:
                    flask.abort(404)
                visit = self._welcome()
            name = secrets.token_urlsafe(12)
            self._visitors[name] = Visitor(visit)
            if len(self._visitors) > MOST_VISITORS:
                self._visitors.popitem(last=False)
            return name

    def find(self, name: str) -> Visitor:
        """The visitor of that name; a 404 page where there is none."""
        with self._lock:
            if name not in self._visitors:
                flask.abort(404)
            self._visitors.move_to_end(name)
            return self._visitors[name]

    def leave(self, name: str) -> None:
        """Forget a visitor."""
        with self._lock:
            self._visitors.pop(name, None)

    def act(self, name: str, answer: str) -> None:
        """Let a visitor take a turn; one that names nothing on the page changes nothing."""
        with self._lock:
            visitor = self.find(name)
            if self.is_over(visitor):
                return
            action = read_action(answer, visitor.visit.page)
            visitor.turns += 1
            visitor.note = "" if action else "That is not on this page."
            if action:
                visitor.visit.act(action)

    def is_over(self, visitor: Visitor) -> bool:
        """True after a purchase, and when no turn is left."""
        is_late = self.turn_limit is not None and visitor.turns >= self.turn_limit
        return visitor.visit.score is not None or is_late


def create_app(lobby: Lobby) -> flask.Flask:
    """The web site."""
    app = flask.Flask(__name__)
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 3600
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True

    @app.get("/")
    def enter() -> flask.typing.ResponseReturnValue:
        return flask.redirect(flask.url_for("show", name=lobby.enter()), 303)

    @app.get("/visit/<name>")
    def show(name: str) -> str:
        visitor = lobby.find(name)
        page = visitor.visit.page
        return flask.render_template(
            "page.html",
            page=page,
            blocks=list(blocks(page)),
            visitor=visitor,
            lobby=lobby,
            longest_query=LONGEST_QUERY,
        )

    @app.post("/visit/<name>")
    def act(name: str) -> flask.typing.ResponseReturnValue:
        form = flask.request.form
        answer = (
            f"click[{form['click']}]" if "click" in form else f"search[{form.get('words', '')}]"
        )
        lobby.act(name, answer)
        return flask.redirect(flask.url_for("show", name=name), 303)

    @app.errorhandler(404)
    def gone(_: Exception) -> tuple[str, int]:
        return flask.render_template("gone.html"), 404

    @app.after_request
    def protect(response: flask.Response) -> flask.Response:
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        if response.mimetype == "text/html":
            response.headers["Cache-Control"] = "no-store"
        return response

    return app


def blocks(page: Page) -> Iterator[tuple[str, list[Element]]]:
    """The elements in their order, those together that stand together: a row of buttons, the
    values of an option after its name, a product with its title and price."""
    rest = list(page.elements)
    while rest:
        kind, size = _first_block(rest)
        yield kind, rest[:size]
        rest = rest[size:]


def _first_block(elements: list[Element]) -> tuple[str, int]:
    first, *others = elements
    if first.role == "product":
        return "product", 3
    if first.role == "button":
        return "buttons", _run(elements)
    following = others[0].role if others else ""
    if first.role == "text" and following == "option":
        return "option", 1 + _run(others)
    if first.role == "text" and following == "instruction":
        return "instruction", 2
    return first.role, 1


def _run(elements: list[Element]) -> int:
    """How many elements at the beginning have the same role and belong to the same option."""
    return len(list(next(groupby(elements, key=lambda e: (e.role, e.group)))[1]))


class _Handler(WSGIRequestHandler):
    """Keeps connections open, and says nothing of single requests."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


class Server:
    """A web site on a free port of this machine, answered by threads of this process."""

    def __init__(self, lobby: Lobby, port: int = 0) -> None:
        self._server: BaseWSGIServer = make_server(
            HOST, port, create_app(lobby), threaded=True, request_handler=_Handler
        )
        self.address = f"http://{HOST}:{self._server.port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until it is closed or the program interrupted."""
        self._thread.join()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve(lobby: Lobby, announce: Callable[[str], None]) -> None:
    """Open the shop for a person's own browser until the program is interrupted; ``announce`` is
    told the address."""
    server = Server(lobby)
    try:
        announce(server.address)
        server.wait()
    finally:
        server.close()
