"""The server behind `lamer-bench view --serve`: the page with its rows, and trials one by one.

It listens on this machine only and answers requests that name it by a local name, so that no other
page can read a run through the browser.
"""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lamer_bench.viewer.content import Content
from lamer_bench.viewer.page import served_page, served_trial

LOCAL_NAMES = ("127.0.0.1", "localhost")
_TRIAL = re.compile(r"/trial/([0-9]{1,9})\.json")


class Server(ThreadingHTTPServer):
    """Serves one run; an environment replays one trial at a time."""

    daemon_threads = True

    def __init__(self, content: Content, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self._content = content
        self._page = served_page(content)
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def find(self, path: str) -> tuple[str, str] | None:
        """(content type, text) of a path; None where there is nothing."""
        if path == "/":
            return "text/html", self._page
        asked = _TRIAL.fullmatch(path)
        if asked is None or int(asked[1]) >= len(self._content.rows):
            return None
        with self._lock:
            return "application/json", served_trial(self._content, int(asked[1]))


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.headers.get("Host", "").partition(":")[0]
        found = self.server.find(self.path) if name in LOCAL_NAMES else None
        kind, text = found or ("text/plain", "There is nothing here.\n")
        body = text.encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal shows the address only."""
