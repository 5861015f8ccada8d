"""`create_app`: the Flask application, its blueprints, and what every answer has in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, jsonify, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import IntegerConverter

from lamer_bench.errors import LamerBenchError
from leaderboard.api import api
from leaderboard.board import Board
from leaderboard.config import Config
from leaderboard.database import Database
from leaderboard.feeds import feeds
from leaderboard.limits import Limiter
from leaderboard.pages import pages
from leaderboard.runs import runs
from leaderboard.sealed_api import Desk, sealed

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""No script at all, nothing from another host."""


class _Number(IntegerConverter):
    """A number in an address, of no more digits than a database takes."""

    regex = r"\d{1,18}"


def create_app(config: Config, database: Database | None = None) -> Flask:
    """The application; opens the database that ``config`` names unless one is given."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = config.most_bytes
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.converters["int"] = _Number
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    database = database or Database(config.database_url)
    desk = Desk(config, database) if config.sealed_salt else None
    app.extensions["sealed"] = desk
    app.extensions["board"] = Board(config, database, desk.seal.drawn_from if desk else "")
    app.extensions["submissions"] = Limiter(config.submissions_a_minute)
    app.extensions["refusals"] = Limiter(config.refused_tokens_a_minute)
    (config.folder / "bundles").mkdir(parents=True, exist_ok=True)
    for blueprint in (api, sealed, pages, runs, feeds):
        app.register_blueprint(blueprint)
    app.after_request(_headers)
    app.register_error_handler(LamerBenchError, lambda error: _failed(404, str(error)))
    app.register_error_handler(HTTPException, _http_failed)
    app.register_error_handler(Exception, _broken)
    if config.url:
        proxied = ProxyFix(_at(config.url, app.wsgi_app), x_for=1, x_proto=0, x_host=0)
        app.wsgi_app = proxied  # type: ignore[method-assign]
    return app


def _at(url: str, inner: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """The application at its public address, whatever a request says of scheme and host."""
    parts = urlsplit(url)

    def outer(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        environ |= {"wsgi.url_scheme": parts.scheme, "HTTP_HOST": parts.netloc}
        return inner(environ, start)

    return outer


def _headers(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", POLICY)
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    headers["X-Frame-Options"] = "DENY"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers.setdefault("Cache-Control", "no-cache")
    return response


def _http_failed(error: HTTPException) -> Any:
    response = error.get_response()
    code = error.code or 500
    if 300 <= code < 400:
        return response
    answer, code = _failed(code, error.description or error.name)
    for name in ("Allow", "Retry-After", "WWW-Authenticate"):
        if name in response.headers:
            answer.headers[name] = response.headers[name]
    return answer, code


def _broken(error: Exception) -> Any:
    """Something that should not happen: logged here, not told to the client."""
    from flask import current_app

    current_app.logger.error("%s %s", request.method, request.path, exc_info=error)
    return _failed(500, "Something broke on the board's side; it is in the board's log.")


def _failed(code: int, message: str) -> tuple[Response, int]:
    line = " ".join(message.split())
    if request.path.startswith("/api/") or request.path.endswith(("/healthz", ".json")):
        return jsonify({"error": line}), code
    page = render_template("message.html", title=f"Error {code}", message=line)
    return Response(page, mimetype="text/html"), code
